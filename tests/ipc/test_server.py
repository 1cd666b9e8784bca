"""SocketServer: requests answered, pushes sent, clients counted and watched."""

from __future__ import annotations

import asyncio
import json
import threading
import weakref

import pytest

from dcc_mcp_embed.errors import ConfigError, HostError, NotFound, TooLarge
from dcc_mcp_embed.ipc import (
    SocketServer,
    caller,
    calls,
    handlers,
    handling,
    outcomes,
    request,
    serving,
)
from dcc_mcp_embed.ipc.limits import MAX_DATA
from dcc_mcp_embed.ipc.protocol import InvalidMessage
from fakes.ipc_raw import DEADLINE, Raw, on_asyncio, target, until
from ipc.stages import Entries, Gate, Places, Timed, server


@pytest.fixture(autouse=True)
def decorated(monkeypatch):
    """The functions that a test decorates are for that test."""
    monkeypatch.setattr(handlers, "_decorated", type(handlers._decorated)())


def echo(data):
    return {"echo": data}


async def aecho(data):
    await asyncio.sleep(0)
    return {"echo": data}


# Requests.


@pytest.mark.parametrize("data", [None, {}, {"a": [1, 2.5, None, "é\ud800"]}, [], 0, "x" * 200_000])
def test_a_request_gets_what_its_handler_returns(place, data):
    arguments, _ = place
    with server(arguments, echo=echo) as one, Raw(one) as raw:
        assert raw.call("echo", data) == {"echo": data}


def test_coroutine_functions_run_on_the_loop_that_awaited_and_plain_ones_beside_it():
    one = server()

    async def where(data):
        return [threading.get_ident(), id(asyncio.get_event_loop())]

    def beside(data):
        return threading.get_ident()

    async def here():
        return [threading.get_ident(), id(asyncio.get_event_loop())]

    async def main():
        async with one:
            loop = asyncio.get_event_loop()
            return await loop.run_in_executor(None, ask), await here()

    def ask():
        with Raw(one) as raw:
            return raw.call("where"), raw.call("beside")

    one.register_handler("where", where)
    one.register_handler("beside", beside)
    (told, thread), expected = asyncio.run(main())
    assert told == expected
    assert thread not in (expected[0], threading.get_ident())


def test_what_a_plain_function_returns_is_awaited_if_it_can_be():
    with on_asyncio(server(echo=lambda data: aecho(data))) as one, Raw(one) as raw:
        assert raw.call("echo", 5) == {"echo": 5}


def test_answers_come_when_they_are_ready():
    gate = Gate()
    with server(wait=gate, echo=echo) as one, Raw(one) as raw:
        slow = raw.ask("wait", "slow")
        for number in range(20):
            assert raw.call("echo", number) == {"echo": number}
        gate.let.set()
        assert json.loads(raw.answer(slow).payload.decode()) == "slow"


@pytest.mark.parametrize("awaits", [False, True])
def test_many_requests_at_once_are_all_answered(awaits):
    with on_asyncio(server(echo=aecho if awaits else echo)) as one, Raw(one) as raw:
        asked = {raw.ask("echo", number): number for number in range(900)}
        for ident, number in asked.items():
            assert json.loads(raw.answer(ident).payload.decode()) == {"echo": number}
        assert one.get_stats()["requests"] == one.get_stats()["responses"] == 900


def test_a_decorated_function_is_there_for_every_server():
    @request("echo")
    def decorated(data):
        return data

    first, second = server(), server(echo=echo)
    with first, second, Raw(first) as raw, Raw(second) as other:
        assert raw.call("echo", 1) == 1
        assert other.call("echo", 1) == {"echo": 1}

        @request("late")
        def late(data):
            return "late"

        assert raw.call("late") == "late"
        first.register_handler("echo", echo)
        assert raw.call("echo", 1) == {"echo": 1}


def test_a_handler_may_be_registered_while_the_server_runs():
    with server() as one, Raw(one) as raw:
        assert raw.failure("echo")["code"] == "not_found"
        one.register_handler("echo", echo)
        assert raw.call("echo", 1) == {"echo": 1}


def test_a_name_belongs_to_one_function():
    one = server(echo=echo)
    one.register_handler("echo", echo)
    with pytest.raises(ValueError, match="'echo' is handled by"):
        one.register_handler("echo", aecho)
    for name in ("resume", "", None):
        with pytest.raises(ValueError):
            one.register_handler(name, echo)
        with pytest.raises(ValueError):
            request(name)
    with pytest.raises(TypeError):
        one.register_handler("other", 5)


# Failures that a client is told.


def test_an_unknown_name_is_told_which_there_are():
    @request("sub")
    def sub(data):
        return data

    with server(add=echo) as one, Raw(one) as raw:
        told = raw.failure("plus", {"a": 1})
        assert (told["code"], told["state"]) == ("not_found", "not_started")
        assert told["error"] == "There is no request 'plus' here; there are: add, sub"
        assert raw.call("add", 1) == {"echo": 1}


def test_where_there_is_no_handler_at_all_that_is_said():
    with server() as one, Raw(one) as raw:
        assert raw.failure("x" * 5000)["error"].endswith("there are: none yet")


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no")


class Ending(Exception):
    def __str__(self):
        raise SystemExit(1)

    __repr__ = __str__


RAISED = [
    (ValueError("bad\ud800 thing"), "host_error", "ValueError: bad\\ud800 thing"),
    (ValueError(), "host_error", "ValueError"),
    (ZeroDivisionError("x" * 100_000), "host_error", "ZeroDivisionError: xxx"),
    (Unprintable(), "host_error", "Unprintable: (its text"),
    (NotFound("no such node: a", hint="list them"), "not_found", "no such node: a"),
    (NotFound("odd", details={"a": object()}), "not_found", "odd"),
    (SystemExit(3), "host_error", "SystemExit: 3"),
    (Ending(), "host_error", "Ending: (its text"),
    (NotFound(Unprintable()), "host_error", "NotFound: "),
]


@pytest.mark.parametrize(
    ("awaits", "error", "code", "text"),
    [(awaits, *case) for awaits in (False, True) for case in RAISED],
    ids=range(2 * len(RAISED)),
)
def test_what_a_handler_raises_is_told(awaits, error, code, text, caplog):
    def fail(data):
        raise error

    async def afail(data):
        raise error

    with on_asyncio(server(fail=afail if awaits else fail, echo=echo)) as one, Raw(one) as raw:
        told = raw.failure("fail")
        assert told["code"] == code
        assert told["error"].startswith(text)
        assert len(told["error"]) < 5000
        assert raw.call("echo", 1) == {"echo": 1}
        assert one.get_stats()["errors"] == 1
    # The traceback stays on this side.
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("awaits", [False, True])
def test_a_log_that_fails_keeps_nobody_from_being_told(awaits, broken_log):
    def fail(data):
        raise KeyError(data)

    async def afail(data):
        raise KeyError(data)

    give = {"give": lambda data: object(), "fail": afail if awaits else fail}
    with on_asyncio(server(echo=echo, **give)) as one, Raw(one) as raw:
        for name in ("fail", "give"):
            assert raw.failure(name)["code"] == "host_error"
        assert raw.call("echo", 1) == {"echo": 1}
    assert len(broken_log) == 2


class Deleted:
    """A wrapper of a node that a host has deleted."""

    def __getattr__(self, name):
        raise RuntimeError("already deleted")


class Dead:
    pass


RETURNED = [
    (Deleted(), "host_error", "returned what JSON cannot say"),
    (weakref.proxy(Dead()), "host_error", "returned what JSON cannot say"),
    (Entries(a=1), "host_error", "returned what JSON cannot say"),
    (Places([1]), "host_error", "returned what JSON cannot say"),
    (object(), "host_error", "returned what JSON cannot say"),
    (float("nan"), "host_error", "returned what JSON cannot say"),
    ({(1, 2): 3}, "host_error", "returned what JSON cannot say"),
    ("x" * (MAX_DATA - 1), "too_large", "{} can be sent at most".format(MAX_DATA)),
]


@pytest.mark.parametrize(("result", "code", "text"), RETURNED, ids=range(len(RETURNED)))
def test_a_result_that_cannot_be_sent_is_told(result, code, text):
    with server(give=lambda data: result) as one, Raw(one) as raw:
        told = raw.failure("give")
        assert (told["code"], told["state"]) == (code, "finished")
        assert text in told["error"]


def test_the_largest_failure_fits_into_a_frame():
    text = "\U0001f600" * 4096
    room = MAX_DATA - len(outcomes.failed(HostError(text, details={"x": ""})).payload)
    for size in (room, room - 20_000):
        outcome = outcomes.failed(HostError(text, details={"x": "y" * size}))
        assert json.loads(outcome.payload.decode())["code"] == "host_error"
        assert len(outcome.payload) + len(outcome.error.encode()) <= MAX_DATA


def test_the_largest_result_is_sent():
    with server(give=lambda data: "x" * (MAX_DATA - 2)) as one, Raw(one) as raw:
        assert len(raw.call("give")) == MAX_DATA - 2


@pytest.mark.parametrize("raw_data", [b"{", b"\xff", b"nan", b"NaN", b"[" * 100_000])
def test_data_that_is_no_json_is_told(raw_data):
    gate = Gate()
    with server(echo=gate) as one, Raw(one) as raw:
        told = raw.failure("echo", raw=raw_data)
        assert (told["code"], told["state"]) == ("invalid_argument", "not_started")
        assert "is no JSON" in told["error"]
    assert gate.times == 0


def test_without_asyncio_a_coroutine_function_is_refused():
    one = server(echo=aecho)
    with pytest.raises(TypeError, match="await start"):
        one.start_background_sync()
    assert not one.running
    with server() as other:
        with pytest.raises(TypeError, match="await start"):
            other.register_handler("echo", aecho)
        request("decorated")(aecho)
        other.register_handler("late", lambda data: aecho(data))
        with Raw(other) as raw:
            told = raw.failure("decorated")
            assert (told["code"], told["state"]) == ("unsupported", "not_started")
            assert "await start" in told["error"]
            assert "awaitable" in raw.failure("late")["error"]


def test_a_handler_that_never_returns_stops_nobody_else():
    gates = {"never{}".format(number): Gate() for number in range(5)}
    with server(echo=echo, **gates) as one, Raw(one) as raw, Raw(one) as other:
        for name, gate in gates.items():
            raw.ask(name)
            gate.demand()
        assert raw.call("echo", 1) == other.call("echo", 1) == {"echo": 1}
        assert one.get_stats()["in_flight"] == 5
        for gate in gates.values():
            gate.let.set()


def test_a_coroutine_that_never_returns_stops_nobody_else(monkeypatch):
    monkeypatch.setattr(serving, "_STOPPING", 0.1)
    monkeypatch.setattr(caller, "LINGER", 0.1)

    async def never(data):
        await asyncio.Event().wait()

    with on_asyncio(server(never=never, echo=aecho)) as one, Raw(one) as raw:
        lost = raw.ask("never")
        assert raw.call("echo", 1) == {"echo": 1}
        one.stop_sync()
        assert raw.failed(lost)["code"] == "host_shutting_down"


def test_too_many_at_once_are_told_that_it_is_busy(monkeypatch):
    monkeypatch.setattr(handling, "_MOST_THREADS", 1)
    monkeypatch.setattr(handling, "_MOST_WAITING", 2)
    gate = Gate()
    with server(wait=gate) as one, Raw(one) as raw:
        first = raw.ask("wait")
        gate.demand()
        line = [raw.ask("wait"), raw.ask("wait")]
        told = raw.failure("wait")
        assert (told["code"], told["state"], told["retryable"]) == (
            "host_busy",
            "not_started",
            True,
        )
        assert told["retry_after_ms"]
        gate.let.set()
        assert all(raw.answer(one).success for one in (first, *line))
        assert gate.times == 3


def test_clients_take_turns_at_the_threads(monkeypatch):
    monkeypatch.setattr(handling, "_MOST_THREADS", 1)
    gate, came = Gate(), []
    with server(wait=gate, note=came.append) as one, Raw(one) as raw, Raw(one) as other:
        asked = [raw.ask("wait")]
        gate.demand()
        asked += [raw.ask("note", number) for number in range(4)]
        until(lambda: one.get_stats()["waiting"] == 4)
        late = [other.ask("note", text) for text in ("a", "b")]
        until(lambda: one.get_stats()["waiting"] == 6)
        gate.let.set()
        assert all(raw.answer(ident).success for ident in asked)
        assert all(other.answer(ident).success for ident in late)
    assert came == [0, "a", 1, "b", 2, 3]


def test_when_no_thread_comes_free_those_who_wait_are_told(monkeypatch, caplog):
    monkeypatch.setattr(handling, "_MOST_THREADS", 2)
    gate, other = Gate(), Gate()
    with Timed({}, never=gate, nor=other, echo=echo) as timed, Raw(timed.server) as raw:
        held = [raw.ask("never"), raw.ask("nor")]
        gate.demand()
        other.demand()
        waiting = raw.ask("echo")
        until(lambda: timed.server.get_stats()["waiting"] == 1)
        assert timed.server.get_stats()["threads"] == 2
        timed.advance(4.9)
        assert timed.server.get_stats()["waiting"] == 1
        timed.advance(0.2)
        for told in (raw.failed(waiting), raw.failure("echo"), raw.failure("echo")):
            assert (told["code"], told["state"]) == ("host_busy", "not_started")
            assert told["retryable"] and "log" in told["hint"]
        until(lambda: [each for each in caplog.messages if "come free" in each])
        (text,) = caplog.messages
        assert text.endswith("held by: 'never', 'nor'")
        # As soon as one returns all is well.
        gate.let.set()
        assert raw.answer(held[0]).success
        assert raw.call("echo", 1) == {"echo": 1}
        other.let.set()
        assert raw.answer(held[1]).success
        until(lambda: timed.server.get_stats()["threads"] == 0)


def test_where_threads_come_free_those_who_wait_wait_on(monkeypatch):
    monkeypatch.setattr(handling, "_MOST_THREADS", 1)
    first, second = Gate(), Gate()
    with Timed({}, first=first, second=second, echo=echo) as timed, Raw(timed.server) as raw:
        asked = [raw.ask("first")]
        first.demand()
        asked += [raw.ask("second"), raw.ask("echo")]
        until(lambda: timed.server.get_stats()["waiting"] == 2)
        first.let.set()
        second.demand()
        timed.advance(6.0)
        assert timed.server.get_stats()["waiting"] == 1
        # But not for ever.
        timed.advance(6.0)
        assert raw.failed(asked.pop())["code"] == "host_busy"
        second.let.set()
        assert all(raw.answer(ident).success for ident in asked)


def test_one_client_cannot_have_everything_under_way(monkeypatch):
    monkeypatch.setattr(calls, "_MOST_CALLS", 2)
    gate = Gate()
    with server(wait=gate) as one, Raw(one) as raw, Raw(one) as other:
        asked = [raw.ask("wait"), raw.ask("wait")]
        assert raw.failure("wait")["code"] == "host_busy"
        last = other.ask("wait")
        gate.let.set()
        for ident in asked:
            assert raw.answer(ident).success
        assert other.answer(last).success
        assert raw.call("wait", 1) == 1


@pytest.mark.parametrize("whose", ["MAX_UNDER_WAY", "_MOST_BYTES"])
def test_what_is_under_way_has_so_many_bytes_at_most(whose, monkeypatch):
    monkeypatch.setattr(calls, whose, 100)
    gate = Gate()
    with server(wait=gate) as one, Raw(one) as raw, Raw(one) as other:
        large = raw.ask("wait", "x" * 60)
        gate.demand()
        told = raw.failure("wait", "x" * 60)
        assert (told["code"], told["state"]) == ("host_busy", "not_started")
        assert told["retry_after_ms"] and "100 bytes at most" in told["error"]
        last = other.ask("wait", "x" * (60 if whose == "MAX_UNDER_WAY" else 10))
        gate.let.set()
        assert raw.answer(large).success and other.answer(last).success
        assert raw.call("wait", "x" * 60) == "x" * 60
        assert one._run.serving.calls._under_way.size == 0


def test_the_bytes_of_a_request_are_let_go_of_once_they_are_read():
    gate = Gate()
    with server(wait=gate) as one, Raw(one) as raw:
        raw.ask("wait", "x" * 1000)
        gate.demand()
        (call,) = one._run.serving.calls._under_way
        assert (call.data, call.size) == (b"", 1002)
        gate.let.set()


def test_handlers_whose_asyncio_loop_has_ended_are_told_of():
    one = server(echo=aecho, plain=echo)
    asyncio.run(one.start_background())
    try:
        with Raw(one) as raw:
            told = raw.failure("echo")
            assert (told["code"], told["state"]) == ("host_error", "not_started")
            assert "asyncio loop" in told["error"]
            assert raw.call("plain", 1) == {"echo": 1}
    finally:
        one.stop_sync()


def test_requests_that_their_loop_left_behind_are_told_of():
    entered = threading.Event()

    async def never(data):
        entered.set()
        await asyncio.Event().wait()

    one = server(never=never, echo=aecho)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(one.start_background())
    try:
        with Raw(one) as raw:
            begun = raw.ask("never")
            loop.run_until_complete(loop.run_in_executor(None, entered.wait, DEADLINE))
            waiting = raw.ask("echo")
            until(lambda: one.get_stats()["in_flight"] == 2)
            # Not run any more; what it has begun is forgotten without a complaint.
            loop.set_exception_handler(lambda loop, context: None)
            loop.close()
            last = raw.ask("echo")
            told = [raw.failed(ident) for ident in (begun, waiting, last)]
            assert [each["state"] for each in told] == ["running", "not_started", "not_started"]
            assert all("asyncio loop" in each["error"] for each in told)
    finally:
        one.stop_sync()


def test_a_coroutine_that_ends_the_program_is_told_of_before():
    async def fail(data):
        raise KeyboardInterrupt

    one = server(fail=fail)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(one.start_background())
    try:
        with Raw(one) as raw:
            ident = raw.ask("fail")
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(asyncio.sleep(DEADLINE))
            # As asyncio.run does: what is left comes to its end.
            loop.run_until_complete(asyncio.sleep(0))
            assert raw.failed(ident)["error"] == "KeyboardInterrupt"
    finally:
        one.stop_sync()
        loop.close()


def test_a_coroutine_that_is_cancelled_is_told_of():
    async def suicide(data):
        raise asyncio.CancelledError

    with on_asyncio(server(suicide=suicide)) as one, Raw(one) as raw:
        told = raw.failure("suicide")
        assert (told["code"], told["state"]) == ("cancelled", "running")


# Pushes.


def test_a_push_goes_to_one_to_some_or_to_all():
    with server() as one, Raw(one, "ann") as ann, Raw(one, "bob") as bob, Raw(one, "bob") as bob2:
        assert one.push_sync("news", {"n": 1}) == 3
        assert one.push_sync("news", {"n": 2}, "ann") == 1
        assert one.push_sync("news", {"n": 3}, ["bob", "nobody"]) == 2
        assert one.push_sync("news", {"n": 4}, ("ann", "bob")) == 3
        assert one.push_sync("news", {"n": 5}, "nobody") == 0
        assert one.push_sync("news", {"n": 6}, []) == 0
        assert one.push_sync("last") == 3

        def all_of(raw):
            found = []
            while True:
                topic, data = raw.push()
                if topic == "last":
                    assert data is None
                    return found
                assert topic == "news"
                found.append(data["n"])

        assert all_of(ann) == [1, 2, 4]
        assert all_of(bob) == all_of(bob2) == [1, 3, 4]
        stats = one.get_stats()
        assert (stats["pushes"], stats["pushes_skipped"]) == (12, 0)


def test_a_push_may_be_awaited_also_by_a_handler():
    async def tell(data):
        return await one.push("told", data)

    with on_asyncio(server(tell=tell)) as one, Raw(one) as raw:
        assert raw.call("tell", 5) == 1
        assert raw.push() == ("told", 5)


def test_nobody_gets_a_push_while_the_server_does_not_run():
    one = server()
    assert one.push_sync("news") == 0
    with one:
        assert one.push_sync("news") == 0
    assert one.push_sync("news") == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("news", object()), InvalidMessage),
        (("news", float("nan")), InvalidMessage),
        (("news", Entries(a=1)), InvalidMessage),
        (("", 1), InvalidMessage),
        ((None, 1), InvalidMessage),
        (("news\ud800", 1), InvalidMessage),
        (("news", 1, 5), TypeError),
        (("news", 1, [5]), TypeError),
        (("news", 1, iter([5])), TypeError),
        (("news", "x" * MAX_DATA), TooLarge),
        (("x" * MAX_DATA, 1), TooLarge),
    ],
)
def test_what_cannot_be_pushed_raises(arguments, error):
    with server() as one, Raw(one) as raw:
        with pytest.raises(error) as raised:
            one.push_sync(*arguments)
        assert error is not TypeError or str(raised.value).startswith("to must be an account")
        assert one.push_sync("news", 1) == 1
        assert raw.push() == ("news", 1)


def test_a_client_that_does_not_read_goes_without_pushes_and_holds_up_nobody():
    text = "x" * 500_000
    with server() as one, Raw(one, "deaf") as deaf, Raw(one, "reads") as reads:
        sent = 0
        while one.get_stats()["pushes_skipped"] == 0:
            assert one.push_sync("news", text) >= 1
            assert reads.push() == ("news", text)
            sent += 1
            assert sent < 200
        assert one.push_sync("news", text, "deaf") == 0
        # What it was sent before is whole, and it is served again once it has read.
        for _ in range(sent - 1):
            assert deaf.push() == ("news", text)
        until(lambda: one.push_sync("again", 1, "deaf") == 1)
        assert deaf.push() == ("again", 1)


def fill(one):
    """Push to a client that does not read until it goes without; return how many it was sent."""
    sent = 0
    while one.push_sync("news", "x" * 500_000):
        sent += 1
    return sent


def test_a_client_that_never_reads_is_dropped():
    with Timed() as timed, Raw(timed.server, "deaf"):
        fill(timed.server)
        timed.advance(29.0)
        assert timed.server.get_stats()["connections"] == 1
        timed.advance(1.0)
        assert timed.server.get_stats()["connections"] == 0
        assert timed.server.get_stats()["dropped"] == 1


def test_one_that_reads_in_time_is_not_dropped():
    with Timed(HEALTHY, echo=echo) as timed, Raw(timed.server, "slow") as slow:
        for _ in range(2):
            for _ in range(fill(timed.server)):
                slow.push()
            # All that was unsent has been sent before this.
            assert slow.call("echo", 1) == {"echo": 1}
            timed.advance(29.0)
        assert slow.call("echo", 1) == {"echo": 1}
        assert timed.server.get_stats()["dropped"] == 0


# Health.

#: Nobody is pinged.
HEALTHY = {"enable_health_check": False}


def pinged(timed, raw):
    """Let a client read the ping that it has been sent; its answer has arrived on return."""
    (its,) = [one for one in timed.server._run.serving.door.callers if one.account == "lively"]
    assert its._health._probe is not None
    raw.read()
    until(lambda: its._health._probe is None)


def test_a_half_open_client_is_dropped_within_two_intervals():
    with Timed() as timed, Raw(timed.server, "silent"), Raw(timed.server, "lively") as lively:
        timed.advance(30.0)
        pinged(timed, lively)
        timed.advance(22.0)
        assert timed.server.get_stats()["clients"] == {"lively": 1, "silent": 1}
        timed.advance(0.5)
        assert timed.server.get_stats()["clients"] == {"lively": 1}
        assert timed.server.get_stats()["dropped"] == 1
        for _ in range(5):
            timed.advance(7.5)
            pinged(timed, lively)
            timed.advance(22.5)
        assert timed.server.get_stats()["clients"] == {"lively": 1}


def test_whoever_says_anything_is_alive():
    with Timed(echo=echo) as timed, Raw(timed.server) as raw:
        # It answers no ping: what it reads it leaves alone.
        for number in range(20):
            raw.ask("echo")
            until(lambda number=number: timed.server.get_stats()["requests"] > number)
            timed.advance(7.5)
        assert timed.server.get_stats()["dropped"] == 0
        assert timed.server.get_stats()["connections"] == 1


def test_nobody_is_pinged_if_not_wanted():
    with Timed(HEALTHY) as timed, Raw(timed.server):
        for _ in range(10):
            timed.advance(30.0)
        assert timed.server.get_stats()["connections"] == 1


def test_a_ping_is_answered_in_time_while_handlers_are_busy():
    gates = {"wait{}".format(number): Gate() for number in range(8)}
    blocked = threading.Event()

    async def block(data):
        assert blocked.wait(DEADLINE)  # the asyncio loop with all that is on it

    with on_asyncio(server(block=block, **gates)) as one, Raw(one) as raw:
        raw.ask("block")
        for name, gate in gates.items():
            raw.ask(name)
            gate.demand()
        assert max(raw.ping() for _ in range(10)) < DEADLINE / 4
        for gate in gates.values():
            gate.let.set()
        blocked.set()


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan"), None, "30"])
def test_an_interval_is_a_number_of_seconds(interval):
    with pytest.raises(ConfigError, match="health_check_interval"):
        server({"health_check_interval": interval})
    unused = dict(HEALTHY, health_check_interval=interval)
    with server(unused) as one, Raw(one) as raw:
        assert raw.ping() < DEADLINE


# What is known of it.

KEYS = set(
    "running address account_id uptime_seconds connections connections_total clients refused"
    " dropped requests responses errors in_flight replayed joined unknown_outcomes receipts"
    " receipt_bytes pushes pushes_skipped threads waiting".split()
)


def test_the_stats_have_the_keys_that_the_docstring_names():
    one = server()
    assert set(one.get_stats()) == KEYS
    for key in KEYS:
        assert key in SocketServer.get_stats.__doc__
    with one:
        assert set(one.get_stats()) == KEYS
    assert set(one.get_stats()) == KEYS


def test_the_stats_say_what_has_been():
    gate = Gate()
    one = server({"account_id": "mine"}, echo=echo, wait=gate)
    assert one.get_stats()["running"] is False
    assert one.get_stats()["address"] is None
    with one:
        with Raw(one, "ann"), Raw(one, "bob") as raw, Raw(one, "bob"):
            raw.call("echo", 1)
            raw.failure("nothing")
            slow = raw.ask("wait")
            gate.demand()
            one.push_sync("news", 1)
            stats = one.get_stats()
            assert stats["running"] is True
            assert stats["address"] == "tcp://127.0.0.1:{}".format(one.address.port)
            assert stats["account_id"] == "mine"
            assert 0 < stats["uptime_seconds"] < DEADLINE
            assert (stats["connections"], stats["connections_total"]) == (3, 3)
            assert stats["clients"] == {"ann": 1, "bob": 2}
            assert stats["requests"] == 3
            assert (stats["responses"], stats["errors"]) == (1, 1)
            assert (stats["in_flight"], stats["receipts"]) == (1, 2)
            assert stats["receipt_bytes"] == len(b'{"echo":1}')
            assert stats["pushes"] == 3
            assert (stats["refused"], stats["dropped"]) == (0, 0)
            stats["clients"]["ann"] = 7
            assert one.get_stats()["clients"] == {"ann": 1, "bob": 2}
            gate.let.set()
            raw.answer(slow)
        until(lambda: one.get_stats()["connections"] == 0)
        assert one.get_stats()["clients"] == {}
        assert one.get_stats()["connections_total"] == 3
    stats = one.get_stats()
    assert stats["running"] is False
    assert (stats["requests"], stats["uptime_seconds"]) == (3, 0.0)


def test_the_address_has_the_true_port():
    one = server()
    assert one.address is None
    with one:
        assert one.address.is_tcp and one.address.port
        assert target(one).address.port == one.address.port
    assert "not running" in repr(one)
