"""Questions that a tool asks its client: what they are, what they need, how their answers read.

A generator tool yields one (or a list of them) and is sent the answer; see :class:`.ToolContext`.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ..errors import ConfigError, InvalidArgument, Unsupported
from .coerce import Converter, Misfit
from .rules import compile_rule
from .tidy import decode, encode

__all__ = ["Ask", "NotOffered", "elicitation", "roots", "sampling", "visit"]

_ACTIONS = ("accept", "decline", "cancel")
#: An absolute URI, of whatever scheme.
_URL = r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+"
#: Members of a sampling request -> the part of the capability that they need.
_PARTS = {
    "tools": "sampling.tools",
    "toolChoice": "sampling.tools",
    "includeContext": "sampling.context",
}


class NotOffered(Unsupported):
    """The client has not said that it can do what a tool asks of it.

    ``capability`` is its name, or its name and that of a part: ``sampling.tools``.
    """

    def __init__(self, capability: str) -> None:
        needed: Dict[str, Any] = {}
        for name in reversed(capability.split(".")):
            needed = {name: needed}
        super().__init__(
            "This tool asks its client for '{}', which the client does not offer.".format(
                capability
            ),
            hint="Use a client that declares the capability '{}'.".format(capability),
            details={"required_capabilities": needed},
        )
        self.capability = capability


class Ask:
    """One question to the client.

    ``key`` names it within its call, ``capabilities`` are what the client must offer, ``method``
    and ``params`` are the request; ``read(result)`` returns what the tool is sent for the client's
    result, and raises InvalidArgument for one that has not the shape it must have. ``params`` are
    copied; raises ValueError for what JSON cannot say.
    """

    __slots__ = ("capabilities", "ident", "key", "method", "params", "read")

    def __init__(
        self,
        key: str,
        capabilities: Tuple[str, ...],
        method: str,
        params: Dict[str, Any],
        read: Callable[[Any], Any],
    ) -> None:
        self.key = key
        self.capabilities = capabilities
        self.method = method
        self.params: Dict[str, Any] = _said(params)
        self.read = read
        #: What the client knows it by once it was asked, None as long as it was not.
        self.ident: Optional[str] = None

    def __repr__(self) -> str:
        return "<Ask {} {}>".format(self.key, self.method)


def elicitation(key: str, message: str, schema: Mapping[str, Any]) -> Ask:
    """Ask the person at the client to fill in a form of primitive members."""
    shown = _said(dict(schema))
    members = shown.get("properties")
    if shown.get("type") != "object" or not isinstance(members, dict):
        raise ValueError("the schema of elicit() is {'type': 'object', 'properties': {...}}")
    try:
        rule = compile_rule(shown)
    except ConfigError as error:
        raise ValueError("the schema of elicit() is none: {}".format(error)) from error
    params = {"message": str(message), "requestedSchema": shown}
    return Ask(
        key,
        ("elicitation",),
        "elicitation/create",
        params,
        lambda result: _filled(result, members, rule),
    )


def visit(key: str, message: str, url: str) -> Ask:
    """Ask the person at the client to go to a URL."""
    if not re.fullmatch(_URL, url):
        raise ValueError("elicit_url() takes a URL with its scheme, not {!r}".format(url))
    params = {"mode": "url", "message": str(message), "url": url}
    return Ask(key, ("elicitation.url",), "elicitation/create", params, _decided)


def sampling(
    key: str, messages: Union[str, Sequence[Any]], max_tokens: int, more: Mapping[str, Any]
) -> Ask:
    """Ask the client's model. ``messages`` is a text, or SamplingMessages of MCP."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": {"type": "text", "text": messages}}]
    params = dict({"messages": list(messages), "maxTokens": int(max_tokens)}, **more)
    parts = {part for name, part in _PARTS.items() if params.get(name, "none") != "none"}
    return Ask(key, ("sampling", *sorted(parts)), "sampling/createMessage", params, _sampled)


def roots(key: str) -> Ask:
    """Ask which folders the client works in."""
    return Ask(key, ("roots",), "roots/list", {}, _listed)


def _said(params: Dict[str, Any]) -> Any:
    """Return a copy as JSON says it: what the tool does to its own later changes no question."""
    try:
        return decode(encode(params))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("JSON cannot say what is asked: {}".format(error)) from error


def _decided(result: Any) -> Dict[str, Any]:
    if type(result) is not dict or result.get("action") not in _ACTIONS:
        raise InvalidArgument("The answer has no action; it is accept, decline or cancel.")
    return {"action": result["action"], "content": {}}


def _filled(result: Any, members: Dict[str, Any], rule: Converter) -> Dict[str, Any]:
    found = _decided(result)
    if found["action"] != "accept":
        return found
    content = result.get("content", {})
    if type(content) is not dict:
        raise InvalidArgument("The content of the answer is no object.")
    try:
        # What was not asked for is left out.
        found["content"] = rule({name: content[name] for name in members if name in content})
    except Misfit as misfit:
        where = misfit.where()
        what = "'{}' of the answer".format(where) if where else "The answer"
        raise InvalidArgument("{} {}.".format(what, misfit.text), hint=misfit.hint) from None
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
