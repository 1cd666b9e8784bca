"""The pool's decisions: who gets which place, in which order, and what has to be closed."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.transport.config import PoolConfig
from dcc_mcp_embed.transport.places import CONNECTING, GONE, IDLE, LEASED, Waiter
from dcc_mcp_embed.transport.pool import PoolTable
from dcc_mcp_embed.transport_errors import ServiceNotFound, Shutdown
from fakes.clock import FakeClock


class Bench:
    """A table whose handles are names; ``closed`` and ``woken`` are in order of happening."""

    def __init__(self, **config):
        self.clock = FakeClock()
        #: Threads that have ended.
        self.dead = set()
        self.table = PoolTable(
            PoolConfig(**config), self.clock.uuid, lambda holder: holder not in self.dead
        )
        self.closed = []
        #: Why each was closed; None: nobody is to be told.
        self.reasons = []
        self.woken = []

    def act(self):
        todo = self.table.todo
        while todo.close:
            handle, lost = todo.close.popleft()
            self.closed.append(handle)
            self.reasons.append(lost and lost())
        while todo.wake:
            waiter = todo.wake.popleft()
            self.woken.append(waiter)
            waiter.wake()

    def enter(self, instance="a", holder="thread", dcc_type="maya", wait=True):
        waiter = Waiter(dcc_type, instance, holder, lambda: None)
        self.table.enter(waiter, self.clock.now, wait)
        self.act()
        return waiter

    def lease(self, instance="a", holder="thread", dcc_type="maya", handle=None):
        """Return a leased place, connected as ``handle`` if it needs a connection."""
        place = self.enter(instance, holder, dcc_type).place
        if place.state == CONNECTING:
            assert self.table.connected(place, handle or place.connection_id, self.clock.now)
        return place

    def end(self, waiter, sound=False):
        self.table.end(waiter, self.clock.now, sound)
        self.act()

    def give_back(self, place):
        self.end(place.waiter, True)

    def release(self, instance="a", holder="thread", dcc_type="maya"):
        self.table.give_back_oldest(dcc_type, instance, holder, self.clock.now)
        self.act()

    def discard(self, place):
        self.end(place.waiter)

    def drop(self, instance="a", dcc_type="maya"):
        self.table.drop(dcc_type, instance, self.clock.now)
        self.act()

    def shut(self):
        self.table.shut()
        self.act()

    def renew(self, place):
        self.table.renew(place)
        self.act()

    def sweep(self):
        count = self.table.sweep(self.clock.now)
        before = len(self.closed)
        self.act()
        assert len(self.closed) - before == count
        return count


@pytest.fixture
def bench():
    return Bench(max_connections_per_type=2)


def test_the_first_has_to_connect(bench):
    place = bench.enter().place
    assert place.state == CONNECTING
    assert bench.table.size() == 0, "it is none yet"
    assert bench.table.connected(place, "socket", bench.clock.now)
    assert (place.state, place.handle) == (LEASED, "socket")
    assert bench.table.size() == bench.table.size("maya") == 1
    assert bench.table.size("houdini") == 0


def test_an_idle_connection_is_used_again(bench):
    place = bench.lease()
    bench.give_back(place)
    assert place.state == IDLE
    assert bench.enter(holder="other").place is place
    assert (place.state, place.waiter.holder) == (LEASED, "other")


def test_two_leases_are_two_connections(bench):
    one, other = bench.lease(), bench.lease()
    assert one.connection_id != other.connection_id
    assert bench.table.size() == 2


def test_the_limit_is_kept_and_counts_each_kind_of_host_alone(bench):
    bench.lease()
    bench.enter()  # still connecting: it counts
    assert bench.enter(wait=False).place is None
    assert bench.enter(dcc_type="houdini", wait=False).place is not None


def test_who_may_not_wait_does_not_stand_in_line(bench):
    first = bench.lease()
    bench.lease()
    bench.enter(wait=False)
    bench.give_back(first)
    assert bench.woken == []
    assert first.state == IDLE


def test_the_line_is_served_in_order(bench):
    places = [bench.lease(), bench.lease()]
    waiting = [bench.enter(holder=name) for name in "xyz"]
    assert [waiter.place for waiter in waiting] == [None] * 3
    bench.give_back(places[1])
    bench.give_back(places[0])
    assert bench.woken == waiting[:2]
    assert [waiter.place for waiter in waiting] == [places[1], places[0], None]
    assert [place.waiter.holder for place in places] == ["y", "x"]


def test_nobody_overtakes_the_line(bench):
    first = bench.lease("a")
    bench.lease("a")
    waiting = bench.enter("b")
    bench.give_back(first)
    newcomer = bench.enter("a", wait=False)
    assert newcomer.place is None, "the idle connection went to the head of the line at once"
    assert waiting.place.state == CONNECTING
    assert bench.closed == [first.connection_id]


def test_who_waited_too_long_leaves_the_line(bench):
    first = bench.lease()
    bench.lease()
    gone, stays = bench.enter(), bench.enter()
    assert bench.table.leave(gone) is None
    assert bench.table.leave(gone) is None
    bench.give_back(first)
    assert bench.woken == [stays]
    assert bench.table.leave(stays) is first


def test_a_place_given_in_the_last_moment_is_kept(bench):
    first = bench.lease()
    bench.lease()
    waiter = bench.enter()
    bench.give_back(first)
    assert bench.table.leave(waiter) is first
    assert first.state == LEASED


def test_failed_connect_gives_its_place_to_the_line(bench):
    bench.lease()
    failing = bench.enter().place
    waiter = bench.enter()
    failed = failing.waiter
    bench.discard(failing)
    assert failing.state == GONE
    assert waiter.place.state == CONNECTING
    assert bench.closed == []
    bench.end(failed)
    assert len(bench.woken) == 1


def test_interrupted_waiter_gives_up_what_it_got(bench):
    first = bench.lease(handle="first")
    bench.lease()
    interrupted, behind = bench.enter("b"), bench.enter("b")
    bench.give_back(first)
    assert interrupted.place is not None
    bench.end(interrupted)
    assert interrupted.place.state == GONE
    assert behind.place.state == CONNECTING
    last = bench.enter("b")
    woken = len(bench.woken)
    bench.end(last)
    assert len(bench.woken) == woken
    bench.discard(behind.place)
    assert last.place is None


def test_discarding_a_lease_closes_it(bench):
    place = bench.lease(handle="socket")
    waiter = place.waiter
    bench.discard(place)
    assert bench.closed == ["socket"]
    assert bench.table.size() == 0
    bench.end(waiter, True)
    assert bench.table.size() == 0


def test_idle_connections_of_other_instances_make_room_the_longest_unused_first(bench):
    old, young = bench.lease("a", handle="old"), bench.lease("b", handle="young")
    bench.give_back(old)
    bench.clock.advance(1)
    bench.give_back(young)
    place = bench.enter("c").place
    assert place.state == CONNECTING
    assert bench.closed == ["old"]
    assert old.state == GONE
    assert bench.enter("b").place is young


def test_leased_connections_never_make_room(bench):
    bench.lease("a")
    bench.lease("b")
    assert bench.enter("c", wait=False).place is None
    assert bench.closed == []


def test_the_connection_used_last_is_used_next(bench):
    one, other = bench.lease(), bench.lease()
    bench.give_back(other)
    bench.clock.advance(1)
    bench.give_back(one)
    assert bench.enter().place is one


def test_releasing_frees_the_oldest_lease_of_this_thread(bench):
    bench = Bench()
    first, second = bench.lease(), bench.lease()
    others = bench.lease(holder="other")
    bench.release()
    assert [p.state for p in (first, second, others)] == [IDLE, LEASED, LEASED]
    assert bench.lease() is first, "leased again: now the younger of the two"
    bench.release()
    assert [p.state for p in (first, second, others)] == [LEASED, IDLE, LEASED]


@pytest.mark.parametrize("whose", [{"holder": "other"}, {"instance": "b"}, {"dcc_type": "houdini"}])
def test_releasing_what_one_does_not_hold_is_nothing(bench, whose):
    place = bench.lease()
    bench.release(**whose)
    assert place.state == LEASED


def test_releasing_twice_is_nothing(bench):
    place = bench.lease()
    former = place.waiter
    bench.release()
    bench.release()
    bench.end(former, True)
    assert place.state == IDLE
    assert bench.lease() is place
    bench.end(former)
    assert place.state == LEASED, "it is somebody else's now"


def test_dead_connection_is_made_anew_on_its_place(bench):
    place = bench.lease(handle="dead")
    identity = place.connection_id
    bench.enter("b")
    waiter = bench.enter("b")
    bench.renew(place)
    assert bench.closed == ["dead"]
    assert (place.state, place.handle) == (CONNECTING, None)
    assert place.connection_id != identity
    assert waiter.place is None, "the place was not up for grabs meanwhile"


def test_idle_and_old_connections_go_and_leased_ones_stay():
    bench = Bench(max_idle_time=10, max_lifetime=100)
    place, leased = bench.lease(), bench.lease()
    bench.give_back(place)
    bench.clock.advance(10)
    assert bench.sweep() == 0, "exactly the limit is not over it"
    bench.clock.advance(0.001)
    assert bench.sweep() == 1
    assert place.state == GONE
    bench.clock.advance(100)
    assert bench.sweep() == 0
    bench.give_back(leased)
    assert bench.sweep() == 1, "not idle for long, but old"


def test_connection_over_its_time_is_not_lent_again():
    bench = Bench(max_idle_time=10, max_lifetime=100)
    place = bench.lease(handle="first")
    bench.give_back(place)
    bench.clock.advance(11)
    assert bench.enter().place is place
    assert place.state == CONNECTING
    assert bench.closed == ["first"]
    bench.table.connected(place, "second", bench.clock.now)
    for _ in range(11):
        bench.give_back(place)
        bench.clock.advance(9.5)
        bench.lease(handle="third")
    assert bench.closed == ["first", "second"]


def test_idle_ones_can_be_looked_at_and_given_up_unless_lent_meanwhile(bench):
    one, other = bench.lease(), bench.lease()
    bench.give_back(one)
    bench.give_back(other)
    bench.clock.advance(5)
    assert bench.table.idle(5, bench.clock.now) == []
    bench.clock.advance(0.001)
    found = bench.table.idle(5, bench.clock.now)
    assert {place.connection_id for place in found} == {one.connection_id, other.connection_id}
    lent = bench.enter().place
    assert bench.table.evict(found) == 1
    bench.act()
    assert lent.state == LEASED
    assert len(bench.closed) == 1


def test_callers_are_counted_per_instance(bench):
    bench = Bench()
    bench.lease("a")
    bench.enter("a")
    bench.give_back(bench.lease("b"))
    assert bench.table.in_flight("maya") == {"a": 2}
    assert bench.table.in_flight("houdini") == {}


def test_leaving_instance_takes_its_connections_with_it():
    bench = Bench()
    leased, idle = bench.lease("a", handle="leased"), bench.lease("a", handle="idle")
    bench.give_back(idle)
    connecting = bench.enter("a").place
    other = bench.lease("b")
    bench.drop("a")
    assert sorted(bench.closed) == ["idle", "leased"]
    assert [p.state for p in (leased, idle, connecting, other)] == [GONE, GONE, GONE, LEASED]
    assert not bench.table.connected(connecting, "late", bench.clock.now)
    assert connecting.handle is None
    for place in (leased, connecting):
        with pytest.raises(ServiceNotFound, match="dcc_type=maya, instance_id=a"):
            raise place.lost()
    assert bench.table.size() == 1


def test_leaving_instance_ends_the_wait_for_it(bench):
    bench.lease("b")
    bench.lease("b")
    waiting, other = bench.enter("a"), bench.enter("b")
    bench.drop("a")
    assert bench.woken == [waiting]
    with pytest.raises(ServiceNotFound, match="dcc_type=maya, instance_id=a"):
        bench.table.leave(waiting)
    assert bench.table.leave(other) is None


def test_leaving_instance_makes_room_for_the_others_in_line(bench):
    bench.lease("a")
    bench.lease("a")
    waiting = bench.enter("b")
    bench.drop("a")
    assert bench.woken == [waiting]
    assert bench.table.leave(waiting).state == CONNECTING


def test_an_end_in_the_middle_of_a_change_is_made_up_for(bench):
    idle = bench.lease()
    bench.give_back(idle)
    # As by a signal handler; it must not find the change half done, and cannot wait for it.
    with bench.table._lock:
        bench.shut()
    assert bench.closed == []
    bench.table.settle(bench.clock.now)
    bench.act()
    assert bench.closed == [idle.connection_id]
    with pytest.raises(Shutdown):
        bench.enter()


def test_shutting_down_ends_everything(bench):
    borrower = bench.lease(handle="leased").waiter
    connecting = bench.enter().place
    waiting = [bench.enter(), bench.enter("b")]
    bench.shut()
    assert bench.closed == ["leased"]
    assert bench.woken == waiting
    for waiter in waiting:
        with pytest.raises(Shutdown):
            bench.table.leave(waiter)
    assert not bench.table.connected(connecting, "late", bench.clock.now)
    with pytest.raises(Shutdown):
        bench.enter()
    bench.end(borrower, True)
    bench.end(borrower)
    assert bench.table.size() == 0
    bench.shut()
    assert (len(bench.closed), len(bench.woken)) == (1, 2)


def test_place_given_and_then_taken_away_is_not_handed_out(bench):
    first = bench.lease()
    bench.lease()
    waiter = bench.enter()
    bench.give_back(first)
    bench.shut()
    with pytest.raises(Shutdown):
        bench.table.leave(waiter)


def test_no_room_at_all_is_a_line_that_never_moves():
    bench = Bench(max_connections_per_type=0)
    assert bench.enter(wait=False).place is None
    assert bench.table.leave(bench.enter()) is None


def test_forked_child_owns_nothing_and_finds_a_free_lock(bench):
    bench.lease(handle="leased")
    bench.give_back(bench.lease(handle="idle"))
    bench.table._lock.acquire()  # some thread of the parent was in the middle of something
    assert sorted(bench.table.disown()) == ["idle", "leased"]
    assert bench.table.size() == 0
    assert bench.enter().place.state == CONNECTING
