"""The pool's decisions against a small model, under a fake clock.

The model knows who holds what, who is in line, and what each idle connection is for; that there is
no choice in who comes next is part of it.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dcc_mcp_embed.transport.config import PoolConfig
from dcc_mcp_embed.transport.places import CONNECTING, GONE, IDLE, LEASED, Waiter
from dcc_mcp_embed.transport.pool import PoolTable
from dcc_mcp_embed.transport_errors import ServiceNotFound, Shutdown
from fakes.clock import FakeClock

PLACES, IDLE_TIME, LIFETIME = 3, 10.0, 60.0

types = st.sampled_from(["maya", "houdini"])
instances = st.sampled_from("abc")
#: Which of the threads that are alive.
holders = st.sampled_from([0, 1])


class PoolMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        config = PoolConfig(
            max_connections_per_type=PLACES, max_idle_time=IDLE_TIME, max_lifetime=LIFETIME
        )
        self.threads = ["t1", "t2"]
        self.dead = set()
        self.table = PoolTable(config, self.clock.uuid, lambda holder: holder not in self.dead)
        self.handles = 0
        #: Handles that are open, as an observer of sockets would count them.
        self.open = set()
        #: place -> who works on it: connecting or leased. In the order of the leases.
        self.held = {}
        #: place -> (since when it is idle, since when it is connected)
        self.idle = {}
        self.born = {}
        #: dcc_type -> those in line, first come first.
        self.lines = {"maya": [], "houdini": []}
        self.shut = False
        #: The last one who was given each place.
        self.served = []

    # -- the model's own rules ----------------------------------------------------------------

    def places(self, dcc_type):
        return [p for p in (*self.held, *self.idle) if p.dcc_type == dcc_type]

    def perform(self):
        """Close and wake as told; nobody may be woken but the head of a line."""
        todo = self.table.todo
        while todo.close:
            handle, _ = todo.close.popleft()
            assert handle in self.open, "closed twice, or never opened"
            self.open.remove(handle)
        while todo.wake:
            waiter = todo.wake.popleft()
            if waiter.lost is None:
                assert self.lines[waiter.dcc_type].pop(0) is waiter
                self.got(waiter)
            else:
                self.lines[waiter.dcc_type].remove(waiter)

    def got(self, waiter):
        """A waiter has a place: its own instance's idle one, a free one, or somebody's idle one."""
        place = waiter.place
        assert place.instance_id == waiter.instance_id
        assert place.dcc_type == waiter.dcc_type
        assert place.waiter is waiter
        if place in self.idle:
            since = self.idle.pop(place)
            if place.state == LEASED:
                assert self.clock.now - since <= IDLE_TIME
                assert self.clock.now - self.born[place] <= LIFETIME
        else:
            assert place not in self.held
            assert place.state == CONNECTING
            for other in [p for p in self.idle if p.state == GONE]:
                assert other.instance_id != waiter.instance_id
                del self.idle[other]
        self.held[place] = waiter.holder
        self.served = [one for one in self.served if one.place is not place] + [waiter]

    def busy(self, dcc_type):
        return [p for p in self.held if p.dcc_type == dcc_type]

    def taken_back(self, dcc_type):
        """What ended threads had reserved is anybody's again."""
        for place in self.busy(dcc_type):
            if self.held[place] in self.dead:
                if place.state == LEASED:
                    self.freed(place)
                else:
                    self.forget(place)

    def forget(self, place):
        self.held.pop(place, None)
        self.idle.pop(place, None)

    @property
    def waiters(self):
        """Those who were given a place that they may still have in use."""
        return [waiter for waiter in self.served if self.held.get(waiter.place) == waiter.holder]

    # -- what callers do ----------------------------------------------------------------------

    @rule(dcc_type=types, instance=instances, holder=holders, wait=st.booleans())
    def enter(self, dcc_type, instance, holder, wait):
        waiter = Waiter(dcc_type, instance, self.threads[holder], lambda: None)
        if self.shut:
            with pytest.raises(Shutdown):
                self.table.enter(waiter, self.clock.now, wait)
            return
        if len(self.busy(dcc_type)) == PLACES:
            self.taken_back(dcc_type)
        self.table.enter(waiter, self.clock.now, wait)
        self.perform()
        if len(self.busy(dcc_type)) == PLACES:
            assert waiter.place is None
            if wait:
                self.lines[dcc_type].append(waiter)
        else:
            assert waiter.place is not None
            self.got(waiter)

    @rule(data=st.data(), dcc_type=types, interrupted=st.booleans())
    def give_up_waiting(self, data, dcc_type, interrupted):
        line = self.lines[dcc_type]
        if line:
            waiter = line.pop(data.draw(st.integers(0, len(line) - 1)))
            if not interrupted:
                assert self.table.leave(waiter) is None
            self.table.end(waiter, self.clock.now, not interrupted)
            assert not self.table.todo.wake
            assert not self.table.todo.close

    @rule(data=st.data())
    def give_up_what_was_given(self, data):
        if self.waiters:
            waiter = data.draw(st.sampled_from(self.waiters))
            self.forget(waiter.place)
            self.table.end(waiter, self.clock.now, False)
            self.perform()
            assert waiter.place.state == GONE

    def one_of(self, data, state):
        found = [place for place in self.held if place.state == state]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(data=st.data())
    def connect(self, data):
        place = self.one_of(data, CONNECTING)
        if place is not None:
            self.handles += 1
            self.open.add(self.handles)
            assert self.table.connected(place, self.handles, self.clock.now)
            self.born[place] = self.clock.now
            self.held[place] = self.held.pop(place)  # the youngest lease

    @rule(data=st.data(), state=st.sampled_from([CONNECTING, LEASED]))
    def discard(self, data, state):
        place = self.one_of(data, state)
        if place is not None:
            self.forget(place)
            self.table.end(place.waiter, self.clock.now, False)
            self.perform()
            assert place.state == GONE

    @rule(data=st.data())
    def renew(self, data):
        place = self.one_of(data, LEASED)
        if place is not None:
            self.table.renew(place)
            assert len(self.table.todo.close) == 1
            self.perform()
            assert place.state == CONNECTING

    def freed(self, place):
        del self.held[place]
        self.idle[place] = self.clock.now

    @rule(data=st.data())
    def give_back(self, data):
        place = self.one_of(data, LEASED)
        if place is not None:
            self.freed(place)
            self.table.end(place.waiter, self.clock.now, True)
            self.perform()

    @rule(number=holders)
    def thread_ends(self, number):
        name = self.threads[number]
        if not any(waiter.holder == name for line in self.lines.values() for waiter in line):
            self.dead.add(name)
            self.threads[number] = "t{}".format(len(self.dead) + 2)

    @rule(dcc_type=types)
    def whoever_waits_looks(self, dcc_type):
        self.taken_back(dcc_type)
        self.table.reclaim(dcc_type, self.clock.now)
        self.perform()

    @rule(dcc_type=types, instance=instances, holder=holders)
    def release(self, dcc_type, instance, holder):
        holder = self.threads[holder]
        held = [
            (place, who)
            for place, who in self.held.items()
            if (place.dcc_type, place.instance_id) == (dcc_type, instance) and place.state == LEASED
        ]
        mine = [place for place, who in held if who == holder]
        orphans = [place for place, who in held if who in self.dead]
        if mine:
            self.freed(mine[0])
        elif orphans:
            self.freed(orphans[0])
        self.table.give_back_oldest(dcc_type, instance, holder, self.clock.now)
        self.perform()

    @rule(dcc_type=types, instance=instances)
    def instance_leaves(self, dcc_type, instance):
        leaving = [p for p in self.places(dcc_type) if p.instance_id == instance]
        waiting = [w for w in self.lines[dcc_type] if w.instance_id == instance]
        for place in leaving:
            self.forget(place)
        self.table.drop(dcc_type, instance, self.clock.now)
        assert [waiter for waiter in self.table.todo.wake if waiter.lost] == waiting
        self.perform()
        for waiter in waiting:
            with pytest.raises(ServiceNotFound):
                self.table.leave(waiter)
        for place in leaving:
            assert place.state == GONE
            assert not self.table.connected(place, "late", self.clock.now)
            assert isinstance(place.lost(), ServiceNotFound)

    @rule(seconds=st.sampled_from([0.0, 1.0, IDLE_TIME, IDLE_TIME + 1, LIFETIME + 1]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def sweep(self):
        now = self.clock.now
        for dcc_type in self.lines:
            self.taken_back(dcc_type)
        over = [
            place
            for place, since in self.idle.items()
            if now - since > IDLE_TIME or now - self.born[place] > LIFETIME
        ]
        self.table.sweep(now)
        self.perform()
        for place in over:
            # Unless it was given to somebody in line: it is connected anew then.
            if place not in self.held:
                assert place.state == GONE
                self.forget(place)

    @rule()
    def find_idle_ones_dead(self):
        found = self.table.idle(IDLE_TIME, self.clock.now)
        assert set(found) == {p for p, s in self.idle.items() if self.clock.now - s > IDLE_TIME}
        assert self.table.evict(found) == len(found)
        self.perform()
        for place in found:
            self.forget(place)

    @precondition(lambda self: len(self.held) + len(self.idle) > 4)
    @rule()
    def shut_down(self):
        waiting = [waiter for line in self.lines.values() for waiter in line]
        self.table.shut()
        assert set(self.table.todo.wake) == set(waiting)
        self.perform()
        for waiter in waiting:
            with pytest.raises(Shutdown):
                self.table.leave(waiter)
        for place in (*self.held, *self.idle):
            assert place.state == GONE
        self.held, self.idle, self.shut = {}, {}, True

    # -- what is true at any time -------------------------------------------------------------

    @invariant()
    def no_more_places_than_allowed(self):
        for dcc_type in self.lines:
            assert len(self.places(dcc_type)) <= PLACES

    @invariant()
    def nothing_is_idle_while_somebody_waits(self):
        for dcc_type, line in self.lines.items():
            if line:
                assert len([p for p in self.held if p.dcc_type == dcc_type]) == PLACES

    @invariant()
    def states_and_counts_agree(self):
        assert all(place.state in (CONNECTING, LEASED) for place in self.held)
        assert all(place.state == IDLE for place in self.idle)
        connected = [p for p in (*self.held, *self.idle) if p.state in (LEASED, IDLE)]
        assert {place.handle for place in connected} == self.open, "a socket is lost or shared"
        assert self.table.size() == len(connected)
        for dcc_type in self.lines:
            busy = {}
            for place in self.held:
                if place.dcc_type == dcc_type:
                    busy[place.instance_id] = busy.get(place.instance_id, 0) + 1
            assert self.table.in_flight(dcc_type) == busy


TestPool = PoolMachine.TestCase
