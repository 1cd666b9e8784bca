"""The official MCP SDK 1.x as a client that runs calls as tasks; runs where the SDK is installed.

    python tasks_client.py URL

It calls the tools of ``conformance/fixture_tasks.py``, answers what they ask, and prints one JSON
object of what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Dict, List

from mcp import ClientSession, types
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.exceptions import McpError

asked: List[Any] = []


async def elicited(context: Any, params: Any) -> Any:
    asked.append([params.message, "io.modelcontextprotocol/related-task" in dict(params.meta)])
    return types.ElicitResult(action="accept", content={"confirm": True})


async def talk(url: str) -> Dict[str, Any]:
    """Do it all in one session."""
    async with streamablehttp_client(url) as (reader, writer, _):
        async with ClientSession(reader, writer, elicitation_callback=elicited) as session:
            await session.initialize()
            tasks = session.experimental
            supports = {
                one.name: one.execution.taskSupport if one.execution else None
                for one in (await session.list_tools()).tools
            }

            async def begin(name: str, **arguments: Any) -> str:
                created = await tasks.call_tool_as_task(name, arguments)
                return str(created.task.taskId)

            async def outcome(ident: str) -> Any:
                return await tasks.get_task_result(ident, types.CallToolResult)

            slow = await begin("slow_compute", seconds=1, label="x")
            polled = [one.status async for one in tasks.poll_task(slow)]
            texts = [(await outcome(slow)).content[0].text]
            texts.append(
                (await outcome(await begin("confirm_delete", filename="a"))).content[0].text
            )
            failing = await begin("failing_job")
            failed = (await outcome(failing)).isError
            endless = await begin("slow_compute", seconds=60)
            cancelled = (await tasks.cancel_task(endless)).status
            refused = []
            for call in (tasks.cancel_task(endless), session.call_tool("failing_job", {})):
                try:
                    await call
                except McpError as error:
                    refused.append(error.error.code)
            return {
                "supports": {name: supports[name] for name in ("slow_compute", "greet")},
                "polled": [polled[0], polled[-1]],
                "texts": texts,
                "failed": failed,
                "cancelled": cancelled,
                "refused": refused,
                "listed": sorted(one.status for one in (await tasks.list_tasks()).tasks),
                "asked": asked,
            }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(talk(sys.argv[1]))))
