"""Tools that only Houdini has: parameters and cooking of any node, HScript."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ...errors import HostError, InvalidArgument, NotFound
from ...tools import scene_schema as s
from ...tools.backend import did_you_mean, nearest
from ...tools.code import CODE
from ...tools.context import ToolContext
from ...tools.declare import tool
from .failures import Telling, text_of
from .parms import assign, check_writable, driver, show

__all__ = ["check_node", "execute_hscript", "get_parms", "set_parms"]

#: Characters of the output of HScript, each of the two streams.
MAX_OUTPUT = 16000
NODE = s.text("Full path of any node, such as /obj/geo1/box1.")


@tool(
    title="Get parameters",
    tags=("houdini", "node", "parm", "channel", "sop"),
    read_only=True,
    input_schema=s.schema(
        {
            "path": NODE,
            "names": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Parameters (t, tx, size). Default: all that are not hidden.",
            },
        },
        required=("path",),
    ),
)
def get_parms(ctx: ToolContext, path: str, names: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """Read parameters of any Houdini node, at the current frame. Returns the values by name, and
    the expressions of those that one drives.
    """
    hou = ctx.scene.namespace()["hou"]
    node = _node(hou, path)
    if names is None:
        tuples = [found for found in node.parmTuples() if not found.isHidden()]
    else:
        tuples = [_found(node, name) for name in names]
    values: Dict[str, Any] = {}
    expressions: Dict[str, str] = {}
    for found in tuples:
        has_value, value = show(hou, found)
        if has_value:
            values[found.name()] = value
            for parm in _parts(found):
                expression = driver(parm)
                if expression is not None:
                    expressions[parm.name()] = expression
    return {"path": node.path(), "values": values, "expressions": expressions}


@tool(
    title="Set parameters",
    tags=("houdini", "node", "parm", "channel", "sop"),
    input_schema=s.schema(
        {
            "path": NODE,
            "values": s.free_map(
                "Parameter -> number, text (also a menu's token), or a list for a whole tuple."
            ),
        },
        required=("path", "values"),
    ),
)
def set_parms(ctx: ToolContext, path: str, values: Mapping[str, Any]) -> Dict[str, Any]:
    """Set parameters of any Houdini node at the current frame. All may be written, or none is:
    locked ones and those that an expression drives are refused. Returns them before and after.
    """
    hou = ctx.scene.namespace()["hou"]
    node = _node(hou, path)
    if not values:
        raise InvalidArgument("Nothing to set.", hint="Pass values such as {'tx': 1}.")
    found = {name: _found(node, name) for name in values}
    for name, one in found.items():
        parts = _parts(one)
        if isinstance(values[name], (list, tuple)) and len(values[name]) != len(parts):
            raise InvalidArgument("'{}' takes {} values.".format(name, len(parts)))
        if not isinstance(values[name], (list, tuple)) and len(parts) != 1:
            raise InvalidArgument("'{}' takes a list of {} values.".format(name, len(parts)))
        for parm in parts:
            check_writable(parm)
    before = {name: show(hou, one)[1] for name, one in found.items()}
    with Telling(hou, "The parameters of '{}' could not be set".format(path)):
        for name, one in found.items():
            _set(name, one, values[name])
    after = {name: show(hou, one)[1] for name, one in found.items()}
    ctx.evidence(changed=before != after)
    return {"path": node.path(), "before": before, "after": after}


@tool(
    title="Check a node",
    tags=("houdini", "cook", "evaluate", "error", "warning"),
    input_schema=s.schema(
        {"path": NODE, "force": s.flag("Also if it is up to date. Default false.", False)},
        required=("path",),
    ),
)
def check_node(ctx: ToolContext, path: str, force: bool = False) -> Dict[str, Any]:
    """Cook one Houdini node and return its errors, warnings and messages."""
    hou = ctx.scene.namespace()["hou"]
    node = _node(hou, path)
    failure: Optional[str] = None
    try:
        node.cook(force=force)
    except hou.OperationFailed as error:
        failure = text_of(error)
    errors: List[str] = [" ".join(text.split()) for text in node.errors()]
    if failure is not None and not errors:
        errors = [failure]
    return {
        "path": node.path(),
        "cooked": failure is None and not errors,
        "errors": errors,
        "warnings": list(node.warnings()),
    }


@tool(
    title="Run HScript",
    tags=("houdini", "script", "command"),
    destructive=True,
    capabilities=(CODE,),
    input_schema=s.schema(
        {"command": s.text("HScript commands, separated by ';' or lines.")},
        required=("command",),
    ),
)
def execute_hscript(ctx: ToolContext, command: str) -> Dict[str, Any]:
    """Run HScript commands in Houdini and return what they print. For what HOM lacks; use
    execute_python otherwise.
    """
    hou = ctx.scene.namespace()["hou"]
    if not command.strip():
        raise InvalidArgument("There is no command.")
    with Telling(hou, "HScript failed"):
        output, errors = hou.hscript(command)
    if errors and not output:
        raise HostError("HScript failed: {}".format(errors.strip()[:MAX_OUTPUT]))
    return {"output": output[:MAX_OUTPUT], "errors": errors[:MAX_OUTPUT]}


def _node(hou: Any, path: str) -> Any:
    node = hou.node(path) if path.startswith("/") else None
    if node is None:
        raise NotFound("No node '{}'.".format(path), hint="Pass a full path such as /obj/geo1.")
    return node


def _found(node: Any, name: str) -> Any:
    """Return a parameter tuple, or one component of one. Raises NotFound with near names."""
    found = node.parmTuple(name)
    if found is None:
        found = node.parm(name)
    if found is None:
        known = [one.name() for one in node.parmTuples()]
        raise NotFound(
            "{} has no parameter '{}'.".format(node.path(), name),
            hint=did_you_mean(nearest(name, known), "Call get_parms to see what there is."),
        )
    return found


def _parts(found: Any) -> List[Any]:
    return list(found) if hasattr(found, "__len__") else [found]


def _set(name: str, found: Any, value: Any) -> None:
    try:
        assign(_parts(found), value if isinstance(value, (list, tuple)) else [value])
    except TypeError as error:
        raise InvalidArgument("'{}' does not take {!r}: {}".format(name, value, error)) from None
