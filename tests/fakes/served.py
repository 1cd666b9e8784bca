"""``serve`` in a process of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import Any, Dict, List, Optional, Tuple

import dcc_mcp_embed
from dcc_mcp_embed.cli.main import main

DEADLINE = 30.0


def environment(home: str, **more: str) -> Dict[str, str]:
    """Return the environment of a process that finds this very package and uses ``home``.

    That is where its registry is too: no test enters a row in the one of this machine.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
    found = {k: v for k, v in os.environ.items() if not k.startswith("DCC_MCP_")}
    found.update(PYTHONPATH=package, DCC_MCP_EMBED_HOME=home)
    return dict(found, **dict({"DCC_MCP_REGISTRY_DIR": os.path.join(home, "registry")}, **more))


def run(home: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one command of the command line to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", *arguments],
        env=environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
        **dict({"stdin": None if "input" in options else subprocess.DEVNULL}, **options),
    )


def inside(
    monkeypatch: Any, capsys: Any, home: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run one command in this process, where a process of its own would prove nothing more."""
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", home)
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", os.path.join(home, "registry"))
    capsys.readouterr()
    try:
        status = main(list(arguments))
    except SystemExit as ended:
        status = int(ended.code or 0)
    shown = capsys.readouterr()
    return subprocess.CompletedProcess(arguments, status, shown.out, shown.err)


class Served:
    """A running command; ``facts`` is the first line it printed, as JSON."""

    def __init__(
        self, home: str, *arguments: str, command: Tuple[str, ...] = ("serve",), port: int = 0
    ) -> None:
        self._start(home, [*command, "--port", str(port), *arguments])
        if command == ("serve",):
            self._read_facts()

    def _start(self, home: str, arguments: List[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", *arguments],
            env=environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: queue.Queue[Optional[str]] = queue.Queue()
        self._seen: Dict[str, List[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), name=name, daemon=True)
            for name in self._seen
        ]
        for reader in self._readers:
            reader.start()
        self.facts: Dict[str, Any] = {}

    def _read_facts(self) -> None:
        line = self._lines.get(timeout=DEADLINE)
        if line is None:
            self.end(None)
            raise AssertionError(self.stderr)
        self.facts = json.loads(line)

    def _read(self, name: str) -> None:
        stream = getattr(self.process, name)
        for line in iter(stream.readline, b""):
            text = line.decode("utf-8")
            self._seen[name].append(text)
            if name == "stdout":
                self._lines.put(text)
        if name == "stdout":
            self._lines.put(None)

    @property
    def stdout(self) -> str:
        return "".join(self._seen["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._seen["stderr"])

    def line(self) -> Optional[str]:
        """Return the next line of stdout, None at its end."""
        return self._lines.get(timeout=DEADLINE)

    # What fakes.live.Wire asks of a server.

    @property
    def port(self) -> int:
        port: int = self.facts["port"]
        return port

    @property
    def address(self) -> Tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def authorization(self) -> Dict[str, str]:
        token = self.facts["token"]
        return {} if token is None else {"Authorization": "Bearer " + token}

    def connect(self) -> Any:
        from fakes.live import Wire

        return Wire(self)  # type: ignore[arg-type]

    def end(self, number: Optional[int] = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the status."""
        try:
            if number is not None and self.process.poll() is None:
                self.process.send_signal(number)
            return self.process.wait(DEADLINE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for reader in self._readers:
                reader.join(DEADLINE)
            for name in self._seen:
                getattr(self.process, name).close()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.returncode is None:
            self.end()


class ServedBridge(Served):
    """``bridge --http`` in a process of its own, at any free port."""

    def __init__(self, home: str, *arguments: str) -> None:
        self._start(home, ["bridge", "--http", "0", *arguments])
        self._read_facts()
