"""A real server in a host that a stage plays: on the test's own thread, with real sockets.

The stage is entered already; what calls the server runs in ``stage.run(body)``.
"""

from __future__ import annotations

# A client's first connection loads it, where a test may hold the lock of all imports.
import encodings.idna  # noqa: F401
import os
import threading
from typing import Any, Callable, Dict, List, Tuple

from dcc_mcp_embed import embed
from fakes.live import Wire

DEADLINE = 20.0


class Hosted:
    """One server in a stage's host. ``close()`` on the main thread ends it; twice is fine."""

    def __init__(self, stage: Any, home: str, monkeypatch: Any, **options: Any) -> None:
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", home)
        self.registry_dir = os.path.join(home, "registry")
        monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", self.registry_dir)
        self.stage = stage
        self.server = embed.start(adapter=stage.adapter, **dict({"port": 0}, **options))

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def address(self) -> Tuple[str, int]:
        return ("127.0.0.1", self.server.port)

    @property
    def authorization(self) -> Dict[str, str]:
        return {"Authorization": "Bearer {}".format(self.server.token)}

    def connect(self) -> Wire:
        return Wire(self)  # type: ignore[arg-type]

    def call(self, name: str, arguments: Any = None) -> Dict[str, Any]:
        """Call a tool over a connection of its own; return what it answered. Any thread."""
        with self.connect() as wire:
            return wire.tool(name, arguments)

    def later(self, name: str, arguments: Any = None) -> Later:
        """Call a tool on a thread of its own."""
        return Later(lambda: self.call(name, arguments))

    def close(self) -> None:
        # A start that has just returned may still be writing its row.
        self.server.wait_registered(DEADLINE)
        self.server.stop()


class Later:
    """What a function returns or raises on a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._box: List[Any] = []
        self._function = function
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._box.append((self._function(), None))
        except BaseException as error:
            self._box.append((None, error))

    @property
    def over(self) -> bool:
        return bool(self._box)

    def get(self, seconds: float = DEADLINE) -> Any:
        """Wait for it."""
        self._thread.join(seconds)
        assert self._box, "it has not ended"
        value, error = self._box[0]
        if error is not None:
            raise error
        return value


def data(answer: Dict[str, Any]) -> Any:
    """Return what a tool that went well has returned."""
    assert answer["isError"] is False, answer
    return answer["structuredContent"]["data"]


def error(answer: Dict[str, Any]) -> Any:
    """Return the error of a tool that went wrong: its ``code``, ``message``, ``hint`` and more."""
    assert answer["isError"] is True, answer
    return answer["structuredContent"]["error"]
