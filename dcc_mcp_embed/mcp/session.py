"""A conversation with one server, in whichever era it speaks. Coroutines; loop thread.

It asks for ``server/discover`` first, and shakes hands where the server does not know that.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple

from ..errors import RemoteProtocolError
from ..net.loop import Loop
from ..net.tasks import Cut, Group, TimedOut, sleep, within
from ..wire import jsonrpc
from ..wire.mcp.param_headers import ParamHeader, param_headers, repeated
from ..wire.mcp.revisions import (
    HANDSHAKE,
    LATEST_HANDSHAKE,
    META_CAPABILITIES,
    META_CLIENT,
    META_SERVER,
    META_VERSION,
    STATELESS,
    UNSUPPORTED_VERSION,
)
from ..wire.mcp.routing import NAMED, encode_header
from .answering import Answering
from .connection import Broken
from .wire import Expired, HttpFailed, Refused, Wire

__all__ = ["RpcFailed", "Session"]

#: Seconds for a server to say whether it knows ``server/discover``; a program that is still being
#: installed answers both questions later.
_PROBE = 5.0
#: The same over HTTP, where a server that does not know it answers that at once, unless it is busy.
_PROBE_HTTP = 20.0
#: Seconds for what is said at the end, or without an answer.
_BRIEF = 2.0
#: How often in a row a call is asked for more.
_MOST_ROUNDS = 10
#: Questions of a server that are answered at once; each may take a thread.
_MOST_ASKED = 16
#: Answers that are being sent at once, each perhaps on a connection of its own, and those that wait
#: for that; whoever asks for more gets none.
_MOST_SENDING, _MOST_WAITING = 16, 1_000
#: Pages of a list, and entries in all of them.
_MOST_PAGES, _MOST_ENTRIES = 1_000, 100_000
#: Seconds until changes are listened for again.
_AGAIN, _LONGEST_AGAIN = 1.0, 60.0
#: What is not called off: nothing has begun yet.
_INTRODUCING = ("server/discover", "initialize")
_LISTEN = "subscriptions/listen"
_CHANGED = "notifications/tools/list_changed"

Tools = List[Dict[str, Any]]
Progress = Callable[[Dict[str, Any]], None]


class RpcFailed(Exception):
    """The server answered with an error of JSON-RPC."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__("{} ({})".format(message, code))
        self.code = code
        self.message = message
        self.data = data


class Session:
    """One server. ``probe``: whether it may be of the stateless era; ``changed()``: its tools have.

    ``failed(error)`` is told of what nobody waits for.
    """

    def __init__(
        self,
        loop: Loop,
        wire: Wire,
        answering: Answering,
        client: Dict[str, str],
        changed: Callable[[], None],
        failed: Callable[[BaseException], None],
        probe: bool = True,
    ) -> None:
        self._loop = loop
        self._wire = wire
        self._answering = answering
        self._client = client
        self._changed = changed
        self._probe = probe
        self._group = Group(loop, failed)
        self._ids = itertools.count(1)
        #: Token -> who hears of progress.
        self._progress: Dict[Any, Progress] = {}
        #: The revision that is spoken; None: not known yet.
        self.version: Optional[str] = None
        self.server: Dict[str, Any] = {}
        self.capabilities: Dict[str, Any] = {}
        #: Name -> its entry, as of the last list; None: there was none yet.
        self.tools: Optional[Dict[str, Dict[str, Any]]] = None
        self._headers: Dict[str, Tuple[ParamHeader, ...]] = {}
        #: Name of a tool -> why nobody can follow what it wants in headers.
        self._unusable: Dict[str, str] = {}
        self._listening = False
        #: Requests of the server that are being answered.
        self._asked = 0
        #: The answers to them that are to be sent, and how many tasks do so.
        self._answers: Deque[Dict[str, Any]] = deque()
        self._sending = 0

    @property
    def stateless(self) -> bool:
        return self.version in STATELESS

    @property
    def lost(self) -> bool:
        """Return whether another one has to be opened before anything more can be asked."""
        return self._wire.lost

    @property
    def going(self) -> bool:
        """Return whether something is left of it that has yet to end, once it is closed."""
        return self._wire.going

    # -- beginning ----------------------------------------------------------------------------

    async def open(self, seconds: Optional[float] = None) -> None:
        """Find out what the server speaks, and introduce ourselves.

        ``seconds``: how long that may take, if anybody minds: half of it is kept for a handshake.
        Raises Broken, HttpFailed, RpcFailed, RemoteProtocolError.
        """
        try:
            await self._wire.open()
            patience = _PROBE_HTTP if self._wire.has_headers else _PROBE
            await self._introduce(patience if seconds is None else min(patience, seconds / 2))
        except Broken as broken:
            # Whatever it has got of this, it has got no request of a user's.
            raise Broken(broken.reason, False) from None

    async def _introduce(self, patience: float) -> None:
        slow = False
        try:
            if self._probe and await self._discover(patience):
                return
        except TimedOut:
            # It is slow, or passes over what it does not know.
            slow = True
        try:
            await self._shake_hands()
        except RpcFailed:
            # It was slow, if it speaks up now.
            if not (slow and await self._discover(None)):
                raise

    async def _discover(self, patience: Optional[float]) -> bool:
        """Return whether the server is of the stateless era. Raises Refused, Broken, TimedOut."""
        self.version = STATELESS[-1]
        try:
            with within(self._loop, patience):
                found = await self._request("server/discover", {})
        except (Refused, TimedOut):
            raise
        except (RpcFailed, HttpFailed, RemoteProtocolError):
            # It is older than that; or whatever is wrong with it shows when hands are shaken.
            found = {}
        except Broken as broken:
            if not broken.sent:
                raise
            # Some programs end, when the first that they hear is no handshake.
            if self._wire.lost:
                await self._wire.open()
            found = {}
        versions = found.get("supportedVersions")
        if type(versions) is not list or self.version not in versions:
            return False
        meta = found.get("_meta")
        server = meta.get(META_SERVER) if type(meta) is dict else None
        self._introduced(found, server or found.get("serverInfo"))
        return True

    async def _shake_hands(self) -> None:
        self.version = None
        found = await self._request(
            "initialize",
            {
                "protocolVersion": LATEST_HANDSHAKE,
                "capabilities": self._answering.capabilities,
                "clientInfo": self._client,
            },
        )
        version = found.get("protocolVersion")
        if version not in HANDSHAKE:
            raise RemoteProtocolError(
                "The server speaks {!r} of MCP, which is none of {}.".format(
                    str(version)[:40], ", ".join((*HANDSHAKE, *STATELESS))
                )
            )
        self.version = version
        self._introduced(found, found.get("serverInfo"))
        self._wire.opened(version)
        await self._wire.tell(jsonrpc.notification("notifications/initialized", {}), ())
        self._group.spawn(self._wire.listen(self._heard))

    def _introduced(self, found: Dict[str, Any], server: Any) -> None:
        capabilities = found.get("capabilities")
        self.capabilities = capabilities if type(capabilities) is dict else {}
        self.server = server if type(server) is dict else {}

    # -- requests -----------------------------------------------------------------------------

    async def request(
        self, method: str, params: Dict[str, Any], progress: Optional[Progress] = None
    ) -> Dict[str, Any]:
        """Return the result of a request, having answered what the server asks on its way.

        Raises RpcFailed, Broken, HttpFailed, Expired, RemoteProtocolError.
        """
        result = await self._request(method, params, progress)
        for _ in range(_MOST_ROUNDS):
            if not self.stateless or result.get("resultType") != "input_required":
                return result
            more: Dict[str, Any] = {}
            if "inputRequests" in result:
                more["inputResponses"] = await self._answering.answers(result["inputRequests"])
            if "requestState" in result:
                more["requestState"] = result["requestState"]
            try:
                result = await self._request(method, dict(params, **more), progress)
            except Broken as broken:
                # In part it has been done.
                raise Broken(broken.reason, True) from None
        raise RemoteProtocolError("The server asks for more and more, and never answers.")

    async def _request(
        self, method: str, params: Dict[str, Any], progress: Optional[Progress] = None
    ) -> Dict[str, Any]:
        answer = await self._ask(method, params, progress)
        error = answer.get("error")
        if error is not None and self._may_do_better(error):
            answer = await self._ask(method, params, progress)
            error = answer.get("error")
        if error is not None:
            raise _rpc_failed(error)
        result = answer.get("result")
        if type(result) is not dict:
            raise RemoteProtocolError("The server's answer to {} is no object.".format(method))
        return result

    def _may_do_better(self, error: Any) -> bool:
        """Return whether another revision is wanted, which we speak as well."""
        if (
            not self.stateless
            or type(error) is not dict
            or error.get("code") != UNSUPPORTED_VERSION
        ):
            return False
        data = error.get("data")
        wanted = data.get("supported") if type(data) is dict else None
        for version in reversed(STATELESS):
            if type(wanted) is list and version in wanted:
                self.version = version
                return True
        return False

    async def _ask(
        self, method: str, params: Dict[str, Any], progress: Optional[Progress]
    ) -> Dict[str, Any]:
        ident = next(self._ids)
        meta: Dict[str, Any] = dict(params.get("_meta") or {})
        fields: List[Tuple[str, str]] = []
        if self.stateless:
            assert self.version is not None
            meta[META_VERSION] = self.version
            meta[META_CAPABILITIES] = self._answering.capabilities
            meta[META_CLIENT] = self._client
            fields = self._fields(method, params)
        if progress is not None:
            meta["progressToken"] = ident
            self._progress[ident] = progress
        if meta:
            params = dict(params, _meta=meta)
        message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        try:
            return await self._wire.ask(message, fields, self._heard)
        except Cut:
            if method not in _INTRODUCING and not (self.stateless and self._wire.has_headers):
                self._group.spawn(self._call_off(ident))
            raise
        finally:
            self._progress.pop(ident, None)

    def _fields(self, method: str, params: Dict[str, Any]) -> List[Tuple[str, str]]:
        assert self.version is not None
        fields = [("MCP-Protocol-Version", self.version), ("Mcp-Method", method)]
        name = params.get(NAMED.get(method, ""))
        if type(name) is str:
            fields.append(("Mcp-Name", encode_header(name)))
            arguments = params.get("arguments")
            if method == "tools/call" and type(arguments) is dict:
                fields.extend(repeated(self._headers.get(name, ()), arguments))
        return fields

    async def _call_off(self, ident: int) -> None:
        await self._tell("notifications/cancelled", {"requestId": ident, "reason": "given up"})

    async def _tell(self, method: str, params: Dict[str, Any]) -> None:
        try:
            with within(self._loop, _BRIEF):
                await self._wire.tell(jsonrpc.notification(method, params), ())
        except (Broken, HttpFailed, Expired, TimedOut):
            # Nobody waits for it, and the next request shows what is wrong.
            pass

    # -- tools --------------------------------------------------------------------------------

    async def list_tools(self) -> Tools:
        """Return all of the server's tools, as it describes them. Raises as :meth:`request`.

        In the stateless era those are left out whose header annotations nobody can follow.
        """
        found: Tools = []
        cursor: Optional[str] = None
        seen: Set[str] = set()
        for _ in range(_MOST_PAGES):
            result = await self.request("tools/list", {} if cursor is None else {"cursor": cursor})
            page = result.get("tools")
            if type(page) is not list or not all(
                type(one) is dict and type(one.get("name")) is str for one in page
            ):
                raise RemoteProtocolError("What the server answers is no list of tools.")
            found.extend(page)
            cursor = result.get("nextCursor")
            if type(cursor) is not str or not cursor or cursor in seen:
                break
            seen.add(cursor)
            if len(found) > _MOST_ENTRIES:
                break
        usable = [one for one in found if self._take_headers(one)]
        self.tools = {one["name"]: one for one in usable}
        if self.stateless and not self._listening:
            self._listening = True
            self._group.spawn(self._hear_changes())
        return usable

    def _take_headers(self, tool: Dict[str, Any]) -> bool:
        if not (self.stateless and self._wire.has_headers):
            return True
        schema = tool.get("inputSchema")
        try:
            self._headers[tool["name"]] = param_headers(schema if type(schema) is dict else {})
        except ValueError as error:
            self._unusable[tool["name"]] = str(error)
            return False
        self._unusable.pop(tool["name"], None)
        return True

    async def call_tool(
        self, name: str, arguments: Dict[str, Any], progress: Optional[Progress] = None
    ) -> Dict[str, Any]:
        """Return the CallToolResult of a call. Raises as :meth:`request`."""
        if self.tools is None and self.stateless and self._wire.has_headers:
            # Its arguments may have to stand in headers too.
            try:
                await self.list_tools()
            except Broken as broken:
                # Nothing of the call itself has been sent.
                raise Broken(broken.reason, False) from None
        if name in self._unusable:
            raise RemoteProtocolError("The tool {!r} {}.".format(name, self._unusable[name]))
        return await self.request("tools/call", {"name": name, "arguments": arguments}, progress)

    def is_harmless(self, name: str) -> bool:
        """Return whether a tool is said to do nothing, or the same, if it is called twice."""
        tool = (self.tools or {}).get(name) or {}
        hints = tool.get("annotations")
        return type(hints) is dict and (
            hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True
        )

    async def _hear_changes(self) -> None:
        tools = self.capabilities.get("tools")
        if type(tools) is not dict or not tools.get("listChanged"):
            return
        wait = _AGAIN
        while not self._wire.lost:
            began = self._loop.clock.monotonic()
            try:
                await self._request(_LISTEN, {"notifications": {"toolsListChanged": True}})
            except (RpcFailed, HttpFailed, RemoteProtocolError):
                return
            except Broken:
                # That is one of the ways in which it ends.
                pass
            lasted = self._loop.clock.monotonic() - began > _LONGEST_AGAIN
            wait = _AGAIN if lasted else min(wait * 2, _LONGEST_AGAIN)
            await sleep(self._loop, wait)
            # What has come meanwhile was not heard.
            self._changed()

    # -- what the server says -----------------------------------------------------------------

    def _heard(self, message: Dict[str, Any]) -> None:
        method = message.get("method")
        if type(method) is not str:
            # An answer that nobody waits for any more.
            return
        params = message.get("params")
        if "id" in message:
            # In the stateless era a server asks by what it answers, and in no other way.
            if not self.stateless and type(message["id"]) in (int, str):
                self._group.spawn(self._answer(message["id"], method, params))
        elif method == "notifications/progress" and type(params) is dict:
            token = params.get("progressToken")
            heard = self._progress.get(token) if type(token) in (int, str) else None
            if heard is not None:
                heard(params)
        elif method == _CHANGED:
            self._changed()

    async def _answer(self, ident: Any, method: str, params: Any) -> None:
        if self._asked >= _MOST_ASKED and method != "ping":
            text = "This client answers no more than {} at once".format(_MOST_ASKED)
            answer = jsonrpc.error(ident, jsonrpc.INTERNAL_ERROR, text)
        else:
            self._asked += 1
            try:
                given = params if type(params) is dict else {}
                answer = await self._answering.answer(ident, method, given)
            finally:
                self._asked -= 1
        if len(self._answers) < _MOST_WAITING:
            self._answers.append(answer)
            if self._sending < _MOST_SENDING:
                self._sending += 1
                self._group.spawn(self._send_answers())

    async def _send_answers(self) -> None:
        try:
            while self._answers:
                try:
                    await self._wire.tell(self._answers.popleft(), ())
                except (Broken, HttpFailed, Expired):
                    # It has gone, or has got its answer elsewhere; its own request ends without.
                    continue
        finally:
            self._sending -= 1

    # -- the end ------------------------------------------------------------------------------

    async def leave(self) -> None:
        """Say goodbye, as long as that takes no time to speak of; then :meth:`close`."""
        self._group.cancel()
        try:
            with within(self._loop, self._wire.patience):
                await self._wire.leave()
        except (Broken, HttpFailed, Expired, TimedOut, RuntimeError):
            # It is not there any more.
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything now."""
        self._group.cancel()
        self._wire.close()

    async def gone(self) -> None:
        """Return once nothing is left of it, or that takes too long. After :meth:`close`."""
        await self._wire.gone()

    def disown(self) -> None:
        """Close this process's copies of what is open, in a forked child."""
        self._wire.disown()


def _rpc_failed(error: Any) -> RpcFailed:
    if type(error) is not dict:
        return RpcFailed(jsonrpc.INTERNAL_ERROR, str(error)[:1000])
    code = error.get("code")
    return RpcFailed(
        code if type(code) is int else jsonrpc.INTERNAL_ERROR,
        str(error.get("message") or "no reason given")[:4000],
        error.get("data"),
    )
