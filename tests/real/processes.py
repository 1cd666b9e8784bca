"""Processes that tests start: each has deadlines for everything and is gone at the end.

What a process prints is read by threads all along, so it never waits for us, and what it said is
there when something goes wrong.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from typing import IO, Any, Dict, List, Optional, Sequence

__all__ = ["DEADLINE", "Display", "Ended", "Process"]

#: Seconds for anything that takes a moment; a Blender with software rendering needs about ten.
DEADLINE = 90.0


class Ended(AssertionError):
    """A process ended, or said nothing in time; the text holds everything it said."""


class Process:
    """One child process in a group of its own, as a context manager.

    ``command`` as for Popen; ``env`` is added to the environment. ``name`` is for messages.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Optional[Dict[str, str]] = None,
        cwd: Optional[str] = None,
        name: str = "",
    ) -> None:
        self.name = name or os.path.basename(command[0])
        self._child = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(os.environ, **(env or {})),
            start_new_session=True,
        )
        self.said: List[str] = []
        self._lines: queue.Queue[Optional[str]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in (
                (self._child.stdout, self._lines),
                (self._child.stderr, None),
            )
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def _read(self, stream: IO[bytes], lines: Optional[queue.Queue[Optional[str]]]) -> None:
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.said.append(line)
            if lines is not None:
                lines.put(line)
        if lines is not None:
            lines.put(None)

    def line(self, deadline: float = DEADLINE) -> str:
        """Return the next line on stdout. Raises Ended when there is none in time."""
        try:
            line = self._lines.get(timeout=deadline)
        except queue.Empty:
            raise self.problem("said nothing for {} s".format(deadline)) from None
        if line is None:
            self._lines.put(None)
            raise self.problem("ended, status {}".format(self.wait(1.0)))
        return line

    def json_line(self, deadline: float = DEADLINE) -> Any:
        """Return the next line on stdout that is a JSON object; hosts print other lines too."""
        while True:
            line = self.line(deadline)
            if line.startswith("{"):
                return json.loads(line)

    def ask(self, command: Dict[str, Any], deadline: float = DEADLINE) -> Any:
        """Write one JSON line to stdin and return the JSON line that answers it."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(command).encode("utf-8") + b"\n")
        self._child.stdin.flush()
        return self.json_line(deadline)

    def wait(self, deadline: float = DEADLINE) -> int:
        """Return the exit status. Raises Ended when the process still runs then."""
        try:
            return self._child.wait(deadline)
        except subprocess.TimeoutExpired:
            raise self.problem("still runs after {} s".format(deadline)) from None

    def send_signal(self, number: int) -> None:
        self._child.send_signal(number)

    def end(self, number: int = signal.SIGTERM, deadline: float = DEADLINE) -> int:
        """Send a signal and return the exit status."""
        self.send_signal(number)
        return self.wait(deadline)

    def problem(self, what: str) -> Ended:
        """Return what to raise: ``what`` and everything the process said."""
        return Ended(
            "{} (pid {}) {}. It said:\n{}".format(
                self.name, self.pid, what, "\n".join(self.said[-200:]) or "nothing"
            )
        )

    def close(self) -> None:
        """Kill the group, unless its leader has ended, and wait for it."""
        # Once the leader has been waited for, its number may be somebody else's.
        if self._child.poll() is None:
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass  # it has gone, with something unread

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Display(Process):
    """An X server without a screen; ``environment`` is what its clients need.

    It chooses a free number itself, so that several can start at the same moment.
    """

    def __init__(self) -> None:
        super().__init__(
            ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"]
        )
        try:
            self.environment = {"DISPLAY": ":{}".format(int(self.line()))}
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Display:
        return self
