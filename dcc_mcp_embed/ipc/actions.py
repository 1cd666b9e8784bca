"""What a client's session is asked for, and what it says is to be done: values, no behaviour."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Union

from ..errors import EmbedError
from ..net.timers import Timer
from ..rpc.pending import Call
from ..wire.messages import Response

__all__ = [
    "Action",
    "Answered",
    "Close",
    "Connected",
    "Dial",
    "Disconnected",
    "Errand",
    "Finished",
    "Options",
    "Pushed",
]


class Options(NamedTuple):
    """What a client was asked for; seconds. ``heartbeat_interval`` 0: none are sent."""

    account_id: str = ""
    auto_reconnect: bool = True
    reconnect_interval: float = 3.0
    #: 0: for ever.
    max_reconnect_attempts: int = 0
    heartbeat_interval: float = 30.0


class Errand:
    """One request from its beginning to its end.

    ``deadline``: monotonic seconds, None for ever. Once ``done`` it has a ``response`` or an
    ``error``; neither if it was abandoned. ``waiter`` is the shell's.
    """

    __slots__ = (
        "call",
        "deadline",
        "done",
        "error",
        "frame",
        "id",
        "name",
        "params",
        "size",
        "response",
        "timeout_ms",
        "timer",
        "waiter",
    )

    def __init__(
        self,
        name: str,
        params: bytes,
        deadline: Optional[float] = None,
        timeout_ms: int = 0,
        waiter: Any = None,
    ) -> None:
        self.name = name
        self.params = params
        #: Bytes of its data.
        self.size = len(params)
        self.deadline = deadline
        self.timeout_ms = timeout_ms
        self.waiter = waiter
        self.done = False
        self.response: Optional[Response] = None
        self.error: Optional[EmbedError] = None
        #: In flight: its id, its request's bytes, and its call on the connection of the moment.
        self.id: Optional[bytes] = None
        self.frame = b""
        self.call: Optional[Call] = None
        self.timer: Optional[Timer] = None


class Dial(NamedTuple):
    """Connect a socket; then call ``dialed`` or ``dial_failed`` with the number."""

    number: int


class Close(NamedTuple):
    """Close the socket; ``politely``: after what is to be sent."""

    politely: bool


class Connected(NamedTuple):
    """Requests are sent from now on."""


class Disconnected(NamedTuple):
    """The connection is gone."""

    reason: str


class Pushed(NamedTuple):
    """The server has pushed something; ``data`` is JSON."""

    topic: str
    data: bytes


class Answered(NamedTuple):
    """A ``connect``, ``disconnect`` or ``check`` has come to its end."""

    waiter: Any
    well: bool


class Finished(NamedTuple):
    """Nothing more will happen before the next ``connect``."""


#: An Errand is one that is settled.
Action = Union[Answered, Close, Connected, Dial, Disconnected, Errand, Finished, Pushed]
