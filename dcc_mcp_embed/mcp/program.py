"""A program with a pipe at each of its three ends, and what is left of both afterwards: nothing.

Raw descriptors, each with a thread that may block: pipes cannot be waited for beside sockets on
every system. The loop's thread is only told, and never blocks.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import socket
import subprocess
import threading
from typing import Any, Callable, Iterator, List, Mapping, Optional

from .. import collector
from ..net.loop import Loop
from ..net.readiness import READ, WRITE, Readiness
from ..net.tasks import TimedOut, Wait, within
from .connection import Broken

__all__ = ["Program"]

_READ_SIZE = 64 * 1024
#: Bytes that have been read and not been looked at; more of them stay with the program. The loop
#: may look at all of them in one turn, and be late for everything else.
_MOST_AHEAD = 2 * _READ_SIZE
#: Bytes of its last words that are kept, for a person to read.
_LAST_WORDS = 2000
#: Seconds for a program to end by itself, and then by SIGTERM (MCP 2025-11-25, lifecycle).
_PATIENCE = 2.0
#: Seconds in which the rest is read of what an ended program has written. A child of it that holds
#: its pipes could keep them open for ever.
_REST = 1.0
#: CREATE_NO_WINDOW: a program's console would flash up before the artist.
_FLAGS = 0x08000000 if os.name == "nt" else 0
_NO_MORE = "the server takes no more"
_CAN_POLL = hasattr(select, "poll")
_SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)

Process = Any


class Program:
    """A program to be started. Loop thread, but for :meth:`start`.

    ``came(data)`` is given what it writes, ``gone(reason)`` is called once it has ended. A program
    that does not end in time is ended with all that it has started; what one that ends by itself
    leaves behind is its own affair.
    """

    #: Seconds that :meth:`end` may take.
    PATIENCE = 3 * _PATIENCE

    def __init__(
        self, loop: Loop, came: Callable[[bytes], None], gone: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._came = came
        self._gone = gone
        self._process: Process = None
        #: What is to be written, with who waits for that; None: nothing more.
        self._out: queue.Queue[Any] = queue.Queue()
        #: Whether nobody writes any more; and for that, and for what is put there.
        self._taken_all = False
        self._lock = threading.Lock()
        #: How many bytes have been read and not been looked at; told of when there are fewer.
        self._ahead = 0
        self._fewer = threading.Condition()
        self._last_words = b""
        #: Nobody wants to hear of it any more: it is to end, and everything is let go of.
        self._unwanted = False
        self._let_go = False
        #: The second is readable as soon as the first is closed: a pipe may stay silent for ever.
        self._waker: Optional[socket.socket] = None
        self._woken: Optional[socket.socket] = None
        #: Its end is on its way to the loop.
        self._told = threading.Event()
        self._over: Wait[None] = Wait()

    def start(self, command: List[str], env: Mapping[str, str]) -> None:
        """Start it. Blocks; any thread. Raises OSError, ValueError, RuntimeError."""
        try:
            self._start(command, env)
        except BaseException:
            # Whoever wanted it may have gone meanwhile, and wait for its end.
            self._loop.call_soon(self.nothing)
            raise

    def _start(self, command: List[str], env: Mapping[str, str]) -> None:
        self._waker, self._woken = socket.socketpair()
        try:
            process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env),
                # Of its own, so that Ctrl-C in the host's terminal is not for it, and that all of
                # it can be ended at once.
                start_new_session=os.name != "nt",
                creationflags=_FLAGS,
            )
        except BaseException:
            self.disown()
            raise
        self._process = process
        works = (("out", self._read), ("log", self._log), ("in", self._write))
        threads = [_thread(name, work, process) for name, work in works]
        self._watcher = _thread("end", self._watch, process, threads[:])
        threads.append(self._watcher)
        begun: List[threading.Thread] = []
        try:
            for thread in threads:
                thread.start()
                begun.append(thread)
        except RuntimeError:
            # The system has no thread left, or the interpreter is about to end.
            self.kill()
            process.wait()
            for thread in begun:
                thread.join()
            self.disown()
            raise
        if self._let_go:
            # Whoever wanted it has gone meanwhile.
            self.kill()

    # -- loop ---------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Return once it has taken all of ``data``. Raises Broken."""
        wait: Wait[None] = Wait()
        item = [data, wait]
        with self._lock:
            if not self._taken_all:
                self._out.put(item)
            else:
                # Once the loop has heard of the end, which is on its way and says more.
                self._loop.call_soon(wait.fail, Broken(_NO_MORE, False))
        try:
            await wait
        except BaseException:
            # Cut, mostly: what has not begun to leave does not leave any more.
            item[0] = b""
            raise

    @property
    def going(self) -> bool:
        """Return whether something is left of it, or still to come."""
        return not self._over.done

    async def gone(self) -> None:
        """Return once nothing is left of it, or that takes too long."""
        try:
            with within(self._loop, _PATIENCE):
                await self._over
        except TimedOut:
            # The system does not let go of it.
            pass

    def nothing(self) -> None:
        """Take note that there is none: it could not be started."""
        self._over.settle()

    def taken(self, count: int) -> None:
        """Let more be read: so many bytes that came have been looked at."""
        with self._fewer:
            self._ahead -= count
            self._fewer.notify()

    def overhear(self, words: bytes) -> None:
        """Take for its words what is no message: libraries print, and so does who fails."""
        self._keep(words)

    async def end(self) -> None:
        """End its input, wait for it to end, and make it."""
        self._unwanted = True
        self._out.put(None)
        if self._process is None:
            return
        for number in (signal.SIGTERM, _SIGKILL, None):
            try:
                with within(self._loop, _PATIENCE):
                    await self._over
                return
            except TimedOut:
                self._signal(number)

    def kill(self) -> None:
        """End it now, and let go of everything. Any thread."""
        self._unwanted = True
        self._release()
        self._signal(_SIGKILL)

    def disown(self) -> None:
        """Close this process's copies: in a forked child, or where no thread of ours does."""
        process = self._process
        pipes = () if process is None else (process.stdin, process.stdout, process.stderr)
        for one in (self._waker, self._woken, *pipes):
            if one is not None:
                one.close()

    def _ended(self, status: int) -> None:
        words = self._last_words.decode("utf-8", "replace").strip()
        how = "with status {}".format(status) if status >= 0 else "by signal {}".format(-status)
        self._gone("the server's program has ended " + how + (": " + words if words else ""))

    def _let_end(self) -> None:
        # It has nothing left to do.
        self._watcher.join()
        self._over.settle()

    def _signal(self, number: Optional[int]) -> None:
        process = self._process
        if number is None or process is None or process.returncode is not None:
            return
        try:
            if os.name == "nt":
                process.kill()
            else:
                # The group is that of its session, which is its own.
                os.killpg(process.pid, number)
        except OSError:
            # It has ended just now.
            pass

    def _release(self) -> None:
        """Have all of our threads end, whatever they wait for. Any thread."""
        self._let_go = True
        if self._waker is not None:
            self._waker.close()
        with self._fewer:
            self._fewer.notify()
        self._out.put(None)

    def _keep(self, words: bytes) -> None:
        self._last_words = (self._last_words + words)[-_LAST_WORDS:]

    # -- threads of its own -------------------------------------------------------------------

    def _read(self, process: Process) -> None:
        for data in self._pieces(process.stdout):
            with collector.blocking(), self._fewer:
                while self._ahead >= _MOST_AHEAD and not self._let_go:
                    self._fewer.wait()
                self._ahead += len(data)
            if self._let_go:
                return
            self._loop.call_soon(self._came, data)

    def _log(self, process: Process) -> None:
        for data in self._pieces(process.stderr):
            self._keep(data)

    def _pieces(self, pipe: Any) -> Iterator[bytes]:
        """Yield what comes out of a pipe, up to its end or ours."""
        with pipe:
            ready = Readiness(pipe, self._woken) if _CAN_POLL else None
            while True:
                with collector.blocking():
                    if ready is not None:
                        ready.wait(READ, None)
                    data = b"" if self._let_go else os.read(pipe.fileno(), _READ_SIZE)
                if not data:
                    return
                yield data

    def _write(self, process: Process) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # Python ignores it, but a host may have embedded it without its signal handlers.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
        broken = False
        # Unbuffered: there is nothing left to be written when it is closed.
        with process.stdin as pipe:
            if _CAN_POLL:
                os.set_blocking(pipe.fileno(), False)
            while True:
                with collector.blocking():
                    item = self._out.get()
                if item is None:
                    break
                data, wait = item
                left = len(data) if broken else self._write_all(pipe, data)
                if not left:
                    self._loop.call_soon(wait.settle)
                    continue
                if not broken:
                    broken = True
                    with collector.blocking():
                        # If it has ended, its end says more.
                        self._told.wait(_REST)
                self._loop.call_soon(wait.fail, Broken(_NO_MORE, left < len(data)))
        self._leave_rest()

    def _leave_rest(self) -> None:
        """Fail whatever is still to be written, and what comes from now on."""
        with self._lock:
            self._taken_all = True
        while not self._out.empty():
            item = self._out.get()
            if item is not None:
                self._loop.call_soon(item[1].fail, Broken(_NO_MORE, False))

    def _write_all(self, pipe: Any, data: bytes) -> int:
        """Return how many bytes of it could not be written."""
        ready = Readiness(pipe, self._woken) if _CAN_POLL else None
        view = memoryview(data)
        while view and not self._let_go:
            try:
                with collector.blocking():
                    if ready is not None:
                        ready.wait(WRITE, None)
                    done = 0 if self._let_go else os.write(pipe.fileno(), view)
            except BlockingIOError:
                continue
            except OSError:
                break
            view = view[done:]
        return len(view)

    def _watch(self, process: Process, threads: List[threading.Thread]) -> None:
        with collector.blocking():
            status = process.wait()
            for thread, seconds in zip(threads, (_REST, _REST / 4)):
                thread.join(0.0 if self._unwanted else seconds)
        self._loop.call_soon(self._ended, status)
        self._told.set()
        self._release()
        with collector.blocking():
            for thread in threads:
                thread.join(_REST / 4)
            if any(thread.is_alive() for thread in threads):
                # Pipes cannot be waited for here, and somebody holds one: nobody waits for that.
                self._loop.call_soon(self._over.settle)
                for thread in threads:
                    thread.join()
        self.disown()
        self._loop.call_soon(self._let_end)


def _thread(name: str, work: Callable[..., None], *args: Any) -> threading.Thread:
    def run() -> None:
        collector.pause()
        try:
            work(*args)
        finally:
            collector.resume()

    return collector.Thread(run, "dcc-mcp-embed mcp " + name)
