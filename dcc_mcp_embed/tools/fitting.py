"""What a result may hold, and what becomes of one with more: it is cut, kept or refused."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..errors import TooLarge
from .entries import Tool
from .keeping import uri_of
from .tidy import decode, encode

__all__ = [
    "LIMIT",
    "MEDIA_LIMIT",
    "SHAPED_LIMIT",
    "Spill",
    "Spilled",
    "fit",
    "shorten",
    "weigh",
]

#: (text, its MIME type, its bytes) -> the id under which it is kept, None if it is not. Any thread.
Spill = Callable[[str, str, int], Optional[str]]

#: Bytes of text in one result. Larger ones flood a model's context (Claude Code cuts at 25 000
#: tokens, about 100 kB).
LIMIT = 48 * 1024
#: Bytes of images, sound and blobs in one result, encoded.
MEDIA_LIMIT = 1536 * 1024
#: Bytes of text in one resource or prompt, which cannot be read in pages. A client chooses what of
#: it a model gets to see; this is what the loop thread may be kept busy with.
SHAPED_LIMIT = 1024 * 1024

_JSON = "application/json"
_TEXT = "text/plain"
_WHOLE = "For a while the whole of it is the resource {uri}; get_job returns it in parts (offset)."
#: Where it is larger than a resource may be.
_PARTS = "For a while get_job returns the whole of it in parts (job_id '{ident}', offset)."
_LOST = "What is left out is not kept: the whole is too large for that."


class Spilled(TooLarge):
    """A result that is too large. ``note`` says what became of it, ``link`` leads there, if any."""

    def __init__(self, error: TooLarge, link: Dict[str, Any], note: str) -> None:
        super().__init__(error.message, hint="{} {}".format(error.hint or "", note).strip())
        self.link = link


def shorten(
    text: str,
    size: int,
    tool: Optional[Tool],
    notes: List[str],
    limit: int,
    spill: Optional[Spill],
) -> Tuple[str, Dict[str, Any]]:
    """Return (the JSON of as many items as fit, the link to the whole).

    ``text`` is the JSON of an object, ``size`` and ``limit`` are bytes. The link is empty if there
    is no resource with the whole. What is left out, and where it is kept, is said in ``notes``.
    Raises TooLarge for what has no items or none that fits; Spilled if that may be kept.
    """
    link, note = _kept(text, _JSON, size, spill)
    try:
        text = _cut(decode(text), size, tool, notes, limit)
    except TooLarge as error:
        if note is None:
            raise
        raise Spilled(error, link, note) from None
    if note is not None:
        notes.append(note)
    return text, link


def fit(blocks: Sequence[Dict[str, Any]], limit: int, spill: Optional[Spill]) -> None:
    """Raise TooLarge for content that does not fit, Spilled if its text may be kept."""
    try:
        weigh(blocks, limit)
    except TooLarge as error:
        texts = [one["text"] for one in blocks if one["type"] == "text"]
        whole = "\n".join(texts)
        size = len(whole.encode("utf-8"))
        link, note = _kept(whole, _TEXT, size, spill if size > limit else None)
        if note is None:
            raise
        raise Spilled(error, link, note) from None


def weigh(blocks: Sequence[Dict[str, Any]], limit: int) -> None:
    """Raise TooLarge for content with more than ``limit`` bytes of text, or too much media."""
    text = media = 0
    for block in blocks:
        inner = block.get("resource", block)
        text += len(inner.get("text", "").encode("utf-8"))
        media += len(inner.get("data", "")) + len(inner.get("blob", ""))
    if text > limit:
        raise TooLarge(
            "The result is {} bytes of text; the limit is {}.".format(text, limit),
            hint="Ask for less: narrow the arguments.",
        )
    if media > MEDIA_LIMIT:
        raise TooLarge(
            "The images, sound and blobs of the result are {} bytes encoded; the limit is "
            "{}.".format(media, MEDIA_LIMIT),
            hint="Ask for a smaller picture (fewer pixels, or JPEG instead of PNG), or fewer.",
        )


def _cut(
    data: Dict[str, Any], size: int, tool: Optional[Tool], notes: List[str], limit: int
) -> str:
    """Return the JSON of ``data`` with as many of its items as fit. Raises TooLarge."""
    items = data.get("items")
    if not isinstance(items, list) or not items:
        raise TooLarge(
            "The result is {} bytes of JSON; the limit is {}.".format(size, limit),
            hint=_ask_for_less(tool, None),
        )
    # A cursor of the whole page would skip what is cut away.
    rest = {key: None if key == "next_cursor" else one for key, one in data.items()}
    rest["items"] = []
    # The first item brings no comma.
    room = limit - len(encode(rest).encode("utf-8")) + 1
    count = 0
    # Never all: without the cursor's few bytes they may just fit, but then the rest is lost.
    for item in items[:-1]:
        room -= len(encode(item).encode("utf-8")) + 1
        if room < 0:
            break
        count += 1
    if not count:
        raise TooLarge(
            "The result is {} bytes of JSON and not even its first item fits the limit of "
            "{}.".format(size, limit),
            hint=_ask_for_less(tool, None),
        )
    rest["items"] = items[:count]
    notes.append(
        "Only the first {} of {} items are shown: together they are {} bytes and the limit is "
        "{}. {}".format(count, len(items), size, limit, _ask_for_less(tool, count))
    )
    return encode(rest)


def _kept(
    text: str, mime_type: str, size: int, spill: Optional[Spill]
) -> Tuple[Dict[str, Any], Optional[str]]:
    """Keep a text that is too large; return the link to it, and what became of it in words.

    The link is empty if there is no resource with it; without ``spill`` there is nothing to say.
    """
    if spill is None:
        return {}, None
    ident = spill(text, mime_type, size)
    if ident is None:
        return {}, _LOST
    if size > SHAPED_LIMIT:
        return {}, _PARTS.format(ident=ident)
    uri = uri_of(ident)
    link = {
        "type": "resource_link",
        "uri": uri,
        "name": "result",
        "title": "The whole result",
        "mimeType": mime_type,
        "size": size,
    }
    return link, _WHOLE.format(uri=uri)


def _ask_for_less(tool: Optional[Tool], count: Optional[int]) -> str:
    """Return what to do, in terms of the arguments that the tool really has."""
    takes = tool.input_schema.get("properties", {}) if tool is not None else {}
    ways = []
    if "limit" in takes and count is not None:
        follow = " and follow next_cursor" if "cursor" in takes else ""
        ways.append("limit={}{}".format(count, follow))
    elif "limit" in takes:
        ways.append("a smaller limit")
    ways.extend("fewer {}".format(one) for one in ("fields", "include") if one in takes)
    if not ways:
        return "Ask for less: narrow the arguments."
    return "Call again with {}.".format(" or ".join(ways))
