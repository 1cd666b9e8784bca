"""Ways in which a Houdini ends, or never comes back; each is played in a process of its own."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Any, Callable, Dict, List

from fakes.hazards import SOON, Tools, until
from fakes.hosted import DEADLINE, Later, data, error

__all__ = ["ENDS"]

Start = Callable[..., Any]


def _well() -> None:
    """End this process at once, well; there is nothing of it left to go on."""
    sys.stdout.write("all is well\n")
    sys.stdout.flush()
    os._exit(0)


def main_thread_dead_locks_in_hdefereval(stage: Any, start: Start) -> None:
    """Somebody's script hangs Houdini for ever: callers are told, and status goes on."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def hang() -> None:
        import hdefereval

        hdefereval.executeInMainThreadWithResult(len, "x")

    def body() -> None:
        from fakes import qtloop

        assert data(hosted.call("act", {"name": "before"}))
        qtloop.post(hang)
        until(lambda: stage.host.deferring.blocking == 1)
        for _ in range(2):
            refused = error(hosted.later("act_soon", {"name": "never"}).get(SOON))
            assert refused["code"] == "timeout_not_started", refused
        # Two in a row: from now on nobody waits in vain.
        busy = error(hosted.later("act", {"name": "never"}).get(SOON))
        assert busy["code"] == "host_busy", busy
        assert data(hosted.later("get_status").get(SOON))
        assert tools.ran == ["before"]
        _well()

    stage.run(body)


def interpreter_ends_with_calls_in_flight(stage: Any, start: Start) -> None:
    """Houdini is torn down, then Python ends: all are answered, and HOM is left alone."""
    tools = Tools(stage)
    calls: List[Later] = []

    def answered() -> None:
        for call in calls:
            assert error(call.get(SOON))["code"] == "host_shutting_down"
        assert tools.ran == before
        rows = [os.path.join(hosted.registry_dir, one) for one in os.listdir(hosted.registry_dir)]
        assert hosted.server.instance_id not in "".join(map(_read, rows)), "its row is still there"
        assert "dcc-mcp-embed" not in [one.name for one in threading.enumerate()]
        sys.stdout.write("all is well\n")

    # What is registered last is called first: Houdini is gone before the server hears of the end,
    # and after that comes the look at what has become of the calls.
    atexit.register(answered)
    hosted = start(tools=[tools.module])
    atexit.register(stage.host.ledger.tear_down)
    hosted.server.wait_registered(DEADLINE)

    def body() -> None:
        assert data(hosted.call("act", {"name": "before"}))

    before: List[str] = []
    if "spin" in stage.can:
        before.append("before")
        stage.run(body)
    # Else there is no loop: the script has begun, and has something else to do until it ends.
    for number in range(20):
        calls.append(hosted.later("act", {"name": str(number)}))
    lane = hosted.server._lanes["main"]
    until(lambda: [job.name for job in lane.jobs()].count("act") == len(calls))


def _read(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


ENDS: Dict[str, Callable[[Any, Start], None]] = {
    one.__name__: one
    for one in (main_thread_dead_locks_in_hdefereval, interpreter_ends_with_calls_in_flight)
}
