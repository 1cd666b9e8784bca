"""The server side of MCP, both eras: one message in, one outcome out.

An outcome is a :class:`Reply` that can be sent as it is, or :data:`.work.Work` that somebody has
to do before :meth:`McpMachine.answer` or :meth:`McpMachine.fail` makes its reply. The machine keeps
no session: what a session knows is passed in. It does not know tools, resources or prompts either:
``catalogue`` lists them.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from .. import jsonrpc
from ..jsonrpc import Fault, Notification, Request, Response
from .listing import LISTS, PAGE, BadCursor, page
from .outcomes import (
    Accepted,
    Answered,
    Cancel,
    LevelSet,
    Listen,
    Opened,
    Reply,
    Subscribe,
)
from .revisions import (
    ASSUMED,
    HANDSHAKE,
    LATEST_HANDSHAKE,
    LOG_LEVELS,
    META_CLIENT,
    META_SERVER,
    META_SUBSCRIPTION,
    RESOURCE_NOT_FOUND,
    STATELESS,
    http_status,
)
from .routing import check_stateless, is_stateless
from .tasks import CAPABILITY, REQUIRED, TASKS, TASKS_STATELESS, TaskAsk, demand
from .work import READERS, Completion, PromptGet, ResourceRead, ToolCall, Work, bad_params

__all__ = [
    "Accepted",
    "Answered",
    "Cancel",
    "Completion",
    "LevelSet",
    "Listen",
    "McpMachine",
    "Opened",
    "PromptGet",
    "Reply",
    "ResourceRead",
    "Subscribe",
    "ToolCall",
    "version_of",
]

#: How long a client of the stateless era may keep a list or a resource, milliseconds. Zero: both
#: can change at any moment, and few clients listen for it.
TTL_MS = 0

#: What a client may offer -> the parts that there are of it.
_OFFERS = {"elicitation": ("form", "url"), "sampling": ("context", "tools"), "roots": ()}

Outcome = Union[
    Reply, Opened, LevelSet, Accepted, Answered, Cancel, Subscribe, Listen, TaskAsk, Work
]


class McpMachine:
    """Answer what needs no work, name the work that the rest needs.

    ``server`` is the Implementation block (name, version, title, and a description, which is only
    said to who asks for the server); ``catalogue(member)`` returns what is listed under "tools",
    "resources", "resourceTemplates" or "prompts", sorted as :mod:`.listing` says; ``instructions``
    is what an agent should know first; ``size`` is how many entries a page of a list has. With
    ``tasks`` calls can be tasks: then the catalogue also has "toolsAsTasks", the tools with what
    they say about that.
    """

    def __init__(
        self,
        server: Dict[str, Any],
        catalogue: Callable[[str], List[Dict[str, Any]]],
        instructions: str,
        size: int = PAGE,
        tasks: bool = False,
    ) -> None:
        #: All that is said of the server to who asks, and what stands in every answer.
        self._introduction = server
        self._server = {key: server[key] for key in server if key != "description"}
        self._catalogue = catalogue
        self._instructions = instructions
        self._size = size
        # All of it, also while there is no prompt: one may be added at any moment.
        self._capabilities: Dict[str, Any] = {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {"listChanged": True},
            "completions": {},
            "logging": {},
        }
        self._handshake_methods: Dict[str, Callable[[Request], Outcome]] = {
            "initialize": self._initialize,
            "ping": self._ping,
            "logging/setLevel": self._set_level,
            "resources/subscribe": lambda request: _subscribe(request, True),
            "resources/unsubscribe": lambda request: _subscribe(request, False),
        }
        self._handshake_methods.update((method, self._list) for method in LISTS)
        self._stateless_methods: Dict[str, Callable[[Request], Outcome]] = {
            "server/discover": self._discover,
            "subscriptions/listen": _listen,
        }
        self._stateless_methods.update((method, self._list_stateless) for method in LISTS)
        #: The same for the last of the handshake revisions, and what differs in the stateless era.
        self._last_methods = self._handshake_methods
        self._last_capabilities = self._stateless_capabilities = self._capabilities
        if tasks:
            self._last_capabilities = dict(self._capabilities, tasks=CAPABILITY)
            self._stateless_capabilities = dict(self._capabilities, **REQUIRED)
            self._last_methods = dict(self._handshake_methods, **TASKS)
            self._last_methods["tools/list"] = self._list_as_tasks
            self._stateless_methods.update(TASKS_STATELESS)
            self._stateless_methods["subscriptions/listen"] = _listen_to_tasks

    def without_tasks(self) -> McpMachine:
        """Return one for where no tasks can be."""
        return McpMachine(self._introduction, self._catalogue, self._instructions, self._size)

    def receive(
        self, value: Any, headers: Any, client: str = "", version: Optional[str] = None
    ) -> Outcome:
        """Take one decoded message with the HTTP ``headers`` it came with.

        ``client`` is who the session says it is, ``version`` its revision. Never raises for what a
        peer sent.
        """
        try:
            message = jsonrpc.classify(value)
            if type(message) is Request:
                if is_stateless(message.params, headers.get("mcp-protocol-version")):
                    return self._stateless(message, headers)
                return self._handshake(message, client, headers, version)
        except Fault as fault:
            return self.refuse(fault)
        if type(message) is Notification and message.method == "notifications/cancelled":
            return Cancel(message.params.get("requestId"))
        if type(message) is Response:
            return Answered(message.id, message.result, message.error)
        return Accepted()

    def refuse(self, fault: Fault) -> Reply:
        """Return the reply for a message that could not even be read."""
        return Reply(400, fault.to_message())

    def answer(self, work: Work, result: Dict[str, Any]) -> Reply:
        """Return the reply to finished work; ``result`` is its method's, without era marks."""
        if work.stateless:
            result = dict(result)
            result["resultType"] = "complete"
            if type(work) is ResourceRead:
                result["ttlMs"] = TTL_MS
                result["cacheScope"] = "private"
            meta = dict(result.get("_meta") or {})
            meta[META_SERVER] = self._server
            result["_meta"] = meta
        return Reply(200, {"jsonrpc": "2.0", "id": work.id, "result": result})

    def fail(self, work: Work, code: int, message: str, data: Any = None) -> Reply:
        """Return the reply to work that came to nothing: a protocol error."""
        status = http_status(code) if work.stateless else 200
        return Reply(status, jsonrpc.error(work.id, code, message, data))

    def not_found(self, work: Work, message: str, data: Any = None) -> Reply:
        """Return the protocol error for what ``work`` names and nobody has."""
        code = jsonrpc.INVALID_PARAMS
        if type(work) is ResourceRead and not work.stateless:
            code = RESOURCE_NOT_FOUND
        return self.fail(work, code, message, data)

    def input_required(self, work: Work, requests: Dict[str, Any], state: str) -> Reply:
        """Return the reply that demands answers of the client, which calls again with them."""
        result = {
            "resultType": "input_required",
            "inputRequests": requests,
            "requestState": state,
            "_meta": {META_SERVER: self._server},
        }
        return Reply(200, jsonrpc.result(work.id, result))

    def listened(self, id: Any) -> Dict[str, Any]:
        """Return the message that ends a stream of ``subscriptions/listen``."""
        meta = {META_SUBSCRIPTION: id, META_SERVER: self._server}
        return jsonrpc.result(id, {"resultType": "complete", "_meta": meta})

    def progress(self, work: Work, done: float, total: Any, text: Any) -> Dict[str, Any]:
        """Return the progress notification for work whose client asked for it."""
        params: Dict[str, Any] = {"progressToken": work.token, "progress": done}
        if total is not None:
            params["total"] = total
        if text is not None:
            params["message"] = text
        return jsonrpc.notification("notifications/progress", params)

    # -- handshake revisions ------------------------------------------------------------------

    def _handshake(
        self, request: Request, client: str, headers: Any, version: Optional[str]
    ) -> Outcome:
        try:
            read = READERS.get(request.method)
            if read is not None:
                return read(request, False, client)
            last = version_of(headers, version) == LATEST_HANDSHAKE
            methods = self._last_methods if last else self._handshake_methods
            method = methods.get(request.method)
            if method is None:
                raise _no_method(request)
            return method(request)
        except Fault as fault:
            # These revisions carry the error of a request that could be read in a 200.
            return Reply(200, fault.to_message())

    def _initialize(self, request: Request) -> Outcome:
        params = request.params
        wanted = params.get("protocolVersion")
        version = wanted if wanted in HANDSHAKE else LATEST_HANDSHAKE
        last = version == LATEST_HANDSHAKE
        result = {
            "protocolVersion": version,
            "capabilities": self._last_capabilities if last else self._capabilities,
            "serverInfo": self._introduction if last else self._server,
            "instructions": self._instructions,
        }
        label = _client_label(params.get("clientInfo"))
        offered = _offered(params.get("capabilities"))
        return Opened(200, jsonrpc.result(request.id, result), version, label, offered)

    def _ping(self, request: Request) -> Outcome:
        return Reply(200, jsonrpc.result(request.id, {}))

    def _set_level(self, request: Request) -> Outcome:
        level = request.params.get("level")
        if level not in LOG_LEVELS:
            raise bad_params(request, "params.level is one of {}".format(", ".join(LOG_LEVELS)))
        return LevelSet(200, jsonrpc.result(request.id, {}), level)

    def _list(self, request: Request) -> Outcome:
        return Reply(200, jsonrpc.result(request.id, self._page(request)))

    def _list_as_tasks(self, request: Request) -> Outcome:
        return Reply(200, jsonrpc.result(request.id, self._page(request, "toolsAsTasks")))

    def _page(self, request: Request, member: str = "") -> Dict[str, Any]:
        which = LISTS[request.method]
        entries = self._catalogue(member or which[0])
        try:
            return page(which, entries, request.params.get("cursor"), self._size)
        except BadCursor as error:
            raise bad_params(request, str(error)) from None

    # -- stateless revisions ------------------------------------------------------------------

    def _stateless(self, request: Request, headers: Any) -> Outcome:
        try:
            check_stateless(request, headers)
            read = READERS.get(request.method)
            if read is not None:
                label = _client_label(request.params["_meta"].get(META_CLIENT))
                return read(request, True, label)
            method = self._stateless_methods.get(request.method)
            if method is None:
                raise _no_method(request)
            return method(request)
        except Fault as fault:
            return Reply(http_status(fault.code), fault.to_message())

    def _complete(
        self, request: Request, result: Dict[str, Any], server: Optional[Dict[str, Any]] = None
    ) -> Reply:
        result["resultType"] = "complete"
        result["ttlMs"] = TTL_MS
        result["cacheScope"] = "private"
        result["_meta"] = {META_SERVER: server or self._server}
        return Reply(200, jsonrpc.result(request.id, result))

    def _discover(self, request: Request) -> Outcome:
        return self._complete(
            request,
            {
                "supportedVersions": list(STATELESS),
                "capabilities": self._stateless_capabilities,
                "instructions": self._instructions,
            },
            self._introduction,
        )

    def _list_stateless(self, request: Request) -> Outcome:
        return self._complete(request, self._page(request))


def version_of(headers: Any, session_version: Optional[str]) -> str:
    """Return the revision that a message is read by: whichever its header names, known or not."""
    return headers.get("mcp-protocol-version") or session_version or ASSUMED


def _subscribe(request: Request, begins: bool) -> Subscribe:
    uri = request.params.get("uri")
    if type(uri) is not str:
        raise bad_params(request, "{} needs params.uri, a string".format(request.method))
    return Subscribe(request.id, uri, begins)


def _listen(request: Request) -> Listen:
    wishes = request.params.get("notifications")
    if type(wishes) is not dict:
        raise bad_params(request, "subscriptions/listen needs params.notifications, an object")
    uris = wishes.get("resourceSubscriptions")
    if uris is not None and (type(uris) is not list or not all(type(one) is str for one in uris)):
        raise bad_params(request, "resourceSubscriptions is a list of uris")
    for key, wish in wishes.items():
        if key.endswith("ListChanged") and wish is not None and type(wish) is not bool:
            raise bad_params(request, "{} is true or false".format(key[:100]))
    return Listen(request.id, wishes)


def _listen_to_tasks(request: Request) -> Listen:
    listen = _listen(request)
    if listen.wishes.get("taskIds"):
        # They are agreed to by nobody here; but who may wish for them has to be told so.
        demand(request)
    return listen


def _no_method(request: Request) -> Fault:
    return Fault(
        jsonrpc.METHOD_NOT_FOUND,
        "Method {!r} is not known here".format(request.method[:100]),
        request.id,
    )


def _offered(capabilities: Any) -> Dict[str, Any]:
    """Return those of a client's capabilities that anybody asks for.

    They are kept for as long as its session, and it may send megabytes of others.
    """
    found: Dict[str, Any] = {}
    if type(capabilities) is dict:
        for name, parts in _OFFERS.items():
            offered = capabilities.get(name)
            if type(offered) is dict:
                found[name] = {part: {} for part in parts if part in offered}
    return found


def _client_label(info: Any) -> str:
    if type(info) is not dict:
        return ""
    parts: Tuple[Any, ...] = (info.get("name"), info.get("version"))
    return " ".join(part[:60] for part in parts if type(part) is str and part)
