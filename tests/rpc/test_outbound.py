"""The tracker of what has been sent: matching, expiry, bounds, memory, threads."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import sys
import threading
import tracemalloc
import weakref

import pytest

from dcc_mcp_embed.errors import EmbedError
from dcc_mcp_embed.rpc.outbound import (
    DeliveryReceipt,
    OutboundTracker,
    PendingOutboundRecord,
    RouteKey,
    StoredDeliveryReceipt,
    TrackerFull,
)
from fakes.clock import FakeClock

TTL = 10.0
ROUTE = RouteKey("maya", instance_id="i1")


class Tracked:
    """A tracker, its clock, and short names for what is done to it."""

    def __init__(self, ttl=TTL, clock=None, max_records=None):
        self.clock = clock or FakeClock()
        self.tracker = OutboundTracker(ttl, clock=self.clock, max_records=max_records)
        self.pending = self.tracker.get_pending
        self.receipt = self.tracker.get_receipt_by_external_id

    def begin(self, message, driver="d1", **more):
        return self.tracker.begin_tracking(message, ROUTE, driver, **more)

    def finish(self, message, driver=None, external=None):
        return self.tracker.finish_tracking(DeliveryReceipt(message, "sent", driver, external))


@pytest.fixture
def it():
    return Tracked()


# The values.


def test_values_take_keywords_and_have_defaults():
    assert RouteKey("maya") == RouteKey(dcc_type="maya", instance_id=None, session_id=None)
    receipt = DeliveryReceipt(internal_message_id="m", status="failed", error="gone")
    assert receipt == DeliveryReceipt("m", "failed", None, None, "gone", {})
    record = PendingOutboundRecord(internal_message_id="m", route_key=ROUTE, driver_id="d")
    assert record == PendingOutboundRecord("m", ROUTE, "d", 0.0, 0.0, {})
    assert StoredDeliveryReceipt(receipt) == StoredDeliveryReceipt(receipt, 0.0, 0.0)
    assert {ROUTE: 1}[RouteKey("maya", "i1")] == 1


def test_no_two_values_share_their_default_metadata():
    one, other = DeliveryReceipt("m", "sent"), DeliveryReceipt("m", "sent")
    one.metadata["seen"] = True
    assert other.metadata == {}
    assert PendingOutboundRecord("m", ROUTE, "d").metadata == {}
    mine = {"a": 1}
    assert DeliveryReceipt("m", "sent", metadata=mine).metadata is mine


@pytest.mark.parametrize(
    "value",
    [
        ROUTE,
        DeliveryReceipt("m", "sent", metadata={"a": 1}),
        PendingOutboundRecord("m", ROUTE, "d", 1.0, 2.0),
        StoredDeliveryReceipt(DeliveryReceipt("m", "sent")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_small_fixed_and_copied_whole(value):
    assert not hasattr(value, "__dict__")
    with pytest.raises(AttributeError):
        setattr(value, value._fields[0], "other")
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), value._replace()):
        assert twin == value
        assert type(twin) is type(value)
    assert repr(value).startswith(type(value).__name__ + "(" + value._fields[0] + "=")


# One message's life.


def test_begin_says_what_it_remembers(it):
    record = it.begin("m", metadata={"method": "render"})
    assert record == PendingOutboundRecord(
        "m", ROUTE, "d1", it.clock.now, it.clock.now + TTL, {"method": "render"}
    )
    assert it.pending("m") is record
    assert it.pending("m", "d1") is record


def test_metadata_is_the_record_s_own(it):
    mine = {"attempt": 1}
    record = it.begin("m", metadata=mine)
    mine["attempt"] = 2
    assert record.metadata == {"attempt": 1}
    assert it.begin("n").metadata == {}


def test_a_message_is_pending_once_per_driver(it):
    first = it.begin("m")
    with pytest.raises(ValueError, match="'m' is pending with driver 'd1' already: finish"):
        it.begin("m", metadata={"second": True})
    assert it.pending("m") is first
    it.begin("m", "d2")
    it.finish("m", "d1")
    it.begin("m", "d1")


def test_finish_settles_once(it):
    record = it.begin("m")
    assert it.finish("m", "d1") is record
    assert it.finish("m", "d1") is None
    assert it.pending("m") is None


def test_finish_by_another_driver_settles_nothing(it):
    record = it.begin("m")
    assert it.finish("m", "d2") is None
    assert it.pending("m") is record


@pytest.mark.parametrize("driver", [None, ""])
def test_without_a_driver_the_only_record_is_meant(it, driver):
    record = it.begin("m")
    it.begin("n")
    assert it.pending("m", driver) is record
    assert it.finish("m", driver) is record
    assert it.pending("m", driver) is None
    assert it.pending("n", driver) is not None


@pytest.mark.parametrize("driver", [None, ""])
def test_without_a_driver_several_records_are_as_good_as_none(it, driver):
    records = {name: it.begin("m", name) for name in ("d1", "d2", "d3")}
    for name in ("d2", "d1"):
        assert it.pending("m", driver) is None
        assert it.finish("m", driver) is None
        assert it.finish("m", name) is records[name]
    assert it.pending("m", driver) is records["d3"]
    records["d1"] = it.begin("m", "d1")
    assert it.pending("m", driver) is None
    assert it.finish("m", "d3") is records["d3"]
    assert it.finish("m", driver) is records["d1"]


def test_list_pending_is_in_order_and_by_driver(it):
    records = [it.begin(message, driver) for message, driver in ("b1", "a2", "a1", "c2")]
    assert it.tracker.list_pending() == records
    assert it.tracker.list_pending("1") == [records[0], records[2]]
    assert it.tracker.list_pending("3") == []
    it.finish("a", "2")
    assert it.tracker.list_pending("2") == [records[3]]


# Receipts.


def test_a_receipt_is_found_by_its_external_id(it):
    it.begin("m")
    receipt = DeliveryReceipt("m", "sent", "d1", "epoch/m", metadata={"result": b"x"})
    it.tracker.finish_tracking(receipt)
    assert it.receipt("epoch/m") is receipt
    assert it.receipt("m") is None


def test_a_receipt_is_kept_whatever_was_pending(it):
    assert it.finish("never begun", "d1", "e1") is None
    it.begin("m", "d1")
    it.begin("m", "d2")
    assert it.finish("m", None, "e2") is None
    assert it.receipt("e1").internal_message_id == "never begun"
    assert it.receipt("e2").internal_message_id == "m"


@pytest.mark.parametrize("external", [None, ""])
def test_a_receipt_without_external_id_is_not_kept(it, external):
    it.begin("m")
    assert it.finish("m", "d1", external) is not None
    assert it.receipt("") is None


def test_a_receipt_stored_again_is_renewed(it):
    it.finish("old", None, "e")
    it.clock.advance(TTL - 1)
    it.finish("between", None, "f")
    it.finish("new", None, "e")
    it.clock.advance(TTL - 1)  # the first would be gone long since
    assert it.receipt("e").internal_message_id == "new"
    it.clock.advance(1)
    assert it.receipt("e") is None
    assert it.receipt("f") is None


def test_what_cannot_be_kept_leaves_the_message_pending(it):
    record = it.begin("m")
    with pytest.raises(TypeError):
        it.finish("m", "d1", external=["no", "key"])
    assert it.pending("m") is record


# Time.


def test_a_pending_message_expires_at_its_moment(it):
    record = it.begin("m")
    it.clock.advance(TTL - 0.001)
    assert it.pending("m") is record
    it.clock.now = record.expires_at
    assert it.pending("m") is None
    assert it.pending("m", "d1") is None
    assert it.tracker.list_pending() == []


def test_a_receipt_expires_at_its_moment(it):
    it.finish("m", "d1", "e")
    it.clock.advance(TTL - 0.001)
    assert it.receipt("e") is not None
    it.clock.advance(0.001)
    assert it.receipt("e") is None


def test_an_expired_message_can_begin_anew_and_its_late_receipt_is_kept(it):
    it.begin("m")
    it.clock.advance(TTL)
    assert it.finish("m", "d1", "e") is None
    assert it.receipt("e") is not None
    again = it.begin("m")
    assert it.pending("m") is again


def test_an_early_end_does_not_shorten_the_next_life(it):
    it.begin("m")
    it.clock.advance(TTL / 2)
    it.finish("m")
    again = it.begin("m")
    it.clock.advance(TTL / 2)  # the first would expire now
    assert it.pending("m") is again
    it.clock.advance(TTL / 2)
    assert it.pending("m") is None


def test_expiry_leaves_the_only_record_that_is_left(it):
    it.begin("m", "d1")
    it.clock.advance(1)
    later = it.begin("m", "d2")
    it.clock.advance(TTL - 1)
    assert it.pending("m") is later
    assert it.finish("m") is later


def test_without_end_nothing_expires():
    it = Tracked(ttl=math.inf)
    record = it.begin("m")
    it.finish("n", None, "e")
    it.clock.advance(1e12)
    assert record.expires_at == math.inf
    assert it.pending("m") is record
    assert it.receipt("e") is not None


def test_clear_forgets_everything(it):
    it.begin("m")
    it.finish("n", "d1", "e")
    it.tracker.clear()
    assert it.pending("m") is None
    assert it.receipt("e") is None
    record = it.begin("m")
    it.clock.advance(TTL - 1)
    assert it.pending("m") is record
    it.clock.advance(1)
    assert it.pending("m") is None


def test_the_system_s_clock_is_the_default():
    tracker = OutboundTracker()
    record = tracker.begin_tracking("m", ROUTE, "d")
    assert record.expires_at == record.created_at + 1800.0
    assert tracker.get_pending("m") is record


@pytest.mark.parametrize("ttl", [0, -1.5, math.nan])
def test_a_life_of_no_length_is_refused(ttl):
    with pytest.raises(ValueError, match="ttl_seconds must be more than 0, not .*: give"):
        OutboundTracker(ttl)


# The bound.


@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_below_one_is_refused(bound):
    with pytest.raises(ValueError, match="max_records must be at least 1, not .*: give None"):
        OutboundTracker(max_records=bound)


def test_one_pending_message_too_many_is_refused():
    it = Tracked(max_records=2)
    kept = [it.begin("a"), it.begin("b")]
    with pytest.raises(TrackerFull, match="2 messages are pending.*raise max_records") as caught:
        it.begin("c")
    assert isinstance(caught.value, EmbedError)
    assert not isinstance(caught.value, ValueError)
    assert caught.value.max_records == 2
    assert it.tracker.list_pending() == kept
    assert it.pending("c") is None
    it.finish("a")
    it.begin("c")
    with pytest.raises(ValueError, match="already"):
        it.begin("c")
    it.clock.advance(TTL)
    it.begin("d")
    it.begin("e")


def test_one_receipt_too_many_costs_the_oldest_its_place():
    it = Tracked(max_records=2)
    for external in ("e1", "e2", "e1", "e3"):  # e1 is renewed, so e2 is the oldest
        it.finish("m", None, external)
    assert it.receipt("e2") is None
    assert it.receipt("e1") is not None
    assert it.receipt("e3") is not None


def test_receipts_and_pending_messages_leave_each_other_alone():
    it = Tracked(max_records=1)
    it.finish("m", None, "e")
    record = it.begin("n")
    assert it.receipt("e") is not None
    it.finish("m", None, "f")
    assert it.pending("n") is record
    assert it.receipt("f") is not None


# Cost.


class Counted(str):
    """A message's id that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_nothing_is_searched_through(it):
    for number in range(2000):
        it.begin(Counted(number))
    for number in range(2000):
        it.begin(Counted("everywhere"), "d{}".format(number))
    for step in (
        lambda: it.pending(Counted("1000")),
        lambda: it.pending(Counted("absent")),
        lambda: it.pending(Counted("everywhere")),
        lambda: it.finish(Counted("everywhere")),
        lambda: it.finish(Counted("1000")),
        lambda: it.begin(Counted("new")),
    ):
        Counted.compared = 0
        step()
        assert Counted.compared < 20


class Thing:
    """Something in metadata whose end can be seen."""


def test_a_settled_message_is_let_go_at_once(it):
    things = {name: Thing() for name in ("finished", "doubled")}
    alive = {name: weakref.ref(thing) for name, thing in things.items()}
    it.begin("finished", metadata={"thing": things["finished"]})
    it.begin("doubled", "d1", metadata={"thing": things["doubled"]})
    it.begin("doubled", "d2")
    things.clear()
    it.finish("finished")
    it.finish("doubled", "d1")
    gc.collect()
    assert alive["finished"]() is None
    assert alive["doubled"]() is None


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.begin("x"),
        lambda it: it.finish("x"),
        lambda it: it.pending("x"),
        lambda it: it.receipt("x"),
        lambda it: it.tracker.list_pending(),
        lambda it: it.tracker.clear(),
    ],
    ids="begin finish pending receipt list clear".split(),
)
def test_whatever_is_called_lets_go_of_what_has_expired(it, call):
    thing, kept = Thing(), Thing()
    alive = weakref.ref(thing), weakref.ref(kept)
    it.begin("m", metadata={"thing": thing})
    it.tracker.finish_tracking(DeliveryReceipt("n", "sent", None, "e", None, {"thing": kept}))
    del thing, kept
    it.clock.advance(TTL)
    call(it)
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


@pytest.fixture
def held():
    """Return how many bytes have been taken since the test began, and not given back."""
    tracemalloc.start()

    def measure():
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    before = 0
    before = measure()
    yield measure
    tracemalloc.stop()


@pytest.mark.edges
def test_what_is_finished_early_leaves_nothing_behind(held):
    it = Tracked(ttl=1e9)
    for number in range(10000):
        it.clock.advance(0.001)
        it.begin(str(number))
        it.finish(str(number), None, "the same")
    assert held() < 50_000  # 10 000 forgotten entries of any kind take half a megabyte


@pytest.mark.edges
def test_the_room_of_every_burst_is_given_back(it, held):
    for _ in range(2):
        for number in range(8000):
            it.begin(str(number))
            it.finish(str(number) if number % 2 else None, None, str(number))
        assert held() > 1_000_000
        for _ in range(4):  # somebody keeps sending, so it is never empty
            it.clock.advance(TTL / 2)
            it.begin("later", str(it.clock.now))
        assert len(it.tracker.list_pending()) == 2
        assert held() < 50_000


def test_room_is_not_given_back_for_every_message_that_expires(it):
    """Else each of many that expire one by one would cost a copy of all the others."""
    for number in range(1000):
        it.begin(str(number))
        it.clock.advance(TTL / 1000)
    before = it.tracker._pending
    copies = 0
    for number in range(1000, 2000):
        it.begin(str(number))
        it.clock.advance(TTL / 1000)
        copies += it.tracker._pending is not before
        before = it.tracker._pending
    assert len(it.tracker.list_pending()) in (999, 1000, 1001)
    assert 1 <= copies <= 3


# Threads.


@pytest.fixture
def frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(count, work):
    """Run ``work(number)`` in so many threads at once; return what they returned, or raise."""
    results, errors = [None] * count, []
    barrier = threading.Barrier(count)

    def run(number):
        try:
            barrier.wait(30)
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results


ROUNDS = 300


@pytest.mark.usefixtures("frequent_switches")
def test_of_many_threads_one_begins_and_one_finishes():
    it = Tracked(max_records=ROUNDS)

    def work(_):
        begun, finished = 0, 0
        for number in range(ROUNDS):
            try:
                it.begin(str(number))
                begun += 1
            except ValueError:
                pass
        barrier.wait(30)
        for number in range(ROUNDS):
            finished += it.finish(str(number)) is not None
        return begun, finished

    barrier = threading.Barrier(4)
    results = together(4, work)
    assert sum(begun for begun, _ in results) == ROUNDS
    assert sum(finished for _, finished in results) == ROUNDS
    assert it.tracker.list_pending() == []


class TickingClock(FakeClock):
    """Time passes whenever it is asked for. Only ever asked under the tracker's lock."""

    def monotonic(self):
        self.now += 0.01
        return self.now


@pytest.mark.usefixtures("frequent_switches")
def test_threads_share_messages_while_time_passes():
    """Every thread is a driver of the same messages, so the index changes shape all the time."""
    it = Tracked(ttl=1e6, clock=TickingClock())

    def work(number):
        driver = "d{}".format(number)
        for turn in range(ROUNDS):
            message = str(turn % 3)
            record = it.begin(message, driver)
            assert it.pending(message, driver) is record
            alone = it.pending(message)
            assert alone is None or alone.internal_message_id == message
            external = "{}/{}".format(driver, turn)
            assert it.finish(message, driver, external) is record
            assert it.receipt(external).driver_id == driver
        return True

    assert together(4, work) == [True] * 4
    assert it.tracker.list_pending() == []
    assert [it.pending(str(message)) for message in range(3)] == [None] * 3
    assert it.receipt("d0/{}".format(ROUNDS - 1)) is not None
    it.clock.advance(1e6)
    assert it.receipt("d0/{}".format(ROUNDS - 1)) is None


class HeldClock(FakeClock):
    """Holds whoever asks for the time on a thread called "held", until it is released."""

    def __init__(self):
        super().__init__()
        self.asked, self.released = threading.Event(), threading.Event()

    def monotonic(self):
        now = super().monotonic()
        if threading.current_thread().name == "held":
            self.asked.set()
            assert self.released.wait(30)
        return now


def test_the_order_of_arrival_is_the_order_of_time():
    """Who has read the time first is in the table first, however long it was held up since."""
    clock = HeldClock()
    tracker = OutboundTracker(TTL, clock=clock)
    first = threading.Thread(
        target=tracker.begin_tracking, args=("first", ROUTE, "d"), name="held", daemon=True
    )
    second = threading.Thread(
        target=tracker.begin_tracking, args=("second", ROUTE, "d"), daemon=True
    )
    first.start()
    assert clock.asked.wait(30)
    clock.advance(1)
    second.start()
    second.join(0.05)
    assert second.is_alive()
    clock.released.set()
    first.join(30)
    second.join(30)
    records = tracker.list_pending()
    assert [one.internal_message_id for one in records] == ["first", "second"]
    assert records[0].created_at < records[1].created_at
