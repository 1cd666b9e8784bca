"""Two ends under arbitrary schedules: each call is settled exactly once, and with its own answer.

The bytes between them arrive in pieces of any size, at any time, from either side; calls time out,
pings cross, answers come late, twice or never, and the connection may end at any moment.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from dcc_mcp_embed.rpc.hello import ClientHello, Facts, ServerHello, place
from dcc_mcp_embed.rpc.peer import Ended, Peer
from dcc_mcp_embed.rpc.pending import Call, Probe
from dcc_mcp_embed.transport_errors import ConnectionClosed, TransportError
from dcc_mcp_embed.wire.messages import Notify, Request, Response
from examples import examples
from fakes.clock import FakeClock

SIDES = st.sampled_from([0, 1])
CONTENT = st.binary(max_size=40)
KEY, PLACE = b"k" * 32, place(("127.0.0.1", 1))


class Connection(RuleBasedStateMachine):
    pendings = Bundle("pendings")

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.peers = []
        self.wires = [b"", b""]  # what each side has said and the other has not got
        self.ended = [False, False]
        self.settled = Counter()
        self.begun = [[], []]  # calls and pings
        self.open = [{}, {}]  # requests that a side has got: id -> params
        self.answers = {}  # request id -> payload that was answered first
        self.said = [[], []]  # notifications
        self.heard = [[], []]

    @initialize(greeted=st.booleans())
    def meet(self, greeted):
        hellos = [None, None]
        if greeted:
            facts = Facts("i", "e", 0)
            hellos = [
                ClientHello(KEY, PLACE, self.clock),
                ServerHello(KEY, PLACE, facts, self.clock),
            ]
        self.peers = [Peer(self.clock, hello=hello, late_answers=True) for hello in hellos]
        while greeted and not all(peer.facts for peer in self.peers):
            for one, other in (self.peers, self.peers[::-1]):
                other.receive_data(one.data_to_send())

    # -- the model's own hands

    def flush(self, side):
        self.wires[side] += self.peers[side].data_to_send()

    def took(self, side, events):
        for event in events:
            if isinstance(event, (Call, Probe)):
                assert event.done
                self.settled[event] += 1
                if isinstance(event, Call) and event.error is None:
                    assert event.response.payload == self.answers[event.id]
            elif isinstance(event, Request):
                assert event.id not in self.open[side], "a request arrives once"
                self.open[side][event.id] = event.params
            elif isinstance(event, Notify):
                self.heard[side].append(event)
            elif isinstance(event, Response):
                assert event.id in self.answers, "only what somebody answered"
            else:
                assert isinstance(event, Ended)
                self.ended[side] = True

    # -- what may happen

    @rule(target=pendings, side=SIDES, params=CONTENT, patience=st.integers(1, 5))
    def call(self, side, params, patience):
        peer = self.peers[side]
        try:
            pending, data = peer.compose("m", params, self.clock.now + patience, patience * 1000)
            peer.begin(pending)
        except TransportError:
            assert self.ended[side]
            return None
        self.begun[side].append(pending)
        self.wires[side] += data
        return side, pending

    @rule(target=pendings, side=SIDES, patience=st.integers(1, 5))
    def ping(self, side, patience):
        try:
            pending = self.peers[side].ping(self.clock.now + patience, patience * 1000)
        except TransportError:
            assert self.ended[side]
            return None
        self.begun[side].append(pending)
        self.flush(side)
        return side, pending

    @rule(side=SIDES, data=st.data(), payload=CONTENT, twice=st.booleans())
    def answer(self, side, data, payload, twice):
        if not self.open[side]:
            return
        ident = data.draw(st.sampled_from(sorted(self.open[side])))
        payload = self.open[side][ident] + payload
        for _ in range(1 + twice):
            self.wires[side] += self.peers[side].answer(ident, True, payload)
        self.answers.setdefault(ident, payload)
        if not twice:
            del self.open[side][ident]

    @rule(side=SIDES, content=CONTENT)
    def notify(self, side, content):
        if self.peers[side].ended is None:
            self.wires[side] += self.peers[side].notification("t", content)
            self.said[side].append(Notify(None, "t", content))

    @rule(side=SIDES, size=st.integers(1, 200))
    def carry(self, side, size):
        piece, self.wires[side] = self.wires[side][:size], self.wires[side][size:]
        if piece:
            self.took(1 - side, self.peers[1 - side].receive_data(piece))
            self.flush(1 - side)

    @rule(side=SIDES)
    def carry_all(self, side):
        self.carry(side, len(self.wires[side]))

    @rule(seconds=st.integers(0, 3))
    def wait(self, seconds):
        self.clock.advance(seconds)
        for side in (0, 1):
            for pending in self.begun[side]:
                if pending.deadline <= self.clock.now:
                    self.give_up((side, pending))

    @rule(one=pendings)
    def give_up(self, one):
        if one is not None:
            side, pending = one
            before = pending.done
            self.peers[side].abandon(pending)
            assert pending.done
            self.settled[pending] += not before

    @rule(side=SIDES, how=st.sampled_from(["shutdown", "eof", "end"]))
    def over(self, side, how):
        if how == "shutdown":
            if self.peers[side].ended is None:
                self.peers[side].shutdown("bye")
                self.flush(side)
        elif how == "eof":
            self.took(side, self.peers[side].receive_eof())
        else:
            self.took(side, self.peers[side].end(ConnectionClosed()))

    # -- what must hold

    @invariant()
    def nothing_is_settled_twice_and_nothing_waits_after_the_end(self):
        for side in (0, 1):
            for pending in self.begun[side]:
                assert self.settled[pending] == int(pending.done)
            assert self.ended[side] == (self.peers[side].ended is not None)
            if self.ended[side]:
                assert self.peers[side].in_flight == 0

    @invariant()
    def notifications_arrive_in_order_and_once(self):
        for side in (0, 1):
            heard = self.heard[1 - side]
            assert heard == self.said[side][: len(heard)]

    def teardown(self):
        for side in (0, 1):
            self.took(side, self.peers[side].receive_eof())
            for pending in self.begun[side]:
                assert self.settled[pending] == 1


Connection.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=40)
TestConnection = Connection.TestCase
