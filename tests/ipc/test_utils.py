"""The three utilities: delays, health checks on any loop, handlers by name."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from dcc_mcp_embed.errors import EmbedError
from dcc_mcp_embed.ipc import BackoffStrategy, HealthChecker, RequestHandlerRegistry
from fakes.clock import FakeClock
from ipc.stages import run

INF, NAN = float("inf"), float("nan")


# Delays.


def test_delays_grow_to_the_cap_and_begin_again_after_a_reset():
    backoff = BackoffStrategy(initial_delay=0.5, max_delay=15.0, multiplier=1.5)
    delays = [backoff.get_delay() for _ in range(12)]
    assert delays == [min(15.0, 0.5 * 1.5**n) for n in range(12)]
    assert backoff.attempts == 12
    backoff.reset()
    assert (backoff.attempts, backoff.get_delay()) == (0, 0.5)


def test_defaults_are_the_documented_ones():
    backoff = BackoffStrategy()
    assert (backoff.initial_delay, backoff.max_delay) == (0.5, 15.0)
    assert (backoff.multiplier, backoff.jitter) == (1.5, 0.0)
    assert (HealthChecker().interval, HealthChecker().timeout) == (5.0, 3.0)


def test_chance_takes_at_most_its_part_and_does_not_slow_the_growth():
    clock = FakeClock()  # its chance is always one half
    backoff = BackoffStrategy(1.0, 8.0, 2.0, jitter=0.5, clock=clock)
    assert [backoff.get_delay() for _ in range(5)] == [0.75, 1.5, 3.0, 6.0, 6.0]


def test_ten_thousand_attempts_overflow_nothing():
    backoff = BackoffStrategy(max_delay=INF, multiplier=1e300)
    for _ in range(10_000):
        backoff.get_delay()
    assert backoff.get_delay() == INF


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"initial_delay": -1.0}, "initial_delay"),
        ({"initial_delay": NAN}, "initial_delay"),
        ({"initial_delay": 2.0, "max_delay": 1.0}, "max_delay"),
        ({"max_delay": NAN}, "max_delay"),
        ({"multiplier": 0.9}, "multiplier"),
        ({"multiplier": NAN}, "multiplier"),
        ({"multiplier": INF}, "multiplier"),
        ({"jitter": 1.1}, "jitter"),
        ({"jitter": -0.1}, "jitter"),
    ],
)
def test_impossible_delays_are_refused_by_name(settings, named):
    with pytest.raises(ValueError, match=named):
        BackoffStrategy(**settings)


# Health.


def test_a_check_awaits_or_calls_and_believes_what_it_gets():
    async def main():
        checker = HealthChecker(interval=5.0, timeout=3.0)

        async def heartbeat():
            await asyncio.sleep(0)
            return True

        async def quiet():
            pass

        loop = asyncio.get_event_loop()
        ready = loop.create_future()
        ready.set_result(True)
        assert checker.healthy is None
        for func in (heartbeat, quiet, lambda: True, lambda: None):
            assert await checker.check(func) is True
        assert await checker.check(lambda: ready) is True
        assert await checker.check(lambda: heartbeat()) is True
        assert (checker.healthy, checker.last_error, checker.failures) == (True, None, 0)

    run(main())


def test_failures_are_false_and_their_error_is_kept():
    async def main():
        checker = HealthChecker()

        async def broken():
            raise ConnectionResetError("gone")

        def worse():
            raise KeyError("worse")

        assert await checker.check(broken) is False
        assert isinstance(checker.last_error, ConnectionResetError)
        assert await checker.check(worse) is False
        assert isinstance(checker.last_error, KeyError)
        assert await checker.check(lambda: False) is False
        assert "False" in str(checker.last_error)
        assert (checker.healthy, checker.failures) == (False, 3)
        assert await checker.check(lambda: True) is True
        assert (checker.last_error, checker.failures) == (None, 0)

    run(main())


def test_what_never_returns_is_cancelled_at_the_timeout():
    ended = []

    async def main():
        async def silent():
            try:
                await asyncio.get_event_loop().create_future()
            finally:
                ended.append(True)

        checker = HealthChecker(timeout=0.02)
        assert await checker.check(silent) is False
        assert ended == [True]
        assert isinstance(checker.last_error, TimeoutError)
        assert "0.02 s" in str(checker.last_error)

    run(main())


def test_what_will_not_be_cancelled_does_not_hold_the_check():
    async def main():
        over = asyncio.get_event_loop().create_future()

        async def stubborn():
            while not over.done():
                try:
                    await asyncio.shield(over)
                except asyncio.CancelledError:
                    pass
            ended.set_result(None)
            raise ValueError("too late for anybody")

        ended = asyncio.get_event_loop().create_future()
        checker = HealthChecker(timeout=0.02)
        assert await checker.check(stubborn) is False
        assert isinstance(checker.last_error, TimeoutError)
        over.set_result(None)
        await ended

    run(main())


def test_a_check_that_is_cancelled_cancels_what_it_waits_for():
    async def main():
        began, ended = asyncio.get_event_loop().create_future(), []

        async def silent():
            began.set_result(None)
            try:
                await asyncio.get_event_loop().create_future()
            finally:
                ended.append(True)

        task = asyncio.ensure_future(HealthChecker().check(silent))
        await began
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert ended == [True]

    run(main())


def test_a_check_cancelled_from_inside_is_a_failure():
    async def main():
        async def cancelled():
            raise asyncio.CancelledError

        checker = HealthChecker()
        assert await checker.check(cancelled) is False
        assert isinstance(checker.last_error, EmbedError)

    run(main())


def test_the_interval_says_when_the_next_check_is_due():
    clock = FakeClock()
    checker = HealthChecker(interval=5.0, clock=clock)
    assert checker.due_in() == 0.0
    run(checker.check(lambda: True))
    assert checker.due_in() == 5.0
    clock.advance(4.0)
    assert checker.due_in() == 1.0
    clock.advance(4.0)
    assert checker.due_in() == 0.0


@pytest.mark.parametrize("name", ["interval", "timeout"])
@pytest.mark.parametrize("value", [0.0, -1.0, NAN])
def test_impossible_times_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        HealthChecker(**{name: value})


def test_importing_the_package_leaves_asyncio_alone():
    code = "import sys, dcc_mcp_embed.ipc; sys.exit('asyncio' in sys.modules)"
    assert subprocess.call([sys.executable, "-c", code], timeout=60) == 0


# Handlers.


def test_a_decorated_function_is_found_by_its_name_and_stays_what_it_was():
    registry = RequestHandlerRegistry()

    @registry.register("echo")
    async def handle_echo(data):
        return {"echo": data}

    handler = registry.get_handler("echo")
    assert handler is handle_echo
    assert run(handler({"a": 1})) == {"echo": {"a": 1}}
    assert registry.get_handler("unknown") is None
    assert registry.names == ["echo"]


def test_a_taken_name_is_refused_unless_it_is_the_same_function():
    registry = RequestHandlerRegistry()

    class Handlers:
        def one(self):
            pass

        def two(self):
            pass

    handlers = Handlers()
    registry.register("add")(handlers.one)
    registry.register("add")(handlers.one)
    with pytest.raises(ValueError, match=r"'add' is handled by .*one already: choose another"):
        registry.register("add")(handlers.two)
    assert registry.get_handler("add") == handlers.one
    assert registry.remove("add") is True
    assert registry.remove("add") is False
    registry.register("add")(handlers.two)
    assert registry.get_handler("add") == handlers.two


def test_names_and_handlers_have_to_be_usable():
    registry = RequestHandlerRegistry()
    for name in ("", None, len):  # the last: @register without a name
        with pytest.raises(ValueError, match="name"):
            registry.register(name)
    with pytest.raises(TypeError, match="'echo' must be a function, not 3"):
        registry.register("echo")(3)
    assert registry.names == []


def test_of_many_threads_that_enter_one_name_one_wins():
    registry = RequestHandlerRegistry()
    start, won = threading.Barrier(8), []

    def enter(handler):
        start.wait(10)
        try:
            registry.register("echo")(handler)
            won.append(handler)
        except ValueError:
            pass

    threads = [threading.Thread(target=enter, args=(lambda n=n: n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert won == [registry.get_handler("echo")]
