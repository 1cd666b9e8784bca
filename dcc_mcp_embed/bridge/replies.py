"""What a client is answered for how its request has ended. Pure."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..errors import HostError, NotFound, ToolError, Unsupported
from ..tools.results import failure, success
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.machine import McpMachine, Reply
from ..wire.mcp.older import in_words_of
from ..wire.mcp.revisions import META_SERVER, MISSING_CAPABILITY
from ..wire.mcp.work import ToolCall, Work
from .ended import Ended
from .hosts import Host
from .shelf import marked

__all__ = ["Replies", "protocol_error", "readable"]

#: What marks a result of the stateless era.
_ERA = ("resultType", "ttlMs", "cacheScope")
#: What an error of JSON-RPC says that a tool call is answered with; others are the host's.
_FAULTS = {jsonrpc.INVALID_PARAMS: NotFound, MISSING_CAPABILITY: Unsupported}


class Replies:
    """Makes replies of ends."""

    def __init__(self, machine: McpMachine) -> None:
        self._machine = machine

    def ended(self, work: Work, ended: Ended, host: Host, label: str) -> Reply:
        """Return the reply to what a host has ended; uris in it begin with ``label``, if any."""
        if ended.demand is not None:
            return self._machine.input_required(work, *ended.demand)
        if ended.fault is not None:
            return self._refused(work, ended.fault, host)
        if ended.error is not None:
            return self.failed(work, ended.error, host)
        assert ended.result is not None
        result = _plain(ended.result)
        return self._machine.answer(work, marked(result, label) if label else result)

    def own(self, work: Work, data: Dict[str, Any]) -> Reply:
        """Return the reply to a call of the bridge's own tool."""
        return self._machine.answer(work, success(data, None, None))

    def failed(self, work: Work, error: ToolError, host: Optional[Host] = None) -> Reply:
        """Return the reply to work that came to nothing."""
        if isinstance(work, ToolCall):
            block = None if host is None else host.block()
            return self._machine.answer(work, failure(error, block))
        return self._machine.fail(work, jsonrpc.INTERNAL_ERROR, _told(error), error.to_dict())

    def _refused(self, work: Work, fault: Fault, host: Host) -> Reply:
        """Return the reply for an error of JSON-RPC that the host has answered."""
        code, text, data = fault.code, fault.message, fault.data
        if work.stateless and (code == MISSING_CAPABILITY or "requestState" in work.params):
            # About the request, not about what it asks for.
            return self._machine.fail(work, code, text, data)
        if isinstance(work, ToolCall):
            return self.failed(work, _FAULTS.get(code, HostError)(text), host)
        if type(data) is dict and data.get("code") == NotFound.code:
            # Its number is another one in each era.
            return self._machine.not_found(work, text, data)
        return self._machine.fail(work, code, text, data)


def protocol_error(ident: Any, error: ToolError) -> Dict[str, Any]:
    """Return the answer to a request that is no work, and came to nothing."""
    return jsonrpc.error(ident, jsonrpc.INTERNAL_ERROR, _told(error), error.to_dict())


def readable(work: Work, message: Dict[str, Any], version: Optional[str]) -> Dict[str, Any]:
    """Return the answer to ``work`` with content of kinds that the client's revision has.

    Hosts answer as in the stateless era. ``version``: the handshake revision that the client has
    named; one that has named none gets everything, as with a host.
    """
    if work.stateless or version is None:
        return message
    try:
        return in_words_of(version, message)
    except (AttributeError, KeyError, TypeError):
        # It is no content of any revision. What the client makes of it is better than no answer.
        return message


def _told(error: ToolError) -> str:
    return "{} {}".format(error.message, error.hint or "").strip()


def _plain(result: Dict[str, Any]) -> Dict[str, Any]:
    """Return a result of the stateless era without what only that era has."""
    plain = {key: value for key, value in result.items() if key not in _ERA}
    meta = plain.get("_meta")
    if type(meta) is dict:
        plain["_meta"] = {key: value for key, value in meta.items() if key != META_SERVER}
        if not plain["_meta"]:
            del plain["_meta"]
    return plain
