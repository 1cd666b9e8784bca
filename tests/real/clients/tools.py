"""What clients of every kind call, read and get; ``serve --tools`` serves it."""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, List

from dcc_mcp_embed import Progress, prompt, resource, tool

#: Seconds of a step, so that a client hears of it before the next one. No client says when it has,
#: so there is nothing but time to wait for.
STEP = 0.05
#: Steps after which what was to be cancelled gives up.
ENOUGH = 600
#: Seconds that the end of a cancelled call is waited for.
DEADLINE = 20.0

ends: List[Dict[str, Any]] = []
changed = threading.Condition()


@tool
def count_up(steps: int) -> Any:
    """Count, and tell each step."""
    for done in range(steps):
        time.sleep(STEP)
        yield Progress(done + 1, steps, "step {}".format(done + 1))
    # The TypeScript SDK drops what it hears of a call in one piece with its result.
    time.sleep(STEP)
    return "counted to {}".format(steps)


@tool
def go_on(name: str) -> Any:
    """Take steps until somebody cancels."""
    taken = 0
    try:
        while taken < ENOUGH:
            time.sleep(STEP)
            taken += 1
            yield Progress(taken, ENOUGH)
        return "never cancelled"
    finally:
        with changed:
            ends.append({"name": name, "whole": taken == ENOUGH})
            changed.notify_all()


@tool(read_only=True, thread="worker")
def what_ended(name: str) -> Dict[str, Any]:
    """Wait for a call of ``go_on`` to end; tell of all under that name, and how they ended."""

    def found() -> List[Dict[str, Any]]:
        return [end for end in ends if end["name"] == name]

    with changed:
        return {"ends": changed.wait_for(found, DEADLINE) or []}


@resource("test://greeting", mime_type="text/plain")
def greeting() -> str:
    """A text to read."""
    return "Hello from the host"


@prompt
def greet(name: str) -> str:
    """Greet somebody."""
    return "Say hello to {}.".format(name)
