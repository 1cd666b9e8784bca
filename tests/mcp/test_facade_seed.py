"""The facade as the seed has it: every name, parameter, default, event and dict, in its order."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from concurrent.futures import Future
from datetime import datetime, timedelta

import pytest

import dcc_mcp_embed.mcp as package
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.mcp import (
    MCPClientFacade,
    MCPError,
    MCPPluginConfig,
    PluginStatus,
    SessionInfo,
    StatusCallback,
    ToolCacheEntry,
    ToolMetrics,
    mcp_client,
)
from dcc_mcp_embed.mcp.cache import ToolCache
from dcc_mcp_embed.mcp.client import Call
from fakes import facade_tools
from fakes.facade_tools import USER, openai_call

REQUIRED = inspect.Parameter.empty
NOWHERE = "http://127.0.0.1:1/mcp"

#: Method -> its parameters in the seed, each with its default.
METHODS = {
    "register": {"config": REQUIRED},
    "unregister": {"user_id": REQUIRED, "plugin_name": REQUIRED},
    "is_registered": {"user_id": REQUIRED, "plugin_name": REQUIRED},
    "get_session_status": {"user_id": REQUIRED, "plugin_name": REQUIRED},
    "ensure_registered": {
        "user_id": REQUIRED,
        "plugin_name": REQUIRED,
        "url": REQUIRED,
        "plugin_type": "streamable_http",
        "headers": None,
    },
    "test_connection": {"user_id": REQUIRED, "plugin_name": REQUIRED},
    "get_tools": {"user_id": REQUIRED, "plugin_name": REQUIRED, "use_cache": True},
    "call_tool": {
        "user_id": REQUIRED,
        "plugin_name": REQUIRED,
        "tool_name": REQUIRED,
        "arguments": REQUIRED,
        "timeout": None,
        "max_reconnect_attempts": 2,
    },
    "batch_call_tools": {
        "user_id": REQUIRED,
        "tool_calls": REQUIRED,
        "max_concurrent": 2,
        "timeout": None,
    },
    "format_tools_for_openai": {"tools": REQUIRED, "plugin_name": REQUIRED},
    "parse_function_name": {"function_name": REQUIRED},
    "build_tool_context": {"tool_results": REQUIRED, "format": "markdown"},
    "clear_cache": {"user_id": None, "plugin_name": None},
    "get_metrics": {"tool_name": None},
    "get_cache_stats": {},
    "get_session_stats": {},
    "register_status_callback": {"callback": REQUIRED},
    "unregister_status_callback": {"callback": REQUIRED},
    "cleanup": {},
}
COROUTINES = [
    "register",
    "unregister",
    "ensure_registered",
    "test_connection",
    "get_tools",
    "call_tool",
    "batch_call_tools",
    "cleanup",
]
#: What ours has besides; and what the seed demands and ours does not.
MORE = {"call_tool": {"raise_on_error": True, "on_progress": None}}
OPTIONAL = {("call_tool", "arguments"): None}


def parameters(name):
    found = dict(inspect.signature(getattr(MCPClientFacade, name)).parameters)
    found.pop("self")
    return found


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_has_the_parameters_of_the_seed(name):
    wanted = dict(METHODS[name], **MORE.get(name, {}))
    found = parameters(name)
    assert list(found) == list(wanted)
    for parameter, default in wanted.items():
        default = OPTIONAL.get((name, parameter), default)
        assert found[parameter].default == default
        assert found[parameter].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert inspect.iscoroutinefunction(getattr(MCPClientFacade, name)) == (name in COROUTINES)


@pytest.mark.parametrize("name", COROUTINES)
def test_each_coroutine_has_a_twin_that_blocks(name):
    twin = getattr(MCPClientFacade, name + "_sync")
    assert not inspect.iscoroutinefunction(twin)
    coroutine = getattr(MCPClientFacade, name)
    assert inspect.signature(twin) == inspect.signature(coroutine)


class Noting:
    """An engine, and its client, which note what they are asked for and do nothing."""

    alive = True

    def __init__(self):
        self.asked = []
        self.client = self.plugins = self
        self.cache = ToolCache(1, SystemClock())

    def is_current(self):
        return False

    def run(self, do, future=None):
        future = Future() if future is None else future
        future.set_result(do(self))
        return future

    def find(self, key):
        return None

    def all(self):
        return []

    def __getattr__(self, name):
        def ask(*given):
            self.asked.append((name, given))

        return ask


KEY = (USER, "p")
CALLS = [openai_call(1, "p_x")]
#: Method -> what it is given, and what it asks the client for.
ASKED = [
    ("register", (MCPPluginConfig(USER, "p", NOWHERE),), "register", None),
    ("unregister", (USER, "p"), "unregister", (KEY,)),
    (
        "ensure_registered",
        (USER, "p", NOWHERE, "sse", {"X": "y"}),
        "ensure",
        (MCPPluginConfig(USER, "p", NOWHERE, "sse", {"X": "y"}),),
    ),
    ("ensure_registered", (USER, "p", "u"), "ensure", (MCPPluginConfig(USER, "p", "u"),)),
    ("test_connection", (USER, "p"), "test", (KEY,)),
    ("get_tools", (USER, "p", False), "tools", (KEY,)),
    (
        "call_tool",
        (USER, "p", "x", {"a": 1}, 3.5, 7, False, print),
        "call",
        (Call(KEY, "x", {"a": 1}, 3.5, 7, False, print),),
    ),
    ("call_tool", (USER, "p", "x"), "call", (Call(KEY, "x", {}, None, 2, True, None),)),
    ("batch_call_tools", (USER, CALLS, 5, 2.5), "batch", (USER, CALLS, 5, 2.5)),
    ("batch_call_tools", (USER, CALLS), "batch", (USER, CALLS, 2, None)),
]


@pytest.mark.parametrize("twin", [False, True], ids=["awaited", "blocking"])
@pytest.mark.parametrize(("name", "given", "asked", "wanted"), ASKED)
def test_all_that_is_given_counts(name, given, asked, wanted, twin):
    facade = MCPClientFacade()
    facade._engine = noting = Noting()
    # It is there, and not asked for.
    noting.cache.put(KEY, [], noting.cache.version(KEY))
    if twin:
        getattr(facade, name + "_sync")(*given)
    else:
        asyncio.run(getattr(facade, name)(*given))
    ((found, arguments),) = noting.asked
    # Whether it is our own host only a call that blocks has to know.
    if name == "batch_call_tools" and twin:
        assert arguments[4:] == (frozenset(),)
        arguments = arguments[:4]
    if name == "call_tool":
        assert (arguments[0].asyncio_loop is None) == twin
        arguments = (arguments[0]._replace(asyncio_loop=None),)
    assert (found, arguments) == (asked, given if wanted is None else wanted)


def test_there_is_nothing_else():
    names = {name for name in vars(MCPClientFacade) if not name.startswith("_")}
    own = {"set_sampling_callback", "set_elicitation_callback", "set_roots_callback"}
    assert names == {*METHODS, *(name + "_sync" for name in COROUTINES), *own}
    coroutines = {
        name for name in names if inspect.iscoroutinefunction(vars(MCPClientFacade)[name])
    }
    assert coroutines == set(COROUTINES)


#: Record -> its fields in the seed, each with its default; ... is one that is made.
RECORDS = {
    MCPPluginConfig: {
        "user_id": REQUIRED,
        "plugin_name": REQUIRED,
        "url": REQUIRED,
        "plugin_type": "streamable_http",
        "headers": None,
        "env": None,
        "timeout": 60.0,
    },
    SessionInfo: {
        "session": REQUIRED,
        "url": REQUIRED,
        "plugin_type": "streamable_http",
        "created_at": ...,
        "last_access": ...,
        "request_count": 0,
        "error_count": 0,
        "status": "active",
    },
    ToolCacheEntry: {"tools": REQUIRED, "expire_time": REQUIRED, "hit_count": 0},
    ToolMetrics: {
        "total_calls": 0,
        "success_calls": 0,
        "failed_calls": 0,
        "total_duration_ms": 0.0,
        "last_call_time": None,
    },
}
MORE_FIELDS = {MCPPluginConfig: {"command": None, "args": None}}


@pytest.mark.parametrize("record", list(RECORDS), ids=lambda record: record.__name__)
def test_a_record_has_the_fields_of_the_seed(record):
    fields = [one for one in dataclasses.fields(record) if not one.name.startswith("_")]
    wanted = dict(RECORDS[record], **MORE_FIELDS.get(record, {}))
    assert [one.name for one in fields] == list(wanted)
    for one in fields:
        default = wanted[one.name]
        if default is ...:
            assert abs(one.default_factory() - datetime.now().timestamp()) < 60
        elif default is REQUIRED:
            # A server that is a program has no URL.
            assert one.default is dataclasses.MISSING or (one.name, one.default) == ("url", "")
        else:
            assert one.default == default


def test_plugin_status():
    assert {one.name: one.value for one in PluginStatus} == {
        "ACTIVE": "active",
        "INACTIVE": "inactive",
        "DEGRADED": "degraded",
        "ERROR": "error",
    }
    assert PluginStatus.ACTIVE == "active"
    assert isinstance(PluginStatus.ERROR, str)


@pytest.mark.parametrize(("requests", "errors", "rate"), [(0, 0, 0.0), (4, 1, 0.25), (2, 2, 1.0)])
def test_session_info_error_rate(requests, errors, rate):
    assert SessionInfo(None, NOWHERE, request_count=requests, error_count=errors).error_rate == rate


def test_tool_metrics_record():
    one = ToolMetrics()
    assert (one.avg_duration_ms, one.success_rate) == (0.0, 0.0)
    one.record_success(10.0)
    one.record_failure(duration_ms=30.0)
    assert (one.total_calls, one.success_calls, one.failed_calls) == (2, 1, 1)
    assert (one.avg_duration_ms, one.success_rate, one.total_duration_ms) == (20.0, 0.5, 40.0)
    assert abs(datetime.now() - one.last_call_time) < timedelta(minutes=1)


def test_mcp_error():
    assert issubclass(MCPError, Exception)
    assert str(MCPError("no luck")) == "no luck"
    assert str(MCPError()) == ""


def test_the_package():
    assert isinstance(mcp_client, MCPClientFacade)
    assert package.mcp_client is mcp_client
    assert StatusCallback is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'mcp_cleint'"):
        package.mcp_cleint  # noqa: B018
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_each_facade_is_another():
    """The seed's is one for all, whatever one does."""
    assert MCPClientFacade() is not MCPClientFacade()


# The dicts.


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with facade_tools.peer(str(tmp_path_factory.mktemp("peer"))) as one:
        yield one


@pytest.fixture
def facade():
    one = MCPClientFacade()
    yield one
    one.cleanup_sync()


@pytest.fixture
def ready(facade, peer):
    """Return a facade that has registered "host"."""
    assert facade.register_sync(peer.config()) is True
    return facade


def test_the_event(facade, peer):
    events = []
    facade.register_status_callback(events.append)
    facade.register_sync(peer.config())
    facade.register_sync(MCPPluginConfig(USER, "nowhere", NOWHERE))
    facade.unregister_sync(USER, "host")
    assert [set(one) for one in events] == 3 * [
        {"user_id", "plugin_name", "old_status", "new_status", "reason", "timestamp"}
    ]
    told = [(one["plugin_name"], one["old_status"], one["new_status"]) for one in events]
    assert told == [
        ("host", "inactive", "active"),
        ("nowhere", "inactive", "error"),
        ("host", "active", "inactive"),
    ]
    for one in events:
        assert one["user_id"] == USER
        assert one["reason"]
        when = datetime.fromisoformat(one["timestamp"])
        assert abs(datetime.now() - when) < timedelta(minutes=1)
    facade.unregister_status_callback(events.append)


def test_the_event_can_be_awaited(facade, peer):
    events = []

    async def on_status_change(event):
        await asyncio.sleep(0)
        events.append(event["new_status"])

    async def story():
        facade.register_status_callback(on_status_change)
        assert await facade.register(peer.config()) is True
        assert events == ["active"]
        facade.unregister_status_callback(on_status_change)
        await facade.unregister(USER, "host")
        assert events == ["active"]

    asyncio.run(story())


def test_registered_or_not(facade, peer):
    assert facade.is_registered(USER, "host") is False
    assert facade.get_session_status(USER, "host") is None
    assert facade.register_sync(peer.config()) is True
    assert facade.is_registered(USER, "host") is True
    assert facade.get_session_status(USER, "host") == "active"
    assert facade.is_registered("you", "host") is False
    assert facade.unregister_sync(USER, "host") is None
    assert facade.is_registered(USER, "host") is False
    assert facade.get_session_status(USER, "host") is None
    assert facade.register_sync(MCPPluginConfig(USER, "nowhere", NOWHERE)) is False
    assert facade.get_session_status(USER, "nowhere") is None


def test_ensure_registered(facade, peer):
    events = []
    facade.register_status_callback(events.append)
    for _ in range(2):
        assert facade.ensure_registered_sync(USER, "host", peer.url, headers=peer.headers) is True
    assert facade.ensure_registered_sync(USER, "host", peer.url) is True
    assert len(events) == 1
    assert facade.ensure_registered_sync(USER, "host", NOWHERE) is False
    assert [one["new_status"] for one in events] == ["active", "error"]


def test_test_connection_that_succeeds(ready):
    found = ready.test_connection_sync(USER, "host")
    assert list(found) == ["success", "message", "response_time_ms", "tools_count", "tools"]
    assert found["success"] is True
    assert isinstance(found["message"], str)
    assert found["response_time_ms"] == round(found["response_time_ms"], 2) >= 0
    assert found["tools_count"] == len(found["tools"]) > 5
    assert all(list(one) == ["name", "description"] for one in found["tools"])
    assert {"name": "echo", "description": "Return what it is given."} in found["tools"]


def test_test_connection_that_fails(facade):
    found = facade.test_connection_sync(USER, "host")
    assert list(found) == ["success", "message", "response_time_ms", "error_type"]
    assert found["success"] is False
    assert "not registered" in found["message"]
    assert found["response_time_ms"] >= 0
    assert found["error_type"] == "NotRegistered"


def test_get_tools(ready):
    for use_cache in (True, True, False):
        tools = ready.get_tools_sync(USER, "host", use_cache)
        assert all(list(one) == ["name", "description", "inputSchema"] for one in tools)
        (echo,) = [one for one in tools if one["name"] == "echo"]
        assert echo["description"] == "Return what it is given."
        assert echo["inputSchema"]["properties"]["text"]["type"] == "string"


def test_get_tools_of_nobody_is_an_error(facade):
    with pytest.raises(MCPError):
        facade.get_tools_sync(USER, "host")
    # The seed's is this.
    with pytest.raises(ValueError, match="not registered"):
        facade.get_tools_sync(USER, "host")


TEXT = {"type": "text", "text": "hello"}
IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
DATA = {"temperature": 22.5}
RESULTS = [
    ({"content": [TEXT]}, "hello"),
    ({"content": [IMAGE]}, IMAGE),
    ({"content": [TEXT, IMAGE]}, ["hello", IMAGE]),
    ({"content": [], "structuredContent": DATA}, DATA),
    ({"content": [TEXT], "structuredContent": DATA}, "hello"),
    ({"content": []}, None),
]


@pytest.mark.parametrize(("result", "wanted"), RESULTS)
def test_call_tool(ready, result, wanted):
    found = ready.call_tool_sync(USER, "host", "answer", {"result": result})
    assert found == wanted
    if isinstance(wanted, dict) and "mimeType" in wanted:
        assert list(found) == ["type", "data", "mimeType"]


def test_call_tool_that_fails(ready):
    failed = {"content": [{"type": "text", "text": "the disk is full"}], "isError": True}
    with pytest.raises(MCPError, match="the disk is full") as caught:
        ready.call_tool_sync(USER, "host", "answer", {"result": failed})
    assert caught.value.code == "tool_error"
    assert caught.value.result["content"] == failed["content"]
    # As the seed has it.
    arguments = {"result": failed}
    assert ready.call_tool_sync(USER, "host", "answer", arguments, raise_on_error=False) == (
        "the disk is full"
    )


def test_batch_call_tools(ready):
    assert ready.batch_call_tools_sync(USER, []) == []
    good, bad = ready.batch_call_tools_sync(
        USER,
        [openai_call(1, "host_echo", '{"text": "schön"}'), openai_call(2, "host_fail")],
    )
    assert good == {
        "tool_call_id": "call_1",
        "role": "tool",
        "name": "host_echo",
        "content": '"schön"',
        "success": True,
    }
    assert list(bad) == ["tool_call_id", "role", "name", "content", "success", "error"]
    assert "the disk is full" in bad["error"]
    assert bad["content"].endswith(bad["error"])
    assert bad["success"] is False


def test_format_tools_for_openai(facade):
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tools = [{"name": "web_search", "description": "Search.", "inputSchema": schema}, {"name": "x"}]
    assert facade.format_tools_for_openai(tools, "exa-search") == [
        {
            "type": "function",
            "function": {
                "name": "exa-search_web_search",
                "description": "Search.",
                "parameters": schema,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "exa-search_x",
                "description": "",
                "parameters": {"type": "object", "properties": {}, "required": []},
            },
        },
    ]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("plugin_tool", ("plugin", "tool")),
        ("plugin_a_tool", ("plugin", "a_tool")),
        ("plugin.tool", ("plugin", "tool")),
        ("plugin.a.tool", ("plugin", "a.tool")),
    ],
)
def test_parse_function_name(facade, name, wanted):
    assert facade.parse_function_name(name) == wanted


@pytest.mark.parametrize("name", ["", "plugin", "_tool", "plugin_"])
def test_parse_function_name_of_what_is_none(facade, name):
    with pytest.raises(ValueError, match="plugin_tool"):
        facade.parse_function_name(name)


@pytest.mark.parametrize("form", ["markdown", "json", "plain"])
def test_build_tool_context(facade, form):
    result = {"name": "a_b", "content": '{"x": 1}', "success": True}
    shown = facade.build_tool_context([result], form)
    assert "a_b" in shown
    assert "x" in shown
    assert facade.build_tool_context([], form) == ""
    if form == "markdown":
        assert facade.build_tool_context([result]) == shown


METRICS = ["total_calls", "success_calls", "failed_calls", "success_rate", "avg_duration_ms"]


def test_get_metrics(ready):
    assert ready.get_metrics() == {}
    for _ in range(2):
        ready.call_tool_sync(USER, "host", "echo", {"text": "x"})
    ready.call_tool_sync(USER, "host", "fail", raise_on_error=False)
    found = ready.get_metrics()
    assert list(found) == ["host.echo", "host.fail"]
    for one in found.values():
        percentiles = ["p50_duration_ms", "p95_duration_ms", "p99_duration_ms"]
        assert list(one) == [*METRICS, "last_call_time", *percentiles]
        when = datetime.fromisoformat(one["last_call_time"])
        assert abs(datetime.now() - when) < timedelta(minutes=1)
    assert [found["host.echo"][name] for name in METRICS[:4]] == [2, 2, 0, 1.0]
    assert [found["host.fail"][name] for name in METRICS[:4]] == [1, 0, 1, 0.0]
    assert ready.get_metrics("host.echo") == {"host.echo": found["host.echo"]}
    assert ready.get_metrics(tool_name="of nobody") == found


def test_get_cache_stats(ready):
    empty = {"total_entries": 0, "total_hits": 0, "cache_ttl_minutes": 10.0, "entries": []}
    assert ready.get_cache_stats() == empty
    for _ in range(3):
        tools = ready.get_tools_sync(USER, "host")
    found = ready.get_cache_stats()
    assert list(found) == list(empty)
    assert (found["total_entries"], found["total_hits"]) == (1, 2)
    (entry,) = found["entries"]
    left = datetime.fromisoformat(entry.pop("expire_time")) - datetime.now()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    assert entry == {"key": "me:host", "tools_count": len(tools), "hit_count": 2}


CLEARED = [((), False), ((USER,), False), ((USER, "host"), False), (("you",), True),
           ((USER, "other"), True), ((None, "other"), False), (("",), False),
           (("", "host"), False), ((USER, ""), False)]  # fmt: skip


@pytest.mark.parametrize(("which", "kept"), CLEARED)
def test_clear_cache(ready, which, kept):
    ready.get_tools_sync(USER, "host")
    assert ready.clear_cache(*which) is None
    assert ready.get_cache_stats()["total_entries"] == int(kept)


def test_get_session_stats(ready, peer):
    ready.call_tool_sync(USER, "host", "echo", {"text": "x"})
    with pytest.raises(MCPError):
        ready.call_tool_sync(USER, "host", "echo", {"text": "x"}, timeout=1e-9)
    found = ready.get_session_stats()
    assert list(found) == ["total_sessions", "sessions"]
    assert found["total_sessions"] == 1
    (one,) = found["sessions"]
    for name in ("created_at", "last_access"):
        when = datetime.fromisoformat(one.pop(name))
        assert abs(datetime.now() - when) < timedelta(minutes=1)
    assert one == {
        "key": "me:host",
        "url": peer.url,
        "status": "active",
        "request_count": 2,
        "error_count": 1,
        "error_rate": 0.5,
    }


def test_cleanup(ready):
    ready.get_tools_sync(USER, "host")
    assert ready.cleanup_sync() is None
    assert ready.get_session_stats() == {"total_sessions": 0, "sessions": []}
    assert ready.get_cache_stats()["total_entries"] == 0
    assert ready.cleanup_sync() is None
