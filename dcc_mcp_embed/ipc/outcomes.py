"""One request under way: its data becomes a value, and what comes of its handler becomes bytes.

Any thread; nothing here waits. Whatever a handler returns or raises, an Outcome comes of it.
"""

from __future__ import annotations

from typing import Any, Callable, List

from ..errors import HostError, InvalidArgument, TooLarge, ToolError
from ..rpc.content import failure_payload, packed
from ..rpc.receipts import Outcome
from ..wire import jsonrpc
from .functions import report, shown
from .limits import MAX_DATA

__all__ = ["Call", "Handler", "failed", "raised", "read", "returned"]

Handler = Callable[[Any], Any]

#: An exception's text gets that far.
_QUOTED = 4096


class Call:
    """A request under way. ``caller`` is the connection that it came on; loop thread.

    ``kept``: its outcome goes through the receipts. ``size``: bytes of its data, which is let go
    of once it has been read.
    """

    __slots__ = (
        "_ticket",
        "awaits",
        "caller",
        "data",
        "handler",
        "id",
        "kept",
        "name",
        "size",
        "told",
    )

    def __init__(
        self, ident: bytes, name: str, data: bytes, caller: Any, handler: Handler, awaits: bool
    ) -> None:
        self.id = ident
        self.name = name
        self.data = data
        self.size = len(data)
        self.caller = caller
        self.handler = handler
        #: Whether the handler is a coroutine function.
        self.awaits = awaits
        self.kept = False
        #: Whether its outcome has been handed in.
        self.told = False
        self._ticket: List[None] = [None]

    def claim(self) -> bool:
        """Decide what becomes of it: the first one who asks is told True. Any thread."""
        try:
            self._ticket.pop()
        except IndexError:
            return False
        return True


def failed(error: ToolError) -> Outcome:
    """Return the failure that a client gets for ``error``."""
    try:
        payload = failure_payload(error)
    except (TypeError, ValueError, RecursionError):
        # Its details are no JSON.
        payload = b""
    text = str(error.message)[:_QUOTED] or error.code
    if len(payload) + len(text) * 4 > MAX_DATA or not payload:
        payload = packed({"code": error.code, "message": text, "state": error.state})
    # A lone surrogate is a text that UTF-8 cannot say.
    return Outcome(False, payload, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def read(call: Call) -> Any:
    """Return a call's data as a value, and let go of the bytes. Raises InvalidArgument."""
    data, call.data = call.data, b""
    if not data:
        return None
    try:
        return jsonrpc.decode(data)
    except jsonrpc.Fault as fault:
        raise _NoJson(
            "The data of {!r} is no JSON: {}".format(call.name[:100], fault.message)
        ) from None


def returned(call: Call, result: Any) -> Outcome:
    """Return what the client gets for what the handler returned."""
    try:
        payload = jsonrpc.encode(result)
    except Exception as error:
        # Not TypeError and ValueError only: subclasses of dict and list have methods of their own.
        text = "The handler of {!r} returned what JSON cannot say: {}".format(
            call.name[:100], shown(error, str)
        )
        report("%s", text)
        return failed(HostError(text[:_QUOTED]))
    if len(payload) > MAX_DATA:
        return failed(
            TooLarge(
                "The result of {!r} has {} bytes, and {} can be sent at most.".format(
                    call.name[:100], len(payload), MAX_DATA
                ),
                hint="The handler has run. Have it return less at a time.",
            )
        )
    return Outcome(True, payload)


class _NoJson(InvalidArgument):
    """Raised by us, not by the handler."""


def raised(call: Call, error: Any) -> Outcome:
    """Return what the client gets for what the handler, or ``read``, raised. Logs it."""
    if type(error) is _NoJson:
        # The client's fault, which is told: nothing to log.
        return failed(error)
    report("the handler of %r failed: %s", call.name[:100], shown(error), error=error)
    if isinstance(error, ToolError):
        # It knows what to tell the client.
        try:
            return failed(error)
        except Exception:
            pass  # or does not: its details or its message may be anything
    text, name = shown(error, str), type(error).__name__
    return failed(HostError("{}: {}".format(name, text[:_QUOTED]) if text else name))
