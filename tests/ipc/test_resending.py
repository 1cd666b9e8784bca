"""A client that sends a request again, as none of ours would: a SocketServer runs nothing twice."""

from __future__ import annotations

import json
import threading

import pytest

from dcc_mcp_embed.rpc.receipts import FIRST_NUMBER, Limits
from dcc_mcp_embed.secret import Secret
from dcc_mcp_embed.wire.messages import OURS, id_text, request_frame
from fakes.framed import FramedWire, encoded
from fakes.ipc_raw import DEADLINE, until
from ipc.stages import server

SECRET = Secret(b"s" * 32, {})
NEW = {"epoch": None, "line": None, "below": None, "ids": []}


class Stage:
    """A server with a few receipts only; ``ran`` holds each run's data."""

    def __init__(self, **limits):
        self.ran, self.leave = [], threading.Event()
        self.leave.set()
        self.server = server({"secret": SECRET, "limits": Limits(**limits)}, work=self._work)
        self.server.start_background_sync()
        self._wires = []

    def _work(self, data):
        self.ran.append(data)
        assert self.leave.wait(DEADLINE)
        return [data, len(self.ran)]

    def connect(self, line=None, ids=()):
        """Return a wire that has resumed: a new line, or the one given, asking about ``ids``."""
        wire = FramedWire(self.server.address.port, SECRET.wire_key())
        self._wires.append(wire)
        facts = wire.greet()
        question = NEW
        if line is not None:
            question = {
                "epoch": facts.epoch,
                "line": line.hex(),
                "below": None,
                "ids": [id_text(one) for one in ids],
            }
        answer = wire.call("resume", question)
        wire.line = bytes.fromhex(answer["line"])
        wire.states = [answer["states"][id_text(one)] for one in ids]
        return wire

    def close(self):
        self.leave.set()
        for wire in self._wires:
            wire.close()
        self.server.stop_sync()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()


def number(wire, count):
    return wire.line + (FIRST_NUMBER + count).to_bytes(8, "big")


def send(wire, ident, data):
    wire.send(request_frame(ident, "work", encoded(data), OURS))


def ask(wire, ident, data):
    send(wire, ident, data)
    return wire.answer(ident)


def test_evicted_receipt_is_an_unknown_outcome():
    with Stage(entries=2) as stage:
        wire = stage.connect()
        idents = [number(wire, count) for count in range(4)]
        for count, ident in enumerate(idents):
            assert ask(wire, ident, count).success
        for where in (wire, stage.connect(wire.line)):
            for count in (0, 1):
                answer = ask(where, idents[count], count)
                assert not answer.success
                error = json.loads(answer.payload.decode("utf-8"))
                assert error["code"] == "unknown_outcome", error
                assert answer.error
            for count in (2, 3):
                answer = ask(where, idents[count], count)
                assert (answer.success, json.loads(answer.payload)) == (True, [count, count + 1])
        assert stage.ran == [0, 1, 2, 3]


def test_states_after_a_reconnect():
    with Stage(entries=2) as stage:
        wire = stage.connect()
        idents = [number(wire, count) for count in range(5)]
        for count in range(3):
            assert ask(wire, idents[count], count).success
        stage.leave.clear()
        send(wire, idents[3], 3)
        until(lambda: len(stage.ran) == 4)
        wire.close()
        again = stage.connect(wire.line, idents)
        assert again.states == ["unknown", "done", "done", "running", "new"]
        assert [json.loads(again.answer(idents[count]).payload) for count in (1, 2)] == [
            [1, 2],
            [2, 3],
        ]
        # Sent once more while it runs: it is joined, and answered once.
        send(again, idents[3], 3)
        stage.leave.set()
        assert json.loads(again.answer(idents[3]).payload) == [3, 4]
        assert ask(again, idents[4], 4).success
        assert stage.ran == [0, 1, 2, 3, 4]


def test_acknowledged_call_sent_again_does_not_run_again():
    with Stage() as stage:
        wire = stage.connect()
        ident = number(wire, 0)
        assert ask(wire, ident, 0).success
        acknowledged = {
            "line": wire.line.hex(),
            "below": id_text(number(wire, 1)),
            "ids": [id_text(ident)],
        }
        wire.send(wire.peer.notification("acknowledge", encoded(acknowledged)))
        answer = ask(wire, ident, 0)
        assert not answer.success
        assert json.loads(answer.payload)["code"] == "unknown_outcome"
        assert stage.ran == [0]


def test_result_too_large_to_keep_is_said_to_have_run():
    with Stage(one_result=100) as stage:
        wire = stage.connect()
        ident = number(wire, 0)
        data = "x" * 200
        assert ask(wire, ident, data).success
        again = stage.connect(wire.line, [ident])
        assert again.states == ["dropped"]
        answer = ask(again, ident, data)
        error = json.loads(answer.payload)
        assert (error["code"], error["state"]) == ("unknown_outcome", "finished")
        assert stage.ran == [data]


@pytest.mark.parametrize("again", ["same connection", "new connection"])
def test_other_line_learns_nothing(again):
    with Stage() as stage:
        wire = stage.connect()
        ident = number(wire, 0)
        assert ask(wire, ident, "mine").success
        other = stage.connect()
        if again == "new connection":
            other = stage.connect(other.line, [ident])
            assert other.states == ["unknown"]
        answer = ask(other, ident, "mine")
        assert not answer.success
        assert b"mine" not in answer.payload
        assert stage.ran == ["mine"]
