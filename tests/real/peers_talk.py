"""A program of a user's that talks to one server through our client, on whichever Python.

Its stdin is one JSON order: ``config`` (of an MCPPluginConfig), ``calls`` (each with a tool, its
arguments, and whether it is asked for progress). What came of it is one JSON line, for both faces
of the client: the one that is awaited, and the one that blocks.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, List

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = os.path.dirname(HERE)

import helpers  # noqa: E402
from dcc_mcp_embed.mcp import MCPClientFacade, MCPError, MCPPluginConfig  # noqa: E402

Do = Callable[..., Any]


async def talk(order: Dict[str, Any], facade: MCPClientFacade, do: Do) -> Dict[str, Any]:
    """Go through the order. ``do(name, ...)``: a method of the facade, in the face's way."""
    config = MCPPluginConfig(**order["config"])
    user, plugin = config.user_id, config.plugin_name
    events: List[Any] = []
    asked: List[str] = []
    facade.register_status_callback(
        lambda event: events.append([event["old_status"], event["new_status"], event["reason"]])
    )
    facade.set_sampling_callback(lambda params: asked.append("sampling") or "a thought")
    facade.set_elicitation_callback(lambda params: asked.append("elicitation") or {})
    facade.set_roots_callback(lambda: asked.append("roots") or ["file:///tmp"])
    told: Dict[str, Any] = {"events": events, "asked": asked}
    try:
        told["registered"] = await do("register", config)
        if not told["registered"]:
            return told
        found = facade._find((user, plugin))
        assert found is not None
        told["version"] = found.session.version
        tools = await do("get_tools", user, plugin)
        told["tools"] = {one["name"]: one for one in tools}
        told["tested"] = await do("test_connection", user, plugin)
        told["calls"] = [await call(one, user, plugin, do) for one in order["calls"]]
        names = {
            tool["name"]: shown["function"]["name"]
            for tool, shown in zip(tools, facade.format_tools_for_openai(tools, plugin))
        }
        batch = [
            {
                "id": "call-{}".format(place),
                "function": {
                    "name": names.get(one["tool"], plugin + "_" + one["tool"]),
                    "arguments": json.dumps(one["arguments"]),
                },
            }
            for place, one in enumerate(order["calls"])
        ]
        told["batch"] = await do("batch_call_tools", user, batch, 4)
        told["metrics"] = facade.get_metrics()
        told["status"] = facade.get_session_status(user, plugin)
        await do("unregister", user, plugin)
        told["again"] = await do("register", config)
        told["as_before"] = await do("get_tools", user, plugin) == tools
    finally:
        await do("cleanup")
    return told


async def call(one: Dict[str, Any], user: str, plugin: str, do: Do) -> Dict[str, Any]:
    """Make a call and return what came of it."""
    progress: List[Dict[str, Any]] = []
    given = {"on_progress": progress.append} if one["progress"] else {}
    told: Dict[str, Any] = {"progress": progress}
    try:
        told["value"] = await do("call_tool", user, plugin, one["tool"], one["arguments"], **given)
    except MCPError as error:
        told["error"], told["message"] = error.code, str(error)
    return told


def blocking(order: Dict[str, Any]) -> Dict[str, Any]:
    """Go through it by the twins that block; nothing is awaited, so there is no asyncio."""
    facade = MCPClientFacade()

    async def do(name: str, *given: Any, **named: Any) -> Any:
        return getattr(facade, name + "_sync")(*given, **named)

    story = talk(order, facade, do)
    try:
        story.send(None)
    except StopIteration as end:
        told: Dict[str, Any] = end.value
        return told
    raise AssertionError("something was awaited")


async def awaited(order: Dict[str, Any]) -> Dict[str, Any]:
    """Go through it by the coroutines."""
    facade = MCPClientFacade()

    async def do(name: str, *given: Any, **named: Any) -> Any:
        return await getattr(facade, name)(*given, **named)

    return await talk(order, facade, do)


def children() -> bool:
    """Return whether there is a process of ours that nobody has waited for."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def main() -> None:
    """Do both, and look at what is left each time."""
    order = json.load(sys.stdin)
    told: Dict[str, Any] = {"python": list(sys.version_info[:2])}
    before = helpers.Traces()
    told["sync"] = blocking(order)
    told["sync"]["left"] = [*before.new(), *(["a child process"] if children() else [])]
    told["asyncio"] = "asyncio" in sys.modules
    import asyncio

    told["async"] = asyncio.run(awaited(order))
    told["async"]["left"] = [*before.new(), *(["a child process"] if children() else [])]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
