"""The official Python SDK with one echo tool, JSON answers, both eras, as ``uvicorn`` ships."""

from __future__ import annotations

import json
import socket

import uvicorn
from mcp.server import MCPServer

server = MCPServer("bench", log_level="WARNING")


@server.tool()
def echo(text: str) -> str:
    """Return the text."""
    return text


def main() -> None:
    """Listen, print the port as one JSON line, serve until a signal ends it."""
    # asyncio sets TCP_NODELAY only on sockets whose protocol is named; without it every answer
    # waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    config = uvicorn.Config(
        server.streamable_http_app(json_response=True), log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])


main()
