"""A server with two handlers, one entered twice: ``server.py SOCKET``."""

import asyncio
import sys

from dcc_mcp_embed.ipc import SocketServer, request

server = SocketServer(
    socket_path=sys.argv[1],
    account_id="test_account",
    enable_health_check=True,
    health_check_interval=30.0,
)


# By the decorator, which needs no server,
@request("echo")
async def handle_echo(data: dict) -> dict:
    return {"echo": data}


server.register_handler("echo", handle_echo)


# and by the server's own method.
async def handle_add(data: dict) -> dict:
    a = data.get("a", 0)
    b = data.get("b", 0)
    return {"result": a + b}


server.register_handler("add", handle_add)


async def main():
    # Serves until it is stopped.
    await server.start()


if __name__ == "__main__":
    asyncio.run(main())
