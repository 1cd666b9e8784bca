"""What a client says on its lines: read, and refused where it is no message."""

from __future__ import annotations

from typing import Any, List

from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.implied import Implied
from ..wire.mcp.machine import McpMachine
from ..wire.mcp.revisions import BATCHES
from .client import Client
from .service import Service
from .stdio import TooLong

__all__ = ["Reception"]

#: Messages in one batch.
_BATCH = 100


class Reception:
    """Takes what one client says. The desk's thread."""

    def __init__(self, client: Client, machine: McpMachine, service: Service) -> None:
        self._client = client
        self._machine = machine
        self._service = service

    def line(self, line: Any) -> None:
        """Take one line, as :class:`.stdio.LineReader` delivers it."""
        if isinstance(line, TooLong):
            self._refuse("A message has at most {} bytes".format(line.limit))
            return
        try:
            value = jsonrpc.decode(line)
        except Fault as fault:
            self._client.voice.reply(self._machine.refuse(fault).message)
            return
        if type(value) is list:
            self._batch(value)
        else:
            self._message(value, True)

    def _refuse(self, text: str) -> None:
        refused = self._machine.refuse(Fault(jsonrpc.INVALID_REQUEST, text))
        self._client.voice.reply(refused.message)

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
                self._message(value, False)

    def _message(self, value: Any, alone: bool) -> None:
        voice = self._client.voice
        ident = value.get("id") if type(value) is dict else None
        known = ident if type(ident) in (str, int) else None
        if type(value) is dict and value.get("method") == "initialize" and not alone:
            voice.reply(jsonrpc.error(known, jsonrpc.INVALID_REQUEST, "initialize stands alone"))
            return
        service = self._service
        service.answer(known, voice, service.take, self._client, value, Implied(value), voice)
