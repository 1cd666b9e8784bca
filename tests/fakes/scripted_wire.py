"""A way to a server whose every word stands in the test."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from dcc_mcp_embed.mcp.wire import Fields, Heard, Wire
from dcc_mcp_embed.net.tasks import Wait

__all__ = ["SILENCE", "ScriptedWire", "failure", "result"]

#: No answer, ever.
SILENCE = object()
Reply = Union[Dict[str, Any], Exception, Callable[[Dict[str, Any]], Any], object]


def result(**found: Any) -> Dict[str, Any]:
    return {"result": found}


def failure(code: int, message: str = "no", data: Any = None) -> Dict[str, Any]:
    error: Dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"error": error}


class ScriptedWire(Wire):
    """``script``: method -> its replies, one after the other, the last one again and again.

    A reply is what an answer has besides its id, an error to raise, SILENCE, or a function that
    takes the request and returns one of these. What the script does not know is refused.
    """

    def __init__(self, has_headers: bool = True, **script: Any) -> None:
        self.has_headers = has_headers
        self.script: Dict[str, List[Reply]] = {}
        for method, replies in script.items():
            self.on(method.replace("__", "/"), *(replies if type(replies) is list else [replies]))
        self.asked: List[Dict[str, Any]] = []
        self.fields: List[Fields] = []
        self.told: List[Dict[str, Any]] = []
        self.heard: Heard = lambda message: None
        self.opens = 0
        self.listens = 0
        self.left = 0
        self.closed = 0
        self.version: Optional[str] = None
        self.refuses: Optional[Exception] = None

    def on(self, method: str, *replies: Reply) -> None:
        """Say what a method is answered with."""
        self.script[method] = list(replies)

    @property
    def methods(self) -> List[str]:
        """Return what was asked for."""
        return [one["method"] for one in self.asked]

    def params(self, method: str) -> List[Dict[str, Any]]:
        """Return what was asked with, without what belongs to the era."""
        return [
            {name: value for name, value in one["params"].items() if name != "_meta"}
            for one in self.asked
            if one["method"] == method
        ]

    def headers(self, method: str) -> List[Dict[str, str]]:
        """Return the headers of its requests."""
        pairs: List[Tuple[Dict[str, Any], Fields]] = list(zip(self.asked, self.fields))
        return [dict(fields) for one, fields in pairs if one["method"] == method]

    # -- a wire -------------------------------------------------------------------------------

    async def open(self) -> None:
        self.opens += 1
        self.lost = False
        if self.refuses is not None:
            raise self.refuses

    async def ask(self, message: Dict[str, Any], fields: Fields, heard: Heard) -> Dict[str, Any]:
        self.asked.append(json.loads(json.dumps(message)))
        self.fields.append(tuple(fields))
        self.heard = heard
        replies = self.script.get(message["method"]) or [failure(-32601, "what is that")]
        reply: Any = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply):
            reply = reply(message)
        if isinstance(reply, Exception):
            raise reply
        if reply is SILENCE:
            await Wait()
        if isinstance(reply, Wait):
            reply = await reply
        return dict(reply, jsonrpc="2.0", id=message["id"])

    async def tell(self, message: Dict[str, Any], fields: Fields) -> None:
        self.told.append(json.loads(json.dumps(message)))

    def opened(self, version: str) -> None:
        self.version = version

    async def listen(self, heard: Heard) -> None:
        self.listens += 1
        self.heard = heard

    async def leave(self) -> None:
        self.left += 1

    def close(self) -> None:
        self.closed += 1

    def disown(self) -> None:
        pass
