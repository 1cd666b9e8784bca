"""Tools, resources and prompts of every kind, for what ``mutator.py`` sends."""

from __future__ import annotations

import time
from typing import Any, Dict, List

from dcc_mcp_embed import Image, Poll, Progress, Resource, prompt, resource, tool

_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@tool(thread="loop", read_only=True)
def on_loop(text: str = "") -> str:
    """Return the text, on the loop thread."""
    return text


@tool(read_only=True)
def on_main() -> str:
    """Return a text, from the main thread."""
    return "fine"


@tool(thread="worker", read_only=True)
def on_worker(text: str = "", number: float = 0, flags: List[bool] = ()) -> Dict[str, Any]:  # type: ignore[assignment]
    """Return what was given, on the worker thread."""
    return {"text": text, "number": number, "flags": list(flags)}


@tool
def in_steps(ctx: Any, steps: int = 3) -> Any:
    """Tell each step, and log."""
    for step in range(min(steps, 10)):
        ctx.log("info", {"step": step})
        yield Progress(step + 1, steps, "step")
    return {"steps": steps}


@tool(thread="worker", read_only=True)
def lasting() -> Any:
    """Take so long that it becomes a task where there are some, and keep no thread meanwhile."""
    until = time.monotonic() + 2

    def check() -> Any:
        return "at the end" if time.monotonic() >= until else Progress(1)

    return Poll(check, every=0.1)


@tool
def polled() -> Any:
    """Have the result at the second look."""
    looks: List[int] = []

    def check() -> Any:
        looks.append(1)
        return {"looks": len(looks)} if len(looks) == 2 else None

    return Poll(check, every=0.01)


@tool(read_only=True)
def asks(ctx: Any) -> Any:
    """Ask the person at the client."""
    answer = yield ctx.elicit("Your name?", _NAME, key="name")
    return "Hello, {}".format(answer["content"])


@tool(read_only=True, thread="worker")
def asks_much(ctx: Any) -> Any:
    """Ask for everything there is."""
    yield [ctx.elicit("Your name?", _NAME), ctx.sample("Think", max_tokens=5), ctx.roots()]
    return "thanks"


@tool(read_only=True, thread="worker")
def large() -> Dict[str, Any]:
    """Return more than a result may hold."""
    return {"items": ["x" * 100 for _ in range(700)]}


@tool(read_only=True, thread="loop")
def mixed() -> List[Any]:
    """Return content of several kinds."""
    return ["a text", Image(b"\x89PNG\r\n\x1a\n"), Resource("test://r", text="embedded")]


@tool(read_only=True, thread="worker")
def fails() -> str:
    """Fail."""
    raise ValueError("always")


@tool(
    read_only=True,
    thread="loop",
    input_schema={
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    },
)
def in_header(region: str) -> str:
    """Take an argument that stands in a header too."""
    return region


@resource("test://text", mime_type="text/plain", thread="loop")
def plain() -> str:
    """A text."""
    return "text"


@resource("test://rows/{row}", complete={"row": ["1", "12", "123"]})
def row(row: str) -> Dict[str, Any]:
    """A row."""
    return {"row": row}


@prompt(complete={"name": ["Ann", "Anton"]})
def greet(name: str) -> str:
    """Greet somebody."""
    return "Say hello to {}.".format(name)


@prompt
def asking_prompt(ctx: Any) -> Any:
    """Ask first."""
    answer = yield ctx.elicit("Your name?", _NAME, key="name")
    return "Greet {}".format(answer["content"])
