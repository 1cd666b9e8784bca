"""Tools of every kind for whoever calls them through the facade, on a server of ours."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.mcp import MCPPluginConfig
from dcc_mcp_embed.tools.content import Image
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import DEADLINE, Live
from fakes.stage import declared_among

__all__ = ["PNG", "USER", "Peer", "data_of", "openai_call", "peer"]

USER = "me"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def _tools(peer: Peer) -> Any:
    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def echo(text: str) -> str:
        """Return what it is given."""
        peer.ran.append("echo")
        return text

    @dcc_mcp_embed.tool(thread="worker", raw=True)
    def answer(result: dict) -> dict:
        """Answer with just this result."""
        return result

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def picture() -> Any:
        """Return an image."""
        return Image(PNG)

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def add_up(numbers: List[int]) -> Dict[str, int]:
        """Return data."""
        return {"sum": sum(numbers)}

    @dcc_mcp_embed.tool(thread="worker")
    def fail() -> str:
        """Fail."""
        raise dcc_mcp_embed.HostError("the disk is full")

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def steps(count: int) -> Any:
        """Tell of each step."""
        for number in range(count):
            yield Progress(number + 1, count)
        return "arrived"

    @dcc_mcp_embed.tool(thread="worker")
    def hold(ctx: Any) -> Any:
        """Stay until the test lets it go, or it is given up."""
        peer.entered.release()
        try:
            while not peer.leave.wait(0.002):
                yield None
        except GeneratorExit:
            peer.given_up.release()
            raise
        return "held"

    @dcc_mcp_embed.tool(read_only=True)
    def on_main() -> str:
        """Answer from the main thread."""
        return "mained"

    @dcc_mcp_embed.tool()
    def run_there() -> dict:
        """Do on the host's main thread what the test says."""
        return {"result": peer.there()}

    return declared_among(locals())


class Peer:
    """The server, and what it and a test tell each other."""

    def __init__(self) -> None:
        self.ran: List[str] = []
        self.entered = threading.Semaphore(0)
        self.given_up = threading.Semaphore(0)
        self.leave = threading.Event()
        self.there: Any = None
        self.live: Any = None

    @property
    def url(self) -> str:
        url: str = self.live.server.plain_url
        return url

    @property
    def headers(self) -> Dict[str, str]:
        headers: Dict[str, str] = self.live.authorization
        return headers

    def config(self, plugin_name: str = "host", user_id: str = USER, **more: Any) -> Any:
        given = dict({"headers": self.headers}, **more)
        return MCPPluginConfig(user_id, plugin_name, self.url, **given)

    def on_main(self, function: Any) -> Any:
        """Return what a function returns on the host's main thread."""
        self.there = function
        with self.live.connect() as wire:
            result = wire.tool("run_there")
        assert result["isError"] is False, result
        return result["structuredContent"]["data"]["result"]

    def add_tool(self, name: str) -> None:
        """Have one more tool, which the server tells its clients of."""

        @dcc_mcp_embed.tool(name=name, read_only=True, thread="worker")
        def new() -> str:
            """Be new."""
            return "new"

        self.live.server.add_tools([declared_among(locals())])

    def has_entered(self) -> None:
        assert self.entered.acquire(timeout=DEADLINE)

    def was_given_up(self) -> None:
        assert self.given_up.acquire(timeout=DEADLINE)

    def fresh(self) -> None:
        """Forget what was, for another test."""
        self.leave.clear()
        self.ran.clear()
        for one in (self.entered, self.given_up):
            while one.acquire(blocking=False):
                pass


@contextmanager
def peer(home: str) -> Iterator[Peer]:
    """Yield a server that runs in this process."""
    one = Peer()
    with pytest.MonkeyPatch.context() as patch:
        one.live = Live(home, patch, tools=[_tools(one)], profile="full")
        try:
            # Its worker thread begins with the first call, and stays.
            with one.live.connect() as wire:
                wire.tool("echo", {"text": "x"})
            yield one
        finally:
            one.leave.set()
            one.live.close()


def openai_call(number: int, name: str, arguments: Any = "{}") -> Dict[str, Any]:
    """Return a call as a model makes it."""
    function = {"name": name, "arguments": arguments}
    return {"id": "call_{}".format(number), "type": "function", "function": function}


def data_of(message: Dict[str, Any]) -> Any:
    """Return what stands in the content of a message that was put back."""
    return json.loads(message["content"])
