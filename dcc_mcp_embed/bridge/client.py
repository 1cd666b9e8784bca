"""One client: what it has said of itself, what it wants to hear, and the way to it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..wire import jsonrpc
from ..wire.mcp.machine import Opened
from ..wire.mcp.revisions import LOG_LEVELS, META_LOG_LEVEL
from ..wire.mcp.work import Work
from . import dialect
from .dialect import Listening
from .errand import Wishes
from .stdio import LineWriter

__all__ = ["Client", "Send"]

Send = Callable[[Dict[str, Any]], None]
Tools = List[Dict[str, Any]]

#: From which level on a client is told what is logged, until it names one; as hosts have it.
_LEVEL = "info"


class Client:
    """A client that reads lines. The desk's thread."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self.name = ""
        self.version: Optional[str] = None
        self.initialized = False
        self.level = _LEVEL
        #: Id -> who listens under it, in the stateless era.
        self.listeners: Dict[Any, Listening] = {}
        #: The list that it was told of last, in words or by a notification.
        self._shown: Optional[Tools] = None

    def opened(self, outcome: Opened) -> None:
        """Note that it has introduced itself."""
        self.version, self.name = outcome.version, outcome.client
        self.initialized = False
        self.level = _LEVEL

    def wishes(self, work: Work) -> Wishes:
        """Return what it wants to hear of work under way."""
        level: Optional[str] = self.level
        if work.stateless:
            level = work.params["_meta"].get(META_LOG_LEVEL)
            level = level if level in LOG_LEVELS else None
        return Wishes(work.token is not None, level, work.client)

    def shown(self, tools: Tools) -> None:
        """Note that it was shown this list."""
        self._shown = tools

    def tell_of(self, tools: Tools) -> None:
        """Tell it when the list is another one than it was shown."""
        if self._shown is None or tools == self._shown:
            return
        self._shown = tools
        if self.initialized:
            self.send(dialect.changed())
        for one in self.listeners.values():
            if one.tools:
                self.send(dialect.changed(one))

    def send(self, message: Dict[str, Any]) -> None:
        """Send it a message; waits while it does not read."""
        try:
            line = jsonrpc.encode(message)
        except (ValueError, RecursionError) as error:
            text = "The answer cannot be sent: {}".format(error)
            refusal = jsonrpc.error(message.get("id"), jsonrpc.INTERNAL_ERROR, text)
            line = jsonrpc.encode(refusal)
        self._writer.put(line)

    def offer(self, line: bytes) -> None:
        """Send it a line if there is room for it."""
        self._writer.offer(line)
