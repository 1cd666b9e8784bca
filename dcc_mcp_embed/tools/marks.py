"""What may stand beside anything that MCP lists: icons, and annotations for the client.

Both raise ValueError, whose text continues the sentence that begins with what they belong to.
"""

from __future__ import annotations

from collections import abc
from typing import Any, Dict, List, Optional, Sequence

__all__ = ["annotations_of", "icons_of"]

_ROLES = ("user", "assistant")
_THEMES = ("light", "dark")


def icons_of(icons: Sequence[Any]) -> List[Dict[str, Any]]:
    """Return MCP's Icon blocks.

    Each of ``icons`` is a URI (``https:`` or ``data:``), or a dict of "src" and, if known,
    "mimeType", "sizes" (a list such as ["48x48"] or ["any"]) and "theme" ("light" or "dark").
    """
    if not isinstance(icons, (list, tuple)):
        raise ValueError("has icons that are no list; write [...]")
    found: List[Dict[str, Any]] = []
    for one in icons:
        icon = dict(one) if isinstance(one, abc.Mapping) else {"src": one}
        unknown = set(icon) - {"src", "mimeType", "sizes", "theme"}
        sizes = icon.get("sizes", [])
        if unknown or not isinstance(icon.get("src"), str) or ":" not in icon["src"]:
            raise ValueError(
                "has the icon {!r}; an icon is a URI, or a dict of src (a URI), mimeType, sizes "
                "and theme".format(one)
            )
        if not isinstance(sizes, (list, tuple)) or not all(isinstance(size, str) for size in sizes):
            raise ValueError("has an icon whose sizes are {!r}; write ['48x48']".format(sizes))
        if icon.get("theme", "light") not in _THEMES:
            raise ValueError("has an icon whose theme is neither light nor dark")
        if "sizes" in icon:
            icon["sizes"] = list(sizes)
        found.append(icon)
    return found


def annotations_of(annotations: Optional[Any]) -> Dict[str, Any]:
    """Return MCP's Annotations block.

    ``annotations`` maps "audience" to a list of "user" and "assistant", "priority" to a number
    from 0 (may be left out) to 1 (must not), "lastModified" to a moment in ISO 8601.
    """
    if annotations is None:
        return {}
    if not isinstance(annotations, abc.Mapping):
        raise ValueError("has annotations of type {}".format(type(annotations).__name__))
    found = dict(annotations)
    unknown = set(found) - {"audience", "priority", "lastModified"}
    if unknown:
        raise ValueError(
            "has the annotation {!r}; there are audience, priority and lastModified".format(
                sorted(map(str, unknown))[0]
            )
        )
    audience = found.get("audience", [])
    if not isinstance(audience, (list, tuple)) or not all(one in _ROLES for one in audience):
        raise ValueError("has the audience {!r}; write ['user', 'assistant']".format(audience))
    priority = found.get("priority", 0)
    if (
        isinstance(priority, bool)
        or not isinstance(priority, (int, float))
        or not 0 <= priority <= 1
    ):
        raise ValueError("has the priority {!r}; it goes from 0 to 1".format(priority))
    if not isinstance(found.get("lastModified", ""), str):
        raise ValueError("has a lastModified that is no text in ISO 8601")
    if "audience" in found:
        found["audience"] = list(audience)
    return found
