"""Lines in, lines out: two raw descriptors, each with a thread of its own.

Pipes cannot be selected on Windows, and a daemon thread that stands inside ``sys.stdin`` aborts the
interpreter at its end; one that stands inside ``os.read`` does not. Both directions are bounded: a
client that sends without pause, or does not read, is not read from any more.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Deque, List, Optional, Union

from ..clock import Clock
from ..net.readiness import SLICE_S

__all__ = ["LONGEST", "LineReader", "LineWriter", "Lines", "TooLong", "take_over"]

#: Bytes of one message, as much as one request over HTTP may have.
LONGEST = 16 * 1024 * 1024
#: Bytes of lines that have been read and not been dealt with, and what each costs beside its own.
_UNREAD = 4 * 1024 * 1024
_EACH = 256
#: Bytes of answers that the client has not read.
_UNSENT = 8 * 1024 * 1024
#: Seconds that somebody waits for a client that reads nothing at all; then it counts as gone.
_PATIENCE_S = 30.0
#: Seconds between two looks whether the client has closed its end of what we do not read for now.
_LOOK_S = 0.5
_CHUNK = 64 * 1024
#: What some shells put at the beginning of what they pipe.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TooLong:
    """In place of a line that was longer than ``limit`` bytes, of which nothing was kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __len__(self) -> int:
        return 0


Line = Union[bytes, TooLong]


class Lines:
    """Cut bytes into lines of at most ``limit`` bytes, without their ends. Pure."""

    def __init__(self, limit: int = LONGEST) -> None:
        self._limit = limit
        self._parts: List[bytes] = []
        self._size = 0
        self._skipping = False
        self._first = True

    def feed(self, data: bytes) -> List[Line]:
        """Return the lines that are complete with ``data``, and what is too long as soon as it is.

        Blank lines are left out.
        """
        found: List[Line] = []
        pieces = data.split(b"\n")
        for piece in pieces[:-1]:
            self._add(piece, found)
            self._end(found)
        self._add(pieces[-1], found)
        return found

    def rest(self) -> List[Line]:
        """Return what stands behind the last end of a line, when there is no more."""
        found: List[Line] = []
        self._end(found)
        return found

    def _add(self, piece: bytes, found: List[Line]) -> None:
        if self._skipping or not piece:
            return
        self._size += len(piece)
        if self._size <= self._limit:
            self._parts.append(piece)
            return
        self._parts.clear()
        self._skipping = True
        found.append(TooLong(self._limit))

    def _end(self, found: List[Line]) -> None:
        line = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._skipping = False
        if self._first and line:
            self._first = False
            if line.startswith(_BYTE_ORDER_MARK):
                line = line[len(_BYTE_ORDER_MARK) :]
        line = line.strip()
        if line:
            found.append(line)


class LineReader:
    """Read lines from ``fd`` on a thread of its own.

    ``deliver(line)`` and, at the end, ``ended()`` are called on that thread. Each line that was
    dealt with is to be given to :meth:`done`: beyond some megabytes nothing more is read, unless
    the client has closed its end: what there is then is little, and the end stands behind it.
    """

    def __init__(
        self,
        fd: int,
        deliver: Callable[[Line], None],
        ended: Callable[[], None],
        limit: int = LONGEST,
        unread: int = _UNREAD,
    ) -> None:
        self._fd = fd
        self._deliver = deliver
        self._ended = ended
        self._lines = Lines(limit)
        self._unread = unread
        self._held = 0
        self._closed = False
        self._room = threading.Condition(threading.Lock())

    def start(self) -> None:
        """Start the thread, which ends with the input."""
        threading.Thread(target=self._read, name="dcc-mcp-embed stdin", daemon=True).start()

    def done(self, line: Line) -> None:
        """Say that a line needs no room any more. Any thread."""
        with self._room:
            self._held -= len(line) + _EACH
            self._room.notify()

    def _read(self) -> None:
        try:
            while True:
                try:
                    data = os.read(self._fd, _CHUNK)
                except OSError:
                    # Closed under our hands, or a terminal that has gone: there is no more.
                    break
                if not data:
                    break
                for line in self._lines.feed(data):
                    self._give(line)
            for line in self._lines.rest():
                self._give(line)
        finally:
            self._ended()

    def _give(self, line: Line) -> None:
        size = len(line) + _EACH
        with self._room:
            while self._held and self._held + size > self._unread and not self._closed:
                if not self._room.wait(_LOOK_S):
                    self._closed = _is_closed(self._fd)
            self._held += size
        self._deliver(line)


class LineWriter:
    """Write lines to ``fd`` on a thread of its own, in the order they came.

    ``broken()`` is called once nobody can read them any more, or has read any for ``patience``
    seconds that somebody waited for room: on that thread, or on that of who waited.
    """

    def __init__(
        self,
        fd: int,
        broken: Callable[[], None],
        clock: Clock,
        unsent: int = _UNSENT,
        patience: float = _PATIENCE_S,
    ) -> None:
        self._fd = fd
        self._broken = broken
        self._clock = clock
        self._most = unsent
        self._queue: Deque[bytes] = deque()
        self._patience = patience
        self._unsent = 0
        #: When something was written last.
        self._moved = 0.0
        self._hurry = False
        self._dead = False
        self._changed = threading.Condition(threading.Lock())

    def start(self) -> None:
        """Start the thread, a daemon."""
        threading.Thread(target=self._write, name="dcc-mcp-embed stdout", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Have ``line`` and an end of line written. Waits while the client does not read."""
        data = line + b"\n"
        with self._changed:
            gave_up = not self._wait_for_room()
            if not self._dead:
                self._queue.append(data)
                self._unsent += len(data)
                self._changed.notify_all()
        if gave_up:
            self._broken()

    def _wait_for_room(self) -> bool:
        """Return False once it has lasted too long, which is the end."""
        began = self._clock.monotonic()
        while self._unsent > self._most and not (self._hurry or self._dead):
            left = max(began, self._moved) + self._patience - self._clock.monotonic()
            if left <= 0:
                self._die()
                return False
            self._changed.wait(left if SLICE_S is None else min(left, SLICE_S))
        return True

    def offer(self, line: bytes) -> bool:
        """Have ``line`` written if there is room for it; return whether there is. Never waits."""
        data = line + b"\n"
        with self._changed:
            if self._dead or self._unsent + len(data) > self._most:
                return False
            self._queue.append(data)
            self._unsent += len(data)
            self._changed.notify_all()
            return True

    def hurry(self) -> None:
        """Let nobody wait for room from now on: the end has come. Any thread."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything was written, ``timeout`` seconds at most; return whether it was."""
        deadline = self._clock.monotonic() + timeout
        with self._changed:
            while self._unsent and not self._dead:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left if SLICE_S is None else min(left, SLICE_S))
            return not self._dead

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._dead:
                        return
                    self._changed.wait()
                data = b"".join(self._queue)
                self._queue.clear()
            written = self._write_all(data)
            with self._changed:
                self._unsent -= len(data)
                if not written:
                    self._die()
                self._changed.notify_all()
            if not written:
                self._broken()
                return

    def stop(self) -> None:
        """Let the thread end, unless it is in the middle of writing."""
        with self._changed:
            self._dead = True
            self._changed.notify_all()

    def _die(self) -> None:
        self._dead = True
        self._queue.clear()
        self._changed.notify_all()

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                count = os.write(self._fd, view[:_CHUNK])
            except OSError:
                return False
            self._moved = self._clock.monotonic()
            view = view[count:]
        return True


def _is_closed(fd: int) -> bool:
    """Return whether nothing more can come than what is there; False where nobody can tell."""
    if not hasattr(select, "poll"):
        return False
    looking = select.poll()
    # That it is closed altogether is told unasked.
    looking.register(fd, getattr(select, "POLLRDHUP", 0))
    return bool(looking.poll(0))


def take_over() -> List[int]:
    """Return descriptors of our own for standard input and output, and put others in their place.

    What else prints in this process (a site's start-up files, a library) goes to standard error,
    and what else reads finds nothing: on the real ones there is nothing but protocol.
    """
    found = []
    for number, flags in ((0, os.O_RDONLY), (1, None)):
        own = os.dup(number)
        found.append(own)
        _plain(own)
        other = 2 if flags is None else os.open(os.devnull, flags)
        with suppress(OSError):
            os.dup2(other, number)
        if other != 2:
            os.close(other)
    sys.stdout = sys.stderr
    return found


def _plain(fd: int) -> None:
    """Have bytes pass as they are, and whoever reads or writes wait."""
    setmode: Optional[Any] = None
    if sys.platform == "win32":
        import msvcrt

        setmode = msvcrt.setmode
    if setmode is not None:
        setmode(fd, getattr(os, "O_BINARY", 0))
    elif hasattr(os, "set_blocking"):
        with suppress(OSError):
            os.set_blocking(fd, True)
