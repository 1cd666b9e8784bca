"""What an agent is told of a call that failed on the way: a code, words, and whether it ran."""

from __future__ import annotations

import threading

import pytest

from dcc_mcp_embed import errors, transport_errors
from dcc_mcp_embed.bridge.ended import silent, told
from dcc_mcp_embed.bridge.errand import Errand
from dcc_mcp_embed.bridge.hosts import Host
from dcc_mcp_embed.bridge.relay import Relay
from dcc_mcp_embed.clock import SystemClock

HOST = Host("maya", "aaaaaaaa-0000-4000-8000-000000000000", "1", 1, 1, "", True, 0.0)
DEADLINE = 10.0


@pytest.mark.parametrize(
    ("error", "code", "state", "words"),
    [
        (transport_errors.ServiceNotFound("maya", "x"), "no_host", "not_started", "not sent"),
        (
            transport_errors.ConnectionFailed("127.0.0.1", 1, "no hello"),
            "host_busy_native",
            "not_started",
            "not sent",
        ),
        (transport_errors.ConnectionTimeout(5), "host_busy_native", "not_started", "not sent"),
        (transport_errors.AcquireTimeout(5, "maya"), "host_busy", "not_started", "not sent"),
        (transport_errors.PoolExhausted("maya", 5), "host_busy", "not_started", "not sent"),
        (transport_errors.FrameTooLarge(9, 5), "too_large", "not_started", "9 bytes"),
        (transport_errors.CallTimeout("m", 5000), "unknown_outcome", "running", "5 s"),
        (transport_errors.ConnectionClosed(), "unknown_outcome", "running", "connection to"),
        (transport_errors.Shutdown(), "unknown_outcome", "running", "connection to"),
        (errors.RemoteProtocolError("what"), "unknown_outcome", "running", "not known"),
        (errors.ConfigError("the secret"), "host_error", "not_started", "the secret"),
        (transport_errors.RegistryFile("no"), "host_error", "not_started", "Nothing was sent"),
        (ValueError("what"), "unknown_outcome", "running", "not known"),
        (transport_errors.CallFailed("m", "its words"), "host_error", "finished", "its words"),
        (errors.UnknownOutcome("lost", "look"), "unknown_outcome", "running", "lost"),
        (errors.WouldDeadlock("no"), "would_deadlock", "not_started", "no"),
    ],
)
def test_errors_become_words(error, code, state, words):
    found = told(error, HOST).to_dict()
    assert (found["code"], found["state"]) == (code, state)
    assert words in found["message"]
    if not isinstance(error, errors.ToolError):
        assert "maya aaaaaaaa" in found["message"]


def test_a_silent_host():
    assert silent(HOST, 45.2, True).code == "unknown_outcome"
    assert silent(HOST, 45.2, False).to_dict()["state"] == "not_started"
    assert "45 s" in silent(HOST, 45.2, False).message


def errand(**arguments):
    return Errand("tools/call", {"name": "tool", "arguments": arguments}, SystemClock())


class Manager:
    """Hosts that keep every caller until they are let go."""

    def __init__(self):
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def connection(self, *_, **__):
        self.entered.release()
        assert self.gate.wait(DEADLINE)
        raise transport_errors.ServiceNotFound("maya", "x")


@pytest.fixture
def manager():
    found = Manager()
    yield found
    found.gate.set()


@pytest.fixture
def relay(manager):
    found = Relay(manager, SystemClock(), lambda level, text: None, most=2, line=3)
    yield found
    found.stop()


def test_one_instance_keeps_no_other_waiting_and_has_an_end(manager, relay):
    ended = []
    done = threading.Semaphore(0)

    def land(end):
        ended.append(end)
        done.release()

    for _ in range(2):
        relay.call(HOST, errand(), lambda: True, land)
        assert manager.entered.acquire(timeout=DEADLINE)
    for _ in range(3):
        relay.call(HOST, errand(), lambda: True, land)
    assert ended == []
    relay.call(HOST, errand(), lambda: True, land)
    assert [end.error.code for end in ended] == ["host_busy"]
    # Another instance, and the first one's list, have workers of their own.
    relay.call(HOST._replace(instance_id="b"), errand(), lambda: True, land)
    assert manager.entered.acquire(timeout=DEADLINE)
    listed = []
    relay.list_tools(HOST, lambda tools, why: (listed.append((tools, why)), done.release()))
    assert manager.entered.acquire(timeout=DEADLINE)
    manager.gate.set()
    for _ in range(8):
        assert done.acquire(timeout=DEADLINE)
    assert sum(end.unreached for end in ended) == 6
    ((tools, why),) = listed
    assert tools is None and "not found" in why


def test_what_is_not_wanted_any_more_is_not_begun(manager, relay):
    asked = threading.Event()
    relay.call(HOST, errand(), lambda: bool(asked.set()), lambda end: pytest.fail("told"))
    assert asked.wait(DEADLINE)
    assert not manager.entered.acquire(timeout=0.05)


def test_arguments_that_are_no_json_are_the_callers_mistake(relay):
    found = []
    done = threading.Event()

    def land(end):
        found.append(end)
        done.set()

    relay.call(HOST, errand(x=float("inf")), lambda: True, land)
    assert done.wait(DEADLINE)
    assert found[0].error.code == "invalid_argument" and not found[0].unreached
