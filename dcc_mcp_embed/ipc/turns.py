"""Requests that wait for a thread, and which is next: each client has its turn, in a round.

So a client with a thousand of them keeps another's first one waiting for one handler, not for all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, List, Optional

__all__ = ["Turns"]


class Turns:
    """See the module. Those of one client come in order. Any thread.

    A request has a ``caller``: the client's connection.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Client -> its requests, none without any. The first of the first is next.
        self._round: OrderedDict[Any, OrderedDict[Any, None]] = OrderedDict()
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, request: Any) -> None:
        """Have one wait."""
        with self._lock:
            self._round.setdefault(request.caller, OrderedDict())[request] = None
            self._number += 1

    def remove(self, request: Any) -> bool:
        """Have one wait no longer; False: it does not, its turn has come."""
        with self._lock:
            own = self._round.get(request.caller)
            if own is None or request not in own:
                return False
            del own[request]
            if not own:
                del self._round[request.caller]
            self._number -= 1
            return True

    def next(self) -> Optional[Any]:
        """Return whose turn it is, and have it wait no longer; None: nobody's."""
        with self._lock:
            if not self._round:
                return None
            caller, own = self._round.popitem(last=False)
            request, _ = own.popitem(last=False)
            if own:
                # The client's next turn is after everybody else's.
                self._round[caller] = own
            self._number -= 1
            return request

    def all(self) -> List[Any]:
        """Return those that wait now."""
        with self._lock:
            return [request for own in self._round.values() for request in own]
