"""Calls as jobs: what becomes of those that outlived their time, and results that were cut."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Optional

from ..errors import NotFound, TooLarge
from .content import Resource
from .declare import resource, tool
from .fitting import LIMIT, SHAPED_LIMIT
from .keeping import Whole, uri_of
from .results import failure, success
from .scene_schema import integer, one_of, schema, text

__all__ = ["META_JOB", "Later", "cancel_job", "get_job", "job_result", "list_jobs"]

#: Where the result of a late call says which job it was.
META_JOB = "dcc-mcp-embed/job"
#: The longest that a client may wait in one call, milliseconds.
MAX_WAIT_MS = 30000

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

STATES = ("queued", "running", "finished")

_JOB_ID = text("From list_jobs, or a timeout_running error.")


class Later:
    """What a ``raw`` tool of the loop thread returns whose answer may take a while.

    ``watch(told)`` has ``told()`` called, on any thread, when there is more to tell, and returns
    what takes that back; ``give_up()`` returns the CallToolResult that can be given now, which is
    the answer then, or when ``wait`` seconds are over. Both on the loop thread, quick.
    """

    __slots__ = ("_answer", "_leave", "_timer", "give_up", "wait", "watch")

    def __init__(
        self,
        watch: Callable[[Callable[[], None]], Callable[[], None]],
        give_up: Callable[[], Dict[str, Any]],
        wait: float,
    ) -> None:
        self.watch = watch
        self.give_up = give_up
        self.wait = wait
        self._answer: Optional[Callable[[Dict[str, Any]], None]] = None

    def begin(self, loop: Any, answer: Callable[[Dict[str, Any]], None]) -> Later:
        """See to it that ``answer`` gets the result. Loop thread, once."""
        self._answer = answer
        self._timer = loop.call_later(self.wait, self.cancel)
        self._leave: Any = self.watch(lambda: loop.call_soon(self.cancel))
        return self

    def cancel(self) -> None:
        """Answer at once with what is known. Loop thread; what is over already is left alone."""
        answer, self._answer = self._answer, None
        if answer is not None:
            self._timer.cancel()
            self._leave()
            self._timer = self._leave = None
            answer(self.give_up())


@tool(
    title="Job",
    thread="loop",
    read_only=True,
    idempotent=True,
    raw=True,
    input_schema=schema(
        {
            "job_id": _JOB_ID,
            "wait_ms": integer("Wait so long for its end, at most 30000.", 0),
            "offset": integer("Of a result that was cut: the first character to return.", 0),
        },
        required=("job_id",),
    ),
)
def get_job(ctx: Any, job_id: str, wait_ms: int = 0, offset: int = 0) -> Any:
    """Return how far a call is that outlived its time (data.state); once it has ended, the very
    result that it would have returned. Of a result that was cut (job://<job_id>/result), return
    a part of the whole text."""
    control = ctx.control
    whole = control.kept.get(job_id)
    if whole is not None:
        return success(_part(job_id, whole, offset), None, control.instance())

    def look() -> Dict[str, Any]:
        try:
            state, result = control.job(job_id)
        except NotFound as error:
            # Its result may have had to go while it was waited for.
            return failure(error, control.instance())
        if result is None:
            return success(state, None, control.instance())
        return dict(result, _meta=dict(result.get("_meta") or {}, **{META_JOB: state}))

    if wait_ms <= 0 or control.job(job_id)[1] is not None:
        return look()
    control.demand_room()
    wait = min(wait_ms, MAX_WAIT_MS) / 1000
    return Later(lambda told: control.watch(job_id, told), look, wait)


def _part(job_id: str, whole: Whole, offset: int) -> Dict[str, Any]:
    """Return a part of a text that was too large, for those who cannot read resources."""
    start, length = min(max(offset, 0), len(whole.text)), LIMIT // 2
    while True:
        part = whole.text[start : start + length]
        if len(_encode(part).encode("utf-8")) <= LIMIT * 3 // 4:
            break
        length //= 2
    end = start + len(part)
    return {
        "job_id": job_id,
        "state": "finished",
        "text": part,
        "offset": start,
        "next_offset": end if end < len(whole.text) else None,
        "characters": len(whole.text),
    }


@tool(
    title="Jobs",
    thread="loop",
    read_only=True,
    idempotent=True,
    input_schema=schema(
        {"state": one_of(("all", *STATES), "Only jobs in this state.", "all")},
    ),
    tags=("running", "queue", "background"),
)
def list_jobs(ctx: Any, state: str = "all") -> Dict[str, Any]:
    """List calls that wait, that run, and that ended after their time, oldest first."""
    found = ctx.control.jobs()
    return {"items": [one for one in found if state in ("all", one["state"])]}


@tool(
    title="Cancel job",
    thread="loop",
    idempotent=True,
    input_schema=schema({"job_id": _JOB_ID}, required=("job_id",)),
)
def cancel_job(ctx: Any, job_id: str) -> Dict[str, Optional[str]]:
    """Cancel a call: one that waits never starts, a stepwise one ends before its next step."""
    before, effect = ctx.control.cancel(job_id)
    return {"job_id": job_id, "state_before": before, "effect": effect}


@resource("job://{job}/result", title="Result of a job", thread="loop")
def job_result(ctx: Any, job: str) -> Resource:
    """The whole of a result that was cut, or what a call returned that outlived its time."""
    whole = ctx.control.kept.get(job)
    if whole is not None:
        if whole.size > SHAPED_LIMIT:
            raise TooLarge(
                "The result is {} bytes; a resource has {} at most.".format(
                    whole.size, SHAPED_LIMIT
                ),
                hint="get_job returns it in parts (job_id '{}', offset).".format(job[:64]),
            )
        return Resource(uri_of(job), text=whole.text, mime_type=whole.mime_type)
    try:
        state, result = ctx.control.job(job)
    except NotFound:
        raise NotFound(
            "No result is kept under '{}'.".format(job[:64]),
            hint="Results that were cut are kept for ten minutes, the largest not so long; make "
            "the call again.",
        ) from None
    if result is None:
        raise NotFound(
            "The job '{}' has no result yet: it is {}.".format(job[:64], state["state"]),
            hint="Ask get_job how far it is.",
        )
    return Resource(uri_of(job), text=_encode(result), mime_type="application/json")
