"""What a client says and hears, between Python's values and the wire's bytes; and its errors."""

from __future__ import annotations

from typing import Any, Optional

from ..errors import EmbedError, RemoteProtocolError
from ..rpc.content import read_object, unknown_outcome
from ..rpc.resume import RESUME
from ..transport_errors import CallFailed, CallTimeout, ConnectionClosed, FrameTooLarge
from ..wire import jsonrpc
from ..wire.messages import Response
from .functions import shown
from .limits import MAX_DATA
from .protocol import InvalidMessage

__all__ = [
    "NotConnected",
    "NotSent",
    "RequestFailed",
    "decode",
    "encode",
    "failure",
    "not_connected",
    "outcome",
]

#: Names that a request cannot have: they are the wire's own.
_RESERVED = (RESUME,)


class NotConnected(ConnectionClosed):
    """There is no connection, and nobody is making one; the request was not sent."""

    text = "{message}"
    fields = ("message",)  # type: ignore[assignment]


class NotSent(CallTimeout):
    """A request's time was over before it could be sent: it has not run and never will."""

    text = "call '{method}' was not sent within {timeout_ms}ms: {reason}"
    fields = ("method", "timeout_ms", "reason")  # type: ignore[assignment]


class RequestFailed(CallFailed):
    """The server answered a request with a failure.

    ``error`` is its text, ``code`` its word for programs, one of those of ToolError: ``not_found``
    (no such request), ``host_error`` (the handler raised), ``too_large``, ``invalid_argument``,
    ``host_busy``, ``host_shutting_down``, …; None: it gave none. ``hint`` may say what to do;
    ``retryable``: the same request may go well later; ``state`` says how far it got:
    ``not_started``, ``running`` or ``finished``.
    """

    fields = ("method", "error", "code", "hint", "retryable", "state")  # type: ignore[assignment]


def not_connected(last_error: Optional[str]) -> NotConnected:
    """Return the error for who asks while nobody makes a connection."""
    return NotConnected(
        "not connected ({}): call connect() first".format(last_error or "it never was")
    )


def encode(name: str, data: Any) -> bytes:
    """Return a request's data as JSON; None is no bytes. Raises InvalidMessage, FrameTooLarge."""
    if not isinstance(name, str) or not name:
        raise InvalidMessage(
            "a request's name is a text that is not empty, not {!r:.80}".format(name)
        )
    if name in _RESERVED:
        raise InvalidMessage(
            "{!r} is a message of the wire's own: give the request another name".format(name)
        )
    try:
        size = len(name.encode("utf-8"))
        params = b"" if data is None else jsonrpc.encode(data)
    except Exception as error:
        # Not TypeError and ValueError only: subclasses of dict and list have methods of their own.
        raise InvalidMessage(
            "the request {!r:.80} cannot be sent as JSON: {}".format(name, shown(error, str))
        ) from None
    size += len(params)
    if size > MAX_DATA:
        raise FrameTooLarge(size, MAX_DATA)
    return params


def decode(payload: bytes, what: str) -> Any:
    """Return the value that ``payload`` says; no bytes are None. Raises RemoteProtocolError."""
    if not payload:
        return None
    try:
        return jsonrpc.decode(payload)
    except jsonrpc.Fault as fault:
        raise RemoteProtocolError("{} is no JSON: {}".format(what, fault.message)) from None


def outcome(name: str, response: Response) -> Any:
    """Return what the handler returned. Raises RequestFailed, UnknownOutcome and as ``decode``."""
    if not response.success:
        raise failure(name, response)
    return decode(response.payload, "the answer to the request {!r:.80}".format(name))


def failure(name: str, response: Response) -> EmbedError:
    """Return the error of a response that is a failure."""
    unknown = unknown_outcome(response.payload)
    if unknown is not None:
        return unknown
    try:
        content = read_object(response.payload, "the payload")
    except RemoteProtocolError:
        content = {}
    code, hint = content.get("code"), content.get("hint")
    return RequestFailed(
        name,
        response.error or "no reason given",
        code if isinstance(code, str) else None,
        hint if isinstance(hint, str) else None,
        content.get("retryable") is True,
        content.get("state") if isinstance(content.get("state"), str) else None,
    )
