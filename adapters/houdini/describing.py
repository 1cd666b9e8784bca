"""What an object is like beyond its place. Main thread."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Set

from ...tools.matrix import Matrix
from .nodes import Tree
from .parms import show
from .placing import column

__all__ = ["attributes_of", "box_of", "history_of", "materials_of", "visible"]

Box = Dict[str, List[float]]

#: Object types whose geometry is only drawn in the viewport, to be seen and picked.
_HELPERS = frozenset(
    """null cam stereocam stereocamrig vrcam switcher hlight light envlight ambient indirectlight
    bone handle path pathcv rivet microphone sound fetch blend""".split()
)
#: SOPs shown of a history, the newest that many.
MAX_HISTORY = 200
_MATERIAL = "shop_materialpath"


def visible(hou: Any, node: Any) -> bool:
    """Return whether an object shows: it, and every subnetwork around it."""
    while isinstance(node, hou.ObjNode):
        if not node.isObjectDisplayed():
            return False
        node = node.parent()
    return True


def box_of(hou: Any, node: Any, tree: Tree) -> Optional[Box]:
    """Return the world box of an object and all below it, None without geometry.

    Made of the corners of each one's own box, so it may be a little wide around turned ones.
    """
    corners: List[Any] = []
    for one in [node, *tree.below(node.path())]:
        corners.extend(_corners(hou, one))
    if not corners:
        return None
    return {
        "min": [min(axis) for axis in zip(*corners)],
        "max": [max(axis) for axis in zip(*corners)],
    }


def history_of(hou: Any, node: Any) -> List[Dict[str, str]]:
    """Return the SOPs that make an object's geometry, the first to be cooked first."""
    return [{"name": sop.name(), "type": sop.type().name()} for sop in _chain(hou, node)]


def materials_of(hou: Any, node: Any) -> List[str]:
    """Return the materials an object has, and those that its SOPs give it, by path."""
    found: List[str] = []
    for one in [node, *_chain(hou, node)]:
        for path in _assigned(one):
            target = one.node(path)
            shown = path if target is None else target.path()
            if shown not in found:
                found.append(shown)
    return found


def attributes_of(hou: Any, node: Any) -> Dict[str, Any]:
    """Return an object's parameters that are not hidden, name -> JSON value."""
    shown: Dict[str, Any] = {}
    for found in node.parmTuples():
        if not found.isHidden():
            has_value, value = show(hou, found)
            if has_value:
                shown[found.name()] = value
    return shown


# -- inside -----------------------------------------------------------------------------------


def _assigned(node: Any) -> Iterator[str]:
    """Yield what an object's parameter for its material says, or those of a material SOP."""
    parms = [node.parm(_MATERIAL)]
    while node.parm("{}{}".format(_MATERIAL, len(parms))) is not None:
        parms.append(node.parm("{}{}".format(_MATERIAL, len(parms))))
    for parm in parms:
        path = "" if parm is None else str(parm.evalAsString())
        if path:
            yield path


def _display(hou: Any, node: Any) -> Any:
    """Return the SOP that an object shows, None if it has none."""
    sop = node.displayNode()
    return sop if isinstance(sop, hou.SopNode) else None


def _corners(hou: Any, node: Any) -> List[Any]:
    if node.type().nameComponents()[2] in _HELPERS:
        return []
    sop = _display(hou, node)
    try:
        geometry = None if sop is None else sop.geometry()
    except hou.OperationFailed:
        return []  # it does not cook; find_errors tells why
    if geometry is None or not geometry.intrinsicValue("pointcount"):
        return []
    box = geometry.boundingBox()
    world = column(node.worldTransform())
    ends = list(zip(box.minvec(), box.maxvec()))
    return [_moved(world, x, y, z) for x in ends[0] for y in ends[1] for z in ends[2]]


def _moved(world: Matrix, x: float, y: float, z: float) -> List[float]:
    return [row[0] * x + row[1] * y + row[2] * z + row[3] for row in world[:3]]


def _chain(hou: Any, node: Any) -> List[Any]:
    """Return the SOPs above the displayed one, inputs before what they go into."""
    order: List[Any] = []
    seen: Set[str] = set()
    last = _display(hou, node)
    waiting = [] if last is None else [(last, False)]
    while waiting and len(seen) <= MAX_HISTORY:
        sop, done = waiting.pop()
        if done:
            order.append(sop)
            continue
        if sop.path() in seen:
            continue
        seen.add(sop.path())
        waiting.append((sop, True))
        waiting.extend((one, False) for one in reversed(sop.inputs()) if one is not None)
    order.extend(sop for sop, done in reversed(waiting) if done)
    return order
