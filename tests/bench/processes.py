"""Processes that are measured and that measure: start, place on a CPU, ask, stop. Linux only."""

from __future__ import annotations

import json
import os
import platform
import selectors
import subprocess
import tempfile
import time
from typing import Any, Dict, List, Optional, Set, Tuple

__all__ = [
    "ClientError",
    "ServerProcess",
    "StartError",
    "ask_client",
    "machine",
    "placements",
    "resident",
]

_READY_SECONDS = 30.0


class StartError(Exception):
    """A server did not come up; the text holds what it printed."""


class ClientError(Exception):
    """A measuring process gave no result; the text says what it did instead."""


def machine(python: str) -> str:
    """Return what the figures are from, for the head of a report; ``python``: that of ours."""
    code = "import platform; print('Python', platform.python_version())"
    version = subprocess.check_output([python, "-c", code]).decode("ascii").strip()
    load = os.getloadavg()[0]
    head = "{}, {} CPUs, load {:.1f}; ours on {}"
    text = head.format(platform.platform(), os.cpu_count(), load, version)
    if load > 0.5:
        text += "\nsomething else is running here: compare within this run only"
    return text


def placements(cpus: Set[int], only: Optional[str]) -> Dict[str, Tuple[int, int]]:
    """Return placement -> (CPU of the server, CPU of the client)."""
    first, last = min(cpus), max(cpus)
    found = {"same": (last, last)}
    if first != last:
        found["split"] = (first, last)
    return {name: pair for name, pair in found.items() if only in (None, name)}


def ask_client(
    command: List[str],
    order: Dict[str, Any],
    timeout: float,
    environ: Optional[Dict[str, str]] = None,
) -> Dict[str, Any]:
    """Give a measuring process its order on stdin; return the JSON it printed.

    Raises ClientError. What the process says on stderr is seen.
    """
    try:
        done = subprocess.run(
            command,
            input=json.dumps(order).encode("ascii"),
            stdout=subprocess.PIPE,
            env=environ,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise ClientError("the measuring process hung for {:.0f} s".format(timeout)) from None
    if done.returncode:
        raise ClientError("the measuring process failed; see above")
    result: Dict[str, Any] = json.loads(done.stdout.decode("utf-8"))
    return result


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
