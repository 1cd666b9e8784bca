"""What a model wants called, and what is put back into its conversation."""

from __future__ import annotations

import json
from typing import Any, Awaitable, Callable, Dict, List, Optional

from ..net.loop import Loop
from ..net.tasks import Group, Wait
from ..parsing import loads

__all__ = ["run"]

#: (function's name, arguments) -> what it returned. Raises.
Call = Callable[[str, Dict[str, Any]], Awaitable[Any]]


async def run(
    loop: Loop, tool_calls: List[Dict[str, Any]], most: int, call: Call
) -> List[Dict[str, Any]]:
    """Return a message for each call, in their order. At most ``most`` are under way at once."""
    results: List[Optional[Dict[str, Any]]] = [None] * len(tool_calls)
    places = iter(range(len(tool_calls)))
    running = min(max(1, most), len(tool_calls))
    over: Wait[None] = Wait()

    async def work() -> None:
        nonlocal running
        for place in places:
            results[place] = await _one(tool_calls[place], place, call)
        running -= 1
        if not running:
            over.settle()

    workers = Group(loop, over.fail)
    try:
        for _ in range(running):
            workers.spawn(work())
        if running:
            await over
    finally:
        workers.cancel()
    return [one for one in results if one is not None]


async def _one(tool_call: Any, place: int, call: Call) -> Dict[str, Any]:
    given = tool_call if isinstance(tool_call, dict) else {}
    function = given.get("function")
    function = function if isinstance(function, dict) else {}
    name = function.get("name")
    message: Dict[str, Any] = {
        "tool_call_id": given.get("id", "call_{}".format(place)),
        "role": "tool",
        "name": name if isinstance(name, str) else "unknown",
    }
    try:
        value = await call(_named(name), _arguments(function.get("arguments")))
        content = "" if value is None or value == "" else json.dumps(value, ensure_ascii=False)
    except Exception as error:
        # Of whatever kind: one failure hides no other call's result.
        return dict(
            message,
            content="The tool call failed: {}".format(error),
            success=False,
            error=str(error),
        )
    return dict(message, content=content, success=True)


def _named(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ValueError("the call names no function")
    return name


def _arguments(given: Any) -> Dict[str, Any]:
    """Return the arguments: an object, or its JSON. Raises ValueError."""
    if isinstance(given, str):
        try:
            given = loads(given) if given.strip() else {}
        except RecursionError:
            raise ValueError("the arguments are nested too deeply") from None
        except ValueError as error:
            raise ValueError("the arguments are no JSON: {}".format(error)) from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError("the arguments are {}, not an object".format(type(given).__name__))
    return given
