"""One request to a host: who is told what when nobody wants its answer any more."""

from __future__ import annotations

import json
import threading

import pytest

from dcc_mcp_embed.bridge import dialect, errand
from dcc_mcp_embed.bridge.errand import Errand, Wishes
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import Cancelled, RemoteProtocolError
from dcc_mcp_embed.transport_errors import ConnectionClosed
from dcc_mcp_embed.wire.jsonrpc import Fault

DEADLINE = 10.0
ANSWER = b'{"jsonrpc":"2.0","id":"x","result":{"content":[]}}'


class Channel:
    """A host that answers when the test says so."""

    def __init__(self, answer=ANSWER, broken=0):
        self.answer = answer
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.said = []
        self.words = threading.Semaphore(0)
        self.broken = broken
        self.listener = None

    def call(self, method, data, timeout_ms):
        assert method == "mcp"
        self.message = json.loads(data.decode("ascii"))
        self.entered.set()
        assert self.leave.wait(DEADLINE)
        return {"payload": self.answer}

    def send_notify(self, topic, data, timeout_ms):
        self.said.append((topic, json.loads(data.decode("ascii"))))
        self.words.release()
        if len(self.said) <= self.broken:
            raise ConnectionClosed()


def made(wishes=Wishes(), heard=lambda data: None):
    return Errand("tools/call", {"name": "t", "arguments": {}}, SystemClock(), wishes, heard)


def carried(one, channel):
    box = []

    def carry():
        try:
            box.append(one.carry(channel, one.encode(), 1000))
        except Exception as error:
            box.append(error)

    thread = threading.Thread(target=carry)
    thread.start()
    return thread, box


def test_what_the_client_wants_to_hear_is_said_and_nothing_else():
    one = made(Wishes(True, "debug", "client 1"))
    params = json.loads(one.encode().decode("ascii"))["params"]
    meta = params.pop("_meta")
    assert params == {"name": "t", "arguments": {}}
    assert meta["progressToken"] == one.id
    assert meta["io.modelcontextprotocol/logLevel"] == "debug"
    assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "client 1"
    plain = json.loads(made().encode().decode("ascii"))
    assert not {"progressToken", "io.modelcontextprotocol/logLevel"} & set(plain["params"]["_meta"])
    assert plain["id"] != one.id


@pytest.mark.parametrize("broken", [0, 1])
def test_a_host_is_told_again_until_it_answers(broken):
    one, channel, said = made(), Channel(broken=broken), threading.Event()
    thread, box = carried(one, channel)
    assert channel.entered.wait(DEADLINE)
    helper = threading.Thread(target=one.cancel, args=(said.set,))
    helper.start()
    # The first word may have come before the request.
    for _ in range(2):
        assert channel.words.acquire(timeout=DEADLINE)
    assert said.is_set()
    channel.leave.set()
    for waited in (thread, helper):
        waited.join(DEADLINE)
        assert not waited.is_alive()
    assert box == [{"content": []}]
    assert len(channel.said) == 2
    topic, word = channel.said[0]
    assert topic == "mcp"
    assert word["method"] == "notifications/cancelled"
    assert word["params"] == {"requestId": one.id} == {"requestId": channel.message["id"]}


def test_what_was_cancelled_before_it_began_is_never_sent_and_over_is_over():
    one, channel, said = made(), Channel(), threading.Event()
    one.cancel(said.set)
    assert said.is_set() and channel.said == []
    with pytest.raises(Cancelled) as caught:
        one.carry(channel, one.encode(), 1000)
    assert caught.value.state == "not_started"
    assert not channel.entered.is_set()
    over = made()
    channel.leave.set()
    over.carry(channel, over.encode(), 1000)
    over.cancel(said.set)
    assert channel.said == []


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"\xff", RemoteProtocolError),
        (b"[]", RemoteProtocolError),
        (b"{}", RemoteProtocolError),
        (b'{"result":1}', RemoteProtocolError),
        (b'{"error":{"code":"x"}}', RemoteProtocolError),
        (b'{"error":{"code":-32602,"message":"no","data":{"a":1}}}', Fault),
    ],
)
def test_answers_that_are_no_results(payload, error):
    channel = Channel(payload)
    channel.leave.set()
    one = made()
    with pytest.raises(error) as caught:
        one.carry(channel, one.encode(), 1000)
    if error is Fault:
        assert (caught.value.code, caught.value.data) == (-32602, {"a": 1})


def test_a_host_that_tells_without_end_is_not_all_heard():
    heard = []
    one, channel = made(heard=heard.append), Channel()
    channel.leave.set()
    one.carry(channel, one.encode(), 1000)
    channel.listener("other", b"x")
    for _ in range(errand._AHEAD + 10):
        channel.listener("mcp", b"x")
    assert len(heard) == errand._AHEAD
    one.passed_on()
    channel.listener("mcp", b"y")
    assert heard[-1] == b"y" and len(heard) == errand._AHEAD + 1


def test_notifications_come_with_the_clients_own_token():
    def told(method, params, token=7):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        return dialect.heard(json.dumps(message).encode("ascii"), "ours", token)

    step = {"progressToken": "ours", "progress": 1, "total": 2, "message": "m"}
    assert told("notifications/progress", step)["params"] == dict(step, progressToken=7)
    assert told("notifications/progress", step, 0)["params"]["progressToken"] == 0
    assert told("notifications/progress", step, None) is None
    assert told("notifications/progress", dict(step, progressToken="another")) is None
    assert told("notifications/message", {"level": "info", "data": 1}, None) == {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "info", "data": 1},
    }
    assert told("notifications/cancelled", {"requestId": 1}) is None
    assert told("notifications/message", None) is None
    for data in (b"\xff", b"[]", b"1"):
        assert dialect.heard(data, "ours", 7) is None
