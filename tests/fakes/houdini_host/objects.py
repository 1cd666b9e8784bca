"""``hou.ObjNode`` and ``hou.SopNode``: what is placed in the scene, and what makes its geometry."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from .errors import OperationFailed
from .geometry import Geometry, cook
from .nodes import OpNode, classes, wrap
from .scene import current
from .strict import hom
from .transforms import build, nearest_angles
from .vectors import Matrix4, Vector3

__all__ = ["ObjNode", "SopNode"]


@hom("ObjNode")
class ObjNode(OpNode):
    def _values(self, name: str) -> List[float]:
        parm = self.parmTuple(name)
        assert parm is not None
        return [float(one) for one in parm.eval()]

    def parmTransform(self) -> Matrix4:
        uniform = self._values("scale")[0]
        values = {
            "translate": self._values("t"),
            "rotate": self._values("r"),
            "scale": [uniform * one for one in self._values("s")],
            "pivot": self._values("p"),
            "pivot_rotate": self._values("pr"),
        }
        data = self._data
        return build(values, data.values["xOrd"], data.values["rOrd"])

    def setParmTransform(self, matrix: Matrix4, fail_on_locked_parms: bool = False) -> None:
        data = self._data
        if fail_on_locked_parms and any(one[0] in "trs" for one in data.locked):
            raise OperationFailed("A parameter of the transform is locked")
        order = data.values["rOrd"]
        parts = matrix.explode(
            data.values["xOrd"], order, Vector3(self._values("p")), Vector3(self._values("pr"))
        )
        uniform = self._values("scale")[0]
        parts["scale"] = Vector3([one / uniform for one in parts["scale"]])
        parts["rotate"] = Vector3(nearest_angles(parts["rotate"], self._values("r"), order))
        current().change("Transform", self._id)
        data = self._data
        for letter, key in (("t", "translate"), ("r", "rotate"), ("s", "scale")):
            data.values.update(zip([letter + axis for axis in "xyz"], parts[key]))

    def preTransform(self) -> Matrix4:
        return Matrix4(self._data.pre)

    def setPreTransform(self, matrix: Matrix4) -> None:
        current().change("Pre-transform", self._id)
        self._data.pre = Matrix4(matrix)

    def localTransform(self) -> Matrix4:
        return self.parmTransform() * self._data.pre

    def parentAndSubnetTransform(self) -> Matrix4:
        data = self._data
        if data.inputs:
            return wrap(data.inputs[min(data.inputs)]).worldTransform()
        home = current().get(int(data.parent or 0))
        if home.kind.category == "Object":
            return wrap(home.id).worldTransform()
        return Matrix4(1)

    def worldTransform(self) -> Matrix4:
        """ "self.localTransform() * self.parentAndSubnetTransform()" (its docstring)."""
        return self.localTransform() * self.parentAndSubnetTransform()

    def setWorldTransform(self, matrix: Matrix4, fail_on_locked_parms: bool = False) -> None:
        above = self.parentAndSubnetTransform().inverted()
        self.setParmTransform(matrix * above * self._data.pre.inverted(), fail_on_locked_parms)

    def origin(self) -> Vector3:
        return Vector3(0, 0, 0) * self.worldTransform()

    def isDisplayFlagSet(self) -> bool:
        return self._data.shown

    def setDisplayFlag(self, on: bool) -> None:
        current().change("Display flag", self._id)
        self._data.shown = bool(on)

    def isObjectDisplayed(self) -> bool:
        """ "takes into account both the display flag and the display parameter"."""
        values = self._data.values
        return bool(values["display"]) if values["tdisplay"] else self._data.shown

    def displayNode(self) -> Any:
        display = self._data.display
        return None if display is None else wrap(display)

    def renderNode(self) -> Any:
        return self.displayNode()


@hom("SopNode")
class SopNode(OpNode):
    def geometry(self, output_index: int = 0) -> Optional[Geometry]:
        """ "Raises hou.OperationFailed if this node is a type of SOP that has errors"."""
        return cook(self._data)

    def isDisplayFlagSet(self) -> bool:
        return current().get(int(self._data.parent or 0)).display == self._id

    def setDisplayFlag(self, on: bool) -> None:
        current().change("Display flag", self._id)
        current().get(int(self._data.parent or 0)).display = self._id if on else None

    def setRenderFlag(self, on: bool) -> None:
        self._there()

    def cook(self, force: bool = False, frame_range: Sequence[float] = ()) -> None:
        cook(self._data)


classes.update({"Object": ObjNode, "Sop": SopNode})
