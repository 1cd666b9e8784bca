"""``/v1/search``, ``describe``, ``call`` and the lists: what the dcc-mcp gateway asks. Loop thread.

Whoever has a token may ask, with the gateway's own for what :mod:`.gateway` leaves. Every answer
repeats the request's ``x-request-id`` in its body: the gateway refuses one that does not.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Tuple

from ..clock import Clock
from ..errors import NotFound
from ..host.identity import Instance
from ..tools.entries import Tool
from ..tools.jobs import Later
from ..tools.table import ToolTable
from ..wire import jsonrpc
from . import rest
from .calls import Calls
from .exchange import JSON, Exchange
from .gateway import Guest

__all__ = ["RestEndpoint"]

_FRESH = (*JSON, ("Cache-Control", "no-store"))
#: Characters of a request id that is repeated; a longer one is cut off, which no gateway sends.
_MAX_ID = 200
_GATEWAY = "dcc-mcp gateway"
#: Code of an error -> status and the ecosystem's kind, where there is more to say than that.
_FAILED = {
    "not_found": (404, "unknown-resource"),
    "invalid_argument": (400, "invalid-params"),
    "permission_denied": (403, "unauthorized"),
    "host_busy": (503, "not-ready"),
    "host_shutting_down": (503, "not-ready"),
}


class RestEndpoint:
    """Serve what the gateway asks of an instance. ``handlers`` are by path."""

    def __init__(
        self, table: ToolTable, calls: Calls, control: Any, instance: Instance, clock: Clock
    ) -> None:
        self._table = table
        self._calls = calls
        self._finder = control.finder
        self._instance = instance
        self._clock = clock
        #: Path -> what answers there.
        self.handlers: Dict[str, Callable[[Exchange], None]] = {}
        routes: Tuple[Tuple[str, str, Callable[..., None]], ...] = (
            ("/v1/search", "POST", self._search),
            ("/v1/describe", "POST", self._describe),
            ("/v1/call", "POST", self._call),
            ("/v1/skills", "GET", self._skills),
            ("/v1/resources", "GET", self._resources),
            ("/v1/resources/", "GET", self._read),
            ("/v1/prompts", "GET", self._prompts),
            ("/v1/prompts/", "GET", self._render),
            ("/v1/context", "GET", self._context),
        )
        for path, method, serve in routes:
            self.handlers[path] = self._served(method, serve)

    def _served(
        self, method: str, serve: Callable[[Exchange, Dict[str, Any], _Answer], None]
    ) -> Callable[[Exchange], None]:
        methods = ("GET", "HEAD") if method == "GET" else (method,)

        def handle(exchange: Exchange) -> None:
            headers = exchange.head.headers
            answer = _Answer(exchange, headers.get("x-request-id") or self._clock.uuid())
            if exchange.head.method not in methods:
                allowed = (("Allow", ", ".join(methods)),)
                answer.fail(405, "bad-request", "Only {} is served here.".format(method), allowed)
                return
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if method == "POST" and kind != "application/json":
                # Also what keeps a page from sending a "simple request" past the browser's checks.
                answer.fail(415, "bad-request", "The Content-Type is application/json.")
                return
            try:
                serve(exchange, rest.members(exchange.body) if method == "POST" else {}, answer)
            except rest.BadRequest as error:
                answer.fail(400, "bad-request", str(error))
            except NotFound as error:
                answer.fail(404, "unknown-slug", error.message, hint=error.hint)

        return handle

    def _search(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        search = rest.search_of(body, self._instance.dcc_type)
        found: List[Tool] = []
        if search.here:
            found, _ = self._finder.find(search.query, rest.MAX_HITS)
            found = [one for one in found if rest.wanted(one, search)]
        answer.give({"total": len(found), "hits": self._entries(exchange, found[: search.limit])})

    def _entries(self, exchange: Exchange, tools: Iterable[Tool]) -> List[Dict[str, Any]]:
        dcc_type, guest = self._instance.dcc_type, _is_guest(exchange)
        return [rest.entry(one, dcc_type, guest) for one in tools]

    def _describe(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        tool = self._table.get(rest.name_in(rest.slug_of(body)))
        with_schema = body.get("include_schema", True) is not False
        dcc_type = self._instance.dcc_type
        answer.give(rest.described(tool, dcc_type, _is_guest(exchange), with_schema))

    def _call(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        call = rest.call_of(body)
        tool = self._table.get(call.name)

        def answered(result: Dict[str, Any]) -> None:
            answer.give(
                {"slug": call.slug, "output": rest.output(result), "validation_skipped": False}
            )

        self._start(exchange, tool, call.arguments, answered)

    def _start(
        self,
        exchange: Exchange,
        tool: Tool,
        arguments: Dict[str, Any],
        answered: Callable[[Dict[str, Any]], None],
    ) -> None:
        client = _GATEWAY if _is_guest(exchange) else exchange.head.headers.get("user-agent") or ""
        running = self._calls.start(tool, arguments, client[:80], exchange.origin, answered)
        if type(running) is Later:
            # It does nothing but wait; a call that acts runs to its end.
            exchange.gone = running.cancel

    def _skills(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        shown = self._entries(exchange, self._table.tools)
        answer.give({"total": len(shown), "skills": shown})

    def _resources(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        shown = self._table.listing("resources")
        answer.give({"total": len(shown), "resources": shown})

    def _read(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        uri = rest.below(exchange.head.target)
        entry, values = self._table.resource(uri)
        self._start(exchange, entry.reading(uri), values, answer.shaped)

    def _render(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        tool = self._table.prompt(rest.below(exchange.head.target)).rendering
        arguments = rest.prompt_arguments(exchange.head.target)
        self._start(exchange, tool, arguments, answer.shaped)

    def _prompts(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        shown = self._table.listing("prompts")
        answer.give({"total": len(shown), "prompts": shown})

    def _context(self, exchange: Exchange, body: Dict[str, Any], answer: _Answer) -> None:
        answer.give(rest.context(self._instance, len(self._table)))


class _Answer:
    """The one answer to a request, with its id."""

    def __init__(self, exchange: Exchange, request_id: str) -> None:
        self._exchange = exchange
        self._id = request_id[:_MAX_ID]

    def give(self, body: Dict[str, Any], status: int = 200, headers: Any = ()) -> None:
        self._exchange.reply(
            status, (*_FRESH, *headers), jsonrpc.encode(dict(body, request_id=self._id))
        )

    def shaped(self, result: Dict[str, Any]) -> None:
        """Give what a resource or a prompt has become."""
        found = result["structuredContent"]
        if not result["isError"]:
            self.give(found)
            return
        error = found["error"]
        status, kind = _FAILED.get(error["code"], (500, "backend-error"))
        self.fail(status, kind, error["message"], hint=error["hint"])

    def fail(
        self, status: int, kind: str, message: str, headers: Any = (), hint: Any = None
    ) -> None:
        self.give(rest.failed(kind, message, hint), status, headers)


def _is_guest(exchange: Exchange) -> bool:
    return type(exchange.origin) is Guest
