"""The calls that wait for answers of their clients, and the signed states by which those go on.

A state names a suspended call and is signed with a key of this start, together with what was called
and by whom: what comes back must be what went out, from who got it, for the same call, and it can
be used once. Nobody holds all places: guests together have some of their own, and any one else has
half of them. Loop thread.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Set

from ..clock import Clock
from ..digest import compare_digest, hmac_sha256
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.work import ResourceRead, Work
from .gateway import Guest, share

__all__ = ["Questions", "Waiting"]

#: No state of ours is longer.
_MAX_STATE = 256


class Waiting:
    """A call that may wait, as far as it matters here: what it is about, by whom; see Dialogue."""

    work: Work


class Questions:
    """The suspended calls of one server.

    At most ``limit`` at a time, each for at most ``patience`` seconds a question.
    """

    def __init__(self, clock: Clock, limit: int, patience: float) -> None:
        self._clock = clock
        self._limit = limit
        self.patience = patience
        self._key = clock.token_bytes(32)
        self._waiting: Set[Waiting] = set()
        # Id of a state -> who waits for it.
        self._states: Dict[str, Waiting] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, one: Waiting) -> bool:
        """Count a call that begins to wait; False if too many do."""
        holder = _holder(one.work)
        held = sum(_holder(other.work) == holder for other in self._waiting)
        allowed = share(self._limit) if holder is Guest else (self._limit + 1) // 2
        if held >= allowed or len(self._waiting) >= self._limit:
            return False
        self._waiting.add(one)
        return True

    def leave(self, one: Waiting) -> None:
        """Count it no more, and take back its state."""
        if one in self._waiting:
            self._waiting.remove(one)
            for ident in [key for key, other in self._states.items() if other is one]:
                del self._states[ident]

    def next_id(self) -> str:
        """Return the id of a request to a client."""
        self._count += 1
        return "ask-{}".format(self._count)

    def suspend(self, one: Waiting, work: Work) -> str:
        """Return the state that the client of ``work`` sends back with its answers."""
        ident = self._clock.token_bytes(16).hex()
        self._states[ident] = one
        return "{}.{}".format(ident, self._sign(ident, work))

    def claim(self, work: Work) -> Any:
        """Return the call that goes on with the state in ``work``: the very one that was suspended.

        Raises Fault for what is no state, or none of this call and client, or none any more.
        """
        state = work.params["requestState"]
        if type(state) is not str or len(state) > _MAX_STATE or not state.isascii():
            raise _invalid(work)
        ident, _, signature = state.partition(".")
        if not compare_digest(signature, self._sign(ident, work)):
            raise _invalid(work)
        one = self._states.pop(ident, None)
        if one is None:
            raise Fault(
                jsonrpc.INVALID_PARAMS,
                "This requestState has expired or was used already; call again without it",
                work.id,
            )
        return one

    def _sign(self, ident: str, work: Work) -> str:
        # A completion does not come here: nothing is asked while one is made.
        named: Any
        if type(work) is ResourceRead:
            named = work.uri
        else:
            named = [work.name, work.arguments]  # type: ignore[union-attr]
        guest = type(work.principal) is Guest
        bound = json.dumps([ident, type(work).__name__, work.client, guest, named], sort_keys=True)
        return hmac_sha256(self._key, bound.encode("ascii")).hex()


def _holder(work: Work) -> Any:
    """Return by whom a place is held: all guests are one."""
    return Guest if type(work.principal) is Guest else work.principal


def _invalid(work: Work) -> Fault:
    return Fault(
        jsonrpc.INVALID_PARAMS,
        "This requestState is none that was given out here for this call to this client",
        work.id,
    )
