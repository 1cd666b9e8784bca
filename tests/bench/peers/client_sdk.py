"""The official Python SDK's client, 1.x or 2.x, which measures itself as ``client_ours.py`` does.

python client_sdk.py URL TOOL TEXT
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import json
import sys
import time
from typing import Any, AsyncIterator, Dict, List

URL, TOOL, TEXT = sys.argv[1:4]
AT_ONCE = 8
ARGUMENTS = {"text": TEXT}


@contextlib.asynccontextmanager
async def connect() -> AsyncIterator[Any]:
    """Yield what calls are made on, as the SDK's documentation has it."""
    if importlib.metadata.version("mcp").startswith("1."):
        from mcp import ClientSession
        from mcp.client.streamable_http import streamable_http_client

        async with streamable_http_client(URL) as (reading, writing, _):
            async with ClientSession(reading, writing) as session:
                await session.initialize()
                yield session
    else:
        from mcp import Client

        async with Client(URL) as client:
            yield client


async def one(session: Any, seconds: float) -> List[float]:
    clock, times = time.perf_counter, []
    end = clock() + seconds
    after = 0.0
    while after < end:
        before = clock()
        answer = await session.call_tool(TOOL, ARGUMENTS)
        after = clock()
        times.append(after - before)
        if answer.content[0].text != TEXT:
            raise SystemExit("not the result: {!r}".format(answer))
    return times


async def main() -> None:
    """Connect, say so, and do what is ordered until stdin ends."""
    async with connect() as session:
        await session.list_tools()
        gc.disable()
        print(json.dumps({"ready": True}), flush=True)
        # Nothing else is to happen while it waits for an order.
        for line in iter(sys.stdin.readline, ""):
            order = json.loads(line)
            many = AT_ONCE if order["way"].endswith("eight") else 1
            used, begin = time.process_time(), time.perf_counter()
            found = await asyncio.gather(*(one(session, order["seconds"]) for _ in range(many)))
            result: Dict[str, Any] = {
                "times": [each for some in found for each in some],
                "seconds": time.perf_counter() - begin,
                "cpu": time.process_time() - used,
            }
            print(json.dumps(result), flush=True)


asyncio.run(main())
