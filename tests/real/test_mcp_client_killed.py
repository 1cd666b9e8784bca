"""Our client and a server on an SDK that is killed while they talk, and started again.

What is true of a call whose server dies (``tests/mcp/test_failures.py``) is true of those that
others wrote: it is known what came of it, or it is said that it is not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Iterator, NamedTuple

import pytest

from dcc_mcp_embed.mcp import MCPClientFacade, MCPError, MCPPluginConfig
from dcc_mcp_embed.mcp.streamable import Streamable
from fakes.waiting import until
from real.peers import Config, SdkServers, at, program, reserved_port, sdk
from real.processes import DEADLINE

pytestmark = pytest.mark.heavy

USER, PLUGIN = "me", "peer"


class Mortal(NamedTuple):
    """A server that is killed, and started again at the same place."""

    line: str
    transport: str


#: The two lines speak to a client over HTTP+SSE in one and the same revision.
MORTALS = [
    Mortal("2.x", "stateful"),
    Mortal("1.x", "stateful"),
    Mortal("1.x", "sse"),
    Mortal("2.x", "stdio"),
    Mortal("1.x", "stdio"),
]


@pytest.fixture(scope="module")
def servers() -> Iterator[Dict[str, SdkServers]]:
    """What starts servers over HTTP, by the line of the SDK."""
    with SdkServers("2.x") as newer, SdkServers("1.x") as older:
        yield {"2.x": newer, "1.x": older}


class Victim:
    """A server of a Mortal, which its client starts itself if ``by_client``."""

    def __init__(self, mortal: Mortal, servers: SdkServers, port: int) -> None:
        self._mortal = mortal
        self._servers = servers
        self._port = port
        self._pid = 0
        self.by_client = mortal.transport == "stdio"

    def start(self) -> Config:
        """Start it, where it was before; return where that is."""
        if self.by_client:
            return program(sdk(self._mortal.line, "stdio"))
        self._pid = self._servers.start(self._mortal.transport, self._port)
        return at(self._port, self._mortal.transport)

    def kill(self, facade: MCPClientFacade) -> None:
        """End it as a crash does."""
        if self.by_client:
            plugin = facade._find((USER, PLUGIN))
            assert plugin is not None
            os.kill(plugin.session._wire._program._process.pid, signal.SIGKILL)
        else:
            self.close()

    def close(self) -> None:
        pid, self._pid = self._pid, 0
        if pid:
            self._servers.kill(pid)


@pytest.fixture(params=MORTALS, ids=["sdk-{}-{}".format(*one) for one in MORTALS])
def victim(request, servers):
    with reserved_port() as port:
        found = Victim(request.param, servers[request.param.line], port)
        yield found
        found.close()


def lines(path: Any) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@contextlib.contextmanager
def registered(config: Config) -> Iterator[MCPClientFacade]:
    facade = MCPClientFacade()
    try:
        assert facade.register_sync(MCPPluginConfig(USER, PLUGIN, **config))
        # Also says which of the tools are harmless.
        facade.get_tools_sync(USER, PLUGIN)
        yield facade
    finally:
        facade.cleanup_sync()


@contextlib.contextmanager
def calling(facade: MCPClientFacade, tool: str, path: Any, attempts: int = 2) -> Iterator[Any]:
    """Yield the future of a call that another thread makes."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(
            facade.call_tool_sync,
            USER,
            PLUGIN,
            tool,
            {"path": str(path)},
            max_reconnect_attempts=attempts,
        )


def test_killed_in_a_call_that_writes(victim, tmp_path):
    runs = tmp_path / "runs"
    with registered(victim.start()) as facade:
        with calling(facade, "write", runs) as future:
            until(lambda: lines(runs) == 1, "the call runs", DEADLINE)
            began = time.monotonic()
            victim.kill(facade)
            with pytest.raises(MCPError) as caught:
                future.result(DEADLINE)
        assert caught.value.code == "unknown_outcome", str(caught.value)
        assert time.monotonic() - began < 20.0
        victim.start()
        # It was not sent again; and the next one opens what it needs.
        again = facade.call_tool_sync(USER, PLUGIN, "write", {"path": str(runs)})
        assert (again, lines(runs)) == ("run 2", 2)


def test_killed_in_a_call_that_only_looks(victim, tmp_path):
    runs = tmp_path / "runs"
    with registered(victim.start()) as facade:
        # As often as a server takes to start again.
        with calling(facade, "look", runs, 8) as future:
            until(lambda: lines(runs) == 1, "the call runs", DEADLINE)
            victim.kill(facade)
            victim.start()
            assert (future.result(DEADLINE), lines(runs)) == ("run 2", 2)


def test_restarted_between_two_calls(victim, tmp_path):
    runs = tmp_path / "runs"
    runs.write_text("run\n")
    with registered(victim.start()) as facade:
        assert facade.call_tool_sync(USER, PLUGIN, "write", {"path": str(runs)}) == "run 2"
        victim.kill(facade)
        victim.start()
        plugin = facade._find((USER, PLUGIN))
        assert plugin is not None
        # A call that is made before that is noticed may have arrived, for all that is known.
        until(lambda: _is_noticed(plugin.session), "it is noticed", DEADLINE)
        assert facade.call_tool_sync(USER, PLUGIN, "write", {"path": str(runs)}) == "run 3"
        assert lines(runs) == 3


#: How often the server is killed while calls are made, and how many succeed in between.
KILLS, BETWEEN = 3, 40
CALLERS = 4


def test_nothing_is_done_twice(victim, tmp_path):
    """Kill it again and again, whatever is under way: what came of each call is what happened."""
    notes = tmp_path / "notes"
    outcomes: Dict[str, str] = {}
    over = threading.Event()

    def call(caller: int, facade: MCPClientFacade) -> None:
        number = 0
        while not over.is_set():
            number += 1
            name = "{}-{}".format(caller, number)
            arguments = {"path": str(notes), "text": name}
            try:
                answer = facade.call_tool_sync(USER, PLUGIN, "note", arguments, timeout=DEADLINE)
                outcomes[name] = "done" if answer == name else "wrong"
            except MCPError as error:
                outcomes[name] = error.code

    def more(outcome: str, number: int) -> None:
        """Wait until that has come of some more calls."""
        wanted = list(outcomes.values()).count(outcome) + number
        until(lambda: list(outcomes.values()).count(outcome) >= wanted, outcome, DEADLINE)

    with registered(victim.start()) as facade:
        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [pool.submit(call, caller, facade) for caller in range(CALLERS)]
            try:
                for _ in range(KILLS):
                    more("done", BETWEEN)
                    victim.kill(facade)
                    if not victim.by_client:
                        more("not_connected", 1)
                    victim.start()
                more("done", BETWEEN)
            finally:
                over.set()
            for caller in callers:
                caller.result(DEADLINE)
    happened = Counter(notes.read_text().split())
    assert max(happened.values()) == 1
    # Where nobody can know, the client says so; else what it says is so.
    may = {"done": {1}, "not_connected": {0}, "unknown_outcome": {0, 1}}
    wrong = {
        name: code for name, code in outcomes.items() if happened[name] not in may.get(code, set())
    }
    assert wrong == {}
    assert set(happened) <= set(outcomes)
    assert set(outcomes.values()) <= set(may)


def _is_noticed(session: Any) -> bool:
    wire = session._wire
    if not isinstance(wire, Streamable):
        return bool(wire.lost)
    return not wire._origin._idle
