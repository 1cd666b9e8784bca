"""What users' functions answer for servers, where they run, and in which order they are told."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from typing import Any, List

import pytest

from dcc_mcp_embed.mcp import calling
from dcc_mcp_embed.mcp.answering import ELICITATION, ROOTS, SAMPLING, Answering, filled
from dcc_mcp_embed.mcp.calling import Telling, called, run_here
from dcc_mcp_embed.net.tasks import Cut
from fakes.asyncio_thread import asyncio_running
from fakes.driving import DEADLINE
from fakes.turning import Turning

FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "verified": {"type": "boolean", "default": False},
        "mail": {"type": "string"},
        "odd": True,
    },
}
DEFAULTS = {"name": "John Doe", "age": 30, "verified": False}


@pytest.fixture
def turning():
    with Turning() as found:
        yield found


def answer(turning: Turning, method: str, function: Any, params: Any = None) -> Any:
    answering = Answering(turning.loop, {method: function}, lambda: None)
    return turning.run(answering.answer(5, method, params or {}))


def thought(text: str) -> Any:
    content = {"type": "text", "text": text}
    return {"role": "assistant", "content": content, "model": "unknown", "stopReason": "endTurn"}


@pytest.mark.parametrize(
    ("method", "value", "result"),
    [
        (SAMPLING, "so", thought("so")),
        (SAMPLING, {"role": "assistant", "model": "m"}, {"role": "assistant", "model": "m"}),
        (ELICITATION, None, {"action": "decline"}),
        (ELICITATION, {}, {"action": "accept", "content": DEFAULTS}),
        (ELICITATION, {"age": 7}, {"action": "accept", "content": dict(DEFAULTS, age=7)}),
        (
            ELICITATION,
            {"action": "accept", "content": {"mail": "a@b"}},
            {"action": "accept", "content": dict(DEFAULTS, mail="a@b")},
        ),
        (ELICITATION, {"action": "accept"}, {"action": "accept", "content": DEFAULTS}),
        (ELICITATION, {"action": "cancel"}, {"action": "cancel"}),
        (
            ELICITATION,
            {"action": "decline", "age": 1},
            {"action": "accept", "content": dict(DEFAULTS, action="decline", age=1)},
        ),
        (ROOTS, ["file:///a", {"uri": "file:///b", "name": "b"}], None),
        (ROOTS, "file:///a", {"roots": [{"uri": "file:///a"}]}),
        (ROOTS, [], {"roots": []}),
        (ROOTS, {"roots": []}, {"roots": []}),
    ],
)
def test_what_a_function_returns_is_made_an_answer(turning, method, value, result):
    found = answer(turning, method, lambda *args: value, {"requestedSchema": FORM})
    wanted = result or {"roots": [{"uri": "file:///a"}, {"uri": "file:///b", "name": "b"}]}
    assert found == {"jsonrpc": "2.0", "id": 5, "result": wanted}


def test_a_function_gets_what_was_asked_and_roots_get_nothing(turning):
    for method, given in ((SAMPLING, ({"a": 1},)), (ROOTS, ())):
        seen: List[Any] = []
        answer(turning, method, lambda *args, seen=seen: seen.append(args) or [], {"a": 1})
        assert seen == [given]


def test_a_page_to_be_visited_has_no_form_to_fill(turning):
    found = answer(turning, ELICITATION, lambda params: {"action": "accept"}, {"url": "http://a"})
    assert found["result"] == {"action": "accept"}


@pytest.mark.parametrize(
    ("schema", "content", "result"),
    [
        (FORM, {"name": None}, dict(DEFAULTS, name=None)),
        (None, {"a": 1}, {"a": 1}),
        ("odd", {}, {}),
        ({"properties": "odd"}, {}, {}),
    ],
)
def test_a_form_is_filled_with_what_was_given_and_with_defaults(schema, content, result):
    assert filled(schema, content) == result


def fail(*_: Any) -> None:
    raise LookupError("nowhere")


@pytest.mark.parametrize(
    ("method", "function", "text"),
    [
        (SAMPLING, fail, "LookupError: nowhere"),
        (SAMPLING, lambda params: 7, "TypeError: the function returned 7; it returns a text"),
        (ELICITATION, lambda params: "yes", "TypeError: the function returned 'yes'"),
        (ELICITATION, lambda params: {"action": "accept", "content": 7}, "TypeError: "),
        (ROOTS, lambda: None, "TypeError: "),
        (ROOTS, lambda: 7, "TypeError: "),
        (SAMPLING, lambda params: {"a": object()}, "TypeError: "),
        (SAMPLING, lambda params: {"a": float("nan")}, "ValueError: "),
        (SAMPLING, lambda params: sys.exit(3), "RuntimeError: SystemExit: 3"),
        (SAMPLING, lambda params, more: "", "TypeError: "),
    ],
)
def test_what_goes_wrong_in_a_function_is_told_to_the_server(turning, method, function, text):
    error = answer(turning, method, function)["error"]
    assert error["code"] == -32603
    assert error["message"].startswith(text)


# -- where functions run --------------------------------------------------------------------------


def test_a_function_holds_up_nobody(turning):
    gate = threading.Event()
    _, over = turning.begin(called(turning.loop, gate.wait, (DEADLINE,), None))
    turning.pass_time(0.01)
    assert not over
    gate.set()
    turning.until(lambda: over)
    assert over == [(True, None)]


def where(seen: List[Any]) -> None:
    seen.append(threading.current_thread().name)


async def where_async(seen: List[Any]) -> Any:
    await asyncio.sleep(0)
    seen.append(threading.current_thread().name)
    return asyncio.get_event_loop()


class Callable:
    async def __call__(self, seen: List[Any]) -> Any:
        return await where_async(seen)


def test_a_coroutine_function_runs_where_asyncio_does(turning):
    with asyncio_running() as loop:
        for function in (where_async, functools.partial(where_async), Callable()):
            assert turning.run(called(turning.loop, function, ([],), loop)) is loop
        names: List[str] = []
        turning.run(called(turning.loop, where, (names,), loop))
    assert names == ["dcc-mcp-embed mcp callback"]


@pytest.mark.parametrize("kind", ["none", "not running", "closed"])
def test_where_no_asyncio_runs_it_has_a_loop_of_its_own(turning, kind):
    loop = None if kind == "none" else asyncio.new_event_loop()
    if loop is not None and kind == "closed":
        loop.close()
    names: List[str] = []
    try:
        used = turning.run(called(turning.loop, where_async, (names,), loop))
        assert used is not loop and used.is_closed()
        assert names == ["dcc-mcp-embed mcp callback"]
    finally:
        if loop is not None:
            loop.close()


def test_a_function_that_only_returns_a_coroutine_is_awaited_too(turning):
    assert run_here(lambda: where_async([]), ()).is_closed()
    assert turning.run(called(turning.loop, lambda: where_async([]), (), None)).is_closed()


async def fail_async() -> None:
    raise LookupError("nowhere")


async def cancel_async() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(DEADLINE)


def test_what_a_coroutine_raises_is_raised(turning):
    with asyncio_running() as loop:
        with pytest.raises(LookupError, match="nowhere"):
            turning.run(called(turning.loop, fail_async, (), loop))
        with pytest.raises(RuntimeError, match="it was cancelled"):
            turning.run(called(turning.loop, cancel_async, (), loop))


def test_a_coroutine_that_nobody_waits_for_any_more_is_cancelled(turning):
    began, ended = threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(10 * DEADLINE)
        finally:
            ended.set()

    with asyncio_running() as loop:
        task, over = turning.begin(called(turning.loop, work, (), loop))
        turning.until(began.is_set)
        task.cancel()
        turning.until(lambda: over)
        assert isinstance(over[0][1], Cut)
        assert ended.wait(DEADLINE)


# -- telling of progress --------------------------------------------------------------------------


def test_a_loop_that_was_closed_just_now_is_done_without(turning):
    """Between the look whether it runs and the coroutine on its way to it."""
    loop = asyncio.new_event_loop()
    loop.close()
    loop.is_running = lambda: True
    ends = []

    async def note(number):
        ends.append((number, asyncio.get_running_loop() is not loop))
        return "fine"

    assert turning.run(called(turning.loop, note, (7,), loop)) == "fine"
    assert ends == [(7, True)]


def test_a_loop_that_is_closed_meanwhile_is_no_trouble_to_who_gives_up(turning, caplog):
    entered = threading.Event()

    async def hang():
        asyncio.current_task()._log_destroy_pending = False
        entered.set()
        await asyncio.get_running_loop().create_future()

    with asyncio_running() as loop:
        task, over = turning.begin(called(turning.loop, hang, (), loop))
        turning.until(entered.is_set)
    task.cancel()
    turning.until(lambda: over)
    assert isinstance(over[0][1], Cut)
    assert caplog.text == ""


def test_progress_is_told_in_order_and_all_of_it_before_the_end(turning):
    told: List[Any] = []
    broken: List[Exception] = []

    def hear(params: Any) -> None:
        told.append(params["n"])
        if params["n"] == 1:
            raise LookupError("at 1")

    telling = Telling(turning.loop, hear, None, broken.append)
    for number in range(5):
        telling.take({"n": number})
    turning.run(telling.all_told())
    assert told == [0, 1, 2, 3, 4]
    assert [str(one) for one in broken] == ["at 1"]
    telling.take({"n": 5})
    telling.end()
    turning.turn(20)
    assert told == [0, 1, 2, 3, 4]


class Gated:
    """A function that waits before it hears of the first."""

    def __init__(self) -> None:
        self.began, self.gate = threading.Event(), threading.Event()
        self.told: List[int] = []

    def __call__(self, params: Any) -> None:
        self.began.set()
        self.gate.wait(DEADLINE)
        self.told.append(params["n"])


def test_of_more_than_can_be_told_some_is_left_out(turning, monkeypatch):
    monkeypatch.setattr(calling, "_MOST_TOLD", 10)
    hear = Gated()
    telling = Telling(turning.loop, hear, None, turning.failed)
    telling.take({"n": 0})
    turning.until(hear.began.is_set)
    for number in range(1, 100):
        telling.take({"n": number})
    hear.gate.set()
    turning.run(telling.all_told())
    assert hear.told == list(range(11))


def test_who_gives_up_is_told_no_more(turning):
    hear = Gated()
    telling = Telling(turning.loop, hear, None, turning.failed)
    for number in range(3):
        telling.take({"n": number})
    turning.until(hear.began.is_set)
    telling.end()
    turning.turn(20)
    hear.gate.set()
    turning.until(lambda: hear.told)
    turning.pass_time(0.02)
    assert hear.told == [0]
