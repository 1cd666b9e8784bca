"""What clients of every kind call, read and get; ``serve --tools`` serves it."""

from __future__ import annotations

import time
from typing import Any, Dict, List

from dcc_mcp_embed import Progress, prompt, resource, tool

#: Seconds of a step, so that a client has time to hear of it before the next one.
STEP = 0.05
#: Steps after which what was to be cancelled gives up.
ENOUGH = 600

ends: List[Dict[str, Any]] = []


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
        ends.append({"name": name, "whole": taken == ENOUGH})


@tool(read_only=True)
def what_ended() -> Dict[str, Any]:
    """Tell which calls of ``go_on`` have ended, and whether by themselves."""
    return {"ends": ends}


@resource("test://greeting", mime_type="text/plain")
def greeting() -> str:
    """A text to read."""
    return "Hello from the host"


@prompt
def greet(name: str) -> str:
    """Greet somebody."""
    return "Say hello to {}.".format(name)
