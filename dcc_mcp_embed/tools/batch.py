"""Many calls at once: one hop to the host's main thread, one undo step, one answer.

All of it is checked before anything runs. Then the calls run one after the other, in one step of
one job: nobody else's call, and nothing of the artist's, comes between. The answer has a row for
each call, in their order:

    {"call", "tool", "ok": true, "data" | "text", "warnings"?, "evidence"?, "blocks"?, "left_out"?,
     "kept"?}
    {"call", "tool", "ok": false, "error": {"code", "message", ...}}
    {"call", "tool", "ok": false, "state": "not_started"}

``blocks`` is how many of the content blocks behind the text (pictures) are this call's, in order;
``left_out`` says what of its answer has no place; ``kept`` is the ``job_id`` under which
``get_job`` returns the whole for a while. A batch of tools that only read only reads.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Tuple

from ..errors import Cancelled, InvalidArgument, TooLarge, ToolError
from .code import wishes
from .context import ToolContext
from .declare import declared, tool
from .entries import Tool
from .fitting import LIMIT, MEDIA_LIMIT, Spill
from .keeping import uri_of
from .results import Outcome, failure, success
from .scene_schema import flag, schema, text
from .tidy import encode

__all__ = ["MOST_CALLS", "batch"]

MOST_CALLS = 50

#: Bytes that are kept for each row that is still to come, and for what stands around the rows.
_ROW = 400
_AROUND = 4096
#: Bytes that a row takes to say what was cut and where it is kept, and to tell of its pictures.
_NOTES = 400
_BESIDE = 100
#: Seconds: what a batch may take at least, where one of its tools has a time of its own.
_TIMEOUT = 50.0

_CALL = schema(
    {
        "tool": text("Its name."),
        "arguments": {
            "type": "object",
            "description": "Its arguments.",
            "properties": {},
            "additionalProperties": True,
        },
    },
    required=("tool",),
)


class _Member:
    """One call of a batch, checked."""

    __slots__ = ("kwargs", "tool")

    def __init__(self, tool: Tool, kwargs: Dict[str, Any]) -> None:
        self.tool = tool
        self.kwargs = kwargs


@tool(
    title="Batch",
    destructive=True,
    input_schema=schema(
        {
            "calls": {
                "type": "array",
                "items": _CALL,
                "description": "What to call, in this order; at most 50.",
            },
            "stop_on_error": flag("Start no more calls after one that failed.", True),
        },
        required=("calls",),
    ),
    tags=("many", "several", "bulk"),
)
def batch(
    ctx: ToolContext, calls: List[Dict[str, Any]], stop_on_error: bool = True
) -> Dict[str, Any]:
    """Make many calls as one: one undo step, much faster, a result for each (items). All arguments
    are checked before the first starts. What was done before an error stays and is told. Of a long
    result, get_job returns the whole (job_id: its 'kept')."""
    raise AssertionError("redirected")


def _planned(control: Any, given: Dict[str, Any]) -> Tuple[Tool, Dict[str, Any]]:
    """Return the tool that runs one batch, made for it. Raises ToolError, and nothing has run."""
    calls = given["calls"]
    if not 0 < len(calls) <= MOST_CALLS:
        raise InvalidArgument(
            "'calls' has {}; a batch has from 1 to {} calls.".format(len(calls), MOST_CALLS)
        )
    members = [_member(control, place, call) for place, call in enumerate(calls)]
    stop = given.get("stop_on_error", True)

    def run(ctx: ToolContext) -> Outcome:
        return _run(ctx, members, stop)

    own = _entry()
    made = own.altered(
        redirect=None,
        function=run,
        takes_context=True,
        bind=lambda arguments: {},
        read_only=all(one.tool.read_only for one in members),
        capabilities=tuple(sorted({word for one in members for word in one.tool.capabilities})),
        timeout=_time(members),
    )
    return made, {}


def _entry() -> Tool:
    entry = declared(batch)
    assert isinstance(entry, Tool)
    return entry


_entry().redirect = _planned


def _member(control: Any, place: int, call: Dict[str, Any]) -> _Member:
    """Check one call. Raises the ToolError that says which of them is wrong."""
    try:
        found: Tool = control.tools.get(call["tool"])
        refusal = _refusal(found)
        if refusal is not None:
            raise InvalidArgument(
                "{} cannot be part of a batch: {}.".format(found.name, refusal),
                hint="Call it by itself.",
            )
        kwargs = found.bind(call.get("arguments") or {})
        if "code" in found.capabilities:
            wishes(kwargs)
        return _Member(found, kwargs)
    except ToolError as error:
        error.message = "calls[{}]: {} No call of the batch was started.".format(
            place, error.message
        )
        raise


def _refusal(found: Tool) -> Optional[str]:
    """Return why a tool cannot be part of a batch, None if it can."""
    if found.redirect is not None:
        return "it makes calls itself"
    if found.thread != "main":
        return "it does not run on the host's main thread"
    if found.stepwise:
        return "it works in steps, between which the host goes on"
    if "undo" in found.capabilities:
        return "it moves along the undo stack, on which the batch is one step"
    return None


def _time(members: List[_Member]) -> Optional[float]:
    """Return the seconds that the batch may take, None for the server's default."""
    own = [one.tool.timeout for one in members]
    own += [wishes(one.kwargs).timeout_s for one in members if "code" in one.tool.capabilities]
    given = [one for one in own if one is not None]
    return max(sum(given), _TIMEOUT) if given else None


# -- on the main thread ---------------------------------------------------------------------------


class _Room:
    """What the answer can still hold: bytes of rows, bytes of pictures."""

    def __init__(self) -> None:
        self.text = LIMIT - _AROUND
        self.media = MEDIA_LIMIT
        self.blocks: List[Dict[str, Any]] = []


def _run(ctx: ToolContext, members: List[_Member], stop: bool) -> Outcome:
    rows: List[Dict[str, Any]] = []
    room = _Room()
    first: Optional[Dict[str, Any]] = None
    failed = skipped = 0
    for place, member in enumerate(members):
        row: Dict[str, Any] = {"call": place, "tool": member.tool.name}
        cancelled = ctx.cancelled()
        if cancelled or (stop and failed):
            row.update(ok=False, state="not_started")
            skipped += 1
            if first is None:
                first = dict(Cancelled("The batch was cancelled.").to_dict(), call=place)
        else:
            least = room.text - (len(members) - place - 1) * _ROW
            row.update(_call(ctx, member, max(least, _ROW), room))
            if not row["ok"]:
                failed += 1
                first = first or dict(row["error"], call=place)
        room.text -= _size(row)
        rows.append(row)
    data = {
        "items": rows,
        "done": len(members) - failed - skipped,
        "failed": failed,
        "not_started": skipped,
    }
    return Outcome(data, room.blocks, None if first is None else _told(members, data, first))


def _told(members: List[_Member], data: Dict[str, Any], first: Dict[str, Any]) -> ToolError:
    """Return the error of a batch not all of which was done."""
    place = first["call"]
    parts = [
        "calls[{}] ({}): {}".format(place, members[place].tool.name, first["message"]),
        "Of {} calls {} done, which stays; {} failed; {} not started.".format(
            len(members), data["done"], data["failed"], data["not_started"]
        ),
    ]
    hint = first["hint"] or ""
    if not all(one.tool.read_only for one in members):
        hint += " What a failed call had changed may stay too; undo takes the whole "
        hint += "batch back, where the host has undo."
    error = ToolError(" ".join(parts), hint=hint.strip() or None)
    error.code = first["code"]
    return error


def _call(ctx: ToolContext, member: _Member, least: int, room: _Room) -> Dict[str, Any]:
    """Make one call and return its part of the row, which takes at most ``least`` bytes."""
    own = ToolContext(ctx.host, ctx.scene, ctx.client, ctx.control, ctx.cancelled, ctx.wire)
    try:
        value = member.tool.invoke(own, member.kwargs)
        if callable(value):
            raise _unfinished(member.tool, value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: the rest of the batch has a say in it
        return _failed(failure(error, None), least)

    def told(limit: int, spill: Optional[Spill]) -> Dict[str, Any]:
        return success(value, member.tool, None, own.warnings, own.facts, limit=limit, spill=spill)

    spill = _Spill(ctx.control.kept.keep)
    result = told(LIMIT, spill)
    if result["isError"]:
        error_of = result.get("structuredContent", {}).get("error") or {}
        if member.tool.raw or error_of.get("code") != TooLarge.code:
            return _failed(result, least)
        # It ran, and well; only its answer has no place here.
        row = _left_out(error_of["message"])
    else:
        row = _row(result)
    size = _size(row)
    if size > least - _BESIDE:
        if spill.ident is None:
            spill(encode(row), "application/json", size)
        cut = told(max(least - _BESIDE - _NOTES, _ROW), None)
        row = _row(cut)
        if cut["isError"] or _size(row) > least - _BESIDE:
            row = _left_out("The answer is {} bytes of JSON.".format(size))
    if spill.ident is not None:
        row["kept"] = spill.ident
    # The link to what is kept is the row's.
    link = uri_of(spill.ident or "")
    others = [one for one in result["content"] if one.get("type") != "text"]
    _show(row, [one for one in others if one.get("uri") != link], room)
    return row


class _Spill:
    """Keep what of one call's answer has no place, and know where. See :data:`.fitting.Spill`."""

    def __init__(self, keep: Spill) -> None:
        self._keep = keep
        self.ident: Optional[str] = None

    def __call__(self, text: str, mime_type: str, size: int) -> Optional[str]:
        self.ident = self._keep(text, mime_type, size)
        return self.ident


def _row(result: Dict[str, Any]) -> Dict[str, Any]:
    """Return what a row says of a result."""
    row: Dict[str, Any] = {"ok": True}
    told = result.get("structuredContent")
    if isinstance(told, dict):
        row["data"] = told.get("data", told)
        kept = ("warnings", "evidence", "next_cursor", "truncated")
        row.update((member, told[member]) for member in kept if told.get(member))
    else:
        texts = [one["text"] for one in result["content"] if one.get("type") == "text"]
        row["text"] = "\n".join(texts)
    return row


def _show(row: Dict[str, Any], blocks: List[Dict[str, Any]], room: _Room) -> None:
    """Put the pictures of a call beside the rows, if there is room."""
    weight = sum(map(_size, blocks))
    if weight > room.media:
        also = "{} bytes of pictures or other content".format(weight)
        row["left_out"] = " And ".join([one for one in (row.get("left_out"), also) if one])
    elif blocks:
        row["blocks"] = len(blocks)
        room.media -= weight
        room.blocks.extend(blocks)


def _left_out(what: str) -> Dict[str, Any]:
    return {"ok": True, "left_out": what[: _ROW // 4]}


def _failed(result: Dict[str, Any], least: int) -> Dict[str, Any]:
    told = result.get("structuredContent")
    shape = told.get("error") if isinstance(told, dict) else None
    if not isinstance(shape, dict):
        texts = [str(one.get("text", "")) for one in result["content"]]
        shape = {"message": "\n".join(texts)}
    shape = dict(ToolError("").to_dict(), **shape)
    if _size(shape) > least:
        shape.pop("details", None)
    if _size(shape) > least:
        shape.update(message=str(shape["message"])[: _ROW // 4], hint=None)
    return {"ok": False, "error": shape}


def _unfinished(found: Tool, work: Any) -> ToolError:
    """Return the error of a call whose work goes on by itself; what can be ended is ended."""
    close = getattr(work, "close", None)
    if close is None:
        what, state = "was started and goes on by itself", "running"
    else:
        close()
        what, state = "would have gone on by itself and was ended", "finished"
    return ToolError(
        "{} {}; a batch cannot wait for it.".format(found.name, what),
        hint="Call it by itself.",
        state=state,
    )


def _size(value: Any) -> int:
    """Return the bytes of JSON; what ``success`` and ``failure`` make can be said in it."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
