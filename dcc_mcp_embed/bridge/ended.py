"""How a call to a host has ended, and what an agent is told where that is an error. Pure."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from ..errors import (
    ConfigError,
    HostBusy,
    HostBusyNative,
    HostError,
    NoHost,
    TooLarge,
    ToolError,
    UnknownOutcome,
)
from ..rpc.resume import LOOK_FIRST
from ..transport_errors import (
    AcquireTimeout,
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionTimeout,
    FrameTooLarge,
    IpcConnectionFailed,
    PoolExhausted,
    RegistryFile,
    ServiceNotFound,
    Shutdown,
)
from ..wire.jsonrpc import Fault
from .demand import Demand
from .hosts import Host

__all__ = ["NOT_REACHED", "Ended", "silent", "told"]

#: Errors of a call that never got as far as being sent.
NOT_REACHED = (ServiceNotFound, ConnectionFailed, ConnectionTimeout, IpcConnectionFailed)


class Ended(NamedTuple):
    """How a call ended: with a ``result``, an ``error``, or a ``fault`` that the host answers.

    ``demand``: it has not ended yet, the host asks. ``unreached``: nothing was sent, because nobody
    was there; another instance may be called.
    """

    result: Optional[Dict[str, Any]] = None
    error: Optional[ToolError] = None
    unreached: bool = False
    fault: Optional[Fault] = None
    demand: Optional[Demand] = None


# What an error means, told to an agent: (kinds of error, words -> ToolError).


def _said(error: Any, name: str) -> ToolError:
    return HostError("{} answers: {}".format(name, error.error))


def _nothing_works(error: Any, name: str) -> ToolError:
    return HostError(
        "{} cannot be called: {}. Nothing was sent.".format(name, error), state="not_started"
    )


def _late(error: Any, name: str) -> ToolError:
    return UnknownOutcome(
        "{} has not answered within {:.0f} s; whether the call ran is not known.".format(
            name, error.timeout_ms / 1000
        ),
        hint=LOOK_FIRST,
    )


def _unreachable(error: Any, name: str) -> ToolError:
    if isinstance(error, ServiceNotFound):
        return NoHost(
            "{} does not run any more; the call was not sent.".format(name),
            hint="Start it and call again.",
        )
    return HostBusyNative(
        "{} cannot be reached ({}); the call was not sent.".format(name, error),
        hint="It is starting, ending, or held by its own native code: wait, then call again.",
        retry_after_ms=2000,
    )


def _no_room(error: Any, name: str) -> ToolError:
    return HostBusy(
        "Too many calls to {} are under way; this one was not sent.".format(name),
        hint="Wait for the others, then call again.",
        retry_after_ms=1000,
    )


def _too_large(error: Any, name: str) -> ToolError:
    return TooLarge(
        "The arguments are {} bytes and {} takes {}.".format(error.size, name, error.limit),
        hint="Send less at a time.",
        state="not_started",
    )


def _lost(error: Any, name: str) -> ToolError:
    return UnknownOutcome(
        "The connection to {} ended during the call ({}); whether it ran is not known.".format(
            name, error
        ),
        hint=LOOK_FIRST,
    )


def _unusable(error: Any, name: str) -> ToolError:
    return UnknownOutcome(
        "What {} answered cannot be understood ({}); whether the call ran is not known.".format(
            name, error
        ),
        hint=LOOK_FIRST,
    )


def silent(host: Host, seconds: float, sent: bool) -> ToolError:
    """Return what an agent is told when a host has given no sign of life for so long."""
    name = host.name
    text = "{} has given no sign of life for {:.0f} s".format(name, seconds)
    if not sent:
        return HostBusyNative(
            text + "; the call was not sent, and never will be.",
            hint="Its own native code holds it: wait, or look at the host, then call again.",
        )
    return UnknownOutcome(
        text + "; what becomes of the call is not known.",
        hint="Its own native code holds it: wait until get_status answers, then look at what the "
        "call should have changed.",
    )


_WORDS = (
    (CallFailed, _said),
    (CallTimeout, _late),
    ((ConfigError, RegistryFile), _nothing_works),
    (NOT_REACHED, _unreachable),
    ((AcquireTimeout, PoolExhausted), _no_room),
    (FrameTooLarge, _too_large),
    ((ConnectionClosed, Shutdown), _lost),
)


def told(error: Exception, host: Host) -> ToolError:
    """Return what an agent is told of an error that a call to ``host`` ended with."""
    if isinstance(error, ToolError):
        return error
    name = host.name
    for kinds, words in _WORDS:
        if isinstance(error, kinds):  # type: ignore[arg-type]
            return words(error, name)
    return _unusable(error, name)
