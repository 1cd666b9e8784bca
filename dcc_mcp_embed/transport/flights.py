"""A call under way, whatever connection it is on, and the word for how it ended. Pure."""

from __future__ import annotations

from typing import Optional

from ..errors import UnknownOutcome
from ..records import NamedTuple
from ..rpc.pending import Call
from ..transport_errors import CallFailed, CallTimeout
from .link import Link

__all__ = ["Flight", "Leg", "status_of"]

_STATUS = ((CallFailed, "failed"), (CallTimeout, "timeout"), (UnknownOutcome, UnknownOutcome.code))


class Leg(NamedTuple):
    """How a call goes on: over ``link``, whose answer settles ``call``; is it to be sent there?

    ``expected``: the link has been told to expect the answer.
    """

    link: Link
    call: Call
    send: bool
    expected: bool


class Flight:
    """A call under way. Changed under the carrier's lock; its own thread reads ``leg`` as one."""

    __slots__ = (
        "deadline",
        "error",
        "id",
        "landed",
        "leg",
        "method",
        "size",
        "status",
        "text",
        "timeout_ms",
    )

    def __init__(self, method: str, deadline: float, timeout_ms: int) -> None:
        self.method = method
        self.deadline = deadline
        self.timeout_ms = timeout_ms
        #: None until there is a connection for it.
        self.id: Optional[bytes] = None
        self.leg: Leg
        #: What settled it after a reconnect.
        self.error: Optional[UnknownOutcome] = None
        #: How it ended, for the tracker; and whether it has been told.
        self.status = "broken"
        self.text: Optional[str] = None
        self.size = 0
        self.landed = False

    def call(self) -> Call:
        """Return what an answer settles, for one link."""
        assert self.id is not None
        return Call(self.id, self.method, self.deadline, self.timeout_ms)


def status_of(error: BaseException) -> str:
    """Return the word for the receipt of a call that ended with ``error``."""
    for kind, word in _STATUS:
        if isinstance(error, kind):
            return word
    return "broken"
