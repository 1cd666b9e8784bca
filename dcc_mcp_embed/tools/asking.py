"""Questions that a tool asks its client: what they are, what they need, how their answers read.

A generator tool yields one (or a list of them) and is sent the answer; see :class:`.ToolContext`.
"""

from __future__ import annotations

from collections import abc
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from ..errors import InvalidArgument, Unsupported

__all__ = ["Ask", "NotOffered", "elicitation", "roots", "sampling"]

_ACTIONS = ("accept", "decline", "cancel")
_TYPES: Dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}


class NotOffered(Unsupported):
    """The client has not said that it can do what a tool asks of it."""

    def __init__(self, capability: str) -> None:
        super().__init__(
            "This tool asks its client for '{}', which the client does not offer.".format(
                capability
            ),
            hint="Use a client that declares the capability '{}'.".format(capability),
            details={"required_capabilities": {capability: {}}},
        )
        self.capability = capability


class Ask:
    """One question to the client.

    ``key`` names it within its call, ``capability`` is what the client must offer, ``method`` and
    ``params`` are the request; ``read(result)`` returns what the tool is sent for the client's
    result, and raises InvalidArgument for one that has not the shape it must have.
    """

    __slots__ = ("capability", "key", "method", "params", "read")

    def __init__(
        self,
        key: str,
        capability: str,
        method: str,
        params: Dict[str, Any],
        read: Callable[[Any], Any],
    ) -> None:
        self.key = key
        self.capability = capability
        self.method = method
        self.params = params
        self.read = read

    def __repr__(self) -> str:
        return "<Ask {} {}>".format(self.key, self.method)


def elicitation(key: str, message: str, schema: Mapping[str, Any]) -> Ask:
    """Ask the person at the client to fill in a form of primitive members."""
    shown = dict(schema)
    if shown.get("type") != "object" or not isinstance(shown.get("properties"), abc.Mapping):
        raise ValueError("the schema of elicit() is {'type': 'object', 'properties': {...}}")
    params = {"message": str(message), "requestedSchema": shown}
    return Ask(key, "elicitation", "elicitation/create", params, lambda one: _filled(one, shown))


def sampling(
    key: str, messages: Union[str, Sequence[Any]], max_tokens: int, more: Mapping[str, Any]
) -> Ask:
    """Ask the client's model. ``messages`` is a text, or SamplingMessages of MCP."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": {"type": "text", "text": messages}}]
    params = dict({"messages": list(messages), "maxTokens": int(max_tokens)}, **more)
    return Ask(key, "sampling", "sampling/createMessage", params, _sampled)


def roots(key: str) -> Ask:
    """Ask which folders the client works in."""
    return Ask(key, "roots", "roots/list", {}, _listed)


def _filled(result: Any, schema: Dict[str, Any]) -> Dict[str, Any]:
    if type(result) is not dict or result.get("action") not in _ACTIONS:
        raise InvalidArgument("The answer has no action; it is accept, decline or cancel.")
    found = {"action": result["action"], "content": {}}
    if result["action"] != "accept":
        return found
    content = result.get("content", {})
    if type(content) is not dict:
        raise InvalidArgument("The content of the answer is no object.")
    for name in schema.get("required", ()):
        if name not in content:
            raise InvalidArgument("The answer has no '{}'.".format(name))
    for name, one in schema["properties"].items():
        kind = _TYPES.get(one.get("type", "")) if isinstance(one, abc.Mapping) else None
        if name not in content or kind is None:
            continue
        value = content[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and one["type"] != "boolean"):
            raise InvalidArgument("'{}' of the answer is no {}.".format(name, one["type"]))
    found["content"] = content
    return found


def _sampled(result: Any) -> Dict[str, Any]:
    if type(result) is not dict or type(result.get("content")) not in (dict, list):
        raise InvalidArgument("The answer of the client's model has no content.")
    return result


def _listed(result: Any) -> List[Dict[str, Any]]:
    found: Optional[Any] = result.get("roots") if type(result) is dict else None
    if type(found) is not list or not all(type(one) is dict and "uri" in one for one in found):
        raise InvalidArgument("The answer has no list of roots, each with a uri.")
    return found
