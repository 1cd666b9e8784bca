"""Our client, which measures itself: an order on each line of stdin, a result for each on stdout.

    python client_ours.py ROOT URL TOOL TEXT

An order names a way and the seconds: one call after the other, or eight at once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from typing import Any, Callable, Dict, List

ROOT, URL, TOOL, TEXT = sys.argv[1:5]
sys.path[0] = ROOT

from dcc_mcp_embed.mcp import MCPClientFacade, MCPPluginConfig  # noqa: E402

AT_ONCE = 8
CONFIG = MCPPluginConfig("me", "bench", URL)
ARGUMENTS = {"text": TEXT}
Result = Dict[str, Any]


def told(times: List[float], seconds: float) -> Result:
    return {"times": times, "seconds": seconds}


def wrong(answer: Any) -> None:
    raise SystemExit("not the result: {!r}".format(answer))


def one_sync(facade: MCPClientFacade, seconds: float) -> Result:
    """Call from one thread that blocks."""
    clock, times = time.perf_counter, []
    begin = clock()
    end = begin + seconds
    after = begin
    while after < end:
        before = clock()
        answer = facade.call_tool_sync("me", "bench", TOOL, ARGUMENTS)
        after = clock()
        times.append(after - before)
        if answer != TEXT:
            wrong(answer)
    return told(times, after - begin)


def threads(facade: MCPClientFacade, seconds: float) -> Result:
    """Call from eight threads that block."""
    found: List[Result] = []
    workers = [
        threading.Thread(target=lambda: found.append(one_sync(facade, seconds)))
        for _ in range(AT_ONCE)
    ]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if len(found) != AT_ONCE:
        raise SystemExit("a thread has failed")
    return told([one for some in found for one in some["times"]], time.perf_counter() - begin)


def batch(facade: MCPClientFacade, seconds: float) -> Result:
    """Have batches of eight calls run, eight at once; the times are those of batches, by eight."""
    call = {"function": {"name": "bench_" + TOOL, "arguments": ARGUMENTS}}
    calls = [dict(call, id=str(number)) for number in range(AT_ONCE)]
    wanted = json.dumps(TEXT)
    clock, times = time.perf_counter, []
    begin = clock()
    end = begin + seconds
    after = begin
    while after < end:
        before = clock()
        answers = facade.batch_call_tools_sync("me", calls, max_concurrent=AT_ONCE)
        after = clock()
        times += [(after - before) / AT_ONCE] * AT_ONCE
        for answer in answers:
            if answer["content"] != wanted:
                wrong(answer)
    return told(times, after - begin)


async def _one(facade: MCPClientFacade, seconds: float) -> Result:
    clock, times = time.perf_counter, []
    begin = clock()
    end = begin + seconds
    after = begin
    while after < end:
        before = clock()
        answer = await facade.call_tool("me", "bench", TOOL, ARGUMENTS)
        after = clock()
        times.append(after - before)
        if answer != TEXT:
            wrong(answer)
    return told(times, after - begin)


async def _eight(facade: MCPClientFacade, seconds: float) -> Result:
    begin = time.perf_counter()
    found = await asyncio.gather(*(_one(facade, seconds) for _ in range(AT_ONCE)))
    return told([one for some in found for one in some["times"]], time.perf_counter() - begin)


WAYS: Dict[str, Callable[[MCPClientFacade, float], Result]] = {
    "sync one": one_sync,
    "sync eight": threads,
    "async one": lambda facade, seconds: asyncio.run(_one(facade, seconds)),
    "async eight": lambda facade, seconds: asyncio.run(_eight(facade, seconds)),
    "batch eight": batch,
}


def main() -> None:
    """Register, say so, and do what is ordered until stdin ends."""
    facade = MCPClientFacade()
    try:
        if not facade.register_sync(CONFIG):
            raise SystemExit("it is not registered")
        facade.get_tools_sync("me", "bench")
        gc.disable()
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            used = time.process_time()
            result = WAYS[order["way"]](facade, order["seconds"])
            result["cpu"] = time.process_time() - used
            print(json.dumps(result), flush=True)
    finally:
        facade.cleanup_sync()


main()
