"""What a request asks somebody else to do, read from its params or refused.

Everything here has ``id``, ``stateless`` (its era), ``token`` (its progress token or None),
``client`` (what it calls itself) and ``params`` (all of them), so that whoever does the work need
not ask what it is.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Union

from .. import jsonrpc
from ..jsonrpc import Fault, Id, Request

__all__ = ["READERS", "Completion", "PromptGet", "ResourceRead", "ToolCall", "Work", "bad_params"]


# No named tuples: each costs a host's start-up a tenth of a millisecond.


class _Named:
    """Something with a name, to be done with arguments."""

    __slots__ = ("arguments", "client", "id", "name", "params", "stateless", "token")

    def __init__(
        self,
        id: Id,
        name: str,
        arguments: Dict[str, Any],
        stateless: bool,
        token: Any,
        client: str,
        params: Dict[str, Any],
    ) -> None:
        self.params = params
        self.id = id
        self.name = name
        self.arguments = arguments
        self.stateless = stateless
        self.token = token
        self.client = client


class ToolCall(_Named):
    """A tool to be run."""

    __slots__ = ()


class PromptGet(_Named):
    """A prompt to be rendered."""

    __slots__ = ()


class ResourceRead:
    """A resource to be read."""

    __slots__ = ("client", "id", "params", "stateless", "token", "uri")

    def __init__(
        self,
        id: Id,
        uri: str,
        stateless: bool,
        token: Any,
        client: str,
        params: Dict[str, Any],
    ) -> None:
        self.params = params
        self.id = id
        self.uri = uri
        self.stateless = stateless
        self.token = token
        self.client = client


class Completion:
    """An argument to be completed: of the prompt or of the resource template ``of``.

    ``kind`` is "prompt" or "resource"; ``given`` are the other arguments, as far as they are known.
    """

    __slots__ = (
        "argument",
        "client",
        "given",
        "id",
        "kind",
        "of",
        "params",
        "stateless",
        "token",
        "value",
    )

    def __init__(
        self,
        id: Id,
        kind: str,
        of: str,
        argument: str,
        value: str,
        given: Dict[str, str],
        stateless: bool,
        client: str,
        params: Dict[str, Any],
    ) -> None:
        self.params = params
        self.id = id
        self.kind = kind
        self.of = of
        self.argument = argument
        self.value = value
        self.given = given
        self.stateless = stateless
        #: A completion reports no progress.
        self.token = None
        self.client = client


Work = Union[ToolCall, ResourceRead, PromptGet, Completion]


def bad_params(request: Request, text: str) -> Fault:
    """Return the fault of params that do not have the shape their method demands."""
    return Fault(jsonrpc.INVALID_PARAMS, text, request.id)


def _tool_call(request: Request, stateless: bool, client: str) -> ToolCall:
    return ToolCall(
        request.id,
        _text(request, "name"),
        _arguments(request),
        stateless,
        _token(request),
        client,
        request.params,
    )


def _resource_read(request: Request, stateless: bool, client: str) -> ResourceRead:
    return ResourceRead(
        request.id, _text(request, "uri"), stateless, _token(request), client, request.params
    )


def _prompt_get(request: Request, stateless: bool, client: str) -> PromptGet:
    return PromptGet(
        request.id,
        _text(request, "name"),
        _arguments(request),
        stateless,
        _token(request),
        client,
        request.params,
    )


#: Type of a reference -> (what it refers to, the member that names it).
_REFERENCES = {"ref/prompt": ("prompt", "name"), "ref/resource": ("resource", "uri")}


def _completion(request: Request, stateless: bool, client: str) -> Completion:
    reference, argument = request.params.get("ref"), request.params.get("argument")
    if type(reference) is not dict or type(argument) is not dict:
        raise bad_params(request, "completion/complete needs params.ref and params.argument")
    kind, member = _REFERENCES.get(str(reference.get("type")), ("", ""))
    if not kind or type(reference.get(member)) is not str:
        raise bad_params(
            request, "params.ref is a ref/prompt with a name or a ref/resource with a uri"
        )
    name, value = argument.get("name"), argument.get("value")
    if type(name) is not str or type(value) is not str:
        raise bad_params(request, "params.argument has a name and a value, both strings")
    context = request.params.get("context")
    given = (context.get("arguments") if type(context) is dict else None) or {}
    if type(given) is not dict or not all(type(one) is str for one in given.values()):
        raise bad_params(request, "params.context.arguments maps names to strings")
    return Completion(
        request.id,
        kind,
        reference[member],
        name,
        value,
        given,
        stateless,
        client,
        request.params,
    )


#: Method -> reader of its request (request, stateless, client); raises Fault.
READERS: Dict[str, Callable[[Request, bool, str], Work]] = {
    "tools/call": _tool_call,
    "resources/read": _resource_read,
    "prompts/get": _prompt_get,
    "completion/complete": _completion,
}


def _text(request: Request, member: str) -> str:
    value = request.params.get(member)
    if type(value) is not str:
        raise bad_params(request, "{} needs params.{}, a string".format(request.method, member))
    return value


def _arguments(request: Request) -> Dict[str, Any]:
    arguments = request.params.get("arguments")
    if arguments is None:
        return {}
    if type(arguments) is not dict:
        raise bad_params(request, "params.arguments of {} is an object".format(request.method))
    return arguments


def _token(request: Request) -> Any:
    meta = request.params.get("_meta")
    token = meta.get("progressToken") if type(meta) is dict else None
    if token is not None and type(token) not in (str, int):
        raise bad_params(request, "progressToken is a string or an integer")
    return token
