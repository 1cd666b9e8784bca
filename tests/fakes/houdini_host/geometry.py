"""What SOPs make: the fake knows their boxes and how many points and faces there are."""

from __future__ import annotations

import os
from typing import Any, List, Optional, Tuple

from .boxes import BoundingBox
from .errors import OperationFailed
from .scene import Data, current
from .strict import hom
from .transforms import rotation, scaling, translation
from .vectors import Matrix4

__all__ = ["Geometry", "cook"]

_Part = Tuple[BoundingBox, int, int]


@hom("Geometry")
class Geometry:
    def __init__(self, box: BoundingBox, points: int, faces: int) -> None:
        self._box = box
        self._counts = {"pointcount": points, "primitivecount": faces}

    def boundingBox(self, transform: Optional[Matrix4] = None) -> BoundingBox:
        if transform is None or not self._box.isValid():
            return BoundingBox(*self._box._v)
        return self._box * transform

    def intrinsicValue(self, intrinsic_name: str) -> Any:
        """ "Raises OperationFailed if the given intrinsic name does not exist"."""
        if intrinsic_name not in self._counts:
            raise OperationFailed("No intrinsic {!r}".format(intrinsic_name))
        return self._counts[intrinsic_name]


def cook(data: Data) -> Geometry:
    """Return what a SOP makes. Raises OperationFailed where it has an error."""
    data.errors = []
    return Geometry(*_make(data))


def _inputs(data: Data) -> List[_Part]:
    return [_make(current().get(ident)) for _, ident in sorted(data.inputs.items())]


def _make(data: Data) -> _Part:
    name = data.kind.name
    if name in ("null", "merge", "material", "xform"):
        box, points, faces = BoundingBox(), 0, 0
        for part in _inputs(data):
            box.enlargeToContain(part[0])
            points, faces = points + part[1], faces + part[2]
        if name == "xform" and box.isValid():
            box = box * _placing(data)
        return box, points, faces
    if name == "file":
        path = str(data.values["file"])
        if path != "default.bgeo" and not os.path.exists(path):
            data.errors = ['Unable to read file "{}".'.format(path)]
            raise OperationFailed(data.errors[0])
        return BoundingBox(), 0, 0
    return _solid(data)


def _solid(data: Data) -> _Part:
    values = data.values
    name = data.kind.name
    faces = 1 if values.get("type") == "prim" else 6
    if name == "box":
        half = [values["size" + axis] / 2 * values["scale"] for axis in "xyz"]
        turn = rotation([values["r" + axis] for axis in "xyz"])
        box = BoundingBox(*[-one for one in half], *half) * turn
        return _moved(box, data), 8, 6
    if name == "sphere":
        half = [values["rad" + axis] * values["scale"] for axis in "xyz"]
    elif name == "grid":
        first, second = values["sizex"] / 2, values["sizey"] / 2
        half = {
            "zx": [first, 0.0, second],
            "xy": [first, second, 0.0],
            "yz": [0.0, first, second],
        }[values["orient"]]
    else:
        if name == "tube":
            out = max(values["rad1"], values["rad2"]) * values["radscale"]
            along = values["height"] / 2
        else:
            out = (values["radx"] + values["rady"]) * values["scale"]
            along = values["rady"] * values["scale"]
        half = [along if axis == values["orient"] else out for axis in "xyz"]
    return _moved(BoundingBox(*[-one for one in half], *half), data), 24, faces


def _moved(box: BoundingBox, data: Data) -> BoundingBox:
    return box * translation([data.values.get("t" + axis, 0.0) for axis in "xyz"])


def _placing(data: Data) -> Matrix4:
    parts = {letter: [data.values[letter + axis] for axis in "xyz"] for letter in "trs"}
    return scaling(parts["s"]) * rotation(parts["r"]) * translation(parts["t"])
