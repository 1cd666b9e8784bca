"""What a server asks of its client: a thought of a model, a form filled in, folders. Loop thread.

The answers are those of functions that a user gives. Without one the server is not told that it
could ask, and is refused if it does.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..net.loop import Loop
from ..wire import jsonrpc
from .calling import called

__all__ = ["ELICITATION", "ROOTS", "SAMPLING", "Answering", "filled"]

SAMPLING, ELICITATION, ROOTS = "sampling/createMessage", "elicitation/create", "roots/list"
#: What a server may be told of each.
_OFFERS: Dict[str, Dict[str, Any]] = {
    SAMPLING: {"sampling": {}},
    ELICITATION: {"elicitation": {"form": {}}},
    ROOTS: {"roots": {}},
}
_REFUSED = -1
#: Demands that come with one answer.
_MOST_AT_ONCE = 100
_ACTIONS = ("accept", "decline", "cancel")
#: What an answer has as a whole, and the values of a form hardly have.
_WHOLE = {"action", "content", "_meta"}


class Answering:
    """Answers by ``functions``: method -> what a user has given for it, or None.

    ``asyncio_loop()``: where coroutine functions run, None for a thread of their own.
    """

    def __init__(
        self,
        loop: Loop,
        functions: Dict[str, Optional[Callable[..., Any]]],
        asyncio_loop: Callable[[], Any],
    ) -> None:
        self._loop = loop
        self._functions = functions
        self._asyncio_loop = asyncio_loop
        self._shapes: Dict[str, Callable[[Any, Dict[str, Any]], Dict[str, Any]]] = {
            SAMPLING: _sampled,
            ELICITATION: _elicited,
            ROOTS: _rooted,
        }

    @property
    def capabilities(self) -> Dict[str, Any]:
        """What a server may ask."""
        found: Dict[str, Any] = {}
        for method, offer in _OFFERS.items():
            if self._functions.get(method) is not None:
                found.update(offer)
        return found

    async def answer(self, ident: Any, method: str, params: Dict[str, Any]) -> Dict[str, Any]:
        """Return the answer to a request of the server."""
        if method == "ping":
            return jsonrpc.result(ident, {})
        try:
            return jsonrpc.result(ident, await self._result(method, params))
        except jsonrpc.Fault as fault:
            return jsonrpc.error(ident, fault.code, fault.message)

    async def answers(self, requests: Any) -> Dict[str, Any]:
        """Return what the 2026-07-28 calls input responses. Raises Fault."""
        given = requests if type(requests) is dict else {}
        if len(given) > _MOST_AT_ONCE:
            text = "The server asks for {} things at once".format(len(given))
            raise jsonrpc.Fault(jsonrpc.INVALID_REQUEST, text)
        found: Dict[str, Any] = {}
        for key, request in given.items():
            method = request.get("method") if type(request) is dict else None
            params = request.get("params") if type(request) is dict else None
            found[key] = await self._result(str(method), params if type(params) is dict else {})
        return found

    async def _result(self, method: str, params: Dict[str, Any]) -> Dict[str, Any]:
        shape = self._shapes.get(method)
        if shape is None:
            text = "This client answers no {}".format(method[:100])
            raise jsonrpc.Fault(jsonrpc.METHOD_NOT_FOUND, text)
        function = self._functions.get(method)
        if function is None:
            raise jsonrpc.Fault(_REFUSED, "Nobody is there who could answer {}".format(method))
        given = () if method == ROOTS else (params,)
        try:
            value = await called(self._loop, function, given, self._asyncio_loop())
            result = shape(value, params)
            # It has to be something that can be told.
            jsonrpc.encode(result)
        except Exception as error:
            # It is a user's function, and raises what it likes: the server is told that it has.
            raise jsonrpc.Fault(
                jsonrpc.INTERNAL_ERROR, "{}: {}".format(type(error).__name__, error)
            ) from error
        return result


def _sampled(value: Any, params: Dict[str, Any]) -> Dict[str, Any]:
    if isinstance(value, str):
        return {
            "role": "assistant",
            "content": {"type": "text", "text": value},
            "model": "unknown",
            "stopReason": "endTurn",
        }
    return _demand_dict(value, "a text, or a result of sampling/createMessage")


def _elicited(value: Any, params: Dict[str, Any]) -> Dict[str, Any]:
    if value is None:
        return {"action": "decline"}
    answer = _demand_dict(value, "None, the values of the form, or an answer with its action")
    if answer.get("action") not in _ACTIONS or not answer.keys() <= _WHOLE:
        answer = {"action": "accept", "content": answer}
    if answer["action"] == "accept" and "url" not in params:
        content = filled(params.get("requestedSchema"), answer.get("content") or {})
        answer = dict(answer, content=content)
    return answer


def _rooted(value: Any, params: Dict[str, Any]) -> Dict[str, Any]:
    if isinstance(value, dict):
        return value
    given = [value] if isinstance(value, str) else value
    return {"roots": [one if isinstance(one, dict) else {"uri": str(one)} for one in given]}


def _demand_dict(value: Any, what: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("the function returned {!r}; it returns {}".format(value, what))
    return value


def filled(schema: Any, content: Dict[str, Any]) -> Dict[str, Any]:
    """Return the values of a form, with the defaults of its schema where there is none."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    found = {
        name: one["default"]
        for name, one in (properties if isinstance(properties, dict) else {}).items()
        if isinstance(one, dict) and "default" in one
    }
    found.update(content)
    return found
