"""``qtserver://``: lines to calls for a sidecar; off unless it is asked for, closed to all else."""

from __future__ import annotations

import json
import os
import socket
import threading
from types import SimpleNamespace

import pytest
from dcc_mcp_embed.adapters.standalone import create

import dcc_mcp_embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import ConfigError, StartError
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.server import qtserver
from fakes.live import DEADLINE, Live, tries
from server.forking import run

RAN = []
GO = threading.Event()


@dcc_mcp_embed.tool(capabilities=("code",))
def evaluate(code: str) -> str:
    """Evaluate code."""
    RAN.append(code)
    return "ran"


@dcc_mcp_embed.tool
def wait() -> str:
    """Wait until the test goes on."""
    RAN.append("wait")
    assert GO.wait(DEADLINE)
    return threading.current_thread().name


@dcc_mcp_embed.tool(timeout=0.3, thread="worker")
def long() -> str:
    """Go on past its time."""
    assert GO.wait(DEADLINE)
    return "long"


class Peer:
    """What a sidecar is: one connection, lines."""

    def __init__(self, live):
        place = live.server.host_rpc
        assert place.startswith("qtserver://127.0.0.1:")
        self.sock = socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2])), DEADLINE)
        self._file = self.sock.makefile("rb")

    def send(self, message):
        data = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        self.sock.sendall(data)

    def read(self):
        """Return the next answer, None at the end."""
        try:
            line = self._file.readline()
        except ConnectionError:
            return None
        return json.loads(line.decode("utf-8")) if line else None

    def ask(self, message):
        self.send(message)
        return self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self.sock.close()


def dispatch(action, arguments=None, ident="q1"):
    params = {"action": action, "args": arguments or {}, "request_id": ident}
    return {"id": ident, "method": "dispatch", "params": params}


@pytest.fixture
def live(tmp_path, monkeypatch):
    del RAN[:]
    GO.clear()
    tools = [SimpleNamespace(evaluate=evaluate, wait=wait)]
    one = Live(str(tmp_path), monkeypatch, qtserver=0, exec_mode="on", tools=tools)
    yield one
    GO.set()
    one.close()


def test_it_is_off_by_default(tmp_path, monkeypatch):
    live = Live(str(tmp_path), monkeypatch)
    try:
        assert live.server.host_rpc is None
        registry = open_registry(live.registry_dir, {}, SystemClock())
        metadata = registry.get("standalone", live.server.instance_id).metadata
        assert not [name for name in metadata if name.startswith("host_rpc")]
    finally:
        live.close()


def test_the_row_says_where_it_is_and_it_is_on_this_machine_only(live):
    registry = open_registry(live.registry_dir, {}, SystemClock())
    metadata = registry.get("standalone", live.server.instance_id).metadata
    assert metadata["host_rpc_uri"] == live.server.host_rpc
    assert metadata["host_rpc_scheme"] == "qtserver"
    assert live.server._sidecars._sock.getsockname()[0] == "127.0.0.1"


def test_a_call_runs_on_the_main_thread_and_its_answer_has_its_id(live):
    GO.set()
    with Peer(live) as peer:
        for ident in ("q1", 7):
            answer = peer.ask(dispatch("wait", ident=ident))
            assert answer["id"] == ident
            assert answer["result"]["content"][0]["text"] == "test host main"
            assert answer["result"]["isError"] is False


def test_calls_sent_ahead_are_answered_one_by_one_in_order(live):
    lines = [dispatch("wait", ident="w")]
    lines += [dispatch("get_selection" if n % 2 else "get_status", ident=n) for n in range(40)]
    with Peer(live) as peer:
        peer.send(b"".join(json.dumps(one).encode() + b"\n" for one in lines))
        for _ in tries():
            if RAN:
                break
        GO.set()
        assert [peer.read()["id"] for _ in lines] == ["w", *range(40)]


def test_what_is_sent_far_ahead_waits_in_the_peers_own_hands(live):
    lines = [dispatch("wait", ident="w")]
    lines += [dispatch("get_selection", {"none": "x" * 900}, ident=n) for n in range(1000)]
    with Peer(live) as peer:
        data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
        sender = threading.Thread(target=peer.send, args=(data,), daemon=True)
        sender.start()
        kept = 0
        for _ in tries():
            kept = sum(len(one._buffer) for one in list(live.server._sidecars._connections))
            if kept > 65536:
                break
        assert 65536 < kept <= 2 * 65536
        GO.set()
        assert [peer.read()["id"] for _ in lines] == ["w", *range(1000)]
        sender.join(DEADLINE)


def test_a_line_may_come_in_pieces_and_its_sender_may_say_no_more(live):
    GO.set()
    data = json.dumps(dispatch("wait")).encode() + b"\n"
    with Peer(live) as peer:
        for place in range(len(data)):
            peer.send(data[place : place + 1])
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.read()["id"] == "q1"
        assert peer.read() is None


@pytest.mark.parametrize(
    ("action", "arguments", "code"),
    [
        ("evaluate", {"code": "1"}, "permission_denied"),
        ("execute_python", {"code": "1"}, "permission_denied"),
        ("call_tool", {"name": "evaluate", "arguments": {"code": "1"}}, "permission_denied"),
        (
            "batch",
            {"calls": [{"tool": "evaluate", "arguments": {"code": "1"}}]},
            "permission_denied",
        ),
        ("nope", {}, "not_found"),
        ("get_object", {"path": "/nope"}, "not_found"),
    ],
)
def test_a_call_that_fails_says_why_and_no_code_runs(live, action, arguments, code):
    with Peer(live) as peer:
        result = peer.ask(dispatch(action, arguments))["result"]
    assert result["isError"] is True
    assert result["structuredContent"]["error"]["code"] == code
    assert RAN == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"id": "a", "method": "execute", "params": {"code": "1"}}, -32601),
        ({"id": "a"}, -32601),
        ({"id": "a", "method": "dispatch"}, -32602),
        ({"id": "a", "method": "dispatch", "params": {"action": 1}}, -32602),
        ({"id": "a", "method": "dispatch", "params": {"action": "wait", "args": []}}, -32602),
        ({"method": "dispatch", "params": {"action": "wait"}}, -32600),
        ({"id": True, "method": "dispatch", "params": {"action": "wait"}}, -32600),
    ],
)
def test_what_is_no_call_is_refused_in_words_and_the_connection_goes_on(live, message, code):
    with Peer(live) as peer:
        answer = peer.ask(message)
        assert answer["error"]["code"] == code
        assert len(answer["error"]["message"]) > 20
        assert answer["id"] == (message.get("id") if code != -32600 else None)
        assert peer.ask(dispatch("get_status"))["result"]["isError"] is False
    assert RAN == []


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n"
        + json.dumps(dispatch("wait")).encode()
        + b"\n",
        b"[]\n",
        b"1\n",
        b"\n",
        b"\xff\xfe\n",
        b"[" * 100000 + b"\n",
        b'{"id": 1, "method": NaN}\n',
    ],
    ids=["HTTP", "list", "number", "empty", "bytes", "deep", "NaN"],
)
def test_what_is_no_json_object_ends_the_connection_unanswered(live, data):
    with Peer(live) as peer:
        peer.send(data)
        assert peer.read() is None
    assert RAN == []


def test_a_line_without_an_end_is_not_kept(live):
    with Peer(live) as peer:
        try:
            for _ in range(qtserver.MAX_LINE // 65536 + 4):
                peer.send(b" " * 65536)
        except ConnectionError:
            pass
        assert peer.read() is None


def test_the_silent_make_room_and_who_has_called_stays(live):
    with Peer(live) as first:
        first.ask(dispatch("get_status"))
        crowd = [Peer(live) for _ in range(qtserver.MOST * 2)]
        try:
            assert crowd[0].read() is None
            assert crowd[-1].ask(dispatch("get_status"))["id"] == "q1"
            assert first.ask(dispatch("get_status"))["id"] == "q1"
        finally:
            for one in crowd:
                with one:
                    pass


def test_where_all_have_called_a_new_one_is_turned_away(live):
    crowd = [Peer(live) for _ in range(qtserver.MOST)]
    try:
        for one in crowd:
            one.ask(dispatch("get_status"))
        with Peer(live) as late:
            assert late.read() is None
        assert [one.ask(dispatch("get_status"))["id"] for one in crowd] == ["q1"] * len(crowd)
    finally:
        for one in crowd:
            with one:
                pass


def test_who_sends_no_more_makes_room_though_its_call_is_under_way(live):
    GO.clear()
    crowd = [Peer(live) for _ in range(qtserver.MOST)]
    try:
        for one in crowd:
            one.ask(dispatch("get_status"))
        crowd[3].send(dispatch("wait"))
        crowd[3].sock.shutdown(socket.SHUT_WR)
        # Until the end has been seen there is no room; then its place is free.
        for _ in tries():
            with Peer(live) as late:
                if late.ask(dispatch("get_status")) is not None:
                    break
        assert crowd[3].read() is None
        assert crowd[0].ask(dispatch("get_status"))["id"] == "q1"
    finally:
        GO.set()
        for one in crowd:
            with one:
                pass


def test_at_the_end_a_call_that_waits_is_told_and_the_port_is_given_back(live):
    with Peer(live) as busy, Peer(live) as waiting:
        busy.send(dispatch("wait"))
        for _ in tries():
            if RAN:
                break
        waiting.send(dispatch("create_object", {"kind": "cube"}))
        place = int(live.server.host_rpc.rpartition(":")[2])
        live.adapter.close()
        GO.set()
        live._thread.join(DEADLINE)
        assert not live.serving
        assert busy.read()["result"]["content"]
        last = waiting.read()
        assert last is None or last["result"]["isError"] in (True, False)
        assert waiting.read() is None
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", place), DEADLINE)


def test_a_port_that_is_taken_or_none_is_said(tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(StartError) as refused:
            Live(str(tmp_path), monkeypatch, create, qtserver=taken.getsockname()[1])
        assert "qtserver" in str(refused.value)
    with pytest.raises(ConfigError):
        Live(str(tmp_path), monkeypatch, create, qtserver=70000)


FORK = """
import os, socket, sys
import dcc_mcp_embed
server = dcc_mcp_embed.start("standalone", port=0, qtserver=0)
assert server.wait_registered(10)
place = ("127.0.0.1", int(server.host_rpc.rpartition(":")[2]))
peer = socket.create_connection(place, 20)
peer.sendall(b'{"id": 1, "method": "dispatch", "params": {"action": "get_status"}}' + b"\\n")
assert peer.recv(1) == b"{"
reads, writes = os.pipe()
ready, tell = os.pipe()
child = os.fork()
if not child:
    peer.close()
    os.close(writes)
    os.write(tell, b"x")
    # As long as its parent: what it holds open stays open.
    os.read(reads, 1)
    os._exit(0)
os.close(reads)
os.read(ready, 1)
server.stop()
while peer.recv(65536):
    pass
peer.close()
try:
    socket.create_connection(place, 20).close()
except ConnectionRefusedError:
    print("done")
os.close(writes)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_holds_neither_the_port_nor_its_connections(tmp_path):
    done = run(FORK, str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_sidecar_sees_no_job_of_others(live):
    live.server.register_tools(SimpleNamespace(long=long))
    with live.connect() as wire:
        error = wire.tool("long", {})["structuredContent"]["error"]
    assert error["code"] == "timeout_running"
    with Peer(live) as peer:
        listed = peer.ask(dispatch("list_jobs"))["result"]
        assert listed["structuredContent"]["data"]["items"] == []
        for action in ("get_job", "cancel_job"):
            refused = peer.ask(dispatch(action, {"job_id": error["details"]["job_id"]}))["result"]
            assert refused["structuredContent"]["error"]["code"] == "not_found"
