#!/usr/bin/env python3
"""What a call costs the main thread of a host, and what a host pressed with calls shows its user.

    python3 tests/bench/hosts.py [STAGE ...] [--calls N] [--check]

STAGE: names of tests/hosts/stages.py (default: all that are there). Those with Qt need PySide, and
``QT_QPA_PLATFORM=offscreen`` is set unless it is. For each: the hop onto the main thread (from
``wake()`` on another thread to the pump there, the host idle), a tool call over HTTP, and then
1 000 calls of a tool that takes a millisecond, pressed by 64 callers: how long the pump ran in one
go, beyond its budget by at most one tool, and, with Qt, when a 60 Hz timer had its turn: the frames
that a user would see, beside those of the same host left alone. ``--check``: exit status 1 where a
budget of the design is broken. On a machine with nothing else to do: what others take of it counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

HERE = os.path.dirname(os.path.abspath(__file__))
# In the place of this folder, in which there is another "hosts": this very file.
sys.path[:1] = [os.path.dirname(HERE), os.path.dirname(os.path.dirname(HERE))]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import dcc_mcp_embed  # noqa: E402
from dcc_mcp_embed import embed  # noqa: E402
from fakes.live import Wire  # noqa: E402
from hosts import stages  # noqa: E402

#: Taken now: inside a host it may be the host's own program.
PYTHON = sys.executable
HOPS = 500
CALLERS = 64
#: Seconds that the tool takes with which the queue is pressed.
TOOL = 0.001
#: Of the design: the median hop with Qt's wake, and what one go of the pump may take.
HOP_BUDGET = 0.001
PUMP_BUDGET = 0.008
#: A frame at 60 Hz.
FRAME = 1 / 60.0


@dcc_mcp_embed.tool
def press() -> dict:
    """Keep the main thread for a millisecond."""
    end = time.perf_counter() + TOOL
    while time.perf_counter() < end:
        pass
    return {}


@dcc_mcp_embed.tool(read_only=True)
def nothing() -> dict:
    """Do nothing."""
    return {}


class Clocked:
    """An adapter whose pump is timed: how long each of its goes has the main thread."""

    def __init__(self, adapter: Any) -> None:
        self.goes: List[float] = []
        self._wake = adapter.wake
        self._timed: Dict[Any, Callable[[], Any]] = {}
        adapter.wake = self._clocked

    def _clocked(self, pump: Callable[[], Any]) -> None:
        self._wake(self._timed.setdefault(pump, lambda: self._run(pump)))

    def _run(self, pump: Callable[[], Any]) -> Any:
        since = time.perf_counter()
        try:
            return pump()
        finally:
            self.goes.append(time.perf_counter() - since)


class Frames:
    """Ticks of a 60 Hz timer on the main thread, as what draws a host's window has them."""

    def __init__(self) -> None:
        self.ticks: List[float] = []
        self._timer: Any = None

    def begin(self) -> None:
        from fakes import qtloop

        def start() -> None:
            del self.ticks[:]
            core = qtloop.qt().QtCore
            self._timer = core.QTimer()
            self._timer.setTimerType(core.Qt.PreciseTimer)
            self._timer.timeout.connect(lambda: self.ticks.append(time.perf_counter()))
            self._timer.start(int(FRAME * 1000))

        qtloop.on_main(start)

    def end(self) -> List[float]:
        from fakes import qtloop

        qtloop.on_main(self._timer.stop)
        return sorted(b - a for a, b in zip(self.ticks, self.ticks[1:]))


def hops(adapter: Any, wake: Callable[..., None]) -> List[float]:
    """Return how long after a wake on this thread the main one came to it, sorted."""
    box: List[float] = []
    ran = threading.Event()

    def pump() -> None:
        box.append(time.perf_counter())
        ran.set()

    found = []
    for _ in range(HOPS):
        ran.clear()
        # An idle host: it has had time to go to sleep.
        time.sleep(0.001)
        since = time.perf_counter()
        wake(pump)
        assert ran.wait(10), "the host was not woken"
        found.append(box.pop() - since)
    return sorted(found)


def over_http(server: Any, name: str, calls: int) -> List[float]:
    """Return how long calls took, one after the other, sorted."""
    live: Any = SimpleNamespace(
        address=("127.0.0.1", server.port),
        port=server.port,
        authorization={"Authorization": "Bearer " + server.token},
    )
    found = []
    with Wire(live) as wire:
        for _ in range(calls):
            since = time.perf_counter()
            answer = wire.tool(name)
            found.append(time.perf_counter() - since)
            assert answer["isError"] is False, answer
    return sorted(found)


def pressed(server: Any, calls: int) -> None:
    """Have 64 callers in a process of their own make ``calls`` calls, as fast as they are answered.

    In this one they would take the interpreter away from what is measured.
    """
    command = [PYTHON, __file__, "--press", str(server.port), server.token, str(calls)]
    subprocess.run(command, check=True)


def press_from_here(port: str, token: str, calls: str) -> int:
    """Be that process."""
    server = SimpleNamespace(port=int(port), token=token)
    failed: List[BaseException] = []

    def caller() -> None:
        try:
            over_http(server, "press", int(calls) // CALLERS)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*failed[:3], sep="\n", end="")
    return int(bool(failed))


def at(values: List[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def ms(values: List[float]) -> str:
    return "median {:.3f}, 99 % {:.3f}, most {:.3f} ms".format(
        *(1000 * one for one in (statistics.median(values), at(values, 0.99), values[-1]))
    )


def measure(name: str, calls: int) -> bool:
    """Measure one stage, print it, and return whether it keeps to the budgets."""
    with_qt = name in stages.WITH_QT
    with tempfile.TemporaryDirectory() as home:
        os.environ["DCC_MCP_EMBED_HOME"] = home
        os.environ["DCC_MCP_REGISTRY_DIR"] = os.path.join(home, "registry")
        with stages.stage(name) as stage:
            clocked = Clocked(stage.adapter)
            server = embed.start(
                adapter=stage.adapter,
                port=0,
                tools=[SimpleNamespace(press=press, nothing=nothing)],
            )
            frames = Frames()

            def body() -> Dict[str, List[float]]:
                assert server.wait_registered(20.0)
                if "gate" in stage.can:
                    stage.open_gate()
                over_http(server, "nothing", 20)
                found = {"hop": hops(stage.adapter, clocked._wake)}
                found["call"] = over_http(server, "nothing", 200)
                if with_qt:
                    frames.begin()
                    time.sleep(1.0)
                    found["alone"] = frames.end()
                    frames.begin()
                del clocked.goes[:]
                pressed(server, calls)
                found["go"] = sorted(clocked.goes)
                if with_qt:
                    found["frame"] = frames.end()
                return found

            try:
                found = stage.run(body, 300.0)
            finally:
                server.stop()
    return report(name, found)


def report(name: str, found: Dict[str, List[float]]) -> bool:
    print(name)
    print("  hop onto the main thread   ", ms(found["hop"]))
    print("  call over HTTP             ", ms(found["call"]))
    print("  pump in one go, pressed    ", ms(found["go"]), "({} goes)".format(len(found["go"])))
    good = {"hop <= 1 ms": statistics.median(found["hop"]) <= HOP_BUDGET or "frame" not in found}
    # What one go takes: its budget, and the tool that was begun within it. The server's own thread
    # has the interpreter now and then, for up to its switch interval, and so has the machine.
    allowed = PUMP_BUDGET + 2 * TOOL
    good["the pump's goes keep to 8 ms and a tool"] = statistics.median(found["go"]) <= allowed
    if "frame" in found:
        print("  frames of 60 Hz, alone     ", ms(found["alone"]))
        print("  frames of 60 Hz, pressed   ", ms(found["frame"]))
        late = at(found["frame"], 0.9) - at(found["alone"], 0.9)
        good["nine frames of ten are late by no more than that"] = late <= allowed
    for what, holds in good.items():
        print("  {} {}".format("ok    " if holds else "BROKEN", what))
    return all(good.values())


def main() -> int:
    if sys.argv[1:2] == ["--press"]:
        return press_from_here(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("stage", nargs="*", choices=[*stages.STAGES, []], metavar="STAGE")
    parser.add_argument("--calls", type=int, default=1024)
    parser.add_argument("--check", action="store_true", help="exit status 1 where one is broken")
    options = parser.parse_args()
    good = [measure(name, options.calls) for name in options.stage or stages.available()]
    return int(options.check and not all(good))


if __name__ == "__main__":
    sys.exit(main())
