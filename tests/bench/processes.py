"""Server processes: start, wait for the JSON line, pin to a CPU, look at, stop. Linux only."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from typing import Any, Dict, List, Optional, Set

__all__ = ["ServerProcess", "StartError", "resident"]

_READY_SECONDS = 30.0


class StartError(Exception):
    """A server did not come up; the text holds what it printed."""


def resident(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    with open("/proc/{}/status".format(pid), encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024.0
    return 0.0


class ServerProcess:
    """A running server and the JSON line it printed when it was ready (``ready``)."""

    def __init__(
        self, command: List[str], environ: Optional[Dict[str, str]] = None, cwd: str = "/"
    ) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environ,
            cwd=cwd,
        )
        self.pid = self._process.pid
        try:
            self.ready: Dict[str, Any] = self._first_line()
        except BaseException:
            self.stop()
            raise

    def _first_line(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        text = b""
        end = time.monotonic() + _READY_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in text:
                left = end - time.monotonic()
                part = os.read(descriptor, 65536) if left > 0 and selector.select(left) else b""
                if not part:
                    raise StartError("no JSON line on stdout; stderr ends with:\n" + self._said())
                text += part
        line: Dict[str, Any] = json.loads(text.partition(b"\n")[0].decode("utf-8"))
        return line

    def _said(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace")[-1500:]

    def pin(self, cpus: Set[int]) -> None:
        """Let every thread run on ``cpus`` only; threads to come inherit it."""
        for thread in os.listdir("/proc/{}/task".format(self.pid)):
            os.sched_setaffinity(int(thread), cpus)

    def resident(self) -> float:
        """Return the resident memory, MB."""
        return resident(self.pid)

    def stop(self) -> None:
        """End the process, by force if it does not go."""
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()
