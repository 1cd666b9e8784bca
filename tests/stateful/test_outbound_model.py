"""The tracker against a model that is two lists, searched from end to end, under a fake clock."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dcc_mcp_embed.rpc.outbound import DeliveryReceipt, OutboundTracker, RouteKey, TrackerFull
from examples import examples
from fakes.clock import FakeClock

TTL = 3.0
MESSAGES, DRIVERS, EXTERNALS = "mno", ["d1", "d2", "d3"], ["e1", "e2", "e3"]
ROUTE = RouteKey("maya")

messages = st.sampled_from(MESSAGES)
drivers = st.sampled_from(DRIVERS)


class TrackerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        #: (message, driver, when it expires, number) and (external id, when, receipt), in order.
        self.pending = []
        self.receipts = []
        self.number = 0

    @initialize(bound=st.none() | st.integers(1, 4))
    def make(self, bound):
        self.bound = bound
        self.tracker = OutboundTracker(TTL, clock=self.clock, max_records=bound)

    # -- the model's own rules ----------------------------------------------------------------

    def forget_the_expired(self):
        self.pending = [one for one in self.pending if one[2] > self.clock.now]
        self.receipts = [one for one in self.receipts if one[1] > self.clock.now]

    def with_message(self, message, driver=None):
        found = [one for one in self.pending if one[0] == message and driver in (None, one[1])]
        return found[0] if len(found) == 1 else None

    @staticmethod
    def same(record, expected):
        if expected is None:
            return record is None
        return expected == (
            record.internal_message_id,
            record.driver_id,
            record.expires_at,
            record.metadata["number"],
        )

    # -- what callers do ----------------------------------------------------------------------

    @rule(message=messages, driver=drivers)
    def begin(self, message, driver):
        self.number += 1
        metadata = {"number": self.number}
        if self.with_message(message, driver):
            with pytest.raises(ValueError):
                self.tracker.begin_tracking(message, ROUTE, driver, metadata)
        elif self.bound is not None and len(self.pending) >= self.bound:
            with pytest.raises(TrackerFull):
                self.tracker.begin_tracking(message, ROUTE, driver, metadata)
        else:
            record = self.tracker.begin_tracking(message, ROUTE, driver, metadata)
            self.pending.append((message, driver, self.clock.now + TTL, self.number))
            assert self.same(record, self.pending[-1])

    @rule(
        message=messages,
        driver=st.none() | drivers,
        external=st.none() | st.sampled_from(EXTERNALS),
    )
    def finish(self, message, driver, external):
        receipt = DeliveryReceipt(message, "sent", driver, external)
        expected = self.with_message(message, driver)
        assert self.same(self.tracker.finish_tracking(receipt), expected)
        if expected is not None:
            self.pending.remove(expected)
        if external is not None:
            self.receipts = [one for one in self.receipts if one[0] != external]
            self.receipts.append((external, self.clock.now + TTL, receipt))
            if self.bound is not None:
                self.receipts = self.receipts[-self.bound :]

    # What has expired is to meet each kind of call first now and then, so looking is no invariant.

    @rule(
        seconds=st.sampled_from([1.0, 1.0, TTL - 1.0, TTL]),
        look=st.sampled_from(["pending", "list", "receipts", None]),
    )
    def time_passes(self, seconds, look):
        self.clock.advance(seconds)
        self.forget_the_expired()
        if look is not None:
            getattr(self, "check_" + look)()

    @precondition(lambda self: self.number % 10 == 9)
    @rule()
    def clear(self):
        self.number += 1
        self.tracker.clear()
        self.pending, self.receipts = [], []

    # -- what must be true --------------------------------------------------------------------

    def check_pending(self):
        for message in MESSAGES:
            for driver in (None, *DRIVERS):
                record = self.tracker.get_pending(message, driver)
                assert self.same(record, self.with_message(message, driver))

    def check_list(self):
        listed = self.tracker.list_pending()
        assert len(listed) == len(self.pending)
        assert all(map(self.same, listed, self.pending))

    def check_receipts(self):
        kept = {external: receipt for external, _, receipt in self.receipts}
        for external in EXTERNALS:
            assert self.tracker.get_receipt_by_external_id(external) is kept.get(external)

    def teardown(self):
        self.check_list()
        self.check_pending()
        self.check_receipts()


TestTracker = TrackerMachine.TestCase
TestTracker.settings = settings(max_examples=examples(100), stateful_step_count=50)
