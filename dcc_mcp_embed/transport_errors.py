"""What can go wrong between two processes: one class for each variant of the reference transport.

Every one is a RuntimeError with the reference's text (dcc-mcp-core 0.12), so that a script that
matched texts goes on working, and has its facts as attributes, so that a new one need not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

from .errors import EmbedError

__all__ = [
    "AcquireTimeout",
    "CallFailed",
    "CallTimeout",
    "CircuitOpen",
    "ConnectionClosed",
    "ConnectionFailed",
    "ConnectionTimeout",
    "FrameTooLarge",
    "Internal",
    "InvalidSessionState",
    "Io",
    "IpcConnectionFailed",
    "IpcNotSupported",
    "PingTimeout",
    "PoolExhausted",
    "ReconnectFailed",
    "ReconnectionFailed",
    "RegistryFile",
    "Serialization",
    "ServiceAlreadyRegistered",
    "ServiceNotFound",
    "SessionNotFound",
    "Shutdown",
    "TransportError",
]


class TransportError(EmbedError):
    """Base of everything that is raised between two processes.

    A subclass's ``text`` is a format of its constructor's arguments, which become attributes.
    """

    text = "{message}"
    fields: Tuple[str, ...] = ("message",)

    def __init__(self, *facts: object) -> None:
        if len(facts) != len(self.fields):
            raise TypeError("{} takes {}, not {!r}".format(type(self).__name__, self.fields, facts))
        # The facts, not the text: a copy (pickle, copy.copy) is made from ``args``.
        super().__init__(*facts)
        self.__dict__.update(zip(self.fields, facts))

    def __str__(self) -> str:
        return self.text.format(**{name: self.__dict__[name] for name in self.fields})

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class ConnectionFailed(TransportError):
    """A TCP connection could not be made, or whoever answers is not who was meant."""

    text = "connection failed to {host}:{port}: {reason}"
    fields = ("host", "port", "reason")


class ConnectionTimeout(TransportError):
    """A connection was not made in time."""

    text = "connection timed out after {timeout_ms}ms"
    fields = ("timeout_ms",)


class PoolExhausted(TransportError):
    """Every connection is in use, and waiting for one is not allowed."""

    text = "connection pool exhausted for DCC type '{dcc_type}' (max: {max_connections})"
    fields = ("dcc_type", "max_connections")


class AcquireTimeout(TransportError):
    """No connection became free in time."""

    text = "acquire timeout after {timeout_ms}ms for DCC type '{dcc_type}'"
    fields = ("timeout_ms", "dcc_type")


class ServiceNotFound(TransportError):
    """The registry has no such row; ``instance_id`` may be a sentence about what was looked for."""

    text = "service not found: dcc_type={dcc_type}, instance_id={instance_id}"
    fields = ("dcc_type", "instance_id")


class ServiceAlreadyRegistered(TransportError):
    """The registry has such a row already."""

    text = "service already registered: dcc_type={dcc_type}, instance_id={instance_id}"
    fields = ("dcc_type", "instance_id")


class Serialization(TransportError):
    """Bytes that are no message, or a value that cannot be one."""

    text = "serialization error: {message}"


class Io(TransportError):
    """The operating system refused."""

    text = "IO error: {message}"


class RegistryFile(TransportError):
    """The registry's files cannot be read, locked or written; nothing was changed."""

    text = "registry file error: {message}"


class Shutdown(TransportError):
    """The manager has been shut down."""

    text = "transport is shut down"
    fields = ()


class SessionNotFound(TransportError):
    """There is no session with this id."""

    text = "session not found: {session_id}"
    fields = ("session_id",)


class InvalidSessionState(TransportError):
    """The session's state does not allow this."""

    text = "session {session_id} is in state {state}, expected {expected}"
    fields = ("session_id", "state", "expected")


class ReconnectionFailed(TransportError):
    """A session used up its retries and is closed."""

    text = "reconnection failed for session {session_id} after {retries} retries: {reason}"
    fields = ("session_id", "retries", "reason")


class IpcConnectionFailed(TransportError):
    """An address could not be connected to or bound, or whoever answers is not who was meant."""

    text = "IPC connection failed to {address}: {reason}"
    fields = ("address", "reason")


class IpcNotSupported(TransportError):
    """This system has no such kind of address."""

    text = "IPC transport '{transport}' not supported: {reason}"
    fields = ("transport", "reason")


class FrameTooLarge(TransportError):
    """A frame is over the limit; nothing of it was kept."""

    text = "frame too large: {size} bytes (max: {limit} bytes)"
    fields = ("size", "limit")


class ConnectionClosed(TransportError):
    """The peer is gone."""

    text = "connection closed by peer"
    fields = ()


class PingTimeout(TransportError):
    """The peer did not answer a ping in time."""

    text = "ping timed out after {timeout_ms}ms"
    fields = ("timeout_ms",)


class CallTimeout(TransportError):
    """The peer did not answer a call in time; whether it ran is not known."""

    text = "call '{method}' timed out after {timeout_ms}ms"
    fields = ("method", "timeout_ms")


class CallFailed(TransportError):
    """The peer answered a call with a failure."""

    text = "call '{method}' failed: {error}"
    fields = ("method", "error")


class ReconnectFailed(TransportError):
    """A connection could not be made anew."""

    text = "reconnect failed for {dcc_type}/{instance_id} after {attempts} attempt(s): {reason}"
    fields = ("dcc_type", "instance_id", "attempts", "reason")


class CircuitOpen(TransportError):
    """So many calls failed in a row that none is tried for a while."""

    text = "circuit breaker '{name}' is open \N{EM DASH} DCC connection unavailable"
    fields = ("name",)


class Internal(TransportError):
    """Anything else; the text says what."""
