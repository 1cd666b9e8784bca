"""The tools that the suite's scenarios about tasks call: started with ``serve --tools`` as well.

Whatever is to be a task takes longer than a call may before it becomes one (``tasks.GRACE``).
"""

from __future__ import annotations

import time
from typing import Any, Dict

from dcc_mcp_embed import Progress, tool

#: Seconds, well beyond what makes a call a task.
LONG = 1.5
_STEP = 0.02


def _form(**properties: str) -> Dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }


def _wait(seconds: float) -> Any:
    """Take so long, in steps between which the call can be cancelled."""
    steps = int(seconds / _STEP)
    for step in range(steps):
        time.sleep(_STEP)
        yield Progress(step + 1, steps)


@tool(read_only=True, thread="worker", task="forbidden")
def greet(name: str) -> str:
    """Greet at once."""
    return "Hello, {}!".format(name)


@tool(read_only=True, thread="worker")
def slow_compute(seconds: float, label: str = "") -> Any:
    """Take a while.

    Args:
        seconds: How long
        label: What to call it
    """
    if seconds:
        yield from _wait(seconds + LONG - 1)
    return "computed {}".format(label)


@tool(read_only=True, thread="worker", task="required")
def failing_job() -> Any:
    """Fail, after a while."""
    yield from _wait(LONG)
    raise RuntimeError("This job fails")


@tool(read_only=True, thread="worker")
def protocol_error_job(ctx) -> Any:
    """Ask, after a while, for what the client does not offer."""
    yield from _wait(LONG)
    yield ctx.roots()
    return "asked"


@tool(read_only=True, thread="worker")
def confirm_delete(ctx, filename: str) -> Any:
    """Ask for a confirmation, after a while.

    Args:
        filename: What to delete
    """
    yield from _wait(LONG)
    answer = yield ctx.elicit("Delete {}?".format(filename), _form(confirm="boolean"))
    return "{} {}".format(answer["action"], filename)


@tool(read_only=True, thread="worker")
def multi_input(ctx) -> Any:
    """Ask two things at once, after a while."""
    yield from _wait(LONG)
    answers = yield [
        ctx.elicit("Who are you?", _form(name="string"), key="person"),
        ctx.elicit("Are you sure?", _form(confirm="boolean"), key="sure"),
    ]
    return "{} answers".format(len(answers))


@tool(read_only=True, thread="worker", task="required")
def test_tool_with_task(ctx) -> Any:
    """Ask at once, then take a while."""
    answer = yield ctx.elicit("What is your name?", _form(name="string"), key="user_name")
    yield from _wait(LONG)
    return "Hello, {}!".format(answer["content"]["name"])
