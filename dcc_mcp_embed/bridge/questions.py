"""What hosts ask of clients of the handshake era: requests to the client, answers to the host.

A host says what it wants to know by a result that demands input; here each demand becomes a request
of its own, and the answers go back together. The desk's thread.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, List

from ..wire import jsonrpc
from .client import Client
from .demand import Demand
from .desk import Desk
from .offers import refused
from .voice import Voice

__all__ = ["Inquiry", "Questions", "refusal"]

#: Seconds that a client has for its answer: a little less than hosts wait for it.
PATIENCE_S = 285.0

Answers = Dict[str, Any]


def refusal(message: str, code: int = jsonrpc.INTERNAL_ERROR) -> Dict[str, Any]:
    """Return what a host is told in place of an answer that there is none."""
    return {"error": {"code": code, "message": message}}


class Inquiry:
    """What one call waits to be told."""

    def __init__(
        self, demand: Demand, client: Client, voice: Voice, done: Callable[[Answers], None]
    ) -> None:
        self.demand = demand
        self.client = client
        self.voice = voice
        self.done = done
        self.answers: Answers = {}
        #: Requests to the client that have no answer.
        self.ids: List[str] = []
        self.over = False


class Questions:
    """Asks clients."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._patience = PATIENCE_S
        self._numbers = itertools.count(1)

    def ask(
        self, demand: Demand, client: Client, voice: Voice, done: Callable[[Answers], None]
    ) -> Inquiry:
        """Have a client asked; ``done(key -> answer or refusal)`` is called once, maybe at once."""
        inquiry = Inquiry(demand, client, voice, done)
        for key, one in demand.requests.items():
            self._put(inquiry, key, one)
        if inquiry.ids:
            self._desk.when(lambda: inquiry.over, self._patience, lambda: self._give_up(inquiry))
        else:
            self._end(inquiry)
        return inquiry

    def withdraw(self, inquiry: Inquiry) -> None:
        """Ask no more; the client is told of what it has not answered yet."""
        inquiry.over = True
        ids, inquiry.ids = inquiry.ids, []
        for ident in ids:
            inquiry.client.asked.pop(ident, None)
            params = {"requestId": ident, "reason": "the answer is not needed any more"}
            inquiry.voice.tell(jsonrpc.notification("notifications/cancelled", params))

    def _put(self, inquiry: Inquiry, key: str, one: Dict[str, Any]) -> None:
        client = inquiry.client
        why = refused(client.version, client.capabilities, one)
        if why is not None:
            inquiry.answers[key] = refusal(why)
            return
        ident = "bridge-{}".format(next(self._numbers))
        message = {"jsonrpc": "2.0", "id": ident, "method": one["method"]}
        if type(one.get("params")) is dict:
            message["params"] = params = dict(one["params"])
            if params.get("mode") == "url":
                # The era of the client knows such a question by a name, that of the host does not.
                params["elicitationId"] = ident
        inquiry.ids.append(ident)
        client.asked[ident] = lambda result, error: self._take(inquiry, key, ident, result, error)
        if not inquiry.voice.ask(message):
            inquiry.ids.remove(ident)
            del client.asked[ident]
            inquiry.answers[key] = refusal("It takes no stream on which it could be asked")

    def _take(self, inquiry: Inquiry, key: str, ident: str, result: Any, error: Any) -> None:
        if ident not in inquiry.ids:
            return
        inquiry.ids.remove(ident)
        if error is None:
            inquiry.answers[key] = result
        else:
            inquiry.answers[key] = {"error": error if type(error) is dict else {}}
        if not inquiry.ids:
            self._end(inquiry)

    def _give_up(self, inquiry: Inquiry) -> None:
        if inquiry.over:
            return
        self.withdraw(inquiry)
        text = "It has not answered within {:g} s".format(self._patience)
        for key in inquiry.demand.requests:
            inquiry.answers.setdefault(key, refusal(text))
        inquiry.done(inquiry.answers)

    def _end(self, inquiry: Inquiry) -> None:
        inquiry.over = True
        inquiry.done(inquiry.answers)
