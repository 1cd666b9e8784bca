"""Clients that answer, refuse, cancel, leave and end sessions in any order: nothing is left."""

from __future__ import annotations

import random
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.errors import ToolError
from fakes.live import Live, tries
from fakes.streaming import Streaming, initialize

DEADLINE = 10.0
STEPS = 120
ROOTS = {"roots": [{"uri": "file:///a"}]}
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
}
HEADERS = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call"}


class World:
    """One server, its clients, and what its tools have been through."""

    def __init__(self, home, monkeypatch):
        monkeypatch.setattr("dcc_mcp_embed.server.dialogue.COME_BACK", 0.01)
        self.lock = threading.Lock()
        self.began = self.left = 0
        world = self

        def body(ctx):
            with world.lock:
                world.began += 1
            try:
                total = 0
                for _ in range(2):
                    try:
                        total += len((yield ctx.roots()))
                    except ToolError:
                        total += 100
                return str(total)
            finally:
                with world.lock:
                    world.left += 1

        def on_main(ctx):
            """Ask twice on the main thread."""
            return (yield from body(ctx))

        def on_worker(ctx):
            """Ask twice on the worker."""
            return (yield from body(ctx))

        tools = SimpleNamespace(
            main=dcc_mcp_embed.tool(on_main),
            worker=dcc_mcp_embed.tool(thread="worker", read_only=True)(on_worker),
        )
        limits = Limits(sessions=6, asking_calls=5, answer_timeout=0.5)
        self.live = Live(home, monkeypatch, tools=[tools], limits=limits)
        self.open = []
        self.states = []
        self.count = 0

    def call(self, dice):
        """Begin a call in a session and read its first question, if it comes to one."""
        wire = Streaming(self.live)
        session = initialize(wire, {"roots": {}})
        self.count += 1
        name = dice.choice(["on_main", "on_worker"])
        answer = wire.rpc("tools/call", {"name": name}, self.count, session)
        ident = None
        if answer.headers["content-type"] != "application/json":
            wire.event()
            message = wire.message()
            ident = message["id"] if "method" in message else None
        self.open.append((wire, session, self.count, ident))

    def demand(self, dice):
        """Call in the stateless era, sometimes with a state of before."""
        name = dice.choice(["on_main", "on_worker"])
        params = {"name": name, "_meta": META}
        if self.states and dice.random() < 0.7:
            params["name"], params["requestState"] = dice.choice(self.states)
            if dice.random() < 0.7:
                answers = {"input_1": ROOTS, "input_2": ROOTS}
                params["inputResponses"] = answers
        with self.live.connect() as wire:
            headers = dict(HEADERS, **{"Mcp-Name": params["name"]})
            answer = wire.rpc("tools/call", params, headers=headers)
        assert answer.status in (200, 400), answer
        result = answer.json.get("result", {})
        if result.get("resultType") == "input_required":
            self.states.append((params["name"], result["requestState"]))

    def act(self, dice):
        """Do something to one of the calls that are under way."""
        if not self.open:
            return
        wire, session, number, ident = self.open.pop(dice.randrange(len(self.open)))
        what = dice.choice(["answer", "refuse", "cancel", "drop", "end", "come back"])
        last = wire.seen[-1].id if wire.seen else None
        with Streaming(self.live) as other:
            if what == "answer" and ident is not None:
                other.answer(ident, ROOTS, headers=session)
            elif what == "refuse" and ident is not None:
                other.answer(ident, error={"code": -1, "message": "no"}, headers=session)
            elif what == "cancel":
                other.rpc("notifications/cancelled", {"requestId": number}, None, session)
            elif what == "end":
                other.request("DELETE", "/mcp", session)
            elif what == "come back":
                wire.close()
                other.listen(session, last)
        if dice.random() < 0.7 or what == "drop":
            wire.close()
        else:
            self.open.append((wire, session, number, None))

    def at_rest(self):
        server = self.live.server._server
        channels = [one.channel for one in server.sessions.all() if one.channel is not None]
        with self.lock:
            return (
                self.began == self.left
                and not len(server.questions)
                and not server.questions._states
                and not any(one._open for one in channels)
                and not any(one.asked for one in server.sessions.all())
                and all(not lane._lane.live for lane in self.live.server._lanes.values())
            )

    def close(self):
        for wire, *_ in self.open:
            wire.close()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_left_of_calls_that_asked(tmp_path, monkeypatch, seed):
    dice = random.Random(seed)
    world = World(str(tmp_path), monkeypatch)
    try:
        for _ in range(STEPS):
            dice.choice([world.call, world.demand, world.act, world.act])(dice)
        assert world.began > STEPS / 10
        world.close()
        assert any(world.at_rest() for _ in tries(DEADLINE)), vars(world)
        # And it serves on.
        with Streaming(world.live) as wire:
            assert wire.rpc("ping").status == 200
    finally:
        world.close()
        world.live.close()
