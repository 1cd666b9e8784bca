"""The framed wire on our port: bytes to calls, several at a time, answers by id. Loop thread only.

A stranger may say a hello of a few hundred bytes, within two seconds, and nothing else. After it
there are six methods, JSON (UTF-8) in both directions:

    tools/list                           {"tools": [...]}, as MCP lists them
    tools/call  {"name", "arguments"}    a CallToolResult, as MCP answers
    ping                                 {}
    status                               what the tool ``get_status`` shows
    mcp                                  see :mod:`.framed_mcp`
    resume                               see :mod:`..rpc.resume`

Whatever a peer asks is answered; a connection ends only when what comes is not the protocol.

A peer that has resumed gets a receipt for each tools/call: after a lost connection it resumes on a
new one and learns what became of its calls, and none of them runs twice. Tools that only read, or
for which twice is as good as once, leave none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from ..clock import Clock
from ..errors import HostBusy, NotFound
from ..net.stream import Stream
from ..rpc.receipts import Limits as Keeping
from ..rpc.resume import RESUME
from ..tools.results import failure
from ..tools.table import ToolTable
from ..wire import jsonrpc
from ..wire.messages import Notify, Request
from .calls import Calls
from .framed_connection import BadParams, FramedConnection
from .framed_mcp import MCP, FramedMcp
from .framed_shared import FramedShared

if TYPE_CHECKING:
    from .hall import Hall

__all__ = ["FramedEndpoint"]


class FramedEndpoint(FramedShared):
    """Serve the methods of one server. ``instance()`` is the block of results.

    For ``key``, ``epoch`` and ``open_to_all`` see :class:`.FramedShared`.
    """

    def __init__(
        self,
        table: ToolTable,
        calls: Calls,
        mcp: FramedMcp,
        clock: Clock,
        instance: Callable[[], Dict[str, Any]],
        key: bytes,
        port: int,
        instance_id: str,
        epoch: str,
        open_to_all: bool,
        log: Callable[[str, str], None],
        keeping: Keeping = Keeping(),
    ) -> None:
        super().__init__(clock, key, port, instance_id, epoch, open_to_all, log, keeping)
        self.calls = calls
        self._mcp_messages = mcp
        self._table = table
        self.instance = instance
        self.methods = {
            MCP: self._mcp,
            "ping": self._ping,
            RESUME: self._resume,
            "status": self._status,
            "tools/call": self._call,
            "tools/list": self._list,
        }

    def connect(
        self, front: Hall, stream: Stream, peer: Tuple[str, int], opened: float
    ) -> FramedConnection:
        """Return a connection for a peer whose first byte was a frame's."""
        return FramedConnection(self, front, stream, peer, opened)

    def _resume(self, connection: FramedConnection, request: Request) -> None:
        connection.resume(request)

    def _ping(self, connection: FramedConnection, request: Request) -> Dict[str, Any]:
        return {}

    def _status(self, connection: FramedConnection, request: Request) -> Dict[str, Any]:
        status: Dict[str, Any] = self.calls.control.status()
        return status

    def _list(self, connection: FramedConnection, request: Request) -> Dict[str, Any]:
        return {"tools": self._table.listing()}

    def _call(self, connection: FramedConnection, request: Request) -> Optional[Dict[str, Any]]:
        params = _object(request.params)
        name = params.get("name")
        arguments: Any = params.get("arguments")
        if type(name) is not str:
            raise BadParams("tools/call needs a name, a string")
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise BadParams("the arguments of tools/call are an object")
        try:
            tool = self._table.get(name)
        except NotFound as error:
            return failure(error, self.instance())

        def begin(answer: Callable[[Dict[str, Any]], None], refusal: Optional[HostBusy]) -> None:
            if refusal is not None:
                answer(failure(refusal, self.instance()))
            else:
                self.calls.start(tool, arguments, connection.client, connection.identity, answer)

        connection.run(request, tool.read_only or tool.idempotent, begin)
        return None

    def _mcp(self, connection: FramedConnection, request: Request) -> None:
        self._mcp_messages.handle(connection, request, _object(request.params))

    def notified(self, notify: Notify) -> None:
        """Take a notification that is none of the wire's own."""
        if notify.topic == MCP:
            self._mcp_messages.notified(notify.data)


def _object(params: bytes) -> Dict[str, Any]:
    """Return the JSON object in ``params``; nothing at all counts as an empty one."""
    if not params:
        return {}
    try:
        value = jsonrpc.decode(params)
    except jsonrpc.Fault as fault:
        raise BadParams(fault.message) from None
    if value is None:
        return {}
    if type(value) is not dict:
        raise BadParams("params are a JSON object")
    return value
