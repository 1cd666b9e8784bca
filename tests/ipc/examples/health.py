"""Is it alive? Ask a function, and believe it for three seconds at most."""

import asyncio

from dcc_mcp_embed.ipc.utils import HealthChecker


async def heartbeat_func():
    await asyncio.sleep(0)
    return True


async def failing():
    raise ConnectionError("nobody there")


async def main():
    checker = HealthChecker(
        interval=5.0,
        timeout=3.0,
    )
    print(await checker.check(heartbeat_func))
    print(await checker.check(failing))


asyncio.run(main())
