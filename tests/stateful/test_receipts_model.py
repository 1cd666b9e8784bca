"""Nothing runs twice and nothing is lost silently, against a list of all that ever happened.

First the store alone, then both ends of a line over connections that lose, delay and repeat: a
connection the client has given up may go on delivering, the server may start anew at any moment,
receipts are evicted, results dropped, lines forgotten.
"""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from dcc_mcp_embed.rpc.hello import Facts
from dcc_mcp_embed.rpc.outbound import OutboundTracker, RouteKey
from dcc_mcp_embed.rpc.receipts import (
    DROPPED,
    FIRST_NUMBER,
    JOIN,
    REPLAY,
    RUN,
    UNKNOWN,
    Limits,
    Outcome,
    Receipts,
    split,
)
from dcc_mcp_embed.rpc.resume import SEND, SETTLE, WAIT, ResumeClient
from dcc_mcp_embed.rpc.resume_server import ResumeServer
from examples import examples
from fakes.clock import FakeClock
from fakes.receipts import lines_of

TTL = 5.0
LIMITS = st.builds(
    Limits,
    result_bytes=st.sampled_from([10, 1000]),
    entries=st.sampled_from([2, 6, 1000]),
    one_result=st.just(8),
    ttl=st.just(TTL),
    lines=st.sampled_from([2, 1000]),
)
GENEROUS = Limits(ttl=1e9)
NUMBERS = range(10)
LINES = range(3)
WAITERS = "abc"
EITHER = (False, True)


def move(weight, when=lambda self: True, **choices):
    """Declare what may happen in a world, how often, and with which arguments."""

    def enter(method):
        method.move = (weight, when, choices)
        return method

    return enter


class World(RuleBasedStateMachine):
    """One rule that draws among all moves.

    Several rules would not do: Hypothesis switches some off for each example, and here nothing
    comes of most subsets.
    """

    def __init__(self):
        super().__init__()
        #: Takes a sequence and returns one of it.
        self.draw = None
        self.moves = [
            (name, *method.move)
            for name, method in sorted(vars(type(self)).items())
            if hasattr(method, "move")
        ]

    @rule(data=st.data())
    def step(self, data):
        self.draw = lambda choices: data.draw(st.sampled_from(choices))
        self.move_on()

    def move_on(self):
        able = [
            (name, choices)
            for name, weight, when, choices in self.moves
            if when(self)
            for _ in range(weight)
        ]
        name, choices = self.draw(able)
        getattr(self, name)(**{key: self.draw(some) for key, some in choices.items()})


class Store(World):
    """The history says what an answer may be; it is searched from end to end each time."""

    @initialize(limits=LIMITS)
    def make(self, limits):
        self.limits = limits
        self.now = 0.0
        self.store = Receipts(limits)
        self.history = []  # (what, id, more)
        self.opened = []
        self.attached = Counter()

    def id(self, line, number):
        return self.opened[line] + (FIRST_NUMBER + number).to_bytes(8, "big")

    def happened(self, what, request_id):
        return [more for kind, one, more in self.history if (kind, one) == (what, request_id)]

    def evicted_or_released(self, request_id):
        """Whether anything can have moved the horizon past an id."""
        line, number = split(request_id)
        for kind, one, more in self.history:
            if kind == "release" and one == line and number < more:
                return True
            if kind == "finish" and split(one)[0] == line and split(one)[1] >= number:
                old = more[1] + TTL <= self.now
                after = [e for e in self.history if e[0] == "finish"]
                if old or len(after) > self.limits.entries:
                    return True
        return False

    def judge(self, verdict, request_id, waiter):
        ran = self.happened("run", request_id)
        finished = self.happened("finish", request_id)
        action = verdict.action
        if action == RUN:
            assert not ran, "never twice"
        elif action == JOIN:
            assert ran and not finished
            self.history.append(("wait", request_id, waiter))
        elif action == REPLAY:
            assert verdict.outcome == finished[0][0]
            assert not self.happened("ack", request_id)
        elif action == DROPPED:
            outcome = finished[0][0]
            total = sum(len(m[0].payload) for k, _, m in self.history if k == "finish")
            assert len(outcome.payload) > 8 or total > self.limits.result_bytes
        else:
            assert action == UNKNOWN
            # A call that runs is always known, and what is new only becomes unknown for a reason.
            assert finished or not ran
            known = split(request_id)[0] in lines_of(self.store)
            acknowledged = finished and self.happened("ack", request_id)
            assert acknowledged or not known or self.evicted_or_released(request_id)

    @move(3, when=lambda self: len(self.opened) < 3)
    def open(self):
        line = bytes([len(self.opened)]) * 8
        self.opened.append(line)
        self.store.open_line(line, self.now)
        self.attached[line] += 1

    @move(8, line=LINES, number=NUMBERS, waiter=WAITERS)
    def accept(self, line, number, waiter):
        if line < len(self.opened):
            request_id = self.id(line, number)
            verdict = self.store.accept(request_id, waiter, self.now)
            self.judge(verdict, request_id, waiter)
            if verdict.action == RUN:
                self.history.append(("run", request_id, None))
                self.history.append(("wait", request_id, waiter))

    @move(3, line=LINES, number=NUMBERS, waiter=WAITERS)
    def ask(self, line, number, waiter):
        if line < len(self.opened):
            request_id = self.id(line, number)
            self.judge(self.store.ask(request_id, waiter, self.now), request_id, waiter)

    @move(1, waiter=WAITERS)
    def leave(self, waiter):
        self.store.leave(waiter)
        self.history = [e for e in self.history if (e[0], e[2]) != ("wait", waiter)]

    def running(self):
        return [
            one
            for what, one, _ in self.history
            if what == "run" and not self.happened("finish", one)
        ]

    @move(5, when=lambda self: self.running(), size=range(10))
    def finish(self, size):
        request_id = self.draw(self.running())
        outcome = Outcome(True, b"x" * size, None)
        waiters = self.store.finish(request_id, *outcome, self.now)
        assert waiters == list(dict.fromkeys(self.happened("wait", request_id)))
        self.history = [e for e in self.history if e[:2] != ("wait", request_id)]
        self.history.append(("finish", request_id, (outcome, self.now)))

    @move(1, line=LINES, first=NUMBERS, count=range(4))
    def ack(self, line, first, count):
        if line < len(self.opened):
            ids = [self.id(line, first + more) for more in range(count)]
            self.store.ack(ids)
            self.history += [("ack", one, None) for one in ids if self.happened("run", one)]

    @move(1, line=LINES, below=range(11))
    def release(self, line, below):
        if line < len(self.opened):
            self.store.release(self.opened[line], FIRST_NUMBER + below)
            self.history.append(("release", self.opened[line], FIRST_NUMBER + below))
            for what, one, _ in list(self.history):
                token, number = split(one)
                if what == "run" and token == self.opened[line] and number < FIRST_NUMBER + below:
                    self.history.append(("ack", one, None))

    @move(1, line=LINES)
    def attach(self, line):
        if line < len(self.opened):
            known = self.store.attach(self.opened[line], self.now)
            assert known or not self.attached[self.opened[line]]
            self.attached[self.opened[line]] += known

    @move(1, line=LINES)
    def detach(self, line):
        if line < len(self.opened) and self.attached[self.opened[line]]:
            self.store.detach(self.opened[line], self.now)
            self.attached[self.opened[line]] -= 1

    @move(1, seconds=(1.0, TTL), sweep=EITHER)
    def time_passes(self, seconds, sweep):
        self.now += seconds
        if sweep:
            self.store.sweep(self.now)

    @invariant()
    def check(self):
        store = getattr(self, "store", None)
        if store is not None:
            assert store.running == len(self.running())
            assert 0 <= store.result_bytes <= self.limits.result_bytes
            assert len(store) - store.running <= self.limits.entries
            assert {line for line, count in self.attached.items() if count} <= lines_of(store)

    def teardown(self):
        if not hasattr(self, "store"):
            return
        # Once all is finished, released and gone, nothing is left.
        for one in self.running():
            self.store.finish(one, True, b"", None, self.now)
        for line in self.opened:
            self.store.release(line, FIRST_NUMBER + 100)
            while self.attached[line]:
                self.store.detach(line, self.now)
                self.attached[line] -= 1
        assert len(self.store) == self.store.result_bytes == 0
        self.store.sweep(self.now + TTL)
        assert not lines_of(self.store)


class Link:
    """A connection: what each end has said and the other has not got yet, in order."""

    def __init__(self, server):
        self.server = server  # the server's ResumeServer
        self.up = []
        self.down = []


class Line(World):
    """One client, servers that come and go, and every call that was ever begun."""

    @initialize(limits=LIMITS | st.just(GENEROUS), receipts=st.sampled_from([7, 7, 7, 0]))
    def make(self, limits, receipts):
        self.clock = FakeClock()
        self.limits = limits
        self.horizon = receipts
        self.tracker = OutboundTracker(1e9, clock=self.clock)
        self.client = ResumeClient(self.tracker, RouteKey("maya"), "line", self.clock)
        self.begun_in = {}  # call -> epoch
        self.effects = Counter()
        self.settled = {}
        self.links = []  # all that the server has not closed; the client has at most the last
        self.link = None
        self.epoch = 0
        self.start_server()

    def start_server(self):
        self.epoch += 1
        self.receipts = Receipts(self.limits)
        self.running = []
        self.links = []
        self.link = None
        self.client.lost()

    # -- the shells' part ---------------------------------------------------------------------

    @property
    def generous(self):
        """Whether nothing is ever evicted or dropped, so that no excuse is left."""
        return self.limits == GENEROUS and self.horizon

    def carry_out(self, decisions):
        for request_id, action, error in decisions:
            assert request_id not in self.settled
            if self.generous and action == SETTLE:
                assert self.begun_in[request_id] != self.epoch, "only a restart loses an outcome"
            if action == SEND:
                self.link.up.append(("request", request_id))
            elif action == SETTLE:
                assert error.code == "unknown_outcome"
                assert error.state == "running" or self.effects[request_id]
                self.settled[request_id] = "unknown"
            else:
                assert action == WAIT

    def got_up(self, link, kind, what):
        now = self.clock.now
        if kind == "resume":
            payload, replays = link.server.resume(what)
            link.down.append(("resumed", payload))
            link.down += [("response", (one, outcome.payload)) for one, outcome in replays]
        elif kind == "ack":
            link.server.acknowledge(what)
        else:
            action, outcome = link.server.accept(what)
            if self.generous:
                assert action in (RUN, JOIN, REPLAY) or what in self.settled
            if action in (RUN, "untracked"):
                self.effects[what] += 1
                self.running.append((what, link if action == "untracked" else None))
            elif action == REPLAY:
                link.down.append(("response", (what, outcome.payload)))
            elif action != JOIN:
                link.down.append(("response", (what, action.encode())))
        assert now == self.clock.now

    def got_down(self, kind, what):
        if kind == "resumed":
            asked = set(json.loads(what.decode())["states"])
            decisions = self.client.answered(what)
            assert len(decisions) <= len(asked)
            self.carry_out(decisions)
            return
        request_id, payload = what
        if self.client.settle(request_id, "done"):
            assert request_id not in self.settled, "settled once"
            self.settled[request_id] = payload
            if payload.startswith(b"did"):
                assert self.effects[request_id] == 1
            else:
                assert payload in (b"unknown", b"dropped")

    # -- what happens -------------------------------------------------------------------------

    @move(20, when=lambda self: self.link is None)
    def connect(self):
        name = "epoch{}".format(self.epoch)
        link = Link(None)
        link.server = ResumeServer(self.receipts, name, link, self.clock)
        self.links.append(link)
        self.link = link
        params, decisions = self.client.connected(Facts("i", name, self.horizon))
        assert (params is None) == (self.horizon == 0)
        if params is not None:
            link.up.append(("resume", params))
        self.carry_out(decisions)

    @move(3, when=lambda self: self.link is not None)
    def cut(self):
        """The client gives up; the server may still get what is on its way."""
        self.link.down = None
        self.link = None
        self.client.lost()

    @move(15, when=lambda self: self.client.ready)
    def call(self):
        request_id = self.client.begin()
        assert request_id not in self.begun_in
        self.begun_in[request_id] = self.epoch
        self.link.up.append(("request", request_id))

    def deliver(self, link):
        kind, what = link.up.pop(0)
        held = link.down
        if held is None:
            link.down = []
        self.got_up(link, kind, what)
        if held is None:
            link.down = None

    @move(20, when=lambda self: any(link.up for link in self.links), most=range(1, 6))
    def upwards(self, most):
        link = self.draw([link for link in self.links if link.up])
        for _ in range(min(most, len(link.up))):
            self.deliver(link)

    @move(20, when=lambda self: self.link is not None and self.link.down, most=range(1, 6))
    def downwards(self, most):
        for _ in range(min(most, len(self.link.down))):
            self.got_down(*self.link.down.pop(0))

    @move(3, when=lambda self: any(link.down is None for link in self.links))
    def server_notices(self):
        link = self.draw([one for one in self.links if one.down is None])
        self.links.remove(link)
        link.server.closed()

    @move(12, when=lambda self: self.running, size=range(7))
    def finish(self, size):
        index = self.draw(range(len(self.running)))
        request_id, untracked = self.running.pop(index)
        payload = b"did" + b"x" * size
        told = [untracked]
        if untracked is None:
            told = self.receipts.finish(request_id, True, payload, None, self.clock.now)
        for link in told:
            if link.down is not None:
                link.down.append(("response", (request_id, payload)))

    @move(1, when=lambda self: self.client.in_flight)
    def time_out(self):
        request_id = self.draw(self.client.in_flight)
        assert self.client.settle(request_id, "timeout")
        self.settled[request_id] = "timeout"

    @move(5, when=lambda self: self.link is not None)
    def acknowledge(self):
        data = self.client.ack()
        if data is not None:
            self.link.up.append(("ack", data))

    @move(1)
    def restart(self):
        self.start_server()

    @move(1, seconds=(1.0, TTL))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def check(self):
        if hasattr(self, "client"):
            assert all(count == 1 for count in self.effects.values())
            assert set(self.client.in_flight) == set(self.begun_in) - set(self.settled)

    def teardown(self):
        """On a good connection every call comes to its end."""
        if not hasattr(self, "client"):
            return
        if self.link is not None:
            self.cut()
        self.connect()
        while self.link.up or self.link.down or self.running:
            while self.link.up:
                self.deliver(self.link)
            while self.running:
                request_id, link = self.running.pop()
                told = [link]
                if link is None:
                    told = self.receipts.finish(request_id, True, b"did", None, self.clock.now)
                for one in told:
                    if one.down is not None:
                        one.down.append(("response", (request_id, b"did")))
            while self.link.down:
                self.got_down(*self.link.down.pop(0))
        self.check()
        assert not self.client.in_flight
        assert self.tracker.list_pending() == []


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=examples(100), stateful_step_count=40)
TestLine = Line.TestCase
TestLine.settings = settings(max_examples=examples(100), stateful_step_count=50)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("world", "steps"), [(Store, 150), (Line, 600)])
def test_long_lives(world, steps, seed):
    chance = random.Random(seed)
    it = world()
    entries = chance.choice([2, 6, 30])
    limits = Limits(chance.choice([20, 200]), entries, 8, TTL, chance.choice([2, 1000]))
    if world is Store:
        it.make(limits)
    else:
        it.make(GENEROUS if seed % 3 == 2 else limits, 7 if seed % 5 else 0)
    it.draw = chance.choice
    for _ in range(steps):
        it.move_on()
        it.check()
    it.teardown()
