"""What the official Python SDK, 1.x or 2.x, does once it is connected; what came of it as JSON.

    python sdk.py NAME MODE URL          streamable HTTP, or HTTP+SSE where it ends in /sse
    python sdk.py NAME MODE COMMAND...   stdio

MODE, for 2.x: legacy, auto or a revision.
The steps are those of ``steps.mjs``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import os
import sys
from typing import Any, AsyncIterator, Dict, List

OLD = importlib.metadata.version("mcp").startswith("1.")
DEADLINE = 20.0


@contextlib.asynccontextmanager
async def connect(name: str, mode: str, target: List[str]) -> AsyncIterator[Any]:
    """Yield (session, revision, name of the server)."""
    if target[0].endswith("/sse"):
        from mcp.client.sse import sse_client

        transport: Any = sse_client(target[0])
    elif target[0].startswith("http:"):
        from mcp.client.streamable_http import streamable_http_client

        transport = streamable_http_client(target[0])
    else:
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        command, *args = target
        transport = stdio_client(
            StdioServerParameters(command=command, args=args, env=dict(os.environ))
        )
    if OLD:
        from mcp import ClientSession, types

        async with transport as streams:
            info = types.Implementation(name=name, version="1")
            async with ClientSession(streams[0], streams[1], client_info=info) as session:
                agreed = await session.initialize()
                yield session, agreed.protocolVersion, agreed.serverInfo.name
    else:
        from mcp import Client

        async with Client(transport, mode=mode) as session:
            server = session.server_info
            yield session, session.protocol_version, server and server.name


def text(result: Any) -> str:
    return "".join(getattr(block, "text", "") for block in result.content)


async def give_up(session: Any, task: asyncio.Task[Any], ident: int, waits: bool) -> str:
    """Cancel a call as one does with this SDK; return what its caller saw."""
    if OLD:
        # It offers nothing but the notification. A call over HTTP is answered all the same.
        from mcp import types

        params = types.CancelledNotificationParams(requestId=ident, reason="enough")
        await session.send_notification(
            types.ClientNotification(
                types.CancelledNotification(method="notifications/cancelled", params=params)
            )
        )
        if not waits:
            task.cancel()
            return "cancelled"
        result = await asyncio.wait_for(task, DEADLINE)
        code = (result.structuredContent or {}).get("error", {}).get("code")
        return str(code)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"
    return "answered"


async def cancel(session: Any, name: str, waits: bool) -> Dict[str, Any]:
    """Call what never ends by itself, cancel it at its first sign of life, wait for its end."""
    begun = asyncio.Event()

    async def told(*_: Any) -> None:
        begun.set()

    ident = getattr(session, "_request_id", 0)
    task = asyncio.create_task(session.call_tool("go_on", {"name": name}, progress_callback=told))
    await asyncio.wait_for(begun.wait(), DEADLINE)
    answered = await give_up(session, task, ident, waits)
    result = await session.call_tool("what_ended", {"name": name})
    found = getattr(result, "structured_content", None) or result.structuredContent
    return {"answered": answered, "ends": found["data"]["ends"]}


async def play(session: Any, name: str, waits: bool) -> Dict[str, Any]:
    progress: List[Any] = []

    async def told(done: float, total: Any, message: Any) -> None:
        progress.append([done, total])

    listed = await session.list_tools()
    counted = await session.call_tool("count_up", {"steps": 3}, progress_callback=told)
    cancelled = await cancel(session, name, waits)
    read = await session.read_resource("test://greeting")
    got = await session.get_prompt("greet", {"name": "Ann"})
    return {
        "tools": [tool.name for tool in listed.tools],
        "progress": progress,
        "result": text(counted),
        "cancelled": cancelled,
        "resource": read.contents[0].text,
        "prompt": got.messages[0].content.text,
    }


async def main(name: str, mode: str, *target: str) -> None:
    async with connect(name, mode, list(target)) as (session, protocol, server):
        found = await play(session, name, target[0].startswith("http:"))
    print(json.dumps(dict(found, protocol=protocol, server={"name": server})))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
