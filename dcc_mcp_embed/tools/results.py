"""Shape what a tool returned, or what went wrong, into an MCP CallToolResult.

Data goes out twice: as structured content in an envelope that also says which host answered, what
changed and how long it took; and as compact JSON text for clients that show text only. Text and
media go out as content alone, because clients that find structured content show nothing else.
"""

from __future__ import annotations

from collections import abc
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

from ..errors import HostError, ToolError
from .content import Content
from .entries import Shaped, Tool
from .fitting import LIMIT, SHAPED_LIMIT, Spill, Spilled, fit, shorten, weigh
from .frames import frames_of
from .tidy import decode, encode, plain, text_of, tidy

__all__ = ["Outcome", "block_of", "failure", "success"]

Result = Dict[str, Any]
#: Characters of an error's message, warnings in a text block.
_MAX_MESSAGE = 2000
_MAX_WARNINGS = 20
#: Where a result without an envelope says which instance it came from.
META_INSTANCE = "dcc-mcp-embed/instance"
#: Where a resource or a prompt says what is worth knowing about it.
META_WARNINGS = "dcc-mcp-embed/warnings"


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
    except Spilled as error:
        refusal = failure(error, instance, timing)
        if error.link:
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
    shape = {name: _told(name, value) for name, value in known.to_dict().items()}
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


def _told(name: str, value: Any) -> Any:
    """Return one member of an error as JSON: the tool's author may have put anything there."""
    if name == "message" or name == "hint" and value is not None:
        return _safe(str, value)
    try:
        clean = tidy(value, "error." + name).value
        if name != "details" or text_of(clean, "error", [])[1] <= LIMIT:
            return clean
    except Exception:
        # What is no JSON, and whatever an object of the host raises while it is read.
        pass
    shown = _safe(repr, value)
    return {"repr": shown} if name == "details" else shown


def _safe(read: Any, thing: Any) -> str:
    """Return str or repr of what may refuse even that (a host object that is gone)."""
    try:
        return plain(str(read(thing))[:_MAX_MESSAGE])
    except Exception:
        # Its own code, which may raise anything.
        return "<unreadable {}>".format(type(thing).__name__)


# -- data ---------------------------------------------------------------------------------------


def _data(
    value: Any, tool: Optional[Tool], notes: List[str], limit: int, spill: Optional[Spill]
) -> Tuple[Dict[str, Any], str, Any, Optional[Dict[str, Any]]]:
    """Return (data, its text, next cursor, the link to the whole).

    The link is None for data that was not cut, and empty where no resource has the whole.
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
        text, link = shorten(text, size, tool, notes, limit, spill)
    # A copy: what the host gave out (a text may be a proxy of its own) stays on this thread, and
    # the tool may go on to change what it returned.
    data = decode(text)
    # The text keeps the cursor, for clients that see no envelope.
    cursor = data.pop("next_cursor", None)
    if tool is not None and tool.output is not None:
        held = tool.output.hold(data)
        if held != data:
            data = held
            text = encode(held if cursor is None else dict(held, next_cursor=cursor))
    return data, text, cursor, link


def _evidence(facts: Optional[Mapping[str, Any]], notes: List[str], limit: int) -> Dict[str, Any]:
    if not facts:
        return {}
    text, size = text_of(dict(facts), "evidence", notes)
    if size > limit:
        notes.append("The evidence was left out: it is {} bytes of JSON.".format(size))
        return {}
    return cast(Dict[str, Any], decode(text))


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
    fit(blocks, limit, spill)
    evidence = _evidence(facts, notes, limit)
    if evidence:
        blocks.append({"type": "text", "text": "Evidence: {}".format(encode(evidence))})
    if notes:
        blocks.append(_warned(notes))
    # No envelope: clients that find structured content may show nothing else. The instance goes
    # where only those look that want to know it.
    return {"content": blocks, "isError": False, "_meta": {META_INSTANCE: instance}}


def _shaped(shaped: Shaped, instance: Optional[Dict[str, Any]], notes: Sequence[str]) -> Result:
    """Return the result of another method, as that of a tool whose structured content it is."""
    result, blocks = shaped
    weigh(blocks, SHAPED_LIMIT)
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
        return {"type": "text", "text": encode(clean)}
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
