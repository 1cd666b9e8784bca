"""See a dead-lock before it happens: a blocking call from a main thread to what needs that thread.

One process-wide fact: which addresses this process serves, and which dispatcher is behind each.
Blocking clients enter :func:`blocking` for the time they wait.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, Tuple

from ..errors import WouldDeadlock
from .dispatch import Dispatcher

__all__ = [
    "Address",
    "blocking",
    "is_own_main_thread",
    "is_served_main_thread",
    "publish",
    "waiting",
    "withdraw",
]

Address = Tuple[str, int]

_served: Dict[Address, Tuple[Any, Dispatcher]] = {}

#: What a client may write for the one address that servers listen on.
_LOOPBACK = {"localhost": "127.0.0.1", "::1": "127.0.0.1", "[::1]": "127.0.0.1"}


def _same(address: Address) -> Address:
    host = address[0].lower()
    return _LOOPBACK.get(host, host), address[1]


def publish(address: Address, executor: Any, dispatcher: Dispatcher) -> None:
    """Say that ``address`` is served by this process, by ``dispatcher`` on ``executor``."""
    _served[_same(address)] = (executor, dispatcher)


def withdraw(address: Address) -> None:
    """Take that back; unknown addresses are fine."""
    _served.pop(_same(address), None)


def is_served_main_thread() -> bool:
    """Return whether the caller is the main thread of a host that this process serves."""
    if not _served:
        # The usual answer in a client, and asked for each of its calls.
        return False
    return any(executor.is_main_thread() for executor, _ in list(_served.values()))


@contextmanager
def blocking(address: Address) -> Iterator[None]:
    """Wait for a peer at ``address`` inside this context. Any thread.

    On the main thread of a host we serve: raises WouldDeadlock when the peer is that very host,
    otherwise has it refuse foreign calls until the wait is over (A waits for B, B calls A).
    """
    held = []
    target = _served.get(_same(address))
    for executor, dispatcher in list(_served.values()):
        if executor.is_main_thread():
            if target is not None and target[1] is dispatcher:
                raise WouldDeadlock(
                    "This is the host's main thread, and the server at {}:{} is this same host: "
                    "the call would wait for the thread that waits.".format(*address),
                    hint="Call the tool's function directly, or call from another thread.",
                )
            held.append(dispatcher)
    if not held:
        yield
        return
    with held[0].hold("{}:{}".format(*address)):
        yield


def is_own_main_thread(address: Address) -> bool:
    """Return whether the caller is the main thread of the host that is served at ``address``."""
    target = _served.get(_same(address))
    return target is not None and bool(target[0].is_main_thread())


@contextmanager
def waiting(peer: str) -> Iterator[None]:
    """Wait for anybody inside this context, oneself too, for what needs no main thread. Any thread.

    What needs that of a host whose main thread waits is refused until the wait is over.
    """
    held = [one for executor, one in list(_served.values()) if executor.is_main_thread()]
    if not held:
        yield
        return
    with held[0].hold(peer):
        yield
