"""What one end of a framed connection waits for: each is settled exactly once."""

from __future__ import annotations

from typing import Any, Optional

from ..transport_errors import CallFailed, CallTimeout, PingTimeout, TransportError
from ..wire.messages import Response

__all__ = ["Call", "Greeting", "Pending", "Probe", "fresh"]


def fresh(error: TransportError) -> TransportError:
    """Return an error like ``error``, to be raised.

    One that is raised on two threads mixes their tracebacks, and one that is raised by a function
    whose caller keeps it makes a cycle of both.
    """
    return type(error)(*error.args)


class Pending:
    """Something that an answer, an error or the end of its time settles.

    ``deadline``: monotonic seconds, None for ever. ``waiter`` is the shell's, for whom to wake.
    """

    __slots__ = ("deadline", "done", "error", "timeout_ms", "waiter")
    #: 1: what settles it is read from the peer; 2: it is written to the peer.
    needs = 1

    def __init__(self, deadline: Optional[float] = None, timeout_ms: int = 0) -> None:
        self.deadline = deadline
        self.timeout_ms = timeout_ms
        self.done = False
        self.error: Optional[TransportError] = None
        self.waiter: Any = None

    def fail(self, error: TransportError) -> None:
        """Settle with ``error``."""
        self.error = error
        self.done = True

    def demand(self) -> None:
        """Raise what settled it, if that was an error."""
        if self.error is not None:
            raise fresh(self.error)


class Call(Pending):
    """A request of ours; ``response`` is its answer."""

    __slots__ = ("id", "method", "response")

    def __init__(
        self, ident: bytes, method: str, deadline: Optional[float], timeout_ms: int
    ) -> None:
        # The fields of the base too, without a call: this is on every call's way.
        self.id = ident
        self.method = method
        self.deadline = deadline
        self.timeout_ms = timeout_ms
        self.done = False
        self.error = None
        self.waiter = None
        self.response: Optional[Response] = None

    def timeout(self) -> TransportError:
        """Return the error for the end of its time."""
        return CallTimeout(self.method, self.timeout_ms)

    def result(self) -> Response:
        """Return the answer of a settled call. Raises what settled it, or CallFailed."""
        if self.error is not None:
            raise fresh(self.error)
        response = self.response
        assert response is not None
        if not response.success:
            raise CallFailed(self.method, response.error or "unknown error")
        return response


class Probe(Pending):
    """A ping of ours; ``round_trip`` is in seconds, by our own monotonic clock."""

    __slots__ = ("id", "round_trip", "sent_at")

    def __init__(
        self, ident: bytes, sent_at: float, deadline: Optional[float], timeout_ms: int
    ) -> None:
        super().__init__(deadline, timeout_ms)
        self.id = ident
        self.sent_at = sent_at
        self.round_trip = 0.0

    def timeout(self) -> TransportError:
        """Return the error for the end of its time."""
        return PingTimeout(self.timeout_ms)


class Greeting(Pending):
    """The hello."""

    __slots__ = ()
