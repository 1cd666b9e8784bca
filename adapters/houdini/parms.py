"""Parameters: which may be written, writing them, keys. Main thread.

A parameter that an expression drives is left alone: ``hou.Parm.set`` follows a channel reference
and would change the parameter of another node.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ...errors import HostError, TypeMismatch

__all__ = [
    "assign",
    "check_writable",
    "driver",
    "key",
    "numbers",
    "put",
    "show",
    "token",
    "tuple_of",
]

#: The expressions that Houdini writes itself between two keys.
_SEGMENT = re.compile(
    r"(bezier|constant|cubic|cycle|cycleoffset|ease|easein|easeinp|easeout|easeoutp|easep|linear"
    r"|match|matchin|matchout|qlinear|quintic|raw|repeat|spline|vmatch|vmatchin|vmatchout)\(\s*\)\Z"
)
#: Kinds of parameters that hold no value.
_EMPTY = ("Button", "FolderSet", "Folder", "Separator", "Label", "Data")


def tuple_of(node: Any, name: str) -> Any:
    """Return a parameter tuple. Raises HostError where this Houdini's node has none such."""
    found = node.parmTuple(name)
    if found is None:
        raise HostError(
            "{} ({}) has no parameter '{}'.".format(node.path(), node.type().name(), name),
            state="not_started",
        )
    return found


def numbers(node: Any, name: str, default: Sequence[float]) -> Tuple[float, ...]:
    """Return a tuple's values, ``default`` where the node has none such."""
    found = node.parmTuple(name)
    return tuple(default) if found is None else tuple(float(value) for value in found.eval())


def token(node: Any, name: str, default: str) -> str:
    """Return the token of a menu parameter, ``default`` where the node has none such."""
    found = node.parm(name)
    return default if found is None else str(found.evalAsString())


def driver(parm: Any) -> Optional[str]:
    """Return the expression that drives a parameter, None if none but that of a key does."""
    for one in parm.keyframes():
        if one.isExpressionSet() and not _SEGMENT.match(one.expression().strip()):
            return str(one.expression())
    return None


def check_writable(parm: Any) -> None:
    """Raise TypeMismatch if a parameter is locked, or driven by an expression."""
    where = parm.path()
    if parm.isLocked():
        raise TypeMismatch(
            "The parameter {} is locked.".format(where),
            hint="Unlock it first: hou.parm({!r}).lock(False).".format(where),
            state="not_started",
        )
    expression = driver(parm)
    if expression is not None:
        raise TypeMismatch(
            "The parameter {} is driven by the expression {!r}.".format(where, expression[:200]),
            hint="Change what it refers to, or remove the expression first: "
            "hou.parm({!r}).deleteAllKeyframes().".format(where),
            state="not_started",
        )


def assign(found: Any, values: Sequence[Any]) -> None:
    """Set a parameter tuple, one component at a time: so each kind takes what it is made of.

    A menu takes its token, as well as the number of the item.
    """
    for parm, value in zip(found, values):
        parm.set(value)


def put(node: Any, values: Dict[str, Sequence[float]]) -> None:
    """Set parameter tuples, name -> numbers. All may be written, or nothing is.

    A component that has its value already is not touched, whatever drives it.
    """
    changes: List[Tuple[Any, float]] = []
    for name, wanted in values.items():
        for parm, value in zip(tuple_of(node, name), wanted):
            if parm.eval() != value:
                check_writable(parm)
                changes.append((parm, float(value)))
    for parm, value in changes:
        parm.set(value)


def key(hou: Any, node: Any, names: Sequence[str], frame: float) -> None:
    """Set keys on ``frame`` for whole parameter tuples, at the values they have now."""
    parms = [parm for name in names for parm in tuple_of(node, name)]
    for parm in parms:
        check_writable(parm)
    for parm in parms:
        made = hou.Keyframe()
        made.setFrame(float(frame))
        made.setValue(float(parm.eval()))
        parm.setKeyframe(made)


def show(hou: Any, found: Any) -> Tuple[bool, Any]:
    """Return whether a parameter, or a tuple of them, has a value, and the value as JSON.

    A tuple of one component is that component. What cannot be evaluated is shown as why.
    """
    kind = found.parmTemplate().type()
    if kind in [getattr(hou.parmTemplateType, name) for name in _EMPTY]:
        return False, None
    try:
        if kind == hou.parmTemplateType.Menu:
            menu = found[0] if hasattr(found, "__len__") else found
            return True, menu.evalAsString()
        value = found.eval()
    except hou.Error as error:
        return True, "error: {}".format(" ".join(str(error).split()))
    if not isinstance(value, tuple):
        return True, value if isinstance(value, (int, float, str)) else str(value)
    parts = [part if isinstance(part, (int, float, str)) else str(part) for part in value]
    return True, parts[0] if len(parts) == 1 else parts
