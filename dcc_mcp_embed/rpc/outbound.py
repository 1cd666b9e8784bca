"""What has been sent and is not settled yet, and how the settled ended: a table with a memory.

A *driver* carries a message; the *internal* id is the sender's name for it, the *external* id the
receiver's. A message is pending from ``begin_tracking`` until ``finish_tracking`` brings its
receipt, which can then be found by its external id. Both are kept ``ttl_seconds``.

No queue of expiries stands beside the tables. All records of a tracker live equally long and the
time is read under the lock, so the order of arrival is the order of expiry: each table is in that
order, the next to expire is its first, and what is finished early leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type, TypeVar, Union

from ..clock import Clock, SystemClock
from ..errors import EmbedError
from ..records import NamedTuple

__all__ = [
    "DeliveryReceipt",
    "OutboundTracker",
    "PendingOutboundRecord",
    "RouteKey",
    "StoredDeliveryReceipt",
    "TrackerFull",
]

_NEVER = float("inf")

_Receipt = TypeVar("_Receipt", bound="DeliveryReceipt")
_Record = TypeVar("_Record", bound="PendingOutboundRecord")
_Kept = TypeVar("_Kept", "PendingOutboundRecord", "StoredDeliveryReceipt")


class RouteKey(NamedTuple):
    """Where a message goes. What is None was left to whoever chose the driver."""

    dcc_type: str
    instance_id: Optional[str] = None
    session_id: Optional[str] = None


class _ReceiptFields(NamedTuple):
    internal_message_id: str
    status: str
    driver_id: Optional[str]
    external_message_id: Optional[str]
    error: Optional[str]
    metadata: Dict[str, Any]


class DeliveryReceipt(_ReceiptFields):
    """How a delivery ended. ``status`` is the sender's own word for it.

    Without a ``driver_id`` it is about the one driver that has the message pending; without an
    ``external_message_id`` it is not kept. ``metadata`` defaults to a new, empty dictionary.
    """

    __slots__ = ()

    def __new__(
        cls: Type[_Receipt],
        internal_message_id: str,
        status: str,
        driver_id: Optional[str] = None,
        external_message_id: Optional[str] = None,
        error: Optional[str] = None,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> _Receipt:
        extra = {} if metadata is None else metadata
        return super().__new__(
            cls, internal_message_id, status, driver_id, external_message_id, error, extra
        )


class _RecordFields(NamedTuple):
    internal_message_id: str
    route_key: RouteKey
    driver_id: str
    created_at: float
    expires_at: float
    metadata: Dict[str, Any]


class PendingOutboundRecord(_RecordFields):
    """A message under way. Times are monotonic seconds; ``metadata`` as for a receipt."""

    __slots__ = ()

    def __new__(
        cls: Type[_Record],
        internal_message_id: str,
        route_key: RouteKey,
        driver_id: str,
        created_at: float = 0.0,
        expires_at: float = 0.0,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> _Record:
        extra = {} if metadata is None else metadata
        return super().__new__(
            cls, internal_message_id, route_key, driver_id, created_at, expires_at, extra
        )


class StoredDeliveryReceipt(NamedTuple):
    """A receipt that is kept. Times are monotonic seconds."""

    receipt: DeliveryReceipt
    stored_at: float = 0.0
    expires_at: float = 0.0


class TrackerFull(EmbedError):
    """As many messages are pending as the tracker was allowed; this one is not tracked."""

    def __init__(self, max_records: int) -> None:
        super().__init__(
            "{} messages are pending, and max_records allows no more: finish some of them before "
            "the next, or raise max_records".format(max_records)
        )
        self.max_records = max_records


class OutboundTracker:
    """Pending messages and the receipts of finished ones. Any thread.

    Whatever is ``ttl_seconds`` old is gone, pending or not: at ``expires_at`` it is already. A
    message that may take longer needs a longer time; ``math.inf`` keeps everything until it is
    finished, cleared or, if a receipt, crowded out.

    ``max_records`` bounds the pending messages and, separately, the receipts. One receipt too many
    costs the oldest its place. One pending message too many is refused with TrackerFull: nobody
    could tell any more what became of a message that had to make room, while one that is not sent
    has harmed nothing.

    Each method is O(1), amortised, however much is kept, but for ``list_pending`` and ``clear``.
    Memory is in proportion to what is kept; room that a burst took is given back within twice
    ``ttl_seconds``. What has expired is let go by the next call, whichever that is.
    """

    def __init__(
        self,
        ttl_seconds: float = 1800.0,
        *,
        clock: Optional[Clock] = None,
        max_records: Optional[int] = None,
    ) -> None:
        if not ttl_seconds > 0:  # NaN is not
            raise ValueError(
                "ttl_seconds must be more than 0, not {!r}: give the seconds for which to keep "
                "a record".format(ttl_seconds)
            )
        if max_records is not None and max_records < 1:
            raise ValueError(
                "max_records must be at least 1, not {!r}: give None for no bound".format(
                    max_records
                )
            )
        self._ttl = ttl_seconds
        self._max = _NEVER if max_records is None else max_records
        self._monotonic = (clock or SystemClock()).monotonic
        self._lock = threading.Lock()
        self._reset()

    def disown(self) -> None:
        """Begin anew in a forked child: what is pending is its parent's, and so may the lock be."""
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        # Not plain dictionaries: finding the first of one takes longer the more was removed before.
        self._pending: OrderedDict[Tuple[str, str], PendingOutboundRecord] = OrderedDict()
        self._receipts: OrderedDict[str, StoredDeliveryReceipt] = OrderedDict()
        #: By internal id: the record, or if several drivers have the message, theirs by driver.
        self._by_id: Dict[str, Union[PendingOutboundRecord, Dict[str, PendingOutboundRecord]]] = {}
        #: Nothing expires before that.
        self._due = _NEVER
        self._repack_at = -_NEVER

    # -- the life of a message ----------------------------------------------------------------

    def begin_tracking(
        self,
        internal_message_id: str,
        route_key: RouteKey,
        driver_id: str,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> PendingOutboundRecord:
        """Note that ``driver_id`` is about to carry a message; ``metadata`` is copied.

        Raises ValueError while the same driver has the same message pending, and TrackerFull.
        """
        key = (internal_message_id, driver_id)
        extra = dict(metadata) if metadata else {}
        with self._lock:
            now = self._now()
            if key in self._pending:
                raise ValueError(
                    "message {!r} is pending with driver {!r} already: finish that one first, or "
                    "give the new one an id of its own".format(internal_message_id, driver_id)
                )
            if len(self._pending) >= self._max:
                raise TrackerFull(len(self._pending))
            expires_at = self._expiry(now)
            record = PendingOutboundRecord(
                internal_message_id, route_key, driver_id, now, expires_at, extra
            )
            self._pending[key] = record
            self._enter(record)
        return record

    def finish_tracking(self, receipt: DeliveryReceipt) -> Optional[PendingOutboundRecord]:
        """Settle the message that ``receipt`` is about and return what was pending, if anything.

        Without a driver in the receipt, exactly one driver must have the message. The receipt is
        kept if it has an external id, whatever was pending; one with the same external id is
        replaced, and the time of the new one begins now.
        """
        with self._lock:
            now = self._now()
            record = self._find(receipt.internal_message_id, receipt.driver_id)
            if receipt.external_message_id:
                self._keep(receipt.external_message_id, receipt, now)
            if record is not None:
                # In this order Ctrl-C leaves what can be finished again.
                self._leave(record)
                self._pending.pop((record.internal_message_id, record.driver_id), None)
        return record

    # -- looking up ---------------------------------------------------------------------------

    def get_pending(
        self, internal_message_id: str, driver_id: Optional[str] = None
    ) -> Optional[PendingOutboundRecord]:
        """Return the record of a pending message.

        Without a driver it is the only record there is for the message; None if there are several.
        """
        with self._lock:
            self._now()
            return self._find(internal_message_id, driver_id)

    def list_pending(self, driver_id: Optional[str] = None) -> List[PendingOutboundRecord]:
        """Return all that is pending, or pending with one driver; the oldest first."""
        with self._lock:
            self._now()
            records = list(self._pending.values())
        return [one for one in records if one.driver_id == driver_id] if driver_id else records

    def get_receipt_by_external_id(self, external_message_id: str) -> Optional[DeliveryReceipt]:
        """Return the latest receipt under an external id, as long as it is kept."""
        with self._lock:
            self._now()
            stored = self._receipts.get(external_message_id)
        return None if stored is None else stored.receipt

    def clear(self) -> None:
        """Forget everything, pending messages too."""
        with self._lock:
            self._reset()

    # -- under the lock -----------------------------------------------------------------------

    def _now(self) -> float:
        """Return the time; what has expired by then is gone."""
        now = self._monotonic()
        if now >= self._due:
            self._expire(now)
        return now

    def _expiry(self, now: float) -> float:
        """Return when a record that is made now expires."""
        expires_at = now + self._ttl
        if expires_at < self._due:
            self._due = expires_at
        return expires_at

    def _expire(self, now: float) -> None:
        for record in _take_expired(self._pending, now):
            self._leave(record)
        _take_expired(self._receipts, now)
        if now >= self._repack_at:
            # A dictionary keeps the room it once had; a copy has what it needs. All there is was
            # added in the last ttl_seconds, so one copy in that time is O(1) for each addition.
            self._pending = OrderedDict(self._pending)
            self._receipts = OrderedDict(self._receipts)
            self._by_id = dict(self._by_id)
            self._repack_at = now + self._ttl
        self._due = min(_first_expiry(self._pending), _first_expiry(self._receipts))

    def _keep(self, external_message_id: str, receipt: DeliveryReceipt, now: float) -> None:
        # Removed first: a receipt that is renewed goes to the end of the line.
        self._receipts.pop(external_message_id, None)
        self._receipts[external_message_id] = StoredDeliveryReceipt(receipt, now, self._expiry(now))
        if len(self._receipts) > self._max:
            self._receipts.popitem(last=False)

    def _find(
        self, internal_message_id: str, driver_id: Optional[str]
    ) -> Optional[PendingOutboundRecord]:
        if driver_id:
            return self._pending.get((internal_message_id, driver_id))
        found = self._by_id.get(internal_message_id)
        return None if isinstance(found, dict) else found

    def _enter(self, record: PendingOutboundRecord) -> None:
        """Put a record into the index."""
        found = self._by_id.setdefault(record.internal_message_id, record)
        if found is record:
            return
        if not isinstance(found, dict):
            found = self._by_id[record.internal_message_id] = {found.driver_id: found}
        found[record.driver_id] = record

    def _leave(self, record: PendingOutboundRecord) -> None:
        """Take a record out of the index, if it is there."""
        found = self._by_id.get(record.internal_message_id)
        if not isinstance(found, dict):
            if found is record:
                del self._by_id[record.internal_message_id]
            return
        found.pop(record.driver_id, None)
        if len(found) == 1:
            (self._by_id[record.internal_message_id],) = found.values()


def _take_expired(table: OrderedDict[Any, _Kept], now: float) -> List[_Kept]:
    """Remove and return what has expired; the table is in the order of expiry."""
    gone = []
    while _first_expiry(table) <= now:
        gone.append(table.popitem(last=False)[1])
    return gone


def _first_expiry(table: OrderedDict[Any, _Kept]) -> float:
    for kept in table.values():
        return kept.expires_at
    return _NEVER
