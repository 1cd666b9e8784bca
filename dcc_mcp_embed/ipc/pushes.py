"""What a SocketServer says to clients unasked: its bytes, and who gets them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, FrozenSet, Iterable, List, Optional, Set, Union

from ..errors import TooLarge
from ..net.loop import Loop
from ..net.promises import offer
from ..wire import jsonrpc
from ..wire.frames import frame
from ..wire.messages import OURS, Notify, encode
from .caller import Caller
from .door import Door
from .functions import shown
from .limits import MAX_DATA
from .protocol import InvalidMessage

__all__ = ["Accounts", "Push", "Pushes"]

#: Whose clients get it: an account's, several accounts', or None for all.
Accounts = Union[None, str, Iterable[str]]


class Push:
    """One push: its frame, and the accounts that are to get it.

    Raises InvalidMessage for what is no push, TooLarge, and TypeError for accounts that are none.
    """

    def __init__(self, type: str, data: Any, to: Accounts) -> None:
        if not isinstance(type, str) or not type:
            raise InvalidMessage(
                "a push's type is a text that is not empty, not {!r:.80}".format(type)
            )
        self._accounts = _accounts(to)
        try:
            size = len(type.encode("utf-8"))
            content = jsonrpc.encode(data)
        except Exception as error:
            # Not TypeError and ValueError only: as with requests, see answers.encode.
            raise InvalidMessage(
                "the push {!r:.80} cannot be sent as JSON: {}".format(type, shown(error, str))
            ) from None
        size += len(content)
        if size > MAX_DATA:
            raise TooLarge(
                "The push {!r} has {} bytes, and {} can be sent at most.".format(
                    type[:100], size, MAX_DATA
                ),
                state="not_started",
            )
        self.frame = frame(encode(Notify(None, type, content), OURS))

    def is_for(self, caller: Caller) -> bool:
        """Return whether a client is to get it."""
        return self._accounts is None or caller.account in self._accounts


def _accounts(to: Accounts) -> Optional[FrozenSet[str]]:
    if to is None:
        return None
    several = isinstance(to, Iterable) and not isinstance(to, str)
    accounts: List[Any] = list(to) if several else [to]
    if not all(isinstance(account, str) for account in accounts):
        raise TypeError("to must be an account, several accounts or None, not {!r}".format(to))
    return frozenset(accounts)


class Pushes:
    """The pushes of one run of a server. Loop thread, but for :meth:`send`.

    ``ended`` is done once the loop has ended: perhaps nobody looks at its calls any more.
    """

    def __init__(self, loop: Loop, door: Door, ended: Future[None]) -> None:
        self._loop = loop
        self._door = door
        self._ended = ended
        #: Those that are asked for and not answered.
        self._asked: Set[Future[int]] = set()

    def send(self, push: Push, answer: Future[int]) -> None:
        """Have a push sent; ``answer`` will say how many got it. Any thread."""
        self._asked.add(answer)
        self._loop.call_soon(self._send, push, answer)
        if self._ended.done():
            self.end()

    def _send(self, push: Push, answer: Future[int]) -> None:
        wanted: List[Caller] = [one for one in self._door.callers if push.is_for(one)]
        sent = sum(caller.push(push.frame) for caller in wanted)
        tally = self._door.tally
        tally.pushes += sent
        tally.pushes_skipped += len(wanted) - sent
        self._door.outbox.flush()
        self._asked.discard(answer)
        offer(answer, sent)

    def end(self) -> None:
        """Answer those that will never be sent. Any thread, once all is closed."""
        for answer in list(self._asked):
            self._asked.discard(answer)
            offer(answer, 0)
