"""The bridge between a client, looks and hosts that a test plays: every call is answered once."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dcc_mcp_embed.bridge.cache import ToolCache
from dcc_mcp_embed.bridge.catalog import Catalog
from dcc_mcp_embed.bridge.core import Core
from dcc_mcp_embed.bridge.demand import Demand
from dcc_mcp_embed.bridge.ended import Ended
from dcc_mcp_embed.bridge.front import Bridge
from dcc_mcp_embed.bridge.hosts import Host
from dcc_mcp_embed.bridge.shelf import Shelf
from dcc_mcp_embed.errors import HostBusy, InvalidArgument, NoHost, UnknownOutcome
from dcc_mcp_embed.wire.mcp.machine import McpMachine
from examples import examples
from fakes.clock import FakeClock

SERVER = {"name": "bridge", "version": "1"}
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("undo", "render")]
NAMES = ("undo", "render", "maya_undo", "maya2_undo", "blender_render", "list_instances", "odd")
HOSTS = [
    Host(dcc, "{}-{}".format(dcc, number), "1", 1, 1, "", True, float(number))
    for number, dcc in enumerate(("maya", "maya", "blender", "maya"))
]
QUESTION = {"method": "elicitation/create", "params": {"message": "?"}}
RESULT = {"content": [], "isError": False, "structuredContent": {"ok": True}}


class Pipe:
    """Both ends of the client: what it says is delivered, what it is sent is kept."""

    def __init__(self):
        self.said = []

    def start(self):
        pass

    def done(self, size):
        pass

    def put(self, line):
        self.said.append(json.loads(line))

    def offer(self, line):
        self.put(line)
        return True

    hurry = start


class Looks(Pipe):
    asks = 0

    def ask(self):
        self.asks += 1
        return self.asks


class FakeRelay:
    """Calls and lists that end when the test says so."""

    def __init__(self):
        self.calls = []
        self.lists = []
        self.pulses = []
        self.ears = []
        self.tried = set()
        #: State that a call goes on with -> the call, and the instance that gave it out.
        self.states = {}
        self.errands = {}
        self.cancelled = []

    def call(self, host, errand, starts, done):
        # Nobody is tried twice with the same call, nor told the same answers twice.
        number, state = errand.params["arguments"]["n"], errand.params.get("requestState")
        assert (number, host.instance_id, state) not in self.tried
        self.tried.add((number, host.instance_id, state))
        if state is not None:
            # It is suspended there, and nowhere else.
            assert self.states[state] == (number, host.instance_id)
        self.errands[number] = errand
        self.calls.append((host, number, starts, done))

    def cancel(self, host, errand, said):
        self.cancelled.append(errand)
        said()

    def list_tools(self, host, done):
        self.lists.append(done)

    def listen(self, host, errand, done):
        self.ears.append((host, errand, done))

    def pulse(self, host, seconds, done):
        self.pulses.append(done)

    def keep(self, instances):
        self.kept = set(instances)

    def tidy(self):
        pass


class Played(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock, self.relay = FakeClock(), FakeRelay()
        catalog = Catalog({})
        cache = ToolCache("/nowhere/at/all", self.clock, lambda level, text: None)
        cache.save = lambda kind, tools: None
        self.errors = []
        machine = McpMachine(
            SERVER, lambda member: catalog.listing() if member == "tools" else [], ""
        )
        core = Core(
            machine,
            catalog,
            Shelf(catalog.nobody),
            cache,
            self.relay,
            self.clock,
            self.log,
        )
        self.bridge = Bridge(core, machine, self.clock)
        self.desk = core.desk
        self.pipe, self.looks = Pipe(), Looks()

        def reader(deliver, ended):
            self.deliver = deliver
            return self.pipe

        def watch(deliver):
            self.looked = deliver
            return self.looks

        self.bridge.start(reader, lambda broken: self.pipe, watch)
        self.sent, self.cancelled = {}, set()
        #: Number of a call -> how often it may have run.
        self.ran = {}
        self.flying = []
        self.lists = set()
        self.last = self.steps = 0
        self.now = []
        #: Requests to the client that it has answered.
        self.told = set()
        opening = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}}
        self.say(id=0, method="initialize", params=opening)
        del self.pipe.said[:]

    def log(self, level, text):
        if level == "error":
            self.errors.append(text)

    def turn(self):
        """Have what was said so far dealt with; wait for nothing, not even if nothing was."""
        over = []
        self.desk.post(over.append, True)
        while not over:
            self.bridge.turn()

    def say(self, **message):
        self.deliver(json.dumps(dict(message, jsonrpc="2.0")).encode("ascii"))
        self.turn()

    def answers(self):
        return [one["id"] for one in self.pipe.said if "id" in one and "method" not in one]

    def asked(self):
        """Return the requests to the client that want an answer still."""
        ids = [one["id"] for one in self.pipe.said if "id" in one and "method" in one]
        assert len(set(ids)) == len(ids)
        taken_back = {
            one["params"]["requestId"]
            for one in self.pipe.said
            if one.get("method") == "notifications/cancelled"
        }
        return [one for one in ids if one not in self.told | taken_back]

    @rule(name=st.sampled_from(NAMES))
    def call(self, name):
        self.last += 1
        self.sent[self.last] = name
        token = {"progressToken": -self.last}
        params = {"name": name, "arguments": {"n": self.last}, "_meta": token}
        self.say(id=self.last, method="tools/call", params=params)

    @rule()
    def list(self):
        self.last += 1
        self.lists.add(self.last)
        self.say(id=self.last, method="tools/list")

    @rule(data=st.data())
    def cancel(self, data):
        waiting = sorted(set(self.sent) - set(self.answers()))
        if waiting:
            ident = data.draw(st.sampled_from(waiting))
            again = ident in self.cancelled
            self.cancelled.add(ident)
            told = len(self.relay.cancelled)
            self.say(method="notifications/cancelled", params={"requestId": ident})
            if len(self.relay.cancelled) > told:
                # That it was said.
                self.turn()
            # Its host is told when the request may have gone there.
            begun = not again and any(number == ident for number, _, _ in self.flying)
            assert not begun or self.relay.cancelled[told:] == [self.relay.errands[ident]]

    @rule(who=st.sets(st.sampled_from(HOSTS)), late=st.booleans())
    def look(self, who, late):
        self.now = sorted(who, key=lambda host: host.since)
        # One that was begun before it was asked for the last time.
        self.looked(self.now, max(0, self.looks.asks - late))
        self.turn()

    @precondition(lambda self: self.relay.calls)
    @rule(data=st.data())
    def take_off(self, data):
        one = data.draw(st.integers(0, len(self.relay.calls) - 1))
        host, number, starts, done = self.relay.calls.pop(one)
        if starts():
            self.flying.append((number, done, host))

    @precondition(lambda self: self.flying)
    @rule(
        data=st.data(),
        how=st.sampled_from(["good", "unreached", "busy", "unknown", "asks", "asks"]),
    )
    def land(self, data, how):
        number, done, host = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        state = "state {}".format(len(self.relay.states))
        if how == "asks":
            self.relay.states[state] = (number, host.instance_id)
        if how in ("good", "unknown"):
            self.ran[number] = self.ran.get(number, 0) + 1
        done(
            {
                "good": Ended(RESULT),
                "unreached": Ended(error=NoHost("gone"), unreached=True),
                "busy": Ended(error=HostBusy("busy")),
                "unknown": Ended(error=UnknownOutcome("lost")),
                "asks": Ended(demand=Demand({"a": QUESTION}, state)),
            }[how]
        )
        self.turn()

    @precondition(lambda self: self.asked())
    @rule(data=st.data(), good=st.booleans())
    def answer(self, data, good):
        ident = data.draw(st.sampled_from(self.asked()))
        self.told.add(ident)
        answered = {"result": {"action": "decline"}} if good else {"error": {"code": 1}}
        self.say(id=ident, **answered)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def heard(self, data):
        """A host tells how far it is, under the bridge's name for the call."""
        number, _, _ = data.draw(st.sampled_from(self.flying))
        errand = self.relay.errands[number]
        self.steps += 1
        params = {"progressToken": errand.id, "progress": self.steps}
        notification = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
        before = len(self.pipe.said)
        errand._listen("mcp", json.dumps(notification).encode("ascii"))
        self.turn()
        said = [one["params"] for one in self.pipe.said[before:] if "progress" in str(one)]
        gone = number in self.cancelled or number in self.answers()
        assert said == [] if gone else said == [{"progressToken": -number, "progress": self.steps}]

    @precondition(lambda self: self.relay.lists)
    @rule(good=st.booleans())
    def listed(self, good):
        done = self.relay.lists.pop()
        if good:
            done(TOOLS, "")
        else:
            done(None, "no")
        self.turn()

    @precondition(lambda self: self.relay.pulses)
    @rule(alive=st.sampled_from([True, False, False]))
    def felt(self, alive):
        self.relay.pulses.pop()(alive)
        self.turn()
        self.time_goes_on(10.0)

    @rule(seconds=st.sampled_from([0.1, 5.0, 20.0, 50.0]))
    def time_goes_on(self, seconds):
        self.clock.advance(seconds)
        self.say(method="notifications/nothing")

    @invariant()
    def answered_once_and_not_after_a_cancel(self):
        answers = self.answers()
        assert len(set(answers)) == len(answers)
        assert not self.cancelled & set(answers)
        assert all(times == 1 for times in self.ran.values()), self.ran
        assert self.errors == []

    def teardown(self):
        # Whatever is under way comes to its end: then nothing is left without an answer.
        for _ in range(6):
            # Hosts that do not list their tools keep no list of the client's waiting.
            self.look(set(self.now), False)
            for ident in self.asked():
                self.told.add(ident)
                self.say(id=ident, result={})
            while self.relay.calls:
                host, number, starts, done = self.relay.calls.pop()
                if starts():
                    self.flying.append((number, done, host))
            while self.flying:
                self.flying.pop()[1](Ended(RESULT))
                self.turn()
            self.time_goes_on(5.0)
        self.answered_once_and_not_after_a_cancel()
        missing = (set(self.sent) | self.lists) - set(self.answers()) - self.cancelled
        assert not missing, missing


TestPlayed = Played.TestCase
TestPlayed.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)


def given_up(begun):
    """Return a bridge whose host was silent for too long while it owed an answer."""
    it = Played()
    it.look({HOSTS[0]}, False)
    it.call("undo")
    ((_, _, starts, done),) = it.relay.calls
    assert not begun or starts()
    for seconds in (16.0, 11.0, 11.0, 11.0, 11.0):
        it.time_goes_on(seconds)
        if it.relay.pulses and not it.answers():
            it.relay.pulses.pop()(False)
            it.turn()
    assert it.answers() == [1]
    return it, starts, done


def test_a_call_that_was_given_up_is_not_answered_again():
    it, starts, done = given_up(True)
    error = it.pipe.said[-1]["result"]["structuredContent"]["error"]
    assert (error["code"], error["state"]) == ("unknown_outcome", "running")
    done(Ended(RESULT))
    it.turn()
    assert it.answers() == [1] and it.errors == []


def test_a_call_that_was_given_up_in_line_is_never_sent():
    it, starts, done = given_up(False)
    error = it.pipe.said[-1]["result"]["structuredContent"]["error"]
    assert (error["code"], error["state"]) == ("host_busy_native", "not_started")
    assert starts() is False


def test_a_host_that_no_look_has_seen_yet_is_looked_for():
    it = Played()
    it.look(set(), False)
    it.call("undo")
    assert it.answers() == [] and it.relay.calls == [] and it.looks.asks == 1
    it.look({HOSTS[0]}, False)
    assert [call[0] for call in it.relay.calls] == [HOSTS[0]]


def test_an_instance_that_cannot_be_reached_is_tried_once_and_the_next_one_too():
    for found, answered in ((HOSTS[0], True), (HOSTS[1], False)):
        it = Played()
        it.look({HOSTS[0]}, False)
        it.call("undo")
        ((_, _, starts, done),) = it.relay.calls
        it.relay.calls.clear()
        assert starts()
        done(Ended(error=HostBusy("cannot be reached"), unreached=True))
        it.turn()
        assert it.answers() == [] and it.relay.calls == []
        it.look({found}, False)
        assert it.answers() == ([1] if answered else [])
        assert [call[0] for call in it.relay.calls] == ([] if answered else [found])


def test_what_a_host_says_of_a_call_that_is_over_or_cancelled_is_not_passed_on():
    it = Played()
    it.look({HOSTS[0]}, False)
    step = {"jsonrpc": "2.0", "method": "notifications/progress"}
    steps = itertools.count(1)

    def heard(number):
        errand = it.relay.errands[number]
        params = {"progressToken": errand.id, "progress": next(steps)}
        errand._listen("mcp", json.dumps(dict(step, params=params)).encode("ascii"))
        it.turn()
        return [one["params"] for one in it.pipe.said if one.get("method") == step["method"]]

    for number in (1, 2):
        it.call("undo")
        host, _, starts, done = it.relay.calls.pop()
        assert starts()
        assert len(heard(number)) == number
        if number == 1:
            done(Ended(RESULT))
        else:
            it.say(method="notifications/cancelled", params={"requestId": number})
        it.turn()
        assert len(heard(number)) == number
    assert it.relay.cancelled == [it.relay.errands[2]]


def asking():
    """Return a bridge whose client was asked by a tool, and the request."""
    it = Played()
    it.look({HOSTS[0]}, False)
    it.call("undo")
    host, number, starts, done = it.relay.calls.pop()
    assert starts()
    it.relay.states["s"] = (number, host.instance_id)
    done(Ended(demand=Demand({"a": QUESTION, "b": QUESTION}, "s")))
    it.turn()
    return it, it.asked()


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(error=NoHost("gone"), unreached=True), "ended while"),
        (Ended(error=HostBusy("There is no room.")), "There is no room."),
        (Ended(error=InvalidArgument("It is no JSON.")), "It is no JSON."),
    ],
)
def test_a_call_that_cannot_go_on_where_it_asked_goes_on_nowhere(ended, words):
    it, idents = asking()
    for ident in idents:
        assert it.relay.calls == []
        it.say(id=ident, result={"action": "decline"})
    host, number, starts, done = it.relay.calls.pop()
    assert it.relay.errands[number].params["inputResponses"] == dict.fromkeys(
        ("a", "b"), {"action": "decline"}
    )
    assert starts()
    done(ended)
    it.turn()
    error = it.pipe.said[-1]["result"]["structuredContent"]["error"]
    assert error["code"] == "unknown_outcome" and it.answers() == [1]
    assert words in error["message"]
    it.look({HOSTS[1]}, False)
    assert it.relay.calls == [] and it.errors == []


def test_a_client_is_told_when_its_answer_is_not_needed_any_more():
    it, (first, second) = asking()
    it.told.add(first)
    it.say(id=first, result={"action": "decline"})
    # It gives no sign of life.
    for seconds in (16.0, 11.0, 11.0, 11.0, 11.0):
        it.time_goes_on(seconds)
        if it.relay.pulses and not it.answers():
            it.relay.pulses.pop()(False)
            it.turn()
    assert it.answers() == [1] and it.asked() == []
    it.say(id=second, result={"action": "decline"})
    assert it.relay.calls == [] and it.errors == []
