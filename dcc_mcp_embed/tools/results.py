"""Shape what a tool returned, or what went wrong, into an MCP CallToolResult.

Data goes out twice: as structured content in an envelope that also says which host answered, what
changed and how long it took; and as compact JSON text for clients that show text only. Text and
media go out as content alone, because clients that find structured content show nothing else.
"""

from __future__ import annotations

import json
from collections import abc
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from ..errors import HostError, TooLarge, ToolError
from .content import Content
from .entries import Shaped, Tool
from .frames import frames_of
from .tidy import plain, tidy

__all__ = ["LIMIT", "MEDIA_LIMIT", "Outcome", "block_of", "failure", "success", "text_of"]

Result = Dict[str, Any]
#: (text, its MIME type, its bytes) -> the URI under which it is kept, None if it is not. Any
#: thread.
Spill = Callable[[str, str, int], Optional[str]]

#: Bytes of text in one result. Larger ones flood a model's context (Claude Code cuts at 25 000
#: tokens, about 100 kB).
LIMIT = 48 * 1024
#: Bytes of images, sound and blobs in one result, encoded.
MEDIA_LIMIT = 1536 * 1024
#: Bytes of text in one resource or prompt, which cannot be read in pages. A client chooses what of
#: it a model gets to see; this is what the loop thread may be kept busy with.
SHAPED_LIMIT = 1024 * 1024
#: Characters of an error's message, warnings in a text block.
_MAX_MESSAGE = 2000
_MAX_WARNINGS = 20
#: Where a result without an envelope says which instance it came from.
META_INSTANCE = "dcc-mcp-embed/instance"
#: Where a resource or a prompt says what is worth knowing about it.
META_WARNINGS = "dcc-mcp-embed/warnings"

_JSON = "application/json"
_WHOLE = "For a while the whole of it is the resource {}; get_job returns it in parts (offset)."

# Not ASCII-only: a model reads this text, and escapes cost it six characters for one.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().decode


class Outcome:
    """Data with content blocks beside it, from a call that may have been done in part only.

    ``error`` is what a call that did not do all of it is told; its data, its evidence and its undo
    step are told all the same, because what it did stays. ``blocks`` are within the limits already.
    """

    __slots__ = ("blocks", "data", "error")

    def __init__(
        self,
        data: Dict[str, Any],
        blocks: Sequence[Dict[str, Any]] = (),
        error: Optional[ToolError] = None,
    ) -> None:
        self.data = data
        self.blocks = blocks
        self.error = error


def success(
    value: Any,
    tool: Optional[Tool],
    instance: Optional[Dict[str, Any]],
    warnings: Sequence[str] = (),
    facts: Optional[Mapping[str, Any]] = None,
    undo: Optional[Dict[str, Any]] = None,
    timing: Optional[Dict[str, Any]] = None,
    limit: int = LIMIT,
    spill: Optional[Spill] = None,
) -> Result:
    """Return the result of a call that ended well. On the tool's own thread.

    ``value`` is what it returned; ``limit`` in bytes of text. Of what is larger, ``spill`` keeps
    the whole and the result has a link to it. A value that cannot be sent gives the
    :func:`failure` that says why, so that every call has an answer.
    """
    link: Optional[Dict[str, Any]] = None
    try:
        if tool is not None and tool.raw:
            return _raw(value, tool)
        notes = [plain(one) for one in warnings]
        if tool is not None and tool.shape is not None:
            return _shaped(tool.shape(value, notes), instance, notes)
        if isinstance(value, (str, Content)):
            return _contents([value], tool, instance, notes, facts, limit, spill)
        if isinstance(value, (list, tuple)) and any(isinstance(one, Content) for one in value):
            return _contents(value, tool, instance, notes, facts, limit, spill)
        outcome = value if type(value) is Outcome else None
        if outcome is not None:
            value = outcome.data
        data, text, cursor, link = _data(value, tool, notes, limit, spill)
        evidence = _evidence(facts, notes, limit)
    except _Spilled as error:
        refusal = failure(error, instance, timing)
        refusal["content"].append(error.link)
        return refusal
    except Exception as error:
        # Our own refusals, and whatever a mapping of the host raises while it is read.
        return failure(error, instance, timing)
    content: List[Dict[str, Any]] = [{"type": "text", "text": text}]
    if notes:
        content.append(_warned(notes))
    if link:
        content.append(link)
    result: Result = {
        "content": content,
        "structuredContent": {
            "ok": True,
            "instance": instance,
            "data": data,
            "warnings": notes,
            "evidence": evidence,
            "undo": undo,
            "timing": timing or {},
            "truncated": link is not None,
            "next_cursor": cursor,
        },
        "isError": False,
    }
    return result if outcome is None else _in_part(result, outcome)


def _in_part(result: Result, outcome: Outcome) -> Result:
    """Add what is beside the data, and what is missing of it."""
    content = result["content"]
    content[1:1] = outcome.blocks
    if outcome.error is not None:
        told = failure(outcome.error, None)
        content[:0] = told["content"]
        result["structuredContent"].update(ok=False, error=told["structuredContent"]["error"])
        result["isError"] = True
    return result


def failure(
    error: BaseException,
    instance: Optional[Dict[str, Any]],
    timing: Optional[Dict[str, Any]] = None,
) -> Result:
    """Return the result of a call that failed. Any thread.

    What is no ToolError becomes ``host_error`` with the type, the message and, for the tool's
    author, the last frames as ``details``.
    """
    known = error if isinstance(error, ToolError) else _unexpected(error)
    shape = known.to_dict()
    shape["message"] = _safe(str, shape["message"])
    try:
        shape = tidy(shape, "error").value
    except Exception:
        shape["details"] = {"repr": _safe(repr, shape["details"])}
        shape = tidy(shape, "error").value
    text = "{}: {}".format(shape["code"], shape["message"])
    if shape["hint"]:
        text = "{} {}".format(text, shape["hint"])
    structured: Dict[str, Any] = {"ok": False, "instance": instance, "error": shape}
    if timing is not None:
        structured["timing"] = timing
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": structured,
        "isError": True,
    }


def _unexpected(error: BaseException) -> ToolError:
    message = _safe(str, error)
    kind = type(error).__name__
    return HostError(
        "{}: {}".format(kind, message) if message else kind,
        details={"type": kind, "frames": frames_of(error)},
    )


def _safe(read: Any, thing: Any) -> str:
    """Return str or repr of what may refuse even that (a host object that is gone)."""
    try:
        return str(read(thing))[:_MAX_MESSAGE]
    except Exception:
        return "<unreadable {}>".format(type(thing).__name__)


# -- data ---------------------------------------------------------------------------------------


def _data(
    value: Any, tool: Optional[Tool], notes: List[str], limit: int, spill: Optional[Spill]
) -> Tuple[Dict[str, Any], str, Any, Optional[Dict[str, Any]]]:
    """Return (data, its text, next cursor, the link to the whole).

    The link is None for data that was not cut, and empty where the whole is not kept.
    """
    if type(value) is dict:
        data: Dict[str, Any] = value
    elif value is None:
        data = {}
    elif isinstance(value, abc.Mapping):
        data = dict(value)
    elif isinstance(value, (list, tuple)):
        data = {"items": value}
    else:
        data = {"value": value}
    text, size = text_of(data, "result", notes)
    link: Optional[Dict[str, Any]] = None
    if size > limit:
        link = _kept(text, _JSON, size, spill)
        try:
            text = _cut(_decode(text), size, tool, notes, limit)
        except TooLarge as error:
            if not link:
                raise
            raise _Spilled(error, link) from None
        if link:
            notes.append(_WHOLE.format(link["uri"]))
    # A copy: what the host gave out (a text may be a proxy of its own) stays on this thread, and
    # the tool may go on to change what it returned.
    data = _decode(text)
    # The text keeps the cursor, for clients that see no envelope.
    cursor = data.pop("next_cursor", None)
    if tool is not None and tool.output is not None:
        held = tool.output.hold(data)
        if held != data:
            data = held
            text = _encode(held if cursor is None else dict(held, next_cursor=cursor))
    return data, text, cursor, link


def text_of(value: Any, root: str, notes: List[str]) -> Tuple[str, int]:
    """Return (compact JSON, its size in bytes); ``root`` is what messages call the value.

    What had to be changed is added to ``notes``. Raises HostError for what JSON cannot hold.
    """
    try:
        text = _encode(value)
        return text, len(text) if text.isascii() else len(text.encode("utf-8"))
    except (TypeError, ValueError, RecursionError):
        # Not JSON as it is; UnicodeEncodeError is a ValueError.
        clean = tidy(value, root)
    if clean.not_finite:
        notes.append(_not_finite(clean.not_finite))
    text = _encode(clean.value)
    return text, len(text.encode("utf-8"))


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
    room = limit - len(_encode(rest).encode("utf-8")) + 1
    count = 0
    # Never all: without the cursor's few bytes they may just fit, but then the rest is lost.
    for item in items[:-1]:
        room -= len(_encode(item).encode("utf-8")) + 1
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
    return _encode(rest)


class _Spilled(TooLarge):
    """A result that is too large, and kept where ``link`` says."""

    def __init__(self, error: TooLarge, link: Dict[str, Any]) -> None:
        hint = "{} {}".format(error.hint or "", _WHOLE.format(link["uri"])).strip()
        super().__init__(error.message, hint=hint)
        self.link = link


def _kept(text: str, mime_type: str, size: int, spill: Optional[Spill]) -> Dict[str, Any]:
    """Keep a text that is too large; return the link to it, an empty one if it is not kept."""
    uri = None if spill is None else spill(text, mime_type, size)
    if uri is None:
        return {}
    return {
        "type": "resource_link",
        "uri": uri,
        "name": "result",
        "title": "The whole result",
        "mimeType": mime_type,
        "size": size,
    }


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


def _not_finite(places: List[str]) -> str:
    shown = ", ".join(places[:5]) + (", ..." if len(places) > 5 else "")
    return "{} not finite (NaN or infinite) and sent as null: {}.".format(
        "A number was" if len(places) == 1 else "{} numbers were".format(len(places)), shown
    )


def _evidence(facts: Optional[Mapping[str, Any]], notes: List[str], limit: int) -> Dict[str, Any]:
    if not facts:
        return {}
    text, size = text_of(dict(facts), "evidence", notes)
    if size > limit:
        notes.append("The evidence was left out: it is {} bytes of JSON.".format(size))
        return {}
    return cast(Dict[str, Any], _decode(text))


def _warned(notes: List[str]) -> Dict[str, Any]:
    lines = ["Warning: {}".format(note) for note in notes[:_MAX_WARNINGS]]
    if len(notes) > _MAX_WARNINGS:
        lines.append("And {} more warnings.".format(len(notes) - _MAX_WARNINGS))
    return {"type": "text", "text": "\n".join(lines)}


# -- content ------------------------------------------------------------------------------------


def _contents(
    parts: Sequence[Any],
    tool: Optional[Tool],
    instance: Optional[Dict[str, Any]],
    notes: List[str],
    facts: Optional[Mapping[str, Any]],
    limit: int,
    spill: Optional[Spill],
) -> Result:
    if tool is not None and tool.output is not None:
        raise HostError(
            "The tool declares an output_schema, but it returned content instead of data.",
            hint="The tool must return what its output_schema says.",
        )
    blocks = [block_of(part, place) for place, part in enumerate(parts)]
    try:
        _weigh(blocks, limit)
    except TooLarge as error:
        texts = [one["text"] for one in blocks if one["type"] == "text"]
        whole = "\n".join(texts)
        size = len(whole.encode("utf-8"))
        kept = _kept(whole, "text/plain", size, spill) if size > limit else None
        if not kept:
            raise
        raise _Spilled(error, kept) from None
    evidence = _evidence(facts, notes, limit)
    if evidence:
        blocks.append({"type": "text", "text": "Evidence: {}".format(_encode(evidence))})
    if notes:
        blocks.append(_warned(notes))
    # No envelope: clients that find structured content may show nothing else. The instance goes
    # where only those look that want to know it.
    return {"content": blocks, "isError": False, "_meta": {META_INSTANCE: instance}}


def _weigh(blocks: Sequence[Dict[str, Any]], limit: int) -> None:
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


def _shaped(shaped: Shaped, instance: Optional[Dict[str, Any]], notes: Sequence[str]) -> Result:
    """Return the result of another method, as that of a tool whose structured content it is."""
    result, blocks = shaped
    _weigh(blocks, SHAPED_LIMIT)
    meta: Dict[str, Any] = {META_INSTANCE: instance}
    if notes:
        meta[META_WARNINGS] = list(notes)
    return {
        "content": blocks,
        "structuredContent": dict(result, _meta=meta),
        "isError": False,
    }


def block_of(part: Any, place: int) -> Dict[str, Any]:
    """Return the content block of text, Content or a mapping. Raises HostError for the rest."""
    if isinstance(part, str):
        return {"type": "text", "text": plain(part)}
    if isinstance(part, Content):
        return cast(Dict[str, Any], tidy(part.to_content(), "result[{}]".format(place)).value)
    if isinstance(part, abc.Mapping):
        clean = tidy(part, "result[{}]".format(place)).value
        return {"type": "text", "text": _encode(clean)}
    raise HostError(
        "The tool returned a value of type {} at result[{}] beside content.".format(
            type(part).__name__, place
        ),
        hint="The tool must return a list of text, mappings, Image, Audio, Resource and Link only.",
    )


def _raw(value: Any, tool: Tool) -> Result:
    """Return a result that the tool made itself, once it has the shape of one."""
    wrong = None
    if not isinstance(value, abc.Mapping):
        wrong = "is a {}".format(type(value).__name__)
    elif not isinstance(value.get("content"), (list, tuple)):
        wrong = "has no list as 'content'"
    elif not all(
        isinstance(one, abc.Mapping) and isinstance(one.get("type"), str)
        for one in value["content"]
    ):
        wrong = "has a content block that is no mapping with a 'type'"
    elif not isinstance(value.get("isError", False), bool):
        wrong = "has an 'isError' that is neither True nor False"
    elif not isinstance(value.get("structuredContent", {}), abc.Mapping):
        wrong = "has a 'structuredContent' that is no mapping"
    if wrong is not None:
        raise HostError(
            "The tool's raw result {}.".format(wrong),
            hint="A tool with raw=True returns an MCP CallToolResult: {'content': [...]}.",
        )
    clean = tidy(value, "result").value
    clean.setdefault("isError", False)
    if tool.output is not None and not clean["isError"]:
        if "structuredContent" not in clean:
            raise HostError(
                "The tool declares an output_schema, but returned no structuredContent."
            )
        tool.output.hold(clean["structuredContent"])
    return cast(Result, clean)
