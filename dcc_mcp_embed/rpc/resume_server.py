"""The server's end of a resume: what became of each call that a client asks about (``resume``)."""

from __future__ import annotations

from typing import Dict, Hashable, List, Optional, Tuple

from ..clock import Clock
from ..errors import RemoteProtocolError
from ..records import NamedTuple
from ..wire.messages import id_text
from .content import new_line, packed, read_id, read_ids, read_line, read_object
from .receipts import UNKNOWN, Outcome, Receipts, Verdict, split
from .resume import STATES

__all__ = ["UNTRACKED", "ResumeServer", "Resumed"]

#: The verdict on a call of a connection that has not resumed: run it, keep no receipt.
UNTRACKED = "untracked"


class Resumed(NamedTuple):
    """``payload`` of the response, and then the answers to send, each under its request's id."""

    payload: bytes
    replays: List[Tuple[bytes, Outcome]]


class ResumeServer:
    """One connection's way to the server's receipts. On the thread of their owner.

    ``waiter`` stands for the connection among those whom ``Receipts.finish`` returns.
    """

    def __init__(self, receipts: Receipts, epoch: str, waiter: Hashable, clock: Clock) -> None:
        self._receipts = receipts
        self._epoch = epoch
        self._waiter = waiter
        self._clock = clock
        #: None until the client has resumed.
        self.line: Optional[bytes] = None

    def resume(self, params: bytes) -> Resumed:
        """Answer a resume request. Raises RemoteProtocolError; its text is for the client."""
        if self.line is not None:
            raise RemoteProtocolError("this connection has resumed already")
        question = read_object(params, "the params of resume")
        ids = read_ids(question)
        asked_line, epoch = read_line(question.get("line")), question.get("epoch")
        below = question.get("below")
        lowest = None if below is None else read_id(below)
        now = self._clock.monotonic()
        known = (
            asked_line is not None
            and epoch == self._epoch
            and self._receipts.attach(asked_line, now)
        )
        states: Dict[str, str] = {}
        replays = []
        if known and asked_line is not None:
            self.line = asked_line
            self._release(lowest)
        else:
            self.line = new_line(self._clock)
            self._receipts.open_line(self.line, now)
        for request_id in ids:
            verdict = self.accept(request_id, only_ask=True)
            states[id_text(request_id)] = STATES[verdict.action]
            if verdict.outcome is not None:
                replays.append((request_id, verdict.outcome))
        answer = {"epoch": self._epoch, "line": self.line.hex(), "states": states}
        return Resumed(packed(answer), replays)

    def accept(self, request_id: bytes, only_ask: bool = False) -> Verdict:
        """Judge a request that must not run twice; one that may be repeated needs no verdict.

        UNTRACKED: this connection has not resumed; the call runs and leaves no receipt.
        """
        if self.line is None:
            return Verdict(UNTRACKED)
        if not request_id.startswith(self.line):
            # Of another line: only its own connections may ask.
            return Verdict(UNKNOWN)
        judge = self._receipts.ask if only_ask else self._receipts.accept
        return judge(request_id, self._waiter, self._clock.monotonic())

    def acknowledge(self, data: bytes) -> None:
        """Take an ``acknowledge`` notification. Raises RemoteProtocolError."""
        said = read_object(data, "the acknowledgement")
        ids, below = read_ids(said), read_id(said.get("below"))
        if self.line is None or read_line(said.get("line")) != self.line:
            return  # late, of a line that this connection has given up
        self._receipts.ack(one for one in ids if one.startswith(self.line))
        self._release(below)

    def closed(self) -> None:
        """The connection is gone: its calls run on, its line waits for the next one."""
        self._receipts.leave(self._waiter)
        # It holds us, mostly.
        self._waiter = None
        if self.line is not None:
            self._receipts.detach(self.line, self._clock.monotonic())
            self.line = None

    def _release(self, below: Optional[bytes]) -> None:
        if below is not None and self.line is not None and below.startswith(self.line):
            self._receipts.release(self.line, split(below)[1])
