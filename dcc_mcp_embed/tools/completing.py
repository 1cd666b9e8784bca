"""Complete the arguments of prompts and resource templates while somebody types them."""

from __future__ import annotations

from collections import abc
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..errors import ConfigError, HostError
from .entries import Shaped, Tool
from .signature import read
from .tidy import plain

__all__ = ["MAX_VALUES", "Completer", "choose", "completers"]

#: More values the protocol does not allow in one answer.
MAX_VALUES = 100

_VALUE = {"type": "string", "description": "What has been typed so far."}
_ARGUMENTS = {"type": "object", "description": "The other arguments, as far as they are known."}


class Completer:
    """How one argument is completed: from fixed ``values``, or by calling ``tool``."""

    __slots__ = ("tool", "values")

    def __init__(self, values: Tuple[str, ...], tool: Optional[Tool] = None) -> None:
        self.values = values
        self.tool = tool


def completers(
    place: str,
    properties: Mapping[str, Mapping[str, Any]],
    complete: Optional[Mapping[str, Any]],
    thread: str,
) -> Dict[str, Completer]:
    """Return argument -> completer. Raises ConfigError for what cannot be one.

    ``properties`` are the arguments' schemas; one with an enum completes itself. ``complete`` maps
    others to a list of texts, or to a function of ``value`` (and ``arguments``, and ``ctx``) which
    is called on ``thread``.
    """
    found = {
        name: Completer(tuple(rule["enum"]))
        for name, rule in properties.items()
        if rule.get("enum") and rule.get("type") == "string"
    }
    for name, source in (complete or {}).items():
        if name not in properties:
            raise ConfigError(
                "{}: complete names {!r}, which is none of the arguments ({}).".format(
                    place, name, ", ".join(properties) or "there are none"
                )
            )
        found[name] = _completer(place, name, source, thread)
    return found


def choose(values: Sequence[str], typed: str) -> Dict[str, Any]:
    """Return the result of ``completion/complete``: the values that begin as ``typed`` does."""
    wanted = typed.casefold()
    return _result([one for one in values if one.casefold().startswith(wanted)])


def _completer(place: str, name: str, source: Any, thread: str) -> Completer:
    if callable(source):
        return Completer((), _tool(source, thread))
    if isinstance(source, (list, tuple)) and all(isinstance(one, str) for one in source):
        return Completer(tuple(source))
    raise ConfigError(
        "{}: complete[{!r}] is {!r}; it is a list of texts, or a function of value.".format(
            place, name, source
        )
    )


def _tool(function: Callable[..., Any], thread: str) -> Tool:
    signature = read(function)
    names = signature.names()
    if "value" not in names or set(names) - {"value", "arguments"}:
        raise ConfigError(
            "{}: a function that completes takes 'value', and may take 'arguments' and, first, "
            "'ctx'.".format(signature.place)
        )
    properties = {"value": _VALUE}
    if "arguments" in names:
        properties["arguments"] = _ARGUMENTS
    tool = Tool(
        function,
        # A lambda has no name that clients would take; nobody gets to see this one.
        name="complete",
        thread=thread,
        read_only=True,
        idempotent=True,
        input_schema={
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    )
    tool.shape = _shape
    return tool


def _shape(value: Any, notes: List[str]) -> Shaped:
    """Shape what a completing function returned: its texts, the likeliest first."""
    if isinstance(value, (str, bytes, abc.Mapping)) or not isinstance(value, abc.Iterable):
        raise HostError(
            "A completion returned a value of type {}; it is a list of texts.".format(
                type(value).__name__
            )
        )
    return _result([plain(str(one)) for one in value]), []


def _result(values: List[str]) -> Dict[str, Any]:
    shown = values[:MAX_VALUES]
    return {
        "completion": {
            "values": shown,
            "total": len(values),
            "hasMore": len(values) > len(shown),
        }
    }
