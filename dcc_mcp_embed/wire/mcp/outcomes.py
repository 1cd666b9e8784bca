"""What comes of one message of a client, where it is not work: an answer, or something to note."""

from __future__ import annotations

from typing import Any, Dict

from ...records import NamedTuple

__all__ = [
    "Accepted",
    "Answered",
    "Cancel",
    "LevelSet",
    "Listen",
    "Opened",
    "Reply",
    "Subscribe",
]


class Reply(NamedTuple):
    """A finished answer: HTTP status and one JSON-RPC message."""

    status: int
    message: Dict[str, Any]


# No named tuples from here on: each costs a host's start-up a tenth of a millisecond.


class Opened:
    """The answer to ``initialize``: a session begins with this version and client.

    ``capabilities``: those that are ever asked for, and the names of their parts.
    """

    __slots__ = ("capabilities", "client", "message", "status", "version")

    def __init__(
        self,
        status: int,
        message: Dict[str, Any],
        version: str,
        client: str,
        capabilities: Dict[str, Any],
    ) -> None:
        self.status = status
        self.message = message
        self.version = version
        self.client = client
        self.capabilities = capabilities


class LevelSet:
    """The answer to ``logging/setLevel``: the session wants messages from ``level`` upwards."""

    __slots__ = ("level", "message", "status")

    def __init__(self, status: int, message: Dict[str, Any], level: str) -> None:
        self.status = status
        self.message = message
        self.level = level


class Accepted:
    """Nothing to answer: HTTP 202 without a body."""

    __slots__ = ()


class Answered:
    """The client's response to our request ``id``: a result, or an error. Answered with 202."""

    __slots__ = ("error", "id", "result")

    def __init__(self, id: Any, result: Any, error: Any) -> None:
        self.id = id
        self.result = result
        self.error = error


class Subscribe:
    """The client begins, or no longer wants, to be told when the resource ``uri`` has changed."""

    __slots__ = ("begins", "id", "uri")

    def __init__(self, id: Any, uri: str, begins: bool) -> None:
        self.id = id
        self.uri = uri
        self.begins = begins


class Listen:
    """The client wants a stream of the changes in ``wishes``, a SubscriptionFilter."""

    __slots__ = ("id", "wishes")

    def __init__(self, id: Any, wishes: Dict[str, Any]) -> None:
        self.id = id
        self.wishes = wishes


class Cancel:
    """The client no longer wants the answer to its request ``id``. Answered with 202."""

    __slots__ = ("id",)

    def __init__(self, id: Any) -> None:
        self.id = id
