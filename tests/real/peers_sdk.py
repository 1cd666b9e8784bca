"""A server on the official Python SDK, 1.x or 2.x; runs in an environment that has it.

    python peers_sdk.py stdio|http

With ``http`` it serves nothing itself, but does what each JSON line on stdin says: start a server,
``{"start": "stateful|stateless|sse", "port": PORT}``, or kill one, ``{"kill": PID}``. That is a
child, which need not load the SDK again. The tools are what a client is tried with.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import signal
import socket
import sys
from typing import Any, List, Set

import anyio
from mcp.types import CallToolResult, ToolAnnotations

if importlib.metadata.version("mcp").startswith("1."):
    from mcp.server.fastmcp import Context, FastMCP, Image

    def make(stateless: bool) -> Any:
        """Return the server."""
        return FastMCP("peer", stateless_http=stateless, log_level="WARNING")

    def application(server: Any, transport: str) -> Any:
        """Return what uvicorn serves."""
        return server.sse_app() if transport == "sse" else server.streamable_http_app()

else:
    from mcp.server.mcpserver import Context, Image, MCPServer

    def make(stateless: bool) -> Any:
        """Return the server."""
        return MCPServer("peer", log_level="WARNING")

    def application(server: Any, transport: str) -> Any:
        """Return what uvicorn serves."""
        if transport == "sse":
            return server.sse_app()
        return server.streamable_http_app(stateless_http=transport == "stateless")


#: One red pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)


def echo(text: str) -> str:
    """Return the text."""
    return text


def picture() -> Image:
    """Return an image."""
    return Image(data=PNG, format="png")


def several() -> List[Any]:
    """Return a text and an image."""
    return ["a text", Image(data=PNG, format="png")]


def structured(a: int, b: int) -> CallToolResult:
    """Return a sum, and no text."""
    return CallToolResult.model_validate({"content": [], "structuredContent": {"sum": a + b}})


def fail() -> str:
    """Fail."""
    raise ValueError("it fails on purpose")


async def steps(count: int, ctx: Context) -> str:
    """Tell of progress so many times."""
    for number in range(count):
        await ctx.report_progress(number + 1, count, "step {}".format(number + 1))
    return "done"


async def stay(path: str) -> str:
    """Add a line to a file; the first time go on for a minute then."""
    with open(path, "a", encoding="ascii") as file:
        file.write("run\n")
    with open(path, encoding="ascii") as file:
        runs = len(file.readlines())
    if runs == 1:
        await anyio.sleep(60)
    return "run {}".format(runs)


def note(path: str, text: str) -> str:
    """Add a line to a file."""
    with open(path, "a", encoding="ascii") as file:
        file.write(text + "\n")
    return text


def server_of_all(stateless: bool) -> Any:
    """Return a server with all of the tools."""
    server = make(stateless)
    for function in (echo, fail, note, steps):
        server.add_tool(function)
    for function in (picture, several):
        server.add_tool(function, structured_output=False)
    server.add_tool(structured)
    server.add_tool(stay, name="write")
    hint = ToolAnnotations.model_validate({"readOnlyHint": True})
    server.add_tool(stay, name="look", annotations=hint)
    return server


def serve(transport: str, port: int) -> None:
    """Serve at a port; say so in a JSON line on stdout as soon as somebody can connect."""
    # asyncio sets TCP_NODELAY only on sockets whose protocol is named.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    server = server_of_all(transport == "stateless")
    config = uvicorn.Config(application(server, transport), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def start_and_kill() -> None:
    """Do as stdin says, and end the rest with it."""
    children: Set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            pid = os.fork()
            if not pid:
                serve(order["start"], order["port"])
                return
            children.add(pid)
        else:
            end(order["kill"])
            children.remove(order["kill"])
            print(json.dumps({"killed": order["kill"]}), flush=True)
    for pid in children:
        end(pid)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if sys.argv[1] == "stdio":
    server_of_all(False).run("stdio")
else:
    import uvicorn

    start_and_kill()
