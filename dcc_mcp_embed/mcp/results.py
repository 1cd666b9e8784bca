"""What a tool has answered, for a program, and what tools have answered, for a model. Pure."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from ..parsing import loads

__all__ = ["build_context", "extracted", "failure_in"]


def extracted(result: Dict[str, Any]) -> Any:
    """Return what is in a CallToolResult.

    One text: the text. One other part: as it is, an image as type, data and mimeType. Several: a
    list of these. None: the structured content, or None.
    """
    content = result.get("content")
    parts = [_part(one) for one in content] if type(content) is list else []
    if len(parts) == 1:
        return parts[0]
    return parts or result.get("structuredContent")


def _part(block: Any) -> Any:
    kind = block.get("type") if type(block) is dict else None
    if kind == "text":
        return block.get("text", "")
    if kind == "image":
        return {name: block.get(name, "") for name in ("type", "data", "mimeType")}
    return block


def failure_in(result: Dict[str, Any]) -> str:
    """Return what a failed CallToolResult says of its failure."""
    content = result.get("content")
    texts = [
        str(one.get("text", ""))
        for one in (content if type(content) is list else [])
        if type(one) is dict and one.get("type") == "text"
    ]
    return "\n".join(texts).strip() or "the tool says that it has failed, and nothing else"


def build_context(results: List[Dict[str, Any]], form: str) -> str:
    """Return results of tools as text. ``form``: markdown, json, or anything else for plain."""
    if not results:
        return ""
    if form == "json":
        return json.dumps(results, ensure_ascii=False, indent=2)
    return (_markdown if form == "markdown" else _plain)(results)


def _markdown(results: List[Dict[str, Any]]) -> str:
    lines = ["## Tool results\n"]
    for number, one in enumerate(results, 1):
        good = one.get("success", False)
        lines.append("### {} {}. {}\n".format("OK" if good else "Failed", number, _name(one)))
        content = one.get("content", "")
        if good:
            content = _pretty(content)
            fence = "```"
            while fence in content:
                fence += "`"
            lines.append("{0}json\n{1}\n{0}\n".format(fence, content))
        else:
            lines.append("**Error**: {}\n".format(content))
    return "\n".join(lines)


def _plain(results: List[Dict[str, Any]]) -> str:
    lines = ["=== Tool results ===\n"]
    for number, one in enumerate(results, 1):
        good = "succeeded" if one.get("success", False) else "failed"
        lines.append("{}. {} - {}".format(number, _name(one), good))
        lines.append("   Result: {}\n".format(one.get("content", "")))
    return "\n".join(lines)


def _name(result: Dict[str, Any]) -> str:
    return str(result.get("name", "unknown"))


def _pretty(content: Any) -> str:
    try:
        return json.dumps(loads(content), ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        # It is no JSON: then it is shown as it is.
        return str(content)
