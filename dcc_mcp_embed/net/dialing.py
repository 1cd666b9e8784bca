"""Connect to a host on the loop, which never blocks: names are looked up on a thread of their own.

Coroutines of :mod:`.tasks`; loop thread.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import weakref
from typing import Any, Callable, List, Optional, Tuple, TypeVar, Union

from .. import collector
from .loop import WRITE, Loop
from .tasks import TimedOut, Wait, within

__all__ = ["apart", "dial", "disown"]

_T = TypeVar("_T")
#: What is open, until nobody has it any more.
_dialed: weakref.WeakSet[socket.socket] = weakref.WeakSet()
#: Held while one comes to be, and while a process is forked: making it lets other threads run.
_making = threading.Lock()
_forking = False
_hooked = False
#: Seconds for one of several addresses; a name often has one of IPv6 that leads nowhere.
_ATTEMPT = 5.0
_UNDER_WAY = frozenset(
    getattr(errno, name)
    for name in ("EINPROGRESS", "EWOULDBLOCK", "WSAEWOULDBLOCK")
    if hasattr(errno, name)
)


async def apart(loop: Loop, function: Callable[[], _T], name: str = "dcc-mcp-embed aside") -> _T:
    """Return what a function returns that may block: it is called on a thread of its own.

    Whoever is cut short leaves the thread to itself. Raises what the function raises, but
    RuntimeError for what would end a thread or a program; also when the interpreter is about to
    end.
    """
    wait: Wait[_T] = Wait()

    def run() -> None:
        try:
            value = function()
        except Exception as error:
            # Of whatever kind: it is raised where it is waited for.
            loop.call_soon(wait.fail, error)
        except BaseException as error:
            # On this thread there is nothing to end, and somebody waits.
            text = "{}: {}".format(type(error).__name__, error)
            loop.call_soon(wait.fail, RuntimeError(text))
        else:
            loop.call_soon(wait.settle, value)

    collector.Thread(run, name).start()
    return await wait


async def dial(loop: Loop, host: str, port: int) -> socket.socket:
    """Return a connected socket, non-blocking. Raises OSError, UnicodeError for what is no name."""
    targets = _numeric(host, port) or await apart(loop, lambda: _resolve(host, port))
    failure: Optional[OSError] = None
    patience = _ATTEMPT if len(targets) > 1 else None
    for family, name in targets:
        try:
            return await _attempt(loop, family, name, patience)
        except OSError as error:
            # A new one: that one holds this frame, which holds this one.
            failure = failure or OSError(error.errno, error.strerror or str(error))
    try:
        raise failure or OSError("the name has no address")
    finally:
        del failure


def disown() -> None:
    """Close this process's copies of all that was dialed, in a forked child: also what is not yet
    anybody's.
    """
    for sock in list(_dialed):
        sock.close()


def _before_fork() -> None:
    global _forking
    _making.acquire()
    _forking = True


def _after_fork() -> None:
    global _forking
    # Not if the hooks came to be in the middle of a fork.
    if _forking:
        _forking = False
        _making.release()


def _make(family: int) -> socket.socket:
    """Return a new socket, of which a child that is forked at any moment knows."""
    global _hooked
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
        )
    with _making:
        sock = socket.socket(family, socket.SOCK_STREAM)
        _dialed.add(sock)
        return sock


async def _attempt(loop: Loop, family: int, name: Any, patience: Optional[float]) -> socket.socket:
    sock = _make(family)
    try:
        with within(loop, patience):
            await _connect(loop, sock, name)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimedOut:
        sock.close()
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    except BaseException:
        # Cut, too.
        sock.close()
        raise
    return sock


async def _connect(loop: Loop, sock: socket.socket, name: Any) -> None:
    sock.setblocking(False)
    code = sock.connect_ex(name)
    if code in _UNDER_WAY:
        wait: Wait[int] = Wait()
        loop.register(sock, WRITE, wait.settle)
        try:
            await wait
        finally:
            loop.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not code and sock.getsockname() == sock.getpeername():
        # The port is free, and is the very one that we were given for our own end.
        code = errno.ECONNREFUSED
    if code:
        raise OSError(code, os.strerror(code))


def _numeric(host: str, port: int) -> List[Tuple[int, Any]]:
    """Return (family, socket address) of what need not be looked up, and of ``localhost``."""
    if host == "localhost":
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port))]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            # It is none of this family; a name may be odd enough for the second kind.
            continue
        return [(int(family), (host, port))]
    return []


def _resolve(host: str, port: int) -> List[Tuple[int, Any]]:
    # Only what is not ASCII needs Python's "idna", which is large.
    name: Union[str, bytes] = host.encode("ascii") if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [(int(family), target) for family, _, _, _, target in found]
