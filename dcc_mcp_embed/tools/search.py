"""Tools that find, describe and call other tools: for those that ``tools/list`` does not show."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from ..errors import InvalidArgument
from .declare import declared, tool
from .entries import Tool
from .scene_schema import integer, schema, text

__all__ = ["call_tool", "describe_tool", "search_tools"]

MOST = 50


@tool(
    title="Search tools",
    thread="loop",
    read_only=True,
    idempotent=True,
    input_schema=schema(
        {
            "query": text("Words of what is to be done, as in 'mirror geometry'. Default: all."),
            "limit": integer("How many to return, at most 50.", 10),
        }
    ),
)
def search_tools(ctx: Any, query: str = "", limit: int = 10) -> Dict[str, Any]:
    """Find tools by words. There are more tools than are listed: describe_tool shows one with its
    arguments, call_tool calls it."""
    found, total = ctx.control.finder.find(query, min(max(limit, 1), MOST))
    if not found:
        ctx.warn("No tool fits. Use other words, or fewer; without a query all are returned.")
    return {"items": [_shown(one) for one in found], "total": total}


@tool(
    title="Describe tool",
    thread="loop",
    read_only=True,
    idempotent=True,
    input_schema=schema({"name": text("As search_tools returns it.")}, required=("name",)),
)
def describe_tool(ctx: Any, name: str) -> Dict[str, Any]:
    """Show everything about one tool: what it does, the schema of its arguments, an example."""
    found: Tool = ctx.control.tools.get(name)
    shape = dict(found.describe())
    shape["thread"] = found.thread
    shape["timeout_s"] = found.timeout
    shape["capabilities"] = list(found.capabilities)
    shape["tags"] = list(found.tags)
    shape["example"] = {"name": name, "arguments": _example(found.input_schema)}
    return shape


@tool(
    title="Call tool",
    thread="loop",
    destructive=True,
    input_schema=schema(
        {
            "name": text("As search_tools returns it."),
            "arguments": {
                "type": "object",
                "description": "As describe_tool shows them.",
                "properties": {},
                "additionalProperties": True,
            },
        },
        required=("name",),
    ),
)
def call_tool(ctx: Any, name: str, arguments: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """Call any tool by its name, also one that is not listed. The result is that tool's own."""
    raise AssertionError("redirected")


def _target(control: Any, given: Dict[str, Any]) -> Tuple[Tool, Dict[str, Any]]:
    """Return the tool that a ``call_tool`` is for, and its arguments. Raises ToolError."""
    found: Tool = control.tools.get(given["name"])
    if found.redirect is _target:
        raise InvalidArgument("call_tool calls other tools, not itself.")
    return found, given.get("arguments") or {}


_entry = declared(call_tool)
assert isinstance(_entry, Tool)
_entry.redirect = _target


def _shown(found: Tool) -> Dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "summary": found.description.partition(". ")[0][:200],
        "read_only": found.read_only,
        "destructive": found.destructive,
        "tags": list(found.tags),
    }


# -- an example -----------------------------------------------------------------------------------

#: Type -> a value of it.
_SAMPLES: Dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "string": "..."}
_DEEPEST = 4


def _example(wanted: Any, depth: int = 0) -> Any:
    """Return a value that fits a schema as far as its types go: what is required, no more."""
    if not isinstance(wanted, dict) or depth > _DEEPEST:
        return None
    if "default" in wanted:
        return wanted["default"]
    choices = wanted.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    kind = wanted.get("type")
    if kind == "object":
        members = wanted.get("properties")
        members = members if isinstance(members, dict) else {}
        return {one: _example(members.get(one), depth + 1) for one in wanted.get("required", ())}
    if kind == "array":
        return [_example(wanted.get("items"), depth + 1)]
    return _SAMPLES.get(kind) if isinstance(kind, str) else None
