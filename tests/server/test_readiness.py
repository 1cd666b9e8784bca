"""Readiness without a token: what readyz and health say, and when; the row's dispatch_status."""

from __future__ import annotations

import json

import pytest

from dcc_mcp_embed.server.readiness import BOOTING, READY, UNAVAILABLE, Readiness, State
from fakes.caller import Caller
from fakes.live import starting, tries
from fakes.stall import Stall

BITS = {
    "process",
    "dcc",
    "dispatcher",
    "skill_catalog",
    "host_execution_bridge",
    "main_thread_executor",
}
#: What readers of readyz demand; the others may be missing there.
REQUIRED = {"process", "dcc", "skill_catalog", "dispatcher"}


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as one_more:
        yield one_more


def ask(live, path, method="GET", **headers):
    with live.connect() as wire:
        return wire.request(method, path, dict({"Authorization": None}, **headers))


@pytest.mark.parametrize("path", ["/v1/readyz", "/health"])
def test_a_ready_host_says_so_without_a_token_and_tells_nothing_else(start, path):
    live = start()
    answer = ask(live, path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    if path == "/health":
        assert answer.json == {"ready": True, "status": "ready"}
    else:
        assert answer.json == dict.fromkeys(BITS, True)
    for told in (live.server.token, live.server.instance_id, live.server.instance_id[:8]):
        assert told not in repr(answer.headers) + repr(answer.body)


@pytest.mark.parametrize("path", ["/v1/readyz", "/health"])
def test_only_get_and_head_are_served_and_only_to_our_own_names(start, path):
    live = start()
    with live.connect() as wire:
        answer = wire.request("HEAD", path, {"Authorization": None})
        assert (answer.status, answer.body) == (200, b"")
    answer = ask(live, path, "DELETE")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert ask(live, path, Host="evil.example.com").status == 421
    assert ask(live, path, Origin="http://evil.example.com").status == 403
    with live.connect() as wire:
        answer = wire.request("POST", path, {"Authorization": None}, b"{}")
        assert answer.status == 413, "a stranger may not send a body here"


def test_a_busy_main_thread_is_ready_and_a_stalled_one_is_not_until_it_returns(start):
    stall = Stall()
    live = start(tools=stall.tools)
    with stall.hold(live):
        assert ask(live, "/v1/readyz").status == 200
        stall.another()
        for _ in tries():
            answer = ask(live, "/v1/readyz")
            if answer.status == 503:
                break
        bits = answer.json
        assert {name for name in BITS if not bits[name]} == {
            "dispatcher",
            "host_execution_bridge",
            "main_thread_executor",
        }
        assert ask(live, "/health").json == {"ready": False, "status": "unavailable"}
        assert live.server.dispatch_status == "unavailable"
        log = " ".join(line.text for line in live.server.logbook.read(level="warning"))
        assert "main thread does not answer" in log
        assert "block" in log
    # Nobody calls; it comes back by itself.
    for _ in tries():
        if ask(live, "/v1/readyz").status == 200:
            break
    assert live.server.dispatch_status == "ready"


# -- the state alone --------------------------------------------------------------------------


class Watched:
    """A dispatcher whose host a test moves, and what its readiness told."""

    def __init__(self):
        self.caller = Caller(turned=self.turned)
        self.states = []
        self.readiness = Readiness(self.caller.dispatcher, self.states.append)

    def turned(self):
        self.readiness.look()

    def time_out(self, count, **options):
        for number in range(count):
            job = self.caller.submit("job {}".format(number), **options)
            self.caller.dispatcher.expire(job)


def test_a_host_is_booting_until_its_main_thread_has_run_a_job():
    watched = Watched()
    assert watched.readiness.state == State(BOOTING)
    assert watched.readiness.bits["dcc"] is False
    assert watched.readiness.bits["dispatcher"] is True
    watched.readiness.reached()
    watched.readiness.reached()
    assert watched.states == [State(READY)]
    assert all(watched.readiness.bits[name] for name in BITS)


def test_one_call_that_ran_out_of_time_is_no_stall():
    watched = Watched()
    watched.readiness.reached()
    watched.time_out(1)
    assert watched.states == [State(READY)]


@pytest.mark.parametrize("booted", [True, False])
def test_a_stall_is_told_once_with_stage_and_reason_and_so_is_its_end(booted):
    watched = Watched()
    if booted:
        watched.readiness.reached()
    watched.time_out(2)
    found = watched.states[-1]
    assert (found.status, found.failure_stage) == (UNAVAILABLE, "main-thread")
    assert "does not answer" in found.failure_reason
    assert watched.readiness.bits["dispatcher"] is False
    count = len(watched.states)
    watched.readiness.look()
    assert len(watched.states) == count
    watched.caller.host.run()
    assert watched.states[count:] == [State(READY if booted else BOOTING)]


def test_a_thread_that_shows_life_at_the_end_of_a_job_is_back_without_another_wake():
    watched = Watched()
    watched.readiness.reached()
    watched.caller.submit("long", lambda: watched.time_out(2))
    watched.caller.host.turn()
    assert [one.status for one in watched.states] == [READY, UNAVAILABLE, READY]


def test_a_dispatcher_that_is_shut_is_not_ready():
    watched = Watched()
    watched.readiness.reached()
    watched.caller.dispatcher.shutdown("over")
    assert watched.readiness.bits["dispatcher"] is False
    assert json.dumps(watched.readiness.bits)


def test_the_reason_names_the_tool_and_neither_its_age_nor_what_a_client_calls_itself():
    watched = Watched()
    watched.readiness.reached()

    def run():
        watched.caller.clock.advance(7.0)
        watched.time_out(2)

    watched.caller.submit("long", run, client="\x1b[31m a client")
    watched.caller.host.turn()
    reason = watched.states[1].failure_reason
    assert reason.endswith(" long has it.")
    assert "client" not in reason
    assert "7" not in reason
