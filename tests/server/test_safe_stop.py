"""POST /safe-stop: who may, what is refused and how, and that nothing waits for anything."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from fakes.live import DEADLINE, Live, tries


@pytest.fixture
def live(tmp_path, monkeypatch):
    one = Live(str(tmp_path), monkeypatch)
    yield one
    one.close()


def row(live):
    """Return what the row says of who may stop this server."""
    own = live.server._stop_pass
    return {
        "instance_id": live.server.instance_id,
        "dcc_type": live.server.dcc_type,
        "owner": own.owner,
        "session": own.session,
    }


def ask(live, body, method="POST", **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode("utf-8")
    with live.connect() as wire:
        return wire.request(method, "/safe-stop", dict({"Authorization": None}, **headers), body)


def stopped(live):
    """Wait until the host's main thread has left its loop, and so the server is gone."""
    live._thread.join(DEADLINE)
    return not live._thread.is_alive()


def test_whoever_has_read_the_row_is_answered_and_then_the_host_itself_stops_the_server(
    tmp_path, monkeypatch
):
    closed_by = []

    class Noting(StandaloneAdapter):
        def close(self):
            closed_by.append(threading.current_thread().name)
            super().close()

    live = Live(str(tmp_path), monkeypatch, Noting)
    answer = ask(live, row(live))
    assert answer.status == 200
    assert answer.json == {"success": True, "status": "stopping"}
    assert stopped(live)
    assert closed_by[0] == "test host main"
    live.close()


@pytest.mark.parametrize("name", ["instance_id", "dcc_type", "owner", "session"])
@pytest.mark.parametrize("value", ["", "x", "é\\ud800", None], ids=repr)
def test_each_of_the_four_must_be_right(live, name, value):
    shown = dict(row(live))
    wrong = json.loads('"{}"'.format(value)) if value is not None else shown[name][:-1]
    answer = ask(live, dict(shown, **{name: wrong}))
    assert answer.status == 403
    for secret in row(live).values():
        assert secret not in answer.json["error"]
    assert not live._thread.join(0.05)
    assert live._thread.is_alive()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b"{}", b'{"owner": 1}', b"\xff", b"[" * 4000],
    ids=repr,
)
def test_what_is_no_such_body_is_refused_in_words(live, body):
    answer = ask(live, body)
    assert answer.status == 400
    assert len(answer.json["error"]) > 10


@pytest.mark.parametrize("missing", ["instance_id", "dcc_type", "owner", "session"])
def test_what_is_missing_is_named(live, missing):
    shown = row(live)
    del shown[missing]
    answer = ask(live, shown)
    assert answer.status == 400
    assert missing in answer.json["error"]


def test_a_body_is_small_and_its_length_is_told(live):
    big = dict(row(live), more="x" * 4096)
    answer = ask(live, big)
    assert answer.status == 413
    assert "4096" in answer.json["error"]
    assert ask(live, b"", **{"Content-Length": None, "Transfer-Encoding": "chunked"}).status == 413


def test_other_methods_pages_and_names_are_refused(live):
    assert ask(live, b"", "GET").status == 405
    assert ask(live, row(live), Origin="http://evil.example.com").status == 403
    assert ask(live, row(live), Host="evil.example.com").status == 421
    assert live._thread.is_alive()


def test_a_tool_that_runs_is_waited_for_and_asking_again_is_no_second_stop(tmp_path, monkeypatch):
    entered, leave = threading.Event(), threading.Event()

    @dcc_mcp_embed.tool
    def block() -> str:
        """Keep the main thread."""
        entered.set()
        assert leave.wait(DEADLINE)
        return "over"

    live = Live(str(tmp_path), monkeypatch, tools=[SimpleNamespace(block=block)])
    results = []

    def work():
        with live.connect() as wire:
            results.append(wire.tool("block"))

    caller = threading.Thread(target=work, name="caller")
    caller.start()
    try:
        assert entered.wait(DEADLINE)
        for _ in range(3):
            assert ask(live, row(live)).status == 200
        with live.connect() as wire:
            status = wire.tool("get_status")["structuredContent"]["data"]
            assert status["queue_depth"] == 1
            assert status["holder"]["tool"] == "block"
    finally:
        leave.set()
    caller.join(DEADLINE)
    assert results[0]["content"][0]["text"] == "over"
    assert stopped(live)
    live.close()


def test_a_full_queue_refuses_in_words_and_the_next_attempt_may_work(tmp_path, monkeypatch):
    entered, leave = threading.Event(), threading.Event()

    @dcc_mcp_embed.tool
    def block() -> str:
        """Keep the main thread."""
        entered.set()
        assert leave.wait(DEADLINE)
        return "over"

    limits = dcc_mcp_embed.config.Limits(queued_jobs=1)
    live = Live(str(tmp_path), monkeypatch, tools=[SimpleNamespace(block=block)], limits=limits)

    def work():
        with live.connect() as wire:
            wire.tool("block")

    callers = [threading.Thread(target=work, name="caller") for _ in range(2)]
    callers[0].start()
    try:
        assert entered.wait(DEADLINE)
        callers[1].start()
        for _ in tries():
            with live.connect() as wire:
                if wire.tool("get_status")["structuredContent"]["data"]["queue_depth"]:
                    break
        answer = ask(live, row(live))
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert "cannot stop now" in answer.json["error"]
    finally:
        leave.set()
    for caller in callers:
        caller.join(DEADLINE)
    for _ in tries():
        if ask(live, row(live)).status == 200:
            break
    assert stopped(live)
    live.close()
