"""What is done about each message of a client, whichever way it came. The desk's thread."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..errors import InvalidArgument, ToolError
from ..tools.uri import MAX_URI
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.listing import LISTS
from ..wire.mcp.machine import McpMachine
from ..wire.mcp.outcomes import (
    Accepted,
    Answered,
    Cancel,
    LevelSet,
    Listen,
    Opened,
    Reply,
    Subscribe,
)
from ..wire.mcp.param_headers import check_params, param_headers
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, ToolCall, Work
from . import dialect
from .catalog import Catalog
from .client import Client, Listener
from .flights import Flights
from .lists import ShelfLists, ToolLists, is_for_list
from .news import MOST_WATCHED, News
from .replies import protocol_error
from .shelf import SHELVES
from .voice import Voice

__all__ = ["MOST_LISTENERS", "Service"]

#: Requests of one client to be told of changes. One is enough for all that there is; over HTTP each
#: has a connection of its own.
MOST_LISTENERS = 64

_INITIALIZED = "notifications/initialized"


class Service:
    """Answers at once, or gives it to who does it."""

    def __init__(
        self,
        machine: McpMachine,
        catalog: Catalog,
        tools: ToolLists,
        shelves: ShelfLists,
        flights: Flights,
        news: News,
        log: Callable[[str, str], None],
    ) -> None:
        self._machine = machine
        self._catalog = catalog
        self._tools = tools
        self._shelves = shelves
        self._flights = flights
        self._news = news
        self._log = log
        #: Kind of outcome -> what is done with (client, outcome, voice).
        self._doers: Dict[Any, Callable[[Client, Any, Voice], None]] = {
            Opened: self._opened,
            Reply: lambda client, outcome, voice: voice.reply(outcome.message),
            LevelSet: self._level_set,
            Subscribe: self._subscribe,
            Listen: self._listen,
            Cancel: self._cancel,
            Answered: self._answered,
        }
        works = (ToolCall, ResourceRead, PromptGet, Completion)
        self._doers.update(dict.fromkeys(works, self._work))

    def answer(self, ident: Any, voice: Voice, act: Callable[..., None], *args: Any) -> None:
        """Do something about a message; if it is a request, its ``ident`` has an answer then.

        ``ident``: None for what is no request.
        """
        try:
            act(*args)
        except Exception as error:
            # A mistake of ours, of whatever class: it goes to the log, and neither its client nor
            # the rest of a batch is to wait for ever.
            self._log("error", "A message could not be dealt with: {!r}".format(error))
            if ident is not None:
                text = "The bridge could not do that"
                voice.reply(jsonrpc.error(ident, jsonrpc.INTERNAL_ERROR, text))

    def take(self, client: Client, value: Any, headers: Any, voice: Voice) -> None:
        """Take one decoded message, with the ``headers`` it came with."""
        if is_for_list(value) and "id" in value:
            self.list(client, value, headers, voice)
            return
        outcome = self._machine.receive(value, headers, client.name)
        if type(outcome) is Accepted:
            client.initialized = client.initialized or value["method"] == _INITIALIZED
        else:
            self.do(client, outcome, voice)

    def list(self, client: Client, value: Any, headers: Any, voice: Voice) -> None:
        """Answer the request for a list, once hosts have said what they have."""
        method = value["method"]

        def answer() -> None:
            self._list(client, value, headers, voice, LISTS[method][0])

        if method in SHELVES:
            self._shelves.before(method, answer)
        else:
            self._tools.before(answer)

    def do(self, client: Client, outcome: Any, voice: Voice) -> None:
        """Do what a message asks for, which the machine has taken."""
        self._doers[type(outcome)](client, outcome, voice)

    def call(self, client: Client, work: ToolCall, headers: Any, voice: Voice) -> None:
        """Have a tool run whose arguments ``headers`` may repeat: what routes must be what runs."""
        tool = self._catalog.described(work.name)
        try:
            pairs = param_headers(tool["inputSchema"]) if tool is not None else ()
        except ValueError:
            # The host knows what it means.
            pairs = ()
        try:
            check_params(pairs, work.arguments, headers, work.id)
        except Fault as fault:
            voice.reply(self._machine.fail(work, fault.code, fault.message).message)
        else:
            self._work(client, work, voice)

    def leave(self, client: Client) -> None:
        """End all that a client has under way: it has gone."""
        self._flights.leave(client)
        client.listeners.clear()
        client.watched.clear()
        self._news.gone()

    def _list(self, client: Client, value: Any, headers: Any, voice: Voice, member: str) -> None:
        outcome = self._machine.receive(value, headers, client.name)
        assert isinstance(outcome, Reply)
        voice.reply(outcome.message)
        if member == "tools":
            self._catalog.listed()
            client.shown(member, self._tools.listing(member))
        else:
            client.shown(member, self._shelves.listing(member))

    def _opened(self, client: Client, outcome: Opened, voice: Voice) -> None:
        client.opened(outcome)
        voice.reply(outcome.message)

    def _level_set(self, client: Client, outcome: LevelSet, voice: Voice) -> None:
        client.level = outcome.level
        voice.reply(outcome.message)

    def _work(self, client: Client, outcome: Work, voice: Voice) -> None:
        self._flights.begin(client, outcome, voice)

    def _subscribe(self, client: Client, outcome: Subscribe, voice: Voice) -> None:
        uri, done = outcome.uri, jsonrpc.result(outcome.id, {})
        if not outcome.begins:
            self._news.unwatch(client, uri)
            voice.reply(done)
        elif len(uri) > MAX_URI or len({*client.watched, uri}) > MOST_WATCHED:
            text = "At most {} resources can be watched".format(MOST_WATCHED)
            voice.reply(jsonrpc.error(outcome.id, jsonrpc.INVALID_PARAMS, text))
        else:
            try:
                self._news.watch(client, uri, lambda: voice.reply(done))
            except InvalidArgument as error:
                voice.reply(jsonrpc.error(outcome.id, jsonrpc.INVALID_PARAMS, error.message))
            except ToolError as error:
                voice.reply(protocol_error(outcome.id, error))

    def _listen(self, client: Client, outcome: Listen, voice: Voice) -> None:
        kept = ("resourceSubscriptions", *dialect.WISHES.values())
        wishes = {key: wish for key, wish in outcome.wishes.items() if wish and key in kept}
        uris = wishes.get("resourceSubscriptions", ())
        if len(client.listeners) >= MOST_LISTENERS and outcome.id not in client.listeners:
            text = "At most {} subscriptions at once; cancel one".format(MOST_LISTENERS)
            fault = Fault(jsonrpc.INVALID_REQUEST, text, outcome.id)
            voice.reply(self._machine.refuse(fault).message)
            return
        try:
            if len(uris) > MOST_WATCHED or any(len(uri) > MAX_URI for uri in uris):
                raise InvalidArgument("At most {} resources can be watched".format(MOST_WATCHED))
            self._news.listen(client, Listener(outcome.id, wishes, voice))
        except InvalidArgument as error:
            fault = Fault(jsonrpc.INVALID_PARAMS, error.message, outcome.id)
            voice.reply(self._machine.refuse(fault).message)

    def _cancel(self, client: Client, outcome: Cancel, voice: Voice) -> None:
        ident = outcome.id
        if type(ident) not in (str, int):
            return
        listener = client.listeners.get(ident)
        if listener is not None:
            self._news.unlisten(client, listener)
            listener.voice.reply(self._machine.listened(ident))
        else:
            self._flights.cancel(client, ident)

    def _answered(self, client: Client, outcome: Answered, voice: Voice) -> None:
        take = client.asked.pop(outcome.id, None) if type(outcome.id) is str else None
        if take is not None:
            take(outcome.result, outcome.error)
