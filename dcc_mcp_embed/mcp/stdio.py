"""A server that is a program of ours: JSON-RPC by lines on its standard input and output."""

from __future__ import annotations

import shutil
from typing import Any, Dict, Mapping, Optional, Sequence

from ..net.dialing import apart
from ..net.loop import Loop
from ..wire import jsonrpc
from .connection import Broken
from .program import Program
from .wire import Duplex, messages_in

__all__ = ["Stdio", "environment"]

_MAX_LINE = 256 * 1024 * 1024
#: What a message begins with, or a batch of them.
_OPENINGS = (b"{", b"[")
#: What a host has set for its own interpreter, and another one would stumble over.
_OF_THE_HOST = frozenset(
    ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
)


def environment(given: Optional[Mapping[str, str]], own: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables of a server: ours without those of the host's Python, then ``given``."""
    found = {name: value for name, value in own.items() if name not in _OF_THE_HOST}
    found.update(given or {})
    return found


class Stdio(Duplex):
    """A server started by ``command`` with ``args``; ``env`` as :func:`environment` makes it."""

    patience = Program.PATIENCE + 1.0

    def __init__(
        self, loop: Loop, command: str, args: Sequence[str], env: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._loop = loop
        self._command = command
        self._args = list(args)
        self._env = dict(env)
        self._program: Optional[Program] = None
        self._line = bytearray()

    @property
    def going(self) -> bool:
        return self._program is not None and self._program.going

    async def gone(self) -> None:
        if self._program is not None:
            await self._program.gone()

    async def open(self) -> None:
        if self._program is not None:
            self._program.kill()
        self.begun()
        self._line = bytearray()
        program = self._program = Program(
            self._loop,
            lambda data: self._came(program, data),
            lambda reason: self._gone(program, reason),
        )
        try:
            await apart(self._loop, lambda: self._start(program), "dcc-mcp-embed mcp start")
        except (OSError, ValueError, RuntimeError) as error:
            program.nothing()
            text = getattr(error, "strerror", None) or str(error)
            self.ended("{} cannot be started: {}".format(self._command, text))
            raise Broken(self.over, False) from error

    def _start(self, program: Program) -> None:
        # A name without a folder is looked for where the server itself would look.
        path = shutil.which(self._command, path=self._env.get("PATH")) or self._command
        program.start([path, *self._args], self._env)

    async def send(self, message: Dict[str, Any]) -> None:
        program = self._program
        assert program is not None
        try:
            await program.write(jsonrpc.encode(message) + b"\n")
        except Broken as broken:
            # Why it has ended is known by now, if it has.
            self.ended(broken.reason)
            raise Broken(self.over, broken.sent) from None

    def _gone(self, program: Program, reason: str) -> None:
        if program is self._program:
            self.ended(reason)

    def _came(self, program: Program, data: bytes) -> None:
        program.taken(len(data))
        if program is not self._program:
            return
        self._line += data
        if b"\n" not in data:
            if len(self._line) > _MAX_LINE:
                self._line = bytearray()
                self.ended("the server has sent a line of more than {} bytes".format(_MAX_LINE))
                program.kill()
            return
        lines = self._line.split(b"\n")
        self._line = lines.pop()
        #: What a library prints, mostly. If it matters, it stands in the reason of the end.
        words = bytearray()
        for line in lines:
            # There may be very many of them, which come to nothing: not worth an exception each.
            if line.lstrip()[:1] in _OPENINGS:
                try:
                    found = messages_in(bytes(line))
                except jsonrpc.Fault:
                    found = []
                for message in found:
                    self.came(message)
                if found:
                    continue
            if line.strip():
                words += line + b"\n"
        if words:
            program.overhear(bytes(words))

    async def leave(self) -> None:
        self.ended("the client is closed")
        if self._program is not None:
            await self._program.end()

    def close(self) -> None:
        self.ended("the client is closed")
        if self._program is not None:
            self._program.kill()

    def disown(self) -> None:
        if self._program is not None:
            self._program.disown()
