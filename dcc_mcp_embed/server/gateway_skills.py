"""Skills, as the dcc-mcp gateway asks for them by tools of its own names. Loop thread.

Its agents are told that a host's tools come in skills, some of which have to be loaded first. Here
is one, always loaded; so that nobody who asks for it is left with an error. They are for guests
only: no client of the host itself needs them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..errors import NotFound
from ..tools.declare import declared, tool
from ..tools.entries import Tool
from ..tools.table import ToolTable
from .gateway import Guest
from .rest import SKILL

__all__ = ["called"]


@tool(
    thread="loop",
    read_only=True,
    input_schema={
        "type": "object",
        "properties": {"query": {"type": "string"}, "kind": {"type": "string"}},
        "additionalProperties": True,
    },
)
def search_skills(ctx: Any, query: str = "", kind: str = "", **more: Any) -> Dict[str, Any]:
    """Return the one skill that there is, whatever is searched for."""
    return _skills(ctx)


@tool(
    thread="loop",
    read_only=True,
    input_schema={"type": "object", "properties": {}, "additionalProperties": True},
)
def list_skills(ctx: Any, **more: Any) -> Dict[str, Any]:
    """Return the one skill that there is."""
    return _skills(ctx)


def _skills(ctx: Any) -> Dict[str, Any]:
    tools = ctx.control.tools
    skill = {
        "name": SKILL,
        "description": "All tools of this host. They are loaded; search for tools.",
        "dcc": ctx.control.instance()["dcc"],
        "loaded": True,
        "tool_count": len(tools),
    }
    return {"skills": [skill], "total": 1}


@tool(
    thread="loop",
    read_only=True,
    idempotent=True,
    input_schema={
        "type": "object",
        "properties": {
            "skill_name": {"type": "string"},
            "skill_names": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": True,
    },
)
def load_skill(
    ctx: Any, skill_name: str = "", skill_names: Optional[List[str]] = None, **more: Any
) -> Dict[str, Any]:
    """Say that the one skill is loaded."""
    wanted = ([skill_name] if skill_name else []) + (skill_names or [])
    unknown = [one for one in wanted if one != SKILL]
    if unknown:
        raise NotFound(
            "There is no skill '{}' here.".format(unknown[0][:64]),
            hint="The one skill is '{}', and it is loaded. Search for tools.".format(SKILL),
        )
    names = [one.name for one in ctx.control.tools.tools]
    return {"success": True, "skill_name": SKILL, "loaded": True, "registered_tools": names}


def _entries() -> Dict[str, Tool]:
    found = [declared(one) for one in (search_skills, list_skills, load_skill)]
    return {one.name: one for one in found if isinstance(one, Tool)}


_SKILL_TOOLS = _entries()


def called(table: ToolTable, name: str, identity: Any) -> Tool:
    """Return the tool that a caller means; a host's own tool goes first. Raises NotFound."""
    if type(identity) is Guest and name in _SKILL_TOOLS and name not in table:
        return _SKILL_TOOLS[name]
    return table.get(name)
