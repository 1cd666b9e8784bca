"""Say to clients of older revisions, in words that those have, what came after them. Pure.

Content of a kind that a revision does not know makes its clients refuse the whole result: audio is
there from 2025-03-26 on, a link to a resource from 2025-06-18 on.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

__all__ = ["ALL_CONTENT", "in_words_of"]


def _link(block: Dict[str, Any], number: int) -> Dict[str, Any]:
    """Return a link as a text that tells where it leads."""
    text = "{}: {}".format(block.get("title") or block["name"], block["uri"])
    if block.get("description"):
        text += " ({})".format(block["description"])
    return {"type": "text", "text": text}


def _audio(block: Dict[str, Any], number: int) -> Dict[str, Any]:
    """Return a sound as the bytes of an embedded resource."""
    uri = "content://audio/{}".format(number)
    resource = {"uri": uri, "mimeType": block["mimeType"], "blob": block["data"]}
    return {"type": "resource", "resource": resource}


#: Kind of content -> the first revision that has it, and what it is before that.
_KINDS: Dict[str, Tuple[str, Callable[[Dict[str, Any], int], Dict[str, Any]]]] = {
    "resource_link": ("2025-06-18", _link),
    "audio": ("2025-03-26", _audio),
}
#: The first revision that knows all content there is.
ALL_CONTENT = "2025-06-18"


def in_words_of(version: str, message: Dict[str, Any]) -> Dict[str, Any]:
    """Return the response ``message`` with content that a handshake revision knows.

    Only tools/call and prompts/get answer with content. The message itself is not changed.
    """
    result = message.get("result")
    if version >= ALL_CONTENT or type(result) is not dict:
        return message
    if type(result.get("content")) is list:
        blocks = [_said(version, one, i) for i, one in enumerate(result["content"], 1)]
        return dict(message, result=dict(result, content=blocks))
    if type(result.get("messages")) is list:
        messages = [
            dict(one, content=_said(version, one["content"], i))
            for i, one in enumerate(result["messages"], 1)
        ]
        return dict(message, result=dict(result, messages=messages))
    return message


def _said(version: str, block: Dict[str, Any], number: int) -> Dict[str, Any]:
    first, say = _KINDS.get(block.get("type", ""), ("", None))
    if say is None or version >= first:
        return block
    said = say(block, number)
    if "annotations" in block:
        said["annotations"] = block["annotations"]
    return said
