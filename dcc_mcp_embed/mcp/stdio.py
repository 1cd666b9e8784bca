"""A server that is a program of ours: JSON-RPC by lines on its standard input and output.

Raw descriptors, each with a thread that may block: pipes cannot be waited for beside sockets on
every system. The loop's thread only passes on what has come.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from typing import Any, Dict, Mapping, Optional, Sequence

from .. import collector
from ..net.dialing import apart
from ..net.loop import Loop
from ..net.tasks import Wait
from ..wire import jsonrpc
from .connection import Broken
from .wire import Duplex, messages_in

__all__ = ["Stdio", "environment"]

_READ_SIZE = 64 * 1024
_MAX_LINE = 256 * 1024 * 1024
#: Pieces that have been read and not been looked at; more of them stay with the server.
_MOST_AHEAD = 64
#: Bytes of its last words that are kept, for a person to read.
_LAST_WORDS = 2000
#: Seconds for a server to end by itself, and then by SIGTERM (MCP 2025-11-25, lifecycle).
_PATIENCE = 2.0
#: What a host has set for its own interpreter, and another one would stumble over.
_OF_THE_HOST = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE")
#: CREATE_NO_WINDOW: a server's console would flash up before the artist.
_FLAGS = 0x08000000 if os.name == "nt" else 0


def environment(given: Optional[Mapping[str, str]], own: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables of a server: ours without those of the host's Python, then ``given``."""
    found = {name: value for name, value in own.items() if name not in _OF_THE_HOST}
    found.update(given or {})
    return found


class Stdio(Duplex):
    """A server started by ``command`` with ``args``; ``env`` as :func:`environment` makes it."""

    def __init__(
        self, loop: Loop, command: str, args: Sequence[str], env: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.patience = 2 * _PATIENCE + 1.0
        self._loop = loop
        self._command = command
        self._args = list(args)
        self._env = dict(env)
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._closed = False
        #: What is to be written, with who waits for that; None: nothing more.
        self._out: queue.Queue[Any] = queue.Queue()
        self._ahead = threading.Semaphore(_MOST_AHEAD)
        self._line = bytearray()
        self._last_words = b""

    async def open(self) -> None:
        try:
            await apart(self._loop, self._start, "dcc-mcp-embed mcp start")
        except (OSError, ValueError, RuntimeError) as error:
            text = getattr(error, "strerror", None) or str(error)
            raise Broken("{} cannot be started: {}".format(self._command, text), False) from error
        if self._closed:
            raise Broken("the client is closed", False)

    def _start(self) -> None:
        path = shutil.which(self._command, path=self._env.get("PATH")) or self._command
        process = subprocess.Popen(
            [path, *self._args],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._env,
            # Of its own, so that Ctrl-C in the host's terminal is not for it, and that all of it
            # can be ended at once.
            start_new_session=os.name != "nt",
            creationflags=_FLAGS,
        )
        self._process = process
        if self._closed:
            self._kill(process)
        for name, work in (("reader", self._read), ("writer", self._write), ("log", self._log)):
            threading.Thread(
                target=work, args=(process,), name="dcc-mcp-embed mcp " + name, daemon=True
            ).start()

    # -- loop ---------------------------------------------------------------------------------

    async def send(self, message: Dict[str, Any]) -> None:
        wait: Wait[None] = Wait()
        self._out.put((jsonrpc.encode(message) + b"\n", wait))
        await wait

    def _came(self, data: bytes) -> None:
        self._ahead.release()
        self._line += data
        if b"\n" not in data:
            if len(self._line) > _MAX_LINE:
                self._line = bytearray()
                self.ended("it has sent a line of more than {} bytes".format(_MAX_LINE))
                self.close()
            return
        lines = self._line.split(b"\n")
        self._line = lines.pop()
        for line in lines:
            try:
                found = messages_in(bytes(line)) if line.strip() else []
            except jsonrpc.Fault:
                # What a library prints, mostly. If it matters, it stands in the reason of the end.
                self._last_words = (self._last_words + bytes(line) + b"\n")[-_LAST_WORDS:]
                continue
            for message in found:
                self.came(message)

    def _gone(self, status: Optional[int]) -> None:
        words = self._last_words.decode("utf-8", "replace").strip()
        reason = "the server's program has ended with status {}".format(status)
        self.ended(reason + (": " + words if words else ""))
        self._out.put(None)

    async def leave(self) -> None:
        process = self._process
        if process is not None:
            self._out.put(None)
            await apart(self._loop, lambda: self._end(process), "dcc-mcp-embed mcp end")

    def close(self) -> None:
        self._closed = True
        # Whoever reads must not wait for a loop that may take nothing more.
        self._ahead.release()
        self._out.put(None)
        if self._process is not None:
            self._kill(self._process)
        self.ended("the client is closed")

    def disown(self) -> None:
        process = self._process
        if process is not None:
            for pipe in (process.stdin, process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()

    # -- threads of its own -------------------------------------------------------------------

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as pipe:
            while True:
                with collector.blocking():
                    data = os.read(pipe.fileno(), _READ_SIZE)
                    self._ahead.acquire()
                if not data or self._closed:
                    break
                self._loop.call_soon(self._came, data)
        with collector.blocking():
            status = process.wait()
        self._loop.call_soon(self._gone, status)

    def _log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as pipe:
            while True:
                with collector.blocking():
                    data = os.read(pipe.fileno(), _READ_SIZE)
                if not data:
                    return
                self._last_words = (self._last_words + data)[-_LAST_WORDS:]

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        reason: Optional[str] = None
        # Unbuffered: there is nothing left to be written when it is closed.
        with process.stdin as pipe:
            while True:
                with collector.blocking():
                    item = self._out.get()
                if item is None:
                    return
                data, wait = item
                try:
                    if reason is None:
                        _write_all(pipe.fileno(), data)
                except OSError as error:
                    reason = "the server takes no more: {}".format(error.strerror)
                if reason is None:
                    self._loop.call_soon(wait.settle)
                else:
                    self._loop.call_soon(wait.fail, Broken(reason, False))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the program to end, now that its input has; then make it."""
        for more in (process.terminate, process.kill):
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                more()
            else:
                return

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            return
        try:
            if os.name == "nt":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            # It has ended just now.
            pass


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        with collector.blocking():
            done = os.write(handle, view)
        view = view[done:]
