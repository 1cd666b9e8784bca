"""The server side of MCP, both eras: one message in, one outcome out.

An outcome is a :class:`Reply` that can be sent as it is, or a :class:`ToolCall` that somebody has
to run before :meth:`McpMachine.answer` makes its reply. The machine keeps no session: what a
session knows is passed in. It does not know tools either: ``catalogue`` lists them.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from .. import jsonrpc
from ..jsonrpc import Fault, Id, Notification, Request, Response
from .revisions import (
    ASSUMED,
    HANDSHAKE,
    LATEST_HANDSHAKE,
    META_CLIENT,
    META_SERVER,
    STATELESS,
    http_status,
)
from .routing import check_stateless, is_stateless

__all__ = ["Accepted", "Cancel", "McpMachine", "Opened", "Reply", "ToolCall", "version_of"]

#: How long a client of the stateless era may keep a list, milliseconds. Zero: tools can be added
#: at any moment and there is no stream yet on which to say so.
LIST_TTL_MS = 0


class Reply(NamedTuple):
    """A finished answer: HTTP status and one JSON-RPC message."""

    status: int
    message: Dict[str, Any]


class Opened(NamedTuple):
    """The answer to ``initialize``: a session begins with this version and client."""

    status: int
    message: Dict[str, Any]
    version: str
    client: str


class Accepted(NamedTuple):
    """Nothing to answer: HTTP 202 without a body."""


class Cancel(NamedTuple):
    """The client no longer wants the answer to its request ``id``. Answered with 202."""

    id: Any


class ToolCall(NamedTuple):
    """A tool to be run. ``stateless`` is its era; ``token`` its progress token or None."""

    id: Id
    name: str
    arguments: Dict[str, Any]
    stateless: bool
    token: Any
    client: str


Outcome = Union[Reply, Opened, Accepted, Cancel, ToolCall]


class McpMachine:
    """Answer what needs no tool, name what does.

    ``server`` is the Implementation block (name, version, title); ``catalogue()`` returns the tool
    descriptions in a fixed order; ``instructions`` is what an agent should know first.
    """

    def __init__(
        self,
        server: Dict[str, Any],
        catalogue: Callable[[], List[Dict[str, Any]]],
        instructions: str,
    ) -> None:
        self._server = server
        self._catalogue = catalogue
        self._instructions = instructions
        self._capabilities: Dict[str, Any] = {"tools": {"listChanged": False}}
        self._handshake_methods: Dict[str, Callable[[Request], Outcome]] = {
            "initialize": self._initialize,
            "ping": self._ping,
            "tools/list": self._list_tools,
        }
        self._stateless_methods: Dict[str, Callable[[Request], Outcome]] = {
            "server/discover": self._discover,
            "tools/list": self._list_tools_stateless,
        }

    def receive(self, value: Any, headers: Any, client: str = "") -> Outcome:
        """Take one decoded message with the HTTP ``headers`` it came with.

        ``client`` is who the session says it is. Never raises for what a peer sent.
        """
        try:
            message = jsonrpc.classify(value)
            if type(message) is Request:
                if is_stateless(message.params, headers.get("mcp-protocol-version")):
                    return self._stateless(message, headers)
                return self._handshake(message, client)
        except Fault as fault:
            return self.refuse(fault)
        if type(message) is Notification and message.method == "notifications/cancelled":
            return Cancel(message.params.get("requestId"))
        assert isinstance(message, (Notification, Response))
        return Accepted()

    def refuse(self, fault: Fault) -> Reply:
        """Return the reply for a message that could not even be read."""
        return Reply(400, fault.to_message())

    def answer(self, call: ToolCall, result: Dict[str, Any]) -> Reply:
        """Return the reply to a tool call; ``result`` is a CallToolResult without era marks."""
        if call.stateless:
            result = dict(result)
            result["resultType"] = "complete"
            meta = dict(result.get("_meta") or {})
            meta[META_SERVER] = self._server
            result["_meta"] = meta
        return Reply(200, {"jsonrpc": "2.0", "id": call.id, "result": result})

    def unknown_tool(self, call: ToolCall, message: str) -> Reply:
        """Return the protocol error for a tool that does not exist (stateless era)."""
        return Reply(
            http_status(jsonrpc.INVALID_PARAMS),
            jsonrpc.error(call.id, jsonrpc.INVALID_PARAMS, message),
        )

    def progress(self, call: ToolCall, done: float, total: Any, text: Any) -> Dict[str, Any]:
        """Return the progress notification for a call that asked for it."""
        params: Dict[str, Any] = {"progressToken": call.token, "progress": done}
        if total is not None:
            params["total"] = total
        if text is not None:
            params["message"] = text
        return jsonrpc.notification("notifications/progress", params)

    # -- handshake revisions ------------------------------------------------------------------

    def _handshake(self, request: Request, client: str) -> Outcome:
        try:
            if request.method == "tools/call":
                return _tool_call(request, False, client)
            method = self._handshake_methods.get(request.method)
            if method is None:
                raise _no_method(request)
            return method(request)
        except Fault as fault:
            # These revisions carry the error of a request that could be read in a 200.
            return Reply(200, fault.to_message())

    def _initialize(self, request: Request) -> Outcome:
        params = request.params
        wanted = params.get("protocolVersion")
        version = wanted if wanted in HANDSHAKE else LATEST_HANDSHAKE
        result = {
            "protocolVersion": version,
            "capabilities": self._capabilities,
            "serverInfo": self._server,
            "instructions": self._instructions,
        }
        return Opened(
            200,
            jsonrpc.result(request.id, result),
            version,
            _client_label(params.get("clientInfo")),
        )

    def _ping(self, request: Request) -> Outcome:
        return Reply(200, jsonrpc.result(request.id, {}))

    def _list_tools(self, request: Request) -> Outcome:
        _no_cursor(request)
        return Reply(200, jsonrpc.result(request.id, {"tools": self._catalogue()}))

    # -- stateless revisions ------------------------------------------------------------------

    def _stateless(self, request: Request, headers: Any) -> Outcome:
        try:
            check_stateless(request, headers)
            if request.method == "tools/call":
                label = _client_label(request.params["_meta"].get(META_CLIENT))
                return _tool_call(request, True, label)
            method = self._stateless_methods.get(request.method)
            if method is None:
                raise _no_method(request)
            return method(request)
        except Fault as fault:
            return Reply(http_status(fault.code), fault.to_message())

    def _complete(self, request: Request, result: Dict[str, Any]) -> Reply:
        result["resultType"] = "complete"
        result["ttlMs"] = LIST_TTL_MS
        result["cacheScope"] = "private"
        result["_meta"] = {META_SERVER: self._server}
        return Reply(200, jsonrpc.result(request.id, result))

    def _discover(self, request: Request) -> Outcome:
        return self._complete(
            request,
            {
                "supportedVersions": list(STATELESS),
                "capabilities": self._capabilities,
                "instructions": self._instructions,
            },
        )

    def _list_tools_stateless(self, request: Request) -> Outcome:
        _no_cursor(request)
        return self._complete(request, {"tools": self._catalogue()})


def version_of(headers: Any, session_version: Optional[str]) -> str:
    """Return the handshake revision that a message is read by."""
    header = headers.get("mcp-protocol-version")
    if header in HANDSHAKE:
        return str(header)
    return session_version or ASSUMED


def _tool_call(request: Request, stateless: bool, client: str) -> ToolCall:
    params = request.params
    name = params.get("name")
    if type(name) is not str:
        raise _bad_params(request, "tools/call needs params.name, a string")
    arguments = params.get("arguments")
    if arguments is None:
        arguments = {}
    elif type(arguments) is not dict:
        raise _bad_params(request, "params.arguments of tools/call is an object")
    meta = params.get("_meta")
    token = meta.get("progressToken") if type(meta) is dict else None
    if token is not None and type(token) not in (str, int):
        raise _bad_params(request, "progressToken is a string or an integer")
    return ToolCall(request.id, name, arguments, stateless, token, client)


def _bad_params(request: Request, text: str) -> Fault:
    return Fault(jsonrpc.INVALID_PARAMS, text, request.id)


def _no_method(request: Request) -> Fault:
    return Fault(
        jsonrpc.METHOD_NOT_FOUND,
        "Method {!r} is not known here".format(request.method[:100]),
        request.id,
    )


def _no_cursor(request: Request) -> None:
    if request.params.get("cursor") is not None:
        raise _bad_params(request, "The list is one page; there is no such cursor")


def _client_label(info: Any) -> str:
    if type(info) is not dict:
        return ""
    parts: Tuple[Any, ...] = (info.get("name"), info.get("version"))
    return " ".join(part[:60] for part in parts if type(part) is str and part)
