"""Well-formed messages of every method, by every way in; ``mutator.py`` spoils and sends them.

Each function takes a random generator, so the same seed gives the same messages.
"""

from __future__ import annotations

from random import Random
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

__all__ = ["Known", "Request", "framed", "http", "line"]

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
_META = "io.modelcontextprotocol/"
#: What a client offers that can be asked, and in the stateless era also that it knows tasks.
OFFERS = {"elicitation": {}, "sampling": {}, "roots": {}}
WITH_TASKS = dict(OFFERS, extensions={_META + "tasks": {}})

TOOLS: Tuple[Tuple[str, Dict[str, Any]], ...] = (
    ("on_loop", {"text": "a"}),
    ("on_worker", {"text": "\u00fc", "number": 1.5, "flags": [True, False]}),
    ("in_steps", {"steps": 2}),
    ("polled", {}),
    ("lasting", {}),
    ("asks", {}),
    ("asks_much", {}),
    ("large", {}),
    ("mixed", {}),
    ("fails", {}),
    ("in_header", {"region": "here"}),
    ("get_status", {}),
    ("get_scene_info", {}),
    ("list_objects", {"limit": 5}),
    ("get_object", {"path": "/a"}),
    ("create_object", {"kind": "cube", "name": "a"}),
    ("set_transform", {"path": "/a", "translate": [1, 2, 3]}),
    ("rename_object", {"path": "/a", "name": "b"}),
    ("delete_objects", {"paths": ["/a", "/b"]}),
    ("set_selection", {"paths": ["/a"]}),
    ("undo", {"steps": 1}),
    ("execute_python", {"code": "1 + 1"}),
    ("search_tools", {"query": "object"}),
    ("describe_tool", {"name": "undo"}),
    ("call_tool", {"name": "on_loop", "arguments": {"text": "b"}}),
    ("batch", {"calls": [{"tool": "on_loop", "arguments": {}}, {"tool": "get_selection"}]}),
    ("get_job", {"job_id": "none", "wait_ms": 1}),
    ("list_jobs", {}),
    ("cancel_job", {"job_id": "none"}),
    ("get_log", {"lines": 5}),
    ("no_such_tool", {}),
)
URIS = (
    *("test://text", "test://rows/1", "dcc://status", "log://recent", "scene://info"),
    *("scene://tree", "scene://selection", "scene://object/a", "job://none/result", "no://such"),
)


def _call(rng: Random) -> Dict[str, Any]:
    name, arguments = rng.choice(TOOLS)
    params: Dict[str, Any] = {"name": name, "arguments": dict(arguments)}
    if rng.random() < 0.3:
        params["_meta"] = {"progressToken": rng.choice([0, "t", 7])}
    return params


def _prompt(rng: Random) -> Dict[str, Any]:
    return rng.choice(
        [
            {"name": "greet", "arguments": {"name": "Ann"}},
            {"name": "asking_prompt"},
            {"name": "debug_scene", "arguments": {"problem": "dark"}},
            {"name": "no_such_prompt"},
        ]
    )


def _completion(rng: Random) -> Dict[str, Any]:
    ref = rng.choice(
        [
            ({"type": "ref/prompt", "name": "greet"}, "name"),
            ({"type": "ref/resource", "uri": "test://rows/{row}"}, "row"),
        ]
    )
    return {"ref": ref[0], "argument": {"name": ref[1], "value": "1"}}


def _page(rng: Random) -> Dict[str, Any]:
    return {"cursor": "MTA="} if rng.random() < 0.2 else {}


def _uri(rng: Random) -> Dict[str, Any]:
    return {"uri": rng.choice(URIS)}


def _answers(rng: Random) -> Dict[str, Any]:
    return {"inputResponses": {"name": {"action": "accept", "content": {"name": "Ann"}}}}


def _initialize(rng: Random) -> Dict[str, Any]:
    return {
        "protocolVersion": rng.choice((*LEGACY, MODERN, "1.0.0")),
        "capabilities": dict(OFFERS) if rng.random() < 0.5 else {},
        "clientInfo": {"name": "mutator", "version": "1"},
    }


_Params = Callable[[Random], Dict[str, Any]]

#: Methods of both eras, with how often; those that ``NAMED`` has stand in a header of the new one.
COMMON: Tuple[Tuple[str, _Params, int], ...] = (
    ("tools/list", _page, 2),
    ("tools/call", _call, 12),
    ("resources/list", _page, 1),
    ("resources/templates/list", _page, 1),
    ("resources/read", _uri, 3),
    ("prompts/list", _page, 1),
    ("prompts/get", _prompt, 2),
    ("completion/complete", _completion, 1),
)
NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
OLD: Tuple[Tuple[str, _Params, int], ...] = (
    *COMMON,
    ("initialize", _initialize, 2),
    ("ping", lambda rng: {}, 2),
    ("logging/setLevel", lambda rng: {"level": rng.choice(["debug", "error"])}, 1),
    ("resources/subscribe", _uri, 1),
    ("resources/unsubscribe", _uri, 1),
    ("tasks/get", lambda rng: {}, 1),
    ("tasks/result", lambda rng: {}, 1),
    ("tasks/cancel", lambda rng: {}, 1),
    ("tasks/list", _page, 1),
)
NEW: Tuple[Tuple[str, _Params, int], ...] = (
    *COMMON,
    ("server/discover", lambda rng: {}, 2),
    ("subscriptions/listen", lambda rng: {"notifications": {"toolsListChanged": True}}, 1),
    ("tasks/get", lambda rng: {}, 1),
    ("tasks/update", _answers, 1),
    ("tasks/cancel", lambda rng: {}, 1),
)
NOTIFICATIONS: Tuple[Tuple[str, Dict[str, Any]], ...] = (
    ("notifications/initialized", {}),
    ("notifications/cancelled", {"requestId": 1, "reason": "enough"}),
    ("notifications/progress", {"progressToken": 1, "progress": 1}),
    ("notifications/roots/list_changed", {}),
)


def _pick(rng: Random, table: Tuple[Tuple[str, _Params, int], ...]) -> Tuple[str, Dict[str, Any]]:
    method, params, _ = rng.choices(table, [weight for _, _, weight in table])[0]
    return method, params(rng)


def _message(rng: Random, method: str, params: Dict[str, Any]) -> Dict[str, Any]:
    ident = rng.choice([1, 2, 0, "a", rng.randrange(1000)])
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}


class Known(NamedTuple):
    """Ids that a server has given out: of sessions, and of tasks."""

    sessions: Sequence[str] = ()
    tasks: Sequence[str] = ()


def _about(rng: Random, message: Dict[str, Any], known: Known) -> Dict[str, Any]:
    """Have a message about a task name one, which there is or not."""
    if message["method"].startswith("tasks/") and message["method"] != "tasks/list":
        there = known.tasks and rng.random() < 0.9
        message["params"]["taskId"] = rng.choice(known.tasks) if there else "0" * 32
    return message


def _old(rng: Random, known: Known) -> Dict[str, Any]:
    kind = rng.random()
    if kind < 0.8:
        message = _message(rng, *_pick(rng, OLD))
        if message["method"] == "tools/call" and rng.random() < 0.3:
            message["params"]["task"] = rng.choice([{}, {"ttl": 1}, {"ttl": 20000}])
        return _about(rng, message, known)
    if kind < 0.93:
        method, params = rng.choice(NOTIFICATIONS)
        return {"jsonrpc": "2.0", "method": method, "params": dict(params)}
    answer = {"action": "accept", "content": {"name": "Ann"}}
    return {"jsonrpc": "2.0", "id": rng.choice([1, "x"]), "result": answer}


def _new(rng: Random, known: Known) -> Dict[str, Any]:
    message = _about(rng, _message(rng, *_pick(rng, NEW)), known)
    meta = message["params"].setdefault("_meta", {})
    meta[_META + "protocolVersion"] = MODERN
    meta[_META + "clientCapabilities"] = rng.choice([{}, dict(OFFERS), dict(WITH_TASKS)])
    meta[_META + "clientInfo"] = {"name": "mutator", "version": "1"}
    if rng.random() < 0.1:
        state = rng.choice(["", "0" * 32 + ".0", "x"])
        message["params"].update(_answers(rng), requestState=state)
    return message


class Request(NamedTuple):
    """One HTTP request. ``body``: JSON to be, bytes, or None."""

    method: str
    path: str
    headers: List[Tuple[str, str]]
    body: Any


def _session(rng: Random, known: Known) -> str:
    return rng.choice(known.sessions) if known.sessions and rng.random() < 0.8 else "0" * 32


def _mcp(rng: Random, known: Known) -> Request:
    kind = rng.random()
    session = _session(rng, known)
    mine = [("Mcp-Session-Id", session)] if rng.random() < 0.5 else []
    if kind < 0.04:
        last = [("Last-Event-ID", rng.choice(["1", "0-1", "x"]))] if rng.random() < 0.5 else []
        return Request("GET", "/mcp", [("Accept", "text/event-stream"), *mine, *last], None)
    if kind < 0.05:
        return Request("DELETE", "/mcp", mine, None)
    if kind < 0.45:
        message = _new(rng, known)
        method, params = message["method"], message["params"]
        headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)]
        if method in NAMED:
            headers.append(("Mcp-Name", str(params[NAMED[method]])))
        if params.get("name") == "in_header":
            headers.append(("Mcp-Param-Region", "here"))
        return Request("POST", "/mcp", headers, message)
    if kind < 0.5:
        body = [_old(rng, known) for _ in range(rng.randrange(1, 5))]
        return Request("POST", "/mcp", [("MCP-Protocol-Version", "2025-03-26"), *mine], body)
    message = _old(rng, known)
    version = [("MCP-Protocol-Version", rng.choice(LEGACY))] if rng.random() < 0.5 else []
    if "task" in message.get("params", {}) or message.get("method", "").startswith("tasks/"):
        # The only handshake revision that has them, and they belong to a session.
        version, mine = [("MCP-Protocol-Version", LEGACY[-1])], [("Mcp-Session-Id", session)]
    return Request("POST", "/mcp", [*version, *mine], message)


def _rest(rng: Random, known: Known) -> Request:
    name, arguments = rng.choice(TOOLS)
    if name.startswith("asks"):
        name = "on_loop"
    slug = "standalone.dcc-mcp-embed." + name
    posts = (
        ("/v1/search", {"query": rng.choice(["", "object", "undo redo"]), "limit": 5}),
        ("/v1/describe", {"tool_slug": slug}),
        ("/v1/call", {"tool_slug": slug, "arguments": dict(arguments)}),
        ("/safe-stop", {"instance_id": "x", "owner": "0" * 32, "session": "0" * 32}),
    )
    gets = (
        *("/", "/health", "/v1/readyz", "/v1/skills", "/v1/resources", "/v1/prompts"),
        *("/v1/context", "/v1/resources/test%3A%2F%2Ftext", "/v1/prompts/greet?name=Ann"),
        *("/.well-known/oauth-protected-resource", "/favicon.ico", "/no/such", "/v1/nope"),
    )
    if rng.random() < 0.6:
        path, body = rng.choice(posts)
        return Request("POST", path, [("x-request-id", "r")], body)
    return Request(rng.choice(["GET", "GET", "HEAD"]), rng.choice(gets), [], None)


def _sse(rng: Random, known: Known) -> Request:
    if rng.random() < 0.3:
        return Request("GET", "/sse", [("Accept", "text/event-stream")], None)
    where = "/messages?sessionId=" + _session(rng, known)
    return Request("POST", where, [], _old(rng, known))


def http(rng: Random, known: Known) -> Request:
    """Return a request for one of the paths."""
    make = rng.choices([_mcp, _rest, _sse], [10, 3, 1])[0]
    return make(rng, known)


def framed(rng: Random) -> Tuple[str, Optional[Dict[str, Any]]]:
    """Return (method, params) of a request on the framed wire."""
    name, arguments = rng.choice(TOOLS)
    return rng.choices(
        [
            ("tools/list", None),
            ("tools/call", {"name": name, "arguments": dict(arguments)}),
            ("ping", None),
            ("status", None),
            ("mcp", _new(rng, Known())),
            ("resume", {"epoch": "x", "ids": ["0" * 32]}),
            ("hello", {"wire": 1, "nonce": "0" * 64}),
            ("no_such_method", {}),
        ],
        [1, 6, 1, 1, 6, 1, 0.5, 0.5],
    )[0]


def line(rng: Random) -> Dict[str, Any]:
    """Return a message for the sidecar's port."""
    name, arguments = rng.choice(TOOLS)
    params = {"action": name, "args": dict(arguments), "request_id": "r"}
    return {"id": rng.choice([1, "a"]), "method": "dispatch", "params": params}
