"""An official MCP SDK client that is asked and told things; runs where the SDK is installed.

    python asked_client.py URL MODE
    python asked_client.py '["python3", "-m", …]' MODE      a server at its stdin and stdout

Works with ``mcp`` 1.x (which has no modes) and 2.x. It calls tools of the conformance fixture,
answers what they ask, and prints one JSON object: the texts of their results, what it was told, and
what it was asked.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import sys
from typing import Any, Dict, List

if importlib.metadata.version("mcp").startswith("1."):
    from mcp import types
else:
    import mcp_types as types

OLD = importlib.metadata.version("mcp").startswith("1.")
DEADLINE = 20.0
CALLS = [
    ("test_elicitation", {"message": "Who are you?"}),
    ("test_sampling", {"prompt": "Think"}),
    ("test_input_required_result_multiple_inputs", {}),
    ("test_input_required_result_multi_round", {}),
    ("test_tool_with_logging", {}),
    ("test_reconnection", {}),
]
CONTENT = {"username": "ann", "email": "ann@x", "name": "Ann", "color": "blue"}

asked: List[str] = []
told: List[Any] = []
changed = asyncio.Event()


async def elicited(context: Any, params: Any) -> Any:
    asked.append("elicit: " + params.message)
    return types.ElicitResult(action="accept", content=CONTENT)


async def sampled(context: Any, params: Any) -> Any:
    asked.append("sample: " + params.messages[0].content.text)
    content = types.TextContent(type="text", text="thought")
    return types.CreateMessageResult(role="assistant", content=content, model="m")


async def rooted(context: Any) -> Any:
    asked.append("roots")
    return types.ListRootsResult(roots=[types.Root(uri="file:///a")])


async def logged(params: Any) -> None:
    told.append([params.level, params.data])


async def handled(message: Any) -> None:
    inner = getattr(message, "root", message)
    if getattr(inner, "method", "") == "notifications/tools/list_changed":
        changed.set()


CALLBACKS: Dict[str, Any] = {
    "elicitation_callback": elicited,
    "sampling_callback": sampled,
    "list_roots_callback": rooted,
    "logging_callback": logged,
    "message_handler": handled,
}


async def talk(session: Any) -> Dict[str, Any]:
    texts = []
    for name, arguments in CALLS:
        result = await asyncio.wait_for(session.call_tool(name, arguments), DEADLINE)
        texts.append(result.content[0].text)
    return {"texts": texts, "asked": asked, "told": told}


async def wait_for_change(session: Any) -> Dict[str, Any]:
    # Until its own stream is open, nobody tells it.
    for _ in range(20):
        await session.call_tool("test_trigger_tool_change", {})
        try:
            await asyncio.wait_for(changed.wait(), 1.0)
            break
        except asyncio.TimeoutError:
            continue
    return {"changed": changed.is_set()}


def over_stdio(command: str) -> Any:
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    program, *arguments = json.loads(command)
    return stdio_client(
        StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
    )


async def main(url: str, mode: str) -> None:
    started = over_stdio(url) if url.startswith("[") else None
    if OLD:
        from mcp import ClientSession
        from mcp.client.streamable_http import streamable_http_client

        async with started or streamable_http_client(url) as streams:
            async with ClientSession(streams[0], streams[1], **CALLBACKS) as session:
                await session.initialize()
                found = await talk(session)
                found.update(await wait_for_change(session))
    else:
        from mcp import Client

        async with Client(started or url, mode=mode, **CALLBACKS) as session:
            found = await talk(session)
            if mode == "legacy":
                found.update(await wait_for_change(session))
            else:
                found["changed"] = await listened(session)
    print(json.dumps(found))


async def listened(session: Any) -> Any:
    """Return whether a subscription of the stateless era brings the change."""
    listen = getattr(session, "listen", None)
    if listen is None:
        return None
    async with listen(tools_list_changed=True) as events:
        await session.call_tool("test_trigger_tool_change", {})
        async for event in events:
            return type(event).__name__
    return False


asyncio.run(main(*sys.argv[1:]))
