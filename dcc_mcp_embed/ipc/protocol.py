"""What is said between a SocketClient and a SocketServer, kind by kind.

It travels on the framed wire, after the hello, as the messages there are; data is JSON in UTF-8:

    kind       says                                      as
    request    do ``name`` with ``data``                 request: id, method, params
    response   what the request ``id`` brought           response: id, success true, payload
    error      why it brought nothing                    response: id, success false, error
    push       ``name`` has happened; nobody answers     notify: topic, data
    heartbeat  are you there? and: I am                  ping and pong: id

A MessageBody is one of them as a value, for logs, tests and handlers that want to see all of it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Type, TypeVar

from ..errors import EmbedError

__all__ = ["KINDS", "InvalidMessage", "MessageBody"]

_Body = TypeVar("_Body", bound="MessageBody")

#: Kind -> the fields it must have and those it may have besides; the others have to be None.
KINDS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "request": (("id", "name"), ("data",)),
    "response": (("id",), ("data",)),
    "push": (("name",), ("data",)),
    "heartbeat": (("id",), ()),
    "error": (("error",), ("id", "data")),
}
_TEXTS = ("id", "name", "error")


class InvalidMessage(EmbedError, ValueError):
    """Something is no message; the text says what to change."""


class _Fields(NamedTuple):
    kind: str
    id: Optional[str]
    name: Optional[str]
    data: Any
    error: Optional[str]


class MessageBody(_Fields):
    """One message. Raises InvalidMessage for what its kind does not allow.

    ``id`` ties an answer to its request; ``name`` is the request's or the push's; ``data`` is
    anything that JSON can say; ``error`` is for a person. As a dictionary ``kind`` is called
    ``type``, and what is None is left out.
    """

    __slots__ = ()

    def __new__(
        cls: Type[_Body],
        kind: str,
        id: Optional[str] = None,
        name: Optional[str] = None,
        data: Any = None,
        error: Optional[str] = None,
    ) -> _Body:
        body = super().__new__(cls, kind, id, name, data, error)
        body._validate()
        return body

    def _validate(self) -> None:
        fields = KINDS.get(self.kind) if isinstance(self.kind, str) else None
        if fields is None:
            raise InvalidMessage(
                "there is no message of type {!r:.80}: use one of {}".format(
                    self.kind, ", ".join(KINDS)
                )
            )
        needed, optional = fields
        for field in ("id", "name", "data", "error"):
            value = getattr(self, field)
            if value is None:
                if field in needed:
                    raise InvalidMessage(
                        "the {} needs the field {}: add it".format(self.kind, field)
                    )
            elif field not in needed and field not in optional:
                raise InvalidMessage(
                    "the {} has a field {}, which means nothing there: leave it out".format(
                        self.kind, field
                    )
                )
            elif field in _TEXTS and not (isinstance(value, str) and value):
                raise InvalidMessage(
                    "{} in the {} is a text that is not empty, not {!r:.80}".format(
                        field, self.kind, value
                    )
                )

    def to_dict(self) -> Dict[str, Any]:
        """Return the message as a dictionary, ready for JSON if ``data`` is."""
        content = {"type": self.kind}
        content.update(
            (field, getattr(self, field))
            for field in self._fields[1:]
            if getattr(self, field) is not None
        )
        return content

    @classmethod
    def from_dict(cls: Type[_Body], content: Mapping[str, Any]) -> _Body:
        """Return the message that a dictionary says. Raises InvalidMessage."""
        if not isinstance(content, Mapping):
            raise InvalidMessage(
                "a message is a dictionary, not {!r:.80}: use MessageBody.to_dict".format(content)
            )
        rest = dict(content)
        if "type" not in rest:
            raise InvalidMessage("the message has no type: add one of {}".format(", ".join(KINDS)))
        kind = rest.pop("type")
        unknown = [key for key in rest if key not in cls._fields[1:]]
        if unknown:
            raise InvalidMessage(
                "a message has no field {!r:.80}: leave it out, or put it into data".format(
                    unknown[0]
                )
            )
        return cls(kind, **rest)
