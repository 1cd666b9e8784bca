"""Handlers by the name of the request."""

import asyncio

from dcc_mcp_embed.ipc.utils import RequestHandlerRegistry

registry = RequestHandlerRegistry()


@registry.register("echo")
async def handle_echo(data):
    return {"echo": data}


handler = registry.get_handler("echo")
print(asyncio.run(handler({"message": "hello"})))
print(registry.get_handler("nobody"))
