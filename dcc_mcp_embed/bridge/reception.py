"""What a client says, one line at a time: read, answered at once or given to who does it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import (
    Accepted,
    Cancel,
    LevelSet,
    McpMachine,
    Opened,
    Reply,
    Subscribe,
)
from ..wire.mcp.revisions import BATCHES
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, ToolCall, Work
from . import dialect
from .catalog import Catalog
from .client import Client, Send
from .dialect import Implied
from .flights import Flights
from .lists import ShelfLists, ToolLists
from .shelf import SHELVES
from .stdio import TooLong

__all__ = ["Reception"]

#: Messages in one batch.
_BATCH = 100


class Reception:
    """Takes what one client says. The desk's thread."""

    def __init__(
        self,
        client: Client,
        machine: McpMachine,
        server: Dict[str, Any],
        catalog: Catalog,
        tools: ToolLists,
        shelves: ShelfLists,
        flights: Flights,
        log: Callable[[str, str], None],
    ) -> None:
        self._client = client
        self._machine = machine
        self._server = server
        self._catalog = catalog
        self._tools = tools
        self._shelves = shelves
        self._flights = flights
        self._log = log
        #: Kind of outcome -> what is done with (outcome, method, send).
        self._doers: Dict[Any, Callable[[Any, str, Send], None]] = {
            Opened: self._opened,
            Reply: self._reply,
            LevelSet: self._level_set,
            Subscribe: self._subscribe,
            Cancel: self._cancel,
            Accepted: self._accepted,
        }
        self._doers.update(dict.fromkeys((ToolCall, ResourceRead, PromptGet), self._work))
        self._doers[Completion] = self._work

    def line(self, line: Any) -> None:
        """Take one line, as :class:`.stdio.LineReader` delivers it."""
        if isinstance(line, TooLong):
            self._refuse("A message has at most {} bytes".format(line.limit))
            return
        try:
            value = jsonrpc.decode(line)
        except Fault as fault:
            self._client.send(self._machine.refuse(fault).message)
            return
        try:
            if type(value) is list:
                self._batch(value)
            else:
                self._message(value, self._client.send, True)
        except Exception as error:
            self._log("error", "A message could not be dealt with: {!r}".format(error))
            ident = value.get("id") if type(value) is dict else None
            if type(ident) in (str, int):
                text = "The bridge could not do that"
                self._client.send(jsonrpc.error(ident, jsonrpc.INTERNAL_ERROR, text))

    def _refuse(self, text: str) -> None:
        refused = self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, text))
        self._client.send(refused.message)

    def _batch(self, values: List[Any]) -> None:
        if self._client.version != BATCHES:
            text = "Batches are part of {} only; send one message per line"
            self._refuse(text.format(BATCHES))
        elif not 0 < len(values) <= _BATCH:
            text = "A batch holds 1 to {} messages; this one has {}"
            self._refuse(text.format(_BATCH, len(values)))
        else:
            # Answered one by one, so that what is slow delays nothing else.
            for value in values:
                self._message(value, self._client.send, False)

    def _message(self, value: Any, send: Send, alone: bool) -> None:
        method: Any = value.get("method") if type(value) is dict else None
        try:
            listening = dialect.listening(value)
        except Fault as fault:
            send(fault.to_message())
            return
        if listening is not None:
            self._client.listeners[listening.id] = listening
            send(dialect.acknowledged(listening))
        elif method == "tools/list" and "id" in value:
            self._tools.before(lambda: self._list_tools(value, send))
        elif method in SHELVES and "id" in value:
            self._shelves.before(method, lambda: self._list(value, send))
        elif method == "initialize" and not alone:
            ident = value.get("id")
            known = ident if type(ident) in (str, int) else None
            send(jsonrpc.error(known, jsonrpc.INVALID_REQUEST, "initialize stands alone"))
        else:
            outcome = self._machine.receive(value, Implied(value), self._client.name)
            do = self._doers.get(type(outcome))
            if do is not None:
                do(outcome, method, send)

    # -- lists --------------------------------------------------------------------------------

    def _list(self, value: Any, send: Send) -> None:
        outcome = self._machine.receive(value, Implied(value), self._client.name)
        assert isinstance(outcome, Reply)
        send(outcome.message)

    def _list_tools(self, value: Any, send: Send) -> None:
        self._list(value, send)
        self._catalog.listed()
        self._client.shown(self._catalog.listing())

    # -- outcomes -----------------------------------------------------------------------------

    def _opened(self, outcome: Opened, method: str, send: Send) -> None:
        self._client.opened(outcome)
        send(dialect.offer(outcome.message))

    def _reply(self, outcome: Reply, method: str, send: Send) -> None:
        message = outcome.message
        if method == "server/discover" and "result" in message:
            message = dialect.offer(message)
        send(message)

    def _level_set(self, outcome: LevelSet, method: str, send: Send) -> None:
        self._client.level = outcome.level
        send(outcome.message)

    def _subscribe(self, outcome: Subscribe, method: str, send: Send) -> None:
        text = "The bridge tells of no changes of resources"
        send(jsonrpc.error(outcome.id, jsonrpc.METHOD_NOT_FOUND, text))

    def _accepted(self, outcome: Accepted, method: str, send: Send) -> None:
        if method == "notifications/initialized":
            self._client.initialized = True

    def _work(self, outcome: Work, method: str, send: Send) -> None:
        self._flights.begin(self._client, outcome, send)

    def _cancel(self, outcome: Cancel, method: str, send: Send) -> None:
        ident = outcome.id
        if type(ident) not in (str, int):
            return
        listening = self._client.listeners.pop(ident, None)
        if listening is not None:
            send(dialect.ended(listening, self._server))
        else:
            self._flights.cancel(self._client, ident)
