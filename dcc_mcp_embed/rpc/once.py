"""The requests of one connection, each run at most once: what to run, what to answer. Pure.

For a server's shell. Every request that has an effect goes through :meth:`OnceServer.judge`; what
it says to run is run, and what came of it goes through :meth:`OnceServer.finish`, which says whom
to tell. The wire's own messages, ``resume`` and ``acknowledge``, are dealt with here.
"""

from __future__ import annotations

from typing import Hashable, List, Optional, Tuple

from ..clock import Clock
from ..errors import RemoteProtocolError, UnknownOutcome
from ..records import NamedTuple
from ..wire.messages import Notify, Request
from .content import failure_payload
from .receipts import JOIN, REPLAY, RUN, Receipts
from .resume import ACKNOWLEDGE, RESUME, lost_outcome
from .resume_server import UNTRACKED, ResumeServer

__all__ = ["Answer", "Judgement", "OnceServer", "failed"]

#: Request id, success, payload, error: what a response says.
Answer = Tuple[bytes, bool, bytes, Optional[str]]


class Judgement(NamedTuple):
    """What to do about a request: ``run`` it, or not; and what to answer now, in order.

    ``kept``: what comes of it must go through :meth:`OnceServer.finish`; if not, it is answered on
    this connection and that is all.
    """

    run: bool
    kept: bool
    answers: List[Answer]


_JOINED = Judgement(False, False, [])
_RUN_KEPT = Judgement(True, True, [])
_RUN_FREE = Judgement(True, False, [])


class OnceServer:
    """One connection's requests. On the thread of the receipts' owner.

    ``waiter`` stands for the connection: it is what :meth:`finish` returns.
    """

    def __init__(self, receipts: Receipts, epoch: str, waiter: Hashable, clock: Clock) -> None:
        self._receipts = receipts
        self._waiter = waiter
        self._clock = clock
        self._resume = ResumeServer(receipts, epoch, waiter, clock)

    def judge(self, request: Request, repeatable: bool = False) -> Judgement:
        """Judge a request that has arrived; a ``resume`` is answered here.

        ``repeatable``: it only reads, or running it twice is as good as once; it leaves no receipt.
        """
        if request.method == RESUME:
            return Judgement(False, False, self._resumed(request))
        if repeatable:
            return _RUN_FREE
        verdict = self._resume.accept(request.id)
        action = verdict.action
        if action == RUN:
            return _RUN_KEPT
        if action == UNTRACKED:
            return _RUN_FREE
        if action == JOIN:
            return _JOINED
        if action == REPLAY and verdict.outcome is not None:
            return Judgement(False, False, [(request.id, *verdict.outcome)])
        return Judgement(False, False, [failed(request.id, lost_outcome(action))])

    def notified(self, notify: Notify) -> bool:
        """Take a notification; False: it is none of the wire's own. Raises RemoteProtocolError."""
        if notify.topic != ACKNOWLEDGE:
            return False
        self._resume.acknowledge(notify.data)
        return True

    def finish(
        self, request_id: bytes, success: bool, payload: bytes, error: Optional[str]
    ) -> List[Hashable]:
        """Keep what came of a call that was judged ``kept``; return the waiters to tell it.

        The connection may have been closed meanwhile. Raises LocalProtocolError if it is not
        running.
        """
        now = self._clock.monotonic()
        return self._receipts.finish(request_id, success, payload, error, now)

    @property
    def waiting(self) -> int:
        """How many answers of kept calls the connection is still to be told."""
        return self._receipts.waiting(self._waiter)

    def closed(self) -> None:
        """The connection is gone: its calls run on."""
        self._resume.closed()
        # It holds us, mostly.
        self._waiter = None

    def _resumed(self, request: Request) -> List[Answer]:
        try:
            resumed = self._resume.resume(request.params)
        except RemoteProtocolError as error:
            return [(request.id, False, b"", str(error))]
        answers: List[Answer] = [(request.id, True, resumed.payload, None)]
        answers += [(request_id, *outcome) for request_id, outcome in resumed.replays]
        return answers


def failed(request_id: bytes, error: UnknownOutcome) -> Answer:
    """Return the answer that says what is not known."""
    return request_id, False, failure_payload(error), error.message
