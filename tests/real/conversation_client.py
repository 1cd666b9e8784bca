"""An official MCP SDK client led by JSON lines; runs in an environment that has the SDK.

    python conversation_client.py URL [--token TOKEN] [--mode auto|legacy|REVISION]
    python conversation_client.py --command JSON [--mode auto|legacy|REVISION]

``--command``: program and arguments of a server to be spoken to over its stdin and stdout.

Works with ``mcp`` 1.x (which has no modes) and 2.x. The first line on stdout says what was agreed.
Then each line on stdin is a command and gets one line: ``{"do": "tools"}``, ``{"do": "call",
"name": …, "arguments": {…}}``, ``{"do": "wire"}`` (the HTTP exchanges since the last time),
``{"do": "end"}``. A command that fails is answered with ``{"failed": …}`` and the client goes on;
where the SDK gives its session up, the answer is ``{"ended": …}`` and the process ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import sys
import traceback
from typing import Any, AsyncIterator, Dict, List

VERSION = importlib.metadata.version("mcp")
LARGEST = 16 * 1024 * 1024

wire: List[Dict[str, Any]] = []


def say(value: Dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def record(response: Any) -> None:
    """Note one HTTP exchange; the local port tells one connection from another."""
    request = response.request
    stream = response.extensions.get("network_stream")
    local = stream.get_extra_info("client_addr") if stream is not None else None
    wire.append(
        {
            "method": request.method,
            "status": response.status_code,
            "type": response.headers.get("content-type"),
            "authorization": "authorization" in request.headers,
            "session_sent": request.headers.get("mcp-session-id"),
            "session_given": response.headers.get("mcp-session-id"),
            "version_sent": request.headers.get("mcp-protocol-version"),
            "local_port": local[1] if local else None,
        }
    )


def http(token: str) -> Any:
    """Return the SDK's own HTTP client with the header a user configures."""
    from mcp.shared._httpx_utils import create_mcp_http_client

    client = create_mcp_http_client(headers={"Authorization": "Bearer " + token} if token else None)
    client.event_hooks = {"response": [record], "request": []}
    return client


@contextlib.asynccontextmanager
async def over(options: argparse.Namespace) -> AsyncIterator[Any]:
    """Yield the SDK's transport, not entered yet."""
    if options.command:
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client

        program, *arguments = json.loads(options.command)
        yield stdio_client(
            StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
        )
        return
    from mcp.client.streamable_http import streamable_http_client

    async with http(options.token) as client:
        yield streamable_http_client(options.url, http_client=client)


@contextlib.asynccontextmanager
async def connect(options: argparse.Namespace) -> AsyncIterator[Any]:
    """Yield (session, what was agreed)."""
    async with over(options) as transport:
        if VERSION.startswith("1."):
            from mcp import ClientSession

            async with transport as streams:
                reading, writing = streams[:2]
                async with ClientSession(reading, writing) as session:
                    agreed = await session.initialize()
                    yield (
                        session,
                        agreed.protocolVersion,
                        agreed.serverInfo.model_dump(mode="json"),
                        agreed.instructions,
                    )
        else:
            from mcp import Client

            async with Client(transport, mode=options.mode) as session:
                info = session.server_info
                yield (
                    session,
                    session.protocol_version,
                    None if info is None else info.model_dump(mode="json", by_alias=True),
                    session.instructions,
                )


async def obey(session: Any, command: Dict[str, Any]) -> Dict[str, Any]:
    if command["do"] == "wire":
        seen = list(wire)
        wire.clear()
        return {"wire": seen}
    if command["do"] == "tools":
        answer = await session.list_tools()
    else:
        answer = await session.call_tool(command["name"], command.get("arguments", {}))
    shown: Dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
    return shown


async def converse(options: argparse.Namespace) -> None:
    reader = asyncio.StreamReader(LARGEST)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with connect(options) as (session, protocol, server, instructions):
        say(
            {
                "sdk": VERSION,
                "protocol": protocol,
                "server": server,
                "instructions": instructions,
            }
        )
        while True:
            line = await reader.readline()
            command = json.loads(line) if line else {"do": "end"}
            if command["do"] == "end":
                break
            try:
                answer = await obey(session, command)
            except Exception as error:
                # Whatever the SDK raises: the test that gave the command judges it.
                answer = {"failed": summary(error)}
            say(answer)
    say({"ended": None})


def summary(error: BaseException) -> Dict[str, Any]:
    """Return type and text of an error, of the first that counts in a group."""
    while getattr(error, "exceptions", ()):
        error = error.exceptions[0]  # type: ignore[attr-defined]
    return {"type": type(error).__name__, "text": str(error)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url", nargs="?")
    parser.add_argument("--command")
    parser.add_argument("--token", default="")
    parser.add_argument("--mode", default="auto")
    options = parser.parse_args()
    try:
        asyncio.run(converse(options))
    except BaseException as error:
        traceback.print_exc()
        say({"ended": summary(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
