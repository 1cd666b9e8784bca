"""The server by its old module name, with positional arguments: ``server_v1.py SOCKET``."""

import asyncio
import sys

from dcc_mcp_embed.ipc.socket_server import SocketServer

server = SocketServer(sys.argv[1], "test_account")


async def handle_echo(data):
    return {"echo": data}


async def handle_add(data):
    return {"result": data["a"] + data["b"]}


server.register_handler("echo", handle_echo)
server.register_handler("add", handle_add)

if __name__ == "__main__":
    asyncio.run(server.start())
