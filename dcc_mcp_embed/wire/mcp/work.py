"""What a request asks somebody else to do, read from its params or refused.

Everything here has ``id``, ``stateless`` (its era), ``token`` (its progress token or None),
``client`` (what it calls itself), ``params`` (all of them) and ``principal`` (who it is, set by
whoever knows), so that whoever does the work need not ask what it is.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Union

from .. import jsonrpc
from ..jsonrpc import Fault, Id, Request

__all__ = ["READERS", "Completion", "PromptGet", "ResourceRead", "ToolCall", "Work", "bad_params"]


#: Type of a reference -> (what it refers to, the member that names it).
_REFERENCES = {"ref/prompt": ("prompt", "name"), "ref/resource": ("resource", "uri")}


# No named tuples: each costs a host's start-up a tenth of a millisecond.


class _Asked:
    """What is asked of somebody else. Reading it raises Fault for params of another shape."""

    __slots__ = ("client", "id", "params", "principal", "stateless", "token")

    def __init__(self, request: Request, stateless: bool, client: str, token: Any) -> None:
        self.id: Id = request.id
        self.params: Dict[str, Any] = request.params
        self.stateless = stateless
        self.client = client
        self.token = token
        self.principal: Any = None


class _Named(_Asked):
    """Something with a name, to be done with arguments."""

    __slots__ = ("arguments", "name")

    def __init__(self, request: Request, stateless: bool, client: str) -> None:
        self.name = _text(request, "name")
        self.arguments = _arguments(request)
        super().__init__(request, stateless, client, _token(request))


class ToolCall(_Named):
    """A tool to be run."""

    __slots__ = ()


class PromptGet(_Named):
    """A prompt to be rendered."""

    __slots__ = ()


class ResourceRead(_Asked):
    """A resource to be read."""

    __slots__ = ("uri",)

    def __init__(self, request: Request, stateless: bool, client: str) -> None:
        self.uri = _text(request, "uri")
        super().__init__(request, stateless, client, _token(request))


class Completion(_Asked):
    """An argument to be completed: of the prompt or of the resource template ``of``.

    ``kind`` is "prompt" or "resource"; ``given`` are the other arguments, as far as they are known.
    """

    __slots__ = ("argument", "given", "kind", "of", "value")

    def __init__(self, request: Request, stateless: bool, client: str) -> None:
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
        self.kind: str = kind
        self.of: str = reference[member]
        self.argument: str = name
        self.value: str = value
        self.given: Dict[str, str] = given
        # It reports no progress.
        super().__init__(request, stateless, client, None)


Work = Union[ToolCall, ResourceRead, PromptGet, Completion]

#: Method -> what reads its request (request, stateless, client); raises Fault.
READERS: Dict[str, Callable[[Request, bool, str], Work]] = {
    "tools/call": ToolCall,
    "resources/read": ResourceRead,
    "prompts/get": PromptGet,
    "completion/complete": Completion,
}


def bad_params(request: Request, text: str) -> Fault:
    """Return the fault of params that do not have the shape their method demands."""
    return Fault(jsonrpc.INVALID_PARAMS, text, request.id)


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
