"""What the dcc-mcp gateway and we say to each other under ``/v1``: bodies in, bodies out. Pure.

Shapes and names are the ecosystem's (dcc-mcp-core's REST surface), where tools are *actions* of
*skills* and are named by *slugs*, ``<dcc>.<skill>.<action>``. We have one skill, always loaded.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence

from ..records import NamedTuple
from ..tools.entries import Tool
from ..wire import jsonrpc
from .gateway import withheld

__all__ = [
    "MAX_HITS",
    "SKILL",
    "BadRequest",
    "Call",
    "Search",
    "below",
    "call_of",
    "context",
    "described",
    "entry",
    "failed",
    "members",
    "name_in",
    "output",
    "prompt_arguments",
    "search_of",
    "slug_of",
    "wanted",
]

SKILL = "dcc-mcp-embed"
#: What the gateway asks for when it fills its index.
MAX_HITS = 5000
#: Characters of one line about a tool.
_SUMMARY = 200
_SCOPE = "system"
_ESCAPE = b"%([0-9A-Fa-f]{2})"
_NOT_HERE = "Refused through the gateway, only for clients of the host itself: "


class BadRequest(ValueError):
    """The body is not what is asked for; the text says what is."""


class Search(NamedTuple):
    """What is searched for. ``limit``: of hits.

    A tool needs all of ``all_tags`` and, if there are any, one of ``any_tags``.
    """

    query: str
    limit: int
    #: Whether tools of this kind of host are wanted at all.
    here: bool
    all_tags: Sequence[str]
    any_tags: Sequence[str]


class Call(NamedTuple):
    """``name``: of the tool. ``slug``: as the caller wrote it."""

    slug: str
    name: str
    arguments: Dict[str, Any]


def members(body: bytes) -> Dict[str, Any]:
    """Return the JSON object in ``body``; nothing at all is an empty one. Raises BadRequest."""
    if not body.strip():
        return {}
    try:
        value = jsonrpc.decode(body)
    except jsonrpc.Fault as fault:
        raise BadRequest(fault.message) from None
    if type(value) is not dict:
        raise BadRequest("The body is a JSON object.")
    return value


def search_of(body: Dict[str, Any], dcc_type: str) -> Search:
    """Return what is searched for. Raises BadRequest."""
    query, limit = body.get("query"), body.get("limit")
    if query is not None and type(query) is not str:
        raise BadRequest("'query' is a text.")
    if limit is not None and (type(limit) is not int or limit < 0):
        raise BadRequest("'limit' is a number from 0 upwards.")
    kinds = _texts(body, "dcc_types")
    if body.get("dcc_type"):
        kinds.append(str(body["dcc_type"]))
    return Search(
        query or "",
        MAX_HITS if limit is None else min(limit, MAX_HITS),
        not kinds or dcc_type in kinds,
        _texts(body, "tags"),
        _texts(body, "tags_any"),
    )


def _texts(body: Dict[str, Any], name: str) -> List[str]:
    value = body.get(name)
    if value is None:
        return []
    if type(value) is not list or any(type(one) is not str for one in value):
        raise BadRequest("'{}' is a list of texts.".format(name))
    return list(value)


def slug_of(body: Dict[str, Any]) -> str:
    """Return the slug that ``body`` is about. Raises BadRequest."""
    slug = body.get("tool_slug")
    if type(slug) is not str or not slug:
        raise BadRequest("'tool_slug' is the name of a tool, as /v1/search returns it.")
    return slug


def call_of(body: Dict[str, Any]) -> Call:
    """Return the call that ``body`` asks for. Raises BadRequest."""
    slug = slug_of(body)
    arguments = body.get("arguments", body.get("params"))
    if arguments is None:
        arguments = {}
    if type(arguments) is not dict:
        raise BadRequest("'arguments' is an object.")
    return Call(slug, name_in(slug), arguments)


def name_in(slug: str) -> str:
    """Return the name of the tool that a slug, or the name alone, means: none has a dot."""
    return slug.rpartition(".")[2]


def below(target: str) -> str:
    """Return the last segment of a request target's path, decoded. Raises BadRequest."""
    return _decoded(target.partition("?")[0].rstrip("/").rpartition("/")[2])


def prompt_arguments(target: str) -> Dict[str, Any]:
    """Return what the query of a request target says in ``args``. Raises BadRequest."""
    for pair in target.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if name == "args":
            return members(_decoded(value.replace("+", " ")).encode("utf-8"))
    return {}


def _decoded(text: str) -> str:
    coded = text.encode("utf-8")
    data = re.sub(_ESCAPE, lambda found: bytes((int(found.group(1), 16),)), coded)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("What is escaped in the path or the query is no UTF-8.") from None


def wanted(tool: Tool, search: Search) -> bool:
    """Return whether ``tool`` has the tags that a search demands."""
    if any(tag not in tool.tags for tag in search.all_tags):
        return False
    return not search.any_tags or any(tag in tool.tags for tag in search.any_tags)


def entry(tool: Tool, dcc_type: str, guest: bool) -> Dict[str, Any]:
    """Return one hit: what a list needs of a tool. A ``guest`` is told what it will not get."""
    shown = tool.describe()
    summary = tool.description.partition("\n")[0].partition(". ")[0][:_SUMMARY]
    if guest and withheld(tool) is not None:
        summary = _NOT_HERE + summary
    schema = tool.input_schema
    return {
        "slug": "{}.{}.{}".format(dcc_type, SKILL, tool.name),
        "skill": SKILL,
        "action": tool.name,
        "dcc": dcc_type,
        "summary": summary,
        "loaded": True,
        "has_schema": bool(schema.get("properties") or schema.get("required")),
        "scope": _SCOPE,
        "annotations": shown["annotations"],
        "metadata": {
            "tags": list(tool.tags),
            "capabilities": list(tool.capabilities),
            "thread": tool.thread,
        },
    }


def described(tool: Tool, dcc_type: str, guest: bool, with_schema: bool) -> Dict[str, Any]:
    """Return everything about one tool."""
    refused = guest and withheld(tool) is not None
    found = {
        "entry": entry(tool, dcc_type, guest),
        "description": (_NOT_HERE if refused else "") + tool.description,
        "annotations": tool.describe()["annotations"],
        "metadata": {"timeout_s": tool.timeout, "capabilities": list(tool.capabilities)},
    }
    if with_schema:
        found["input_schema"] = tool.input_schema
    return found


def output(result: Dict[str, Any]) -> Dict[str, Any]:
    """Return what a CallToolResult is to the gateway, which goes by ``success``.

    Data comes once, as it is; only what is no data comes as content blocks.
    """
    is_error = bool(result.get("isError"))
    found: Dict[str, Any] = {"success": not is_error}
    structured = result.get("structuredContent")
    content = result.get("content") or []
    if isinstance(structured, dict):
        found.update(structured)
        found["success"] = not is_error
        content = [one for one in content if one.get("type") != "text"]
        error = structured.get("error")
        if is_error and isinstance(error, dict):
            found["message"] = "{} {}".format(error.get("message"), error.get("hint") or "").strip()
    if content:
        found["content"] = content
    if is_error:
        found["isError"] = True
    return found


def context(instance: Any, tools: int) -> Dict[str, Any]:
    """Return which host this is and what is open in it."""
    return {
        "dcc": instance.dcc_type,
        "version": instance.version,
        "scene": instance.scene or None,
        "documents": [instance.scene] if instance.scene else [],
        "display_name": None,
        "loaded_skill_count": 1,
        "action_count": tools,
    }


def failed(kind: str, message: str, hint: Optional[str] = None) -> Dict[str, Any]:
    """Return the body of a request that is not served; kinds are the ecosystem's."""
    found = {"kind": kind, "message": message}
    if hint:
        found["hint"] = hint
    return found
