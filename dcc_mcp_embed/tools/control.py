"""Tools and resources about the server itself: on the loop thread, never waiting for the host."""

from __future__ import annotations

from typing import Any, Dict

from .batch import batch
from .declare import resource, tool
from .docs import guide
from .jobs import cancel_job, get_job, job_result, list_jobs
from .search import call_tool, describe_tool, search_tools

__all__ = [
    "batch",
    "call_tool",
    "cancel_job",
    "describe_tool",
    "get_job",
    "get_log",
    "get_status",
    "guide",
    "job_result",
    "list_jobs",
    "recent_log",
    "search_tools",
    "status",
]

#: Lines of the log that stand in its resource.
RECENT = 200

_NOTHING: Dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@tool(title="Status", thread="loop", read_only=True, idempotent=True, input_schema=_NOTHING)
def get_status(ctx: Any) -> Dict[str, Any]:
    """Say at once how the host is: healthy, busy, hung, modal or shutting_down, who holds its main
    thread and for how long, what waits, and versions. Works while the host is busy."""
    status: Dict[str, Any] = ctx.control.status()
    return status


@tool(
    title="Log",
    thread="loop",
    read_only=True,
    idempotent=True,
    input_schema={
        "type": "object",
        "properties": {
            "lines": {
                "type": "integer",
                "description": "How many, newest last. Default 100, at most 1000.",
            },
            "level": {
                "type": "string",
                "enum": ["debug", "info", "warning", "error"],
                "description": "The least severe level to show. Default info.",
            },
            "since": {
                "type": "integer",
                "description": "Only lines with a greater number than this. Default 0.",
            },
        },
        "additionalProperties": False,
    },
)
def get_log(ctx: Any, lines: int = 100, level: str = "info", since: int = 0) -> Dict[str, Any]:
    """Return recent lines of the server's log. Works while the host is busy."""
    return {"items": ctx.control.log(min(max(lines, 1), 1000), level, since)}


@resource("dcc://status", title="Status", mime_type="application/json", thread="loop")
def status(ctx: Any) -> Dict[str, Any]:
    """How the host is, who holds its main thread, what waits, versions: as get_status tells it."""
    found: Dict[str, Any] = ctx.control.status()
    return found


@resource("log://recent", title="Recent log", mime_type="application/json", thread="loop")
def recent_log(ctx: Any) -> Dict[str, Any]:
    """The newest lines of the server's log, from info upwards, newest last."""
    return {"items": ctx.control.log(RECENT, "info", 0)}
