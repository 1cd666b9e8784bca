"""Everything that can go wrong, as a tree of exceptions.

A leaf carries its wire code as a class attribute and its facts as attributes; the message is for
a person or a model and says what to change. The codes of :class:`ToolError` are the closed list
that agents see (``error.code`` of a failed tool call).
"""

from __future__ import annotations

from typing import Any, Dict, Optional

__all__ = [
    "AlreadyExists",
    "Ambiguous",
    "Cancelled",
    "ConfigError",
    "EmbedError",
    "ExecDisabled",
    "HostBusy",
    "HostBusyNative",
    "HostError",
    "HostModal",
    "HostShuttingDown",
    "InvalidArgument",
    "LocalProtocolError",
    "NoHost",
    "NotFound",
    "PermissionDenied",
    "ProtocolError",
    "RemoteProtocolError",
    "SceneDirty",
    "StartError",
    "TimeoutNotStarted",
    "TimeoutRunning",
    "TooLarge",
    "ToolError",
    "TypeMismatch",
    "UnknownOutcome",
    "Unreachable",
    "Unsupported",
    "WouldDeadlock",
]


class EmbedError(RuntimeError):
    """Base of every error this package raises on purpose."""


class ConfigError(EmbedError, ValueError):
    """A setting cannot be used as given; the message names the setting and what it takes."""


class StartError(EmbedError):
    """The server could not be started; nothing was left behind."""


class Unreachable(EmbedError):
    """No server could be reached, or the one that answered is not one of ours."""


class ProtocolError(EmbedError):
    """Somebody broke a wire protocol. Only the two leaves are ever raised."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked a machine for something its state does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the protocol does not allow."""


class ToolError(EmbedError):
    """A tool call failed in a way its caller can understand.

    ``state`` says how far the call got: ``not_started`` (guaranteed harmless), ``running`` or
    ``finished``. ``details`` goes to the caller as it is and must be JSON.
    """

    code = "host_error"
    retryable = False
    state = "finished"

    def __init__(
        self,
        message: str,
        hint: Optional[str] = None,
        retry_after_ms: int = 0,
        state: Optional[str] = None,
        details: Optional[Dict[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after_ms = retry_after_ms
        if state is not None:
            self.state = state
        self.details = details

    def to_dict(self) -> Dict[str, Any]:
        """Return the ``error`` member of a failed call's structured content."""
        shape: Dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "retry_after_ms": self.retry_after_ms,
            "state": self.state,
        }
        if self.details:
            shape["details"] = self.details
        return shape


class InvalidArgument(ToolError):
    """An argument is missing, unknown or not usable."""

    code = "invalid_argument"
    state = "not_started"


class NotFound(ToolError):
    """What the call names does not exist."""

    code = "not_found"


class AlreadyExists(ToolError):
    """The call would create what is already there."""

    code = "already_exists"


class Ambiguous(ToolError):
    """A name fits more than one thing."""

    code = "ambiguous"


class TypeMismatch(ToolError):
    """The thing exists but is of a kind the call cannot work on."""

    code = "type_mismatch"


class HostBusy(ToolError):
    """The host's main thread does not answer; the call was not queued."""

    code = "host_busy"
    retryable = True
    state = "not_started"


class HostBusyNative(ToolError):
    """Native code holds the host: the port accepts and nobody answers (seen from outside)."""

    code = "host_busy_native"
    retryable = True
    state = "not_started"


class HostModal(ToolError):
    """A modal dialog is open in the host; only reading is possible until it is closed."""

    code = "host_modal"
    retryable = True
    state = "not_started"


class HostShuttingDown(ToolError):
    """The host or the server is going away."""

    code = "host_shutting_down"


class NoHost(ToolError):
    """The host that the call is for does not run (said by the bridge)."""

    code = "no_host"
    retryable = True
    state = "not_started"


class TimeoutNotStarted(ToolError):
    """The time was over before the call started; it will never run."""

    code = "timeout_not_started"
    retryable = True
    state = "not_started"


class TimeoutRunning(ToolError):
    """The time was over while the call ran; it goes on and its result can be fetched by job id."""

    code = "timeout_running"
    state = "running"


class Cancelled(ToolError):
    """The call was cancelled; ``state`` says whether it had started."""

    code = "cancelled"


class SceneDirty(ToolError):
    """The scene has unsaved changes that the call would lose."""

    code = "scene_dirty"
    state = "not_started"


class PermissionDenied(ToolError):
    """The user, or a setting, does not allow this."""

    code = "permission_denied"
    state = "not_started"


class ExecDisabled(ToolError):
    """Running code is switched off here."""

    code = "exec_disabled"
    state = "not_started"


class Unsupported(ToolError):
    """This host, version or mode cannot do that."""

    code = "unsupported"


class HostError(ToolError):
    """The host or the tool's own code raised something unexpected."""

    code = "host_error"


class TooLarge(ToolError):
    """The request or its result is over a limit; the message names the limit."""

    code = "too_large"


class WouldDeadlock(ToolError):
    """A blocking call from the host's main thread would wait for that same thread."""

    code = "would_deadlock"
    state = "not_started"


class UnknownOutcome(ToolError):
    """The connection broke in a way that leaves open whether the call ran."""

    code = "unknown_outcome"
    state = "running"
