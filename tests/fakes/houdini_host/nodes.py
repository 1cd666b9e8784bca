"""``hou.Node``, what all kinds of it share. An object is a name for a node that may be gone."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Tuple

from .errors import InvalidInput, OperationFailed
from .geometry import cook
from .kinds import find
from .node_types import NodeType, NodeTypeCategory
from .parms import Parm, ParmTuple
from .scene import Data, current
from .strict import hom
from .vectors import Vector2

__all__ = ["NetworkMovableItem", "Node", "OpNode", "classes", "wrap"]


class Item:
    """What all of them are below their checked functions."""

    def __init__(self, ident: int) -> None:
        self._id = ident

    @property
    def _data(self) -> Data:
        return current().get(self._id)

    def _there(self) -> None:
        """Raise ObjectWasDeleted unless it is."""
        current().get(self._id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and self._id == other._id

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return "<hou.Node {}>".format(self._id)


@hom("NetworkMovableItem")
class NetworkMovableItem(Item):
    def name(self) -> str:
        return self._data.name

    def setName(self, name: str, unique_name: bool = False) -> None:
        current().rename(self._id, name, unique_name)

    def path(self) -> str:
        return current().path_of(self._id)

    def parent(self) -> Any:
        parent = self._data.parent
        return None if parent is None else wrap(parent)

    def sessionId(self) -> int:
        return self._data.id

    def isSelected(self) -> bool:
        return self._data.id in current().selected

    def setSelected(
        self, on: bool, clear_all_selected: bool = False, show_asset_if_selected: bool = False
    ) -> None:
        ident, scene = self._data.id, current()
        if clear_all_selected:
            scene.selected = []
        scene.selected = [i for i in scene.selected if i != ident] + [ident] * bool(on)

    def position(self) -> Vector2:
        self._there()
        return Vector2(0, 0)

    def setPosition(self, position: Any) -> None:
        self._there()


@hom("Node")
class Node(NetworkMovableItem):
    def type(self) -> NodeType:
        return NodeType(self._data.kind)

    def childTypeCategory(self) -> Any:
        inside = self._data.kind.inside
        return None if inside is None else NodeTypeCategory(inside)

    def isNetwork(self) -> bool:
        return self._data.kind.inside is not None

    def isEditable(self) -> bool:
        return self._data.kind.category != "Director"

    def isHidden(self) -> bool:
        self._there()
        return False

    def isSubNetwork(self) -> bool:
        return self._data.kind.inside is not None

    def children(self) -> Tuple[Any, ...]:
        return tuple(wrap(one.id) for one in current().children(self._data.id))

    def allSubChildren(
        self,
        top_down: bool = True,
        recurse_in_locked_nodes: bool = True,
        sync_delayed_definition: bool = False,
    ) -> Tuple[Any, ...]:
        scene = current()
        below = scene.below(self._data.id)
        found = [
            wrap(one.id)
            for one in below
            if recurse_in_locked_nodes or not scene.in_asset(one.parent)
        ]
        return tuple(found if top_down else reversed(found))

    def node(self, node_path: str) -> Any:
        data = current().find(node_path, self._data.id)
        return None if data is None else wrap(data.id)

    def createNode(
        self,
        node_type_name: str,
        node_name: Optional[str] = None,
        run_init_scripts: bool = True,
        load_contents: bool = True,
        exact_type_name: bool = False,
        force_valid_node_name: bool = False,
    ) -> Any:
        inside = self._data.kind.inside
        if inside is None:
            raise OperationFailed("This node cannot contain children")
        kind = find(inside, node_type_name, exact_type_name)
        if kind is None:
            raise OperationFailed("Invalid node type name: {}".format(node_type_name))
        name = node_name
        if name is None:
            name = re.sub(r"::.*", "", kind.name) + "1"
        elif force_valid_node_name:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        return wrap(current().make(kind, name, self._id).id)

    def destroy(self, disable_safety_checks: bool = False) -> None:
        current().destroy(self._id)

    def setInput(self, input_index: int, item_to_become_input: Any, output_index: int = 0) -> None:
        data = self._data
        if not 0 <= input_index < data.kind.inputs:
            raise InvalidInput("No input {}".format(input_index))
        other = None if item_to_become_input is None else item_to_become_input._data
        if other is not None and other.parent != data.parent:
            raise OperationFailed("The nodes are in different networks")
        if other is not None and (other is data or self._is_above(data, other)):
            raise OperationFailed("Infinite recursion in the inputs")
        current().change("Connect", self._id)
        data = self._data
        data.inputs.pop(input_index, None)
        if other is not None:
            data.inputs[input_index] = other.id

    def _is_above(self, data: Data, other: Data) -> bool:
        return any(
            ident == data.id or self._is_above(data, current().get(ident))
            for ident in other.inputs.values()
        )

    def setFirstInput(self, item_to_become_input: Any, output_index: int = 0) -> None:
        self.setInput(0, item_to_become_input, output_index)

    def setNextInput(
        self, item_to_become_input: Any, output_index: int = 0, unordered_only: bool = False
    ) -> None:
        self.setInput(len(self._data.inputs), item_to_become_input, output_index)

    def inputs(self) -> Tuple[Any, ...]:
        """Return a node or None for each input up to the last connected one."""
        connected = self._data.inputs
        return tuple(
            wrap(connected[number]) if number in connected else None
            for number in range(max(connected, default=-1) + 1)
        )

    def input(self, input_index: int) -> Any:
        ident = self._data.inputs.get(input_index)
        return None if ident is None else wrap(ident)

    def outputs(self) -> Tuple[Any, ...]:
        ident = self._data.id
        return tuple(
            wrap(one.id) for one in current().nodes.values() if ident in one.inputs.values()
        )

    def moveToGoodPosition(
        self,
        relative_to_inputs: bool = True,
        move_inputs: bool = True,
        move_outputs: bool = True,
        move_unconnected: bool = True,
    ) -> Vector2:
        self._there()
        return Vector2(0, 0)

    def errors(self) -> Tuple[str, ...]:
        data = self._data
        if data.kind.category == "Sop":
            try:
                cook(data)
            except OperationFailed:
                pass
        return tuple(data.errors)

    def warnings(self) -> Tuple[str, ...]:
        self._there()
        return ()

    def comment(self) -> str:
        return self._data.user.get("comment", "")

    def userData(self, name: str) -> Optional[str]:
        return self._data.user.get(name)

    def setUserData(self, name: str, value: str) -> None:
        current().change("User data", self._id)
        self._data.user[name] = value

    def userDataDict(self) -> Any:
        return dict(self._data.user)


@hom("OpNode")
class OpNode(Node):
    def parm(self, parm_path: str) -> Optional[Parm]:
        found = self._data.kind.locate(parm_path)
        return None if found is None else Parm(self._id, *found)

    def parmTuple(self, parm_path: str) -> Optional[ParmTuple]:
        for spec in self._data.kind.specs:
            if spec.name == parm_path:
                return ParmTuple(self._id, spec)
        return None

    def parms(self) -> Tuple[Parm, ...]:
        return tuple(part for one in self.parmTuples() for part in one)

    def parmTuples(self) -> Tuple[ParmTuple, ...]:
        return tuple(ParmTuple(self._id, spec) for spec in self._data.kind.specs)

    def evalParm(self, parm_path: str) -> Any:
        parm = self.parm(parm_path)
        if parm is None:
            raise OperationFailed("No parm {}".format(parm_path))
        return parm.eval()

    def evalParmTuple(self, parm_path: str) -> Any:
        parm = self.parmTuple(parm_path)
        if parm is None:
            raise OperationFailed("No parm tuple {}".format(parm_path))
        return parm.eval()

    def setParms(self, parm_dict: Any) -> None:
        for name, value in parm_dict.items():
            parm = self.parm(name) or self.parmTuple(name)
            if parm is None:
                raise OperationFailed("No parm {}".format(name))
            parm.set(value)

    def isInsideLockedHDA(self) -> bool:
        return current().in_asset(self._data.parent)

    def isLockedHDA(self) -> bool:
        return self._data.asset

    def isEditableInsideLockedHDA(self) -> bool:
        self._there()
        return False


#: Category -> class; what is not here is an OpNode. The modules of the classes enter them.
classes: Dict[str, Any] = {}


def wrap(ident: int) -> Any:
    """Return an object for a node."""
    kind = current().get(ident).kind
    # A network of render nodes among the objects has no transform.
    known = classes if kind.specs or kind.category != "Object" else {}
    return known.get(kind.category, OpNode)(ident)
