"""The facade and its servers: independent, lasting, undisturbed, and gone at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
import tracemalloc

import pytest

from dcc_mcp_embed.errors import ConfigError, WouldDeadlock
from dcc_mcp_embed.mcp import MCPClientFacade, MCPError, MCPPluginConfig, MCPSettings
from dcc_mcp_embed.mcp import engine as engine_module
from dcc_mcp_embed.mcp import facade as facade_module
from dcc_mcp_embed.mcp import plugins as plugins_module
from dcc_mcp_embed.net import thread as thread_module
from fakes import facade_tools, misbehaving
from fakes.asyncio_thread import asyncio_running
from fakes.channels import ctrl_c
from fakes.clock import FakeClock
from fakes.driving import left_behind
from fakes.facade_tools import USER, data_of, openai_call
from fakes.interrupt import Interrupt
from fakes.misbehaving import Misbehaving
from fakes.waiting import becomes, until

DEADLINE = 20.0
AT_ONCE = 5.0
NOWHERE = "http://127.0.0.1:1/mcp"
STDIO_SERVER = os.path.join(os.path.dirname(misbehaving.__file__), "stdio_server.py")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with facade_tools.peer(str(tmp_path_factory.mktemp("peer"))) as one:
        yield one


@pytest.fixture
def peer(shared):
    shared.fresh()
    yield shared
    shared.leave.set()


@pytest.fixture
def make():
    """Return what makes a facade; at the end all are cleaned up."""
    made = []

    def one_more(settings=None, clock=None):
        made.append(MCPClientFacade(settings, clock))
        return made[-1]

    yield one_more
    for one in made:
        one.cleanup_sync()


@pytest.fixture
def facade(make):
    return make()


@pytest.fixture
def ready(facade, peer):
    """Return a facade that has registered "host"."""
    assert facade.register_sync(peer.config())
    return facade


@pytest.fixture
def bad():
    """Return a server that misbehaves once it is told to."""
    with Misbehaving() as one:
        yield one


def registered(facade, server, *names, **more):
    for name in names or ("bad",):
        assert facade.register_sync(MCPPluginConfig(USER, name, server.url, **more))
    return facade


def echo(facade, text="x", plugin="host", **more):
    return facade.call_tool_sync(USER, plugin, "echo", {"text": text}, **more)


def under_way(facade):
    """Return how much its thread has to do."""
    engine = facade._engine
    return 0 if engine is None else len(engine._tasks)


def elsewhere(function, *args):
    """Run it on another thread; return the thread, and a list that gets what came of it."""
    ends = []

    def run():
        try:
            ends.append(function(*args))
        except BaseException as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ends


def told(facade):
    """Return a list that gets what is told: (plugin, old status, new status)."""
    events = []

    def note(event):
        events.append((event["plugin_name"], event["old_status"], event["new_status"]))

    facade.register_status_callback(note)
    return events


# Each stands for itself.


def test_two_facades_have_nothing_in_common(make, peer):
    patient, hasty = MCPSettings(), MCPSettings(tool_call_timeout_seconds=5)
    one, other = make(patient), make(hasty)
    events = told(other)
    assert one.register_sync(peer.config())
    one.get_tools_sync(USER, "host")
    echo(one)
    assert not other.is_registered(USER, "host")
    assert other.get_metrics() == {}
    assert other.get_cache_stats()["total_entries"] == 0
    assert other.get_session_stats()["total_sessions"] == 0
    assert events == []
    assert other.register_sync(peer.config())
    one.cleanup_sync()
    assert echo(other) == "x"
    assert (one.settings, other.settings) == (patient, hasty)


def test_users_have_nothing_in_common(facade, peer):
    assert facade.register_sync(peer.config(user_id="one"))
    assert facade.register_sync(peer.config(user_id="two"))
    facade.unregister_sync("one", "host")
    assert facade.call_tool_sync("two", "host", "echo", {"text": "x"}) == "x"
    with pytest.raises(MCPError) as caught:
        facade.call_tool_sync("one", "host", "echo", {"text": "x"})
    assert caught.value.code == "not_registered"


def test_a_facade_that_is_never_used_has_no_thread():
    before = threading.active_count()
    one = MCPClientFacade()
    assert one.parse_function_name("a_b") == ("a", "b")
    one.clear_cache()
    one.format_tools_for_openai([{"name": "x"}], "p")
    assert threading.active_count() == before
    one.cleanup_sync()
    asyncio.run(one.cleanup())


def test_awaited_and_blocking_from_anywhere(facade, peer):
    """Several threads and loops at once, all with one facade."""

    async def story(name):
        assert await facade.register(peer.config(name))
        texts = await asyncio.gather(
            *(facade.call_tool(USER, name, "echo", {"text": str(n)}) for n in range(5))
        )
        assert texts == list("01234")
        await facade.unregister(USER, name)
        return name

    def blocking(name):
        assert facade.register_sync(peer.config(name))
        assert [echo(facade, str(n), name) for n in range(5)] == list("01234")
        facade.unregister_sync(USER, name)
        return name

    started = [
        elsewhere(lambda: asyncio.run(story("a"))),
        elsewhere(lambda: asyncio.run(story("b"))),
    ]
    started += [elsewhere(blocking, "c"), elsewhere(blocking, "d")]
    for thread, _ in started:
        thread.join(DEADLINE)
    assert [ends for _, ends in started] == [["a"], ["b"], ["c"], ["d"]]


# Registering.


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"url": NOWHERE}, "cannot be reached"),
        ({"url": "nonsense"}, "not a URL"),
        ({"url": "ftp://127.0.0.1/mcp"}, "not a URL"),
        ({"url": NOWHERE, "plugin_type": "carrier pigeon"}, "streamable_http, http, sse, stdio"),
        ({"url": NOWHERE, "headers": {"X": "a\r\nb"}}, "headers"),
        ({"url": NOWHERE, "headers": {"X": 7}}, "headers"),
        ({"url": NOWHERE, "headers": "X: a"}, "headers takes a dict, which this str is not"),
        ({"url": NOWHERE, "headers": [("X", "a")]}, "headers takes"),
        ({"plugin_type": "stdio"}, "command"),
        (
            {"plugin_type": "stdio", "command": "x", "args": "a.py"},
            "args takes a list of texts, which",
        ),
        ({"plugin_type": "stdio", "command": "x", "args": ["a", 5]}, "args takes"),
        ({"plugin_type": "stdio", "command": "x", "args": 5}, "args takes"),
        ({"plugin_type": "stdio", "command": "x", "env": {"A": 5}}, "env takes"),
        ({"plugin_type": "stdio", "command": "x", "env": ["A"]}, "env takes"),
        ({"plugin_type": "stdio", "command": ["x"]}, "command takes a text"),
        ({"url": NOWHERE, "timeout": "5"}, "timeout takes a number"),
        ({"plugin_type": "stdio", "command": "/no/such/program"}, "cannot be started"),
    ],
)
def test_why_it_could_not_be_registered_stands_in_the_event(facade, config, reason):
    events = []
    facade.register_status_callback(events.append)
    assert facade.register_sync(MCPPluginConfig(USER, "p", **config)) is False
    (event,) = events
    assert (event["old_status"], event["new_status"]) == ("inactive", "error")
    assert reason in event["reason"]
    assert facade.get_session_status(USER, "p") is None


def test_only_a_config_can_be_registered(facade):
    with pytest.raises(TypeError, match="MCPPluginConfig"):
        facade.register_sync({"user_id": USER})
    with pytest.raises(TypeError, match="MCPPluginConfig"):
        asyncio.run(facade.register(None))


def test_registered_again_it_is_another_conversation(ready, peer):
    events = told(ready)
    before = ready._find((USER, "host")).session
    assert ready.register_sync(peer.config())
    assert ready._find((USER, "host")).session is not before
    assert echo(ready) == "x"
    assert events == [("host", "inactive", "active")]


def test_registered_again_in_vain_it_is_there_no_more(ready):
    events = told(ready)
    assert ready.register_sync(MCPPluginConfig(USER, "host", NOWHERE)) is False
    assert events == [("host", "inactive", "error")]
    with pytest.raises(MCPError) as caught:
        echo(ready)
    assert caught.value.code == "not_registered"


def test_ensured_by_many_at_once_it_is_registered_once(facade, peer):
    events = told(facade)
    started = [
        elsewhere(facade.ensure_registered_sync, USER, "host", peer.url, "http", peer.headers)
        for _ in range(6)
    ]
    for thread, ends in started:
        thread.join(DEADLINE)
        assert ends == [True]
    assert events == [("host", "inactive", "active")]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, False),
        ({"headers": None}, False),
        ({"headers": {"X-Key": "another"}}, True),
        ({"plugin_type": "http"}, True),
        ({"url": "{}?x=1"}, True),
    ],
)
def test_ensured_it_is_registered_anew_where_something_is_another(facade, bad, change, again):
    registered(facade, bad, headers={"X-Key": "k"})
    events = told(facade)
    given = dict({"url": "{}", "headers": {"X-Key": "k"}}, **change)
    given["url"] = given["url"].format(bad.url)
    assert facade.ensure_registered_sync(USER, "bad", **given) is ("?" not in given["url"])
    assert bool(events) is again


def test_ensured_one_in_error_gets_all_that_it_was_registered_with(facade, bad, monkeypatch):
    seen = noting(monkeypatch, bad)
    registered(facade, bad, headers={"X-Key": "k"})
    facade._find((USER, "bad")).info.status = "error"
    assert not facade.is_registered(USER, "bad")
    assert facade.ensure_registered_sync(USER, "bad", bad.url)
    assert facade.get_session_status(USER, "bad") == "active"
    facade.call_tool_sync(USER, "bad", "write")
    assert seen == ["k"]


def test_registered_by_many_at_once_it_is_one_conversation(facade, peer):
    started = [elsewhere(facade.register_sync, peer.config()) for _ in range(6)]
    for thread, ends in started:
        thread.join(DEADLINE)
        assert ends == [True]
    assert len(facade._engine.client.plugins._sessions) == 1
    assert echo(facade) == "x"


def test_unregistering_nobody_is_fine(facade):
    events = told(facade)
    facade.unregister_sync(USER, "host")
    assert events == []


# What survives a lost connection.


def noting(monkeypatch, server):
    """Have a server answer and note a header of each call."""
    seen = []

    def act(call, message):
        seen.append(call.headers.get("x-key"))
        return call.whole(misbehaving.told(message))

    monkeypatch.setitem(misbehaving.PLAIN_ACTS, "noting", act)
    server.act = "noting"
    return seen


@pytest.mark.parametrize("loss", ["restarted", "session forgotten"])
def test_headers_survive_a_reconnect(facade, bad, monkeypatch, loss):
    seen = noting(monkeypatch, bad)
    registered(facade, bad, headers={"X-Key": "k"})
    facade.call_tool_sync(USER, "bad", "write")
    if loss == "restarted":
        bad.kill()
        bad.revive()
    else:
        bad.forget()
    assert facade.call_tool_sync(USER, "bad", "write") == "fine"
    assert seen == ["k", "k"]


def test_after_a_reconnect_the_tools_are_asked_for_anew(facade, bad):
    registered(facade, bad).get_tools_sync(USER, "bad")
    bad.forget()
    facade.call_tool_sync(USER, "bad", "write")
    assert facade.get_cache_stats()["total_entries"] == 0
    facade.get_tools_sync(USER, "bad")
    assert bad.heard.count("tools/list") == 2
    plugin = facade._find((USER, "bad"))
    assert plugin.info.session is plugin.session


def test_what_was_registered_is_what_the_config_said_then(facade, bad, monkeypatch):
    """Whatever its owner makes of the record after that."""
    seen = noting(monkeypatch, bad)
    config = MCPPluginConfig(USER, "bad", bad.url, headers={"X-Key": "k"})
    assert facade.register_sync(config)
    config.headers["X-Key"] = "another"
    config.url, config.plugin_type = NOWHERE, "sse"
    bad.kill()
    bad.revive()
    assert facade.call_tool_sync(USER, "bad", "write") == "fine"
    assert seen == ["k"]
    assert facade.ensure_registered_sync(USER, "bad", bad.url, headers={"X-Key": "k"})
    assert facade.get_session_stats()["sessions"][0]["request_count"] == 1


def test_the_environment_survives_a_reconnect(facade):
    config = MCPPluginConfig(
        USER, "p", plugin_type="stdio", command=sys.executable, args=[STDIO_SERVER],
        env={"MY_KEY": "k"},
    )  # fmt: skip
    assert facade.register_sync(config)

    def asked():
        names = {"names": ["MY_KEY"]}
        return json.loads(facade.call_tool_sync(USER, "p", "env", names))["MY_KEY"]

    assert asked() == "k"
    with pytest.raises(MCPError):
        facade.call_tool_sync(USER, "p", "die")
    assert asked() == "k"


# Nothing is sent twice that may have been done.


def test_a_call_that_writes_is_not_sent_again(facade, bad):
    registered(facade, bad).get_tools_sync(USER, "bad")
    bad.act = "half"
    with pytest.raises(MCPError, match="not sent again") as caught:
        facade.call_tool_sync(USER, "bad", "write")
    assert caught.value.code == "unknown_outcome"
    assert bad.runs == ["write"]


@pytest.mark.parametrize("hint", ["readOnlyHint", "idempotentHint"])
def test_a_call_that_is_harmless_is_sent_again(facade, bad, monkeypatch, hint):
    monkeypatch.setitem(misbehaving.TOOLS[0], "annotations", {hint: True})
    registered(facade, bad).get_tools_sync(USER, "bad")
    bad.act = "restart"
    assert facade.call_tool_sync(USER, "bad", "write") == "fine"
    assert bad.runs == ["write", "write"]


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_it_is_sent_again_so_often_only(facade, bad, attempts):
    registered(facade, bad).get_tools_sync(USER, "bad")
    bad.act = "half"
    with pytest.raises(MCPError) as caught:
        facade.call_tool_sync(USER, "bad", "look", max_reconnect_attempts=attempts)
    assert caught.value.code == "not_connected"
    assert bad.runs == ["look"] * (attempts + 1)


def test_a_refused_connection_is_tried_again(facade, bad, monkeypatch):
    registered(facade, bad)
    bad.kill()
    waits = []

    async def sleep(loop, seconds):
        waits.append(seconds)
        if len(waits) == 2:
            bad.revive()

    monkeypatch.setattr(plugins_module, "sleep", sleep)
    # The third finds it, which does not know the session any more, and was not called so.
    assert facade.call_tool_sync(USER, "bad", "write", max_reconnect_attempts=3) == "fine"
    assert waits == [0.1, 0.2]
    assert bad.runs == ["write"]


def test_what_could_not_be_opened_again_was_not_sent(facade, bad, monkeypatch):
    """Though the server has heard of us: in vain, and not of the call."""
    registered(facade, bad)
    bad.forget()
    monkeypatch.setattr(
        misbehaving, "answer_to", lambda message, modern: {"jsonrpc": "2.0", "id": 0}
    )
    with pytest.raises(MCPError) as caught:
        facade.call_tool_sync(USER, "bad", "write")
    assert caught.value.code != "unknown_outcome"
    assert bad.runs == []


def test_unregistered_meanwhile_a_call_is_not_tried_again(facade, bad, monkeypatch):
    registered(facade, bad).get_tools_sync(USER, "bad")
    bad.act = "half"

    async def sleep(loop, seconds):
        await facade._engine.client.plugins.unregister((USER, "bad"))

    monkeypatch.setattr(plugins_module, "sleep", sleep)
    with pytest.raises(MCPError) as caught:
        facade.call_tool_sync(USER, "bad", "look")
    assert caught.value.code == "not_registered"
    assert bad.runs == ["look"]


# Calls.


def test_progress_is_told_before_the_call_returns(ready):
    heard = []
    assert ready.call_tool_sync(USER, "host", "steps", {"count": 3}, on_progress=heard.append) == (
        "arrived"
    )
    assert [one["progress"] for one in heard] == [1, 2, 3]


def test_progress_can_be_awaited(ready):
    heard = []

    async def story():
        async def note(params):
            await asyncio.sleep(0)
            heard.append((params["progress"], asyncio.get_running_loop()))

        await ready.call_tool(USER, "host", "steps", {"count": 2}, on_progress=note)
        assert heard == [(1, asyncio.get_running_loop()), (2, asyncio.get_running_loop())]

    asyncio.run(story())


def test_progress_is_told_on_the_loop_of_its_call(peer):
    """Whichever loop has called meanwhile."""

    async def story():
        loops = []

        async def note(params):
            loops.append(asyncio.get_running_loop())

        assert await facade.register(peer.config())
        await facade.call_tool(USER, "host", "steps", {"count": 2}, on_progress=note)
        assert loops == 2 * [asyncio.get_running_loop()]
        # A call that blocks has none.
        await asyncio.get_running_loop().run_in_executor(
            None, lambda: steps(facade, on_progress=note)
        )
        assert loops[2:] == [another]
        await facade.cleanup()

    def steps(facade, **more):
        return facade.call_tool_sync(USER, "host", "steps", {"count": 1}, **more)

    with asyncio_running() as another:

        class Facade(MCPClientFacade):
            _asyncio_loop = property(lambda self: another, lambda self, loop: None)

        facade = Facade()
        try:
            asyncio.run(story())
        finally:
            facade.cleanup_sync()


def test_what_hears_of_progress_harms_nobody(ready, caplog):
    def note(params):
        raise ValueError("oh")

    arguments = {"count": 2}
    assert ready.call_tool_sync(USER, "host", "steps", arguments, on_progress=note) == "arrived"
    until(lambda: caplog.text.count("oh") >= 2)


def test_who_hears_of_progress_and_does_not_return_keeps_no_result_back(ready, caplog):
    over = threading.Event()
    heard = []

    def hang(params):
        heard.append(params["progress"])
        over.wait(DEADLINE)

    def call(timeout):
        heard.clear()
        arguments = {"count": 2}
        return ready.call_tool_sync(
            USER, "host", "steps", arguments, timeout=timeout, on_progress=hang
        )

    too_short = []
    try:
        # The later ones are for a machine so busy that the server does not answer before.
        for timeout in (0.2, 1.0, 10.0):
            try:
                assert call(timeout) == "arrived"
                break
            except MCPError as error:
                too_short.append(error.code)
        assert too_short in ([], ["timeout"], ["timeout", "timeout"])
        assert ready.get_session_stats()["sessions"][0]["error_count"] == len(too_short)
        until(lambda: "takes too long" in caplog.text)
    finally:
        over.set()
    # Nor is it told more, now that it could be.
    until(lambda: not [one for one in threading.enumerate() if "callback" in one.name])
    assert echo(ready) == "x"
    assert heard == [1]


def test_a_blocking_call_on_a_loop_has_coroutines_run_elsewhere(ready):
    """On that loop they could not, and the call would wait for them."""
    heard = []

    async def note(params):
        heard.append((params["progress"], asyncio.get_running_loop()))

    async def story():
        await ready.call_tool(USER, "host", "echo", {"text": "x"})
        began = time.monotonic()
        arguments = {"count": 2}
        assert ready.call_tool_sync(USER, "host", "steps", arguments, on_progress=note) == "arrived"
        assert time.monotonic() - began < AT_ONCE
        assert [number for number, _ in heard] == [1, 2]
        assert asyncio.get_running_loop() not in [loop for _, loop in heard]
        # It is free again.
        await ready.call_tool(USER, "host", "steps", {"count": 1}, on_progress=note)
        assert heard[2:] == [(1, asyncio.get_running_loop())]

    asyncio.run(story())


@pytest.mark.parametrize("value", ["abc", ["a", "b"], [("text", "x")], 5, b"x", True])
def test_arguments_are_an_object(ready, value):
    for call in (
        lambda: ready.call_tool_sync(USER, "host", "echo", value),
        lambda: asyncio.run(ready.call_tool(USER, "host", "echo", value)),
    ):
        with pytest.raises(MCPError, match="not an object") as caught:
            call()
        assert caught.value.code == "bad_arguments"
    (session,) = ready.get_session_stats()["sessions"]
    assert (session["request_count"], session["error_count"]) == (0, 0)


@pytest.mark.parametrize(
    "given", [{"timeout": "5"}, {"timeout": [5]}, {"max_reconnect_attempts": "2"}], ids=repr
)
def test_what_is_no_number_is_no_failure_of_the_server(ready, given):
    with pytest.raises(MCPError, match="{} is .*, not a number".format(*given)) as caught:
        echo(ready, **given)
    assert caught.value.code == "bad_arguments"
    (session,) = ready.get_session_stats()["sessions"]
    assert (session["request_count"], session["error_count"]) == (0, 0)


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, b"x"])
def test_what_json_cannot_say_is_no_failure_of_the_server(ready, value):
    with pytest.raises(MCPError, match="no JSON") as caught:
        echo(ready, value)
    assert caught.value.code == "bad_arguments"
    (session,) = ready.get_session_stats()["sessions"]
    assert (session["request_count"], session["error_count"]) == (0, 0)
    assert ready.get_metrics("host.echo")["host.echo"]["failed_calls"] == 1


def test_a_time_out(ready, peer):
    began = time.monotonic()
    with pytest.raises(MCPError, match=r"within 0\.1 s") as caught:
        ready.call_tool_sync(USER, "host", "hold", timeout=0.1)
    assert caught.value.code == "timeout"
    assert time.monotonic() - began < AT_ONCE
    peer.was_given_up()
    assert echo(ready) == "x"


def test_the_settings_say_how_long_a_call_may_take(make, peer):
    facade = make(MCPSettings(tool_call_timeout_seconds=0.1))
    facade.register_sync(peer.config())
    with pytest.raises(MCPError, match=r"within 0\.1 s"):
        facade.call_tool_sync(USER, "host", "hold")


def test_the_caller_s_arguments_are_its_own(ready, peer):
    arguments = {"text": "x"}
    ready.call_tool_sync(USER, "host", "echo", arguments)
    assert arguments == {"text": "x"}


# Batches.


def test_a_batch_keeps_and_reaches_its_limit(facade, bad, monkeypatch):
    lock, leave = threading.Lock(), threading.Event()
    running, most, three = [0], [0], threading.Event()

    def act(call, message):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 3:
                three.set()
        assert three.wait(DEADLINE)
        leave.wait(0.01)
        with lock:
            running[0] -= 1
        return call.whole(misbehaving.told(message))

    monkeypatch.setitem(misbehaving.PLAIN_ACTS, "together", act)
    registered(facade, bad)
    bad.act = "together"
    calls = [openai_call(number, "bad_write") for number in range(9)]
    messages = facade.batch_call_tools_sync(USER, calls, max_concurrent=3)
    assert [one["tool_call_id"] for one in messages] == [one["id"] for one in calls]
    assert all(one["success"] for one in messages)
    assert most[0] == 3


def test_one_failure_hides_no_other_s_result(ready):
    messages = ready.batch_call_tools_sync(
        USER,
        [
            openai_call(0, "host_echo", {"text": "first"}),
            openai_call(1, "host_fail"),
            openai_call(2, "host_echo", '{"text": '),
            openai_call(3, "host_no_such_tool"),
            openai_call(4, "nobody_echo"),
            openai_call(5, "nonsense"),
            {"id": "call_6"},
            openai_call(7, "host.echo", '{"text": "last"}'),
        ],
    )
    assert [one["success"] for one in messages] == [True, *6 * [False], True]
    assert [data_of(messages[0]), data_of(messages[7])] == ["first", "last"]
    for one, text in zip(
        messages[1:7],
        [
            "disk is full",
            "no JSON",
            "no_such_tool",
            "not registered",
            "no name",
            "names no function",
        ],
    ):
        assert text in one["error"]


def test_a_batch_has_the_plugins_of_its_user(facade, peer):
    """Whatever others have called theirs."""
    facade.register_sync(peer.config("host", user_id="one"))
    facade.register_sync(peer.config("host_add", user_id="two"))
    (message,) = facade.batch_call_tools_sync(
        "one", [openai_call(0, "host_add_up", {"numbers": [1, 2]})]
    )
    assert message["success"], message


def test_each_call_of_a_batch_has_its_time(ready, peer):
    calls = [openai_call(0, "host_hold"), openai_call(1, "host_echo", {"text": "x"})]
    first, second = ready.batch_call_tools_sync(USER, calls, timeout=0.2)
    assert "within 0.2 s" in first["error"]
    assert second["success"] or "within 0.2 s" in second["error"]


#: Names that OpenAI does not take, as another's server may have them.
LONG, DOTTED = "a_tool_with_a_very_long_name_" + "x" * 51, "a.tool.with.dots"


@pytest.fixture
def odd(bad, monkeypatch):
    """Return a server whose tools have odd names; each tells its own."""
    names = [LONG, DOTTED, "under_scored"]
    assert len(LONG) == 80
    monkeypatch.setattr(misbehaving, "TOOLS", [{"name": name, "inputSchema": {}} for name in names])

    def act(call, message):
        content = [{"type": "text", "text": message["params"]["name"]}]
        return call.whole(misbehaving.good(message, {"content": content}))

    monkeypatch.setitem(misbehaving.PLAIN_ACTS, "its name", act)
    bad.act = "its name"
    return bad


def test_a_model_s_round_trip(ready, odd):
    """What a model is given, what it wants, and what it is told."""
    registered(ready, odd, "odd_ones")
    names = {}
    for plugin in ("host", "odd_ones"):
        tools = ready.get_tools_sync(USER, plugin)
        functions = [one["function"] for one in ready.format_tools_for_openai(tools, plugin)]
        names.update(zip([one["name"] for one in tools], [one["name"] for one in functions]))
    assert all(len(name) <= 64 and "." not in name for name in names.values())
    assert (names["add_up"], names["under_scored"]) == ("host_add_up", "odd_ones_under_scored")
    wanted = [
        openai_call(0, names["echo"], json.dumps({"text": "a"})),
        openai_call(1, names["add_up"], {"numbers": [1, 2]}),
        openai_call(2, names[LONG]),
        openai_call(3, names[DOTTED], ""),
        openai_call(4, names["echo"], "{bad"),
        openai_call(5, "host_unknown"),
        openai_call(6, names["picture"]),
        openai_call(7, names["under_scored"], None),
    ]
    conversation = [{"role": "assistant", "tool_calls": wanted}]
    conversation += asyncio.run(ready.batch_call_tools(USER, wanted))
    answers = conversation[1:]
    assert [one["tool_call_id"] for one in answers] == [one["id"] for one in wanted]
    assert {one["role"] for one in answers} == {"tool"}
    assert [one["success"] for one in answers] == [*4 * [True], False, False, True, True]
    assert data_of(answers[0]) == "a"
    assert "3" in answers[1]["content"]
    assert [data_of(answers[at]) for at in (2, 3, 7)] == [LONG, DOTTED, "under_scored"]
    assert data_of(answers[6])["type"] == "image"
    # As it is sent to the model.
    json.dumps(conversation)
    assert ready.parse_function_name(names[LONG]) == ("odd_ones", LONG)
    assert "a" in ready.build_tool_context(answers)


def test_tools_may_come_one_by_one(facade):
    tools = [{"name": "x"}, {"name": "y"}]
    wanted = facade.format_tools_for_openai(tools, "p")
    assert len(wanted) == 2
    assert facade.format_tools_for_openai((one for one in tools), "p") == wanted


def test_another_facade_s_names_lead_to_tools_that_are_known(make, odd):
    one, other = registered(make(), odd), registered(make(), odd)
    named = one.format_tools_for_openai(one.get_tools_sync(USER, "bad"), "bad")
    other.get_tools_sync(USER, "bad")
    for function, tool in zip(named, (LONG, DOTTED, "under_scored")):
        assert other.parse_function_name(function["function"]["name"]) == ("bad", tool)


def test_what_is_told_of_tools_can_be_changed(facade, bad, monkeypatch):
    monkeypatch.setattr(misbehaving, "TOOLS", [{"name": "x"}])
    registered(facade, bad)
    for _ in range(2):
        (tool,) = facade.get_tools_sync(USER, "bad", use_cache=False)
        assert tool == {
            "name": "x",
            "description": "",
            "inputSchema": {"type": "object", "properties": {}, "required": []},
        }
        tool["inputSchema"]["additionalProperties"] = False


def test_what_a_model_is_given_can_be_changed(ready):
    def strict():
        tools = ready.get_tools_sync(USER, "host")
        (function,) = [
            one["function"]
            for one in ready.format_tools_for_openai(tools, "host")
            if one["function"]["name"] == "host_echo"
        ]
        return function["parameters"]

    before = json.dumps(strict())
    parameters = strict()
    parameters["properties"]["text"]["strict"] = True
    assert json.dumps(strict()) == before
    ready.format_tools_for_openai([{"name": "x"}], "p")[0]["function"]["parameters"]["a"] = 1
    (other,) = ready.format_tools_for_openai([{"name": "y"}], "p")
    assert "a" not in other["function"]["parameters"]


# The cache.


def test_the_cache_spares_the_server(facade, bad):
    registered(facade, bad)
    for _ in range(3):
        facade.get_tools_sync(USER, "bad")
    assert bad.heard.count("tools/list") == 1
    facade.get_tools_sync(USER, "bad", use_cache=False)
    assert bad.heard.count("tools/list") == 2
    # It is the newer one that is kept.
    asyncio.run(facade.get_tools(USER, "bad"))
    assert bad.heard.count("tools/list") == 2


def test_a_change_that_the_server_tells_of_empties_the_cache(ready, peer):
    name = "new_{}".format(os.getpid())
    assert name not in [one["name"] for one in ready.get_tools_sync(USER, "host")]
    added = []

    def is_there():
        # The subscription may only be on its way yet.
        if not added or not ready.get_cache_stats()["entries"]:
            added.append("{}_{}".format(name, len(added)))
            peer.add_tool(added[-1])
        return added[0] in [one["name"] for one in ready.get_tools_sync(USER, "host")]

    until(is_there, pause=0.02)


def test_a_change_while_the_list_is_asked_for_keeps_it_out_of_the_cache(facade, bad, monkeypatch):
    registered(facade, bad)
    client = facade._engine.client
    list_tools = client.plugins.list_tools

    async def changing(key):
        found = await list_tools(key)
        client.plugins._changed(key)
        return found

    monkeypatch.setattr(client.plugins, "list_tools", changing)
    facade.get_tools_sync(USER, "bad")
    assert facade.get_cache_stats()["total_entries"] == 0
    monkeypatch.undo()
    facade.get_tools_sync(USER, "bad")
    assert facade.get_cache_stats()["total_entries"] == 1


@pytest.mark.parametrize("end", ["unregister", "register"])
def test_the_end_of_a_conversation_empties_the_cache(ready, peer, end):
    ready.get_tools_sync(USER, "host")
    if end == "unregister":
        ready.unregister_sync(USER, "host")
    else:
        ready.register_sync(peer.config())
    assert ready.get_cache_stats()["total_entries"] == 0


# Health.

STRICT = MCPSettings(
    min_requests_for_health_check=2, error_rate_warning=0.3, error_rate_critical=0.6
)


def test_failures_change_the_status_and_each_change_is_told_once(make, bad):
    facade = registered(make(STRICT), bad)
    events = told(facade)
    seen = []

    def call(act, times=1):
        bad.act = act
        for _ in range(times):
            with contextlib.suppress(MCPError):
                facade.call_tool_sync(USER, "bad", "write")
            seen.append(facade.get_session_status(USER, "bad"))

    call("refuse")
    call("answer", 3)
    call("refuse", 4)
    # 1/1 (too few), 1/2, 1/3, 1/4, 2/5, 3/6, 4/7, 5/8
    assert seen == ["active", "degraded", "degraded", "active", *3 * ["degraded"], "error"]
    call("answer", 20)
    assert seen[-1] == "error"
    assert not facade.is_registered(USER, "bad")
    assert events == [
        ("bad", "active", "degraded"),
        ("bad", "degraded", "active"),
        ("bad", "active", "degraded"),
        ("bad", "degraded", "error"),
    ]
    registered(facade, bad)
    assert facade.get_session_status(USER, "bad") == "active"
    assert events[4:] == [("bad", "inactive", "active")]


def test_what_fails_after_the_end_changes_no_status(make, peer):
    facade = make(STRICT)
    facade.register_sync(peer.config())
    events = told(facade)
    info = facade._find((USER, "host")).info
    info.request_count = info.error_count = 1
    thread, ends = elsewhere(facade.call_tool_sync, USER, "host", "hold")
    peer.has_entered()
    facade.unregister_sync(USER, "host")
    thread.join(DEADLINE)
    assert [one.code for one in ends] == ["unknown_outcome"]
    assert (info.request_count, info.error_count) == (2, 2)
    assert echo_fails(facade)
    assert events == [("host", "active", "inactive")]


def echo_fails(facade):
    with pytest.raises(MCPError):
        echo(facade)
    return True


def test_health_is_looked_at_though_nobody_calls(make, peer):
    facade = make(STRICT._replace(health_check_interval_seconds=0.02))
    facade.register_sync(peer.config())
    events = told(facade)
    info = facade._find((USER, "host")).info
    info.request_count, info.error_count = 10, 5
    until(lambda: events)
    assert events == [("host", "active", "degraded")]


def poke(facade):
    """Have its loop look at the clock."""
    facade._engine.loop.call_soon(lambda: None)
    return True


def test_health_and_clean_up_by_the_clock(make, peer):
    clock = FakeClock()
    facade = make(None, clock)
    for name in ("old", "new"):
        facade.register_sync(peer.config(name))
    events = told(facade)
    info = facade._find((USER, "new")).info
    info.request_count, info.error_count = 10, 10
    clock.advance(59.9)
    echo(facade, plugin="old")
    assert events == []
    clock.advance(0.2)
    until(lambda: poke(facade) and events)
    assert events == [("new", "active", "error")]
    # Nobody uses either for half an hour, but for a call in between.
    for _ in range(5):
        clock.advance(300)
        poke(facade)
    echo(facade, plugin="old")
    clock.advance(301)
    until(lambda: poke(facade) and len(events) > 1)
    assert events[1:] == [("new", "error", "inactive")]
    assert facade.is_registered(USER, "old")


def test_who_is_busy_is_not_cleaned_up(make, peer):
    clock = FakeClock()
    facade = make(None, clock)
    events = told(facade)
    facade.register_sync(peer.config("idle"))
    facade.register_sync(peer.config("busy"))
    thread, ends = elsewhere(lambda: facade.call_tool_sync(USER, "busy", "hold", timeout=1e6))
    peer.has_entered()
    clock.advance(1801)
    until(lambda: poke(facade) and ("idle", "active", "inactive") in events)
    peer.leave.set()
    thread.join(DEADLINE)
    assert ends == ["held"]
    # Its time begins when the call has ended.
    facade._engine.run(lambda client: client.plugins.expire()).result(DEADLINE)
    assert facade.is_registered(USER, "busy")
    clock.advance(1801)
    until(lambda: poke(facade) and ("busy", "active", "inactive") in events)
    with pytest.raises(MCPError) as caught:
        echo(facade, plugin="busy")
    assert caught.value.code == "not_registered"


def test_what_breaks_beside_is_logged_and_goes_on(make, peer, caplog, monkeypatch):
    facade = make(MCPSettings(health_check_interval_seconds=0.01))
    facade.register_sync(peer.config())
    rounds = []

    def look():
        rounds.append(1)
        raise ValueError("a defect")

    monkeypatch.setattr(facade._engine.client.plugins, "look", look)
    until(lambda: len(rounds) > 2)
    until(lambda: caplog.text.count("a defect") > 1)


def test_beside_coroutines_run_on_the_loop_of_the_caller(make, peer):
    facade = make(STRICT._replace(health_check_interval_seconds=0.02))

    async def story():
        loops = []

        async def note(event):
            loops.append(asyncio.get_running_loop())

        await facade.register(peer.config())
        facade.register_status_callback(note)
        info = facade._find((USER, "host")).info
        info.request_count, info.error_count = 10, 5
        await becomes(lambda: loops)
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(story())


# Callbacks, through the facade.


def test_a_callback_may_call_the_facade(facade, peer):
    def register_another(event):
        if event["plugin_name"] == "host" and event["new_status"] == "active":
            assert facade.register_sync(peer.config("another"))
            assert echo(facade, plugin="another") == "x"

    facade.register_status_callback(register_another)
    events = told(facade)
    assert facade.register_sync(peer.config())
    assert events == [("host", "inactive", "active"), ("another", "inactive", "active")]


def test_an_awaited_callback_may_await_the_facade(facade, peer):
    async def register_another(event):
        if event["plugin_name"] == "host" and event["new_status"] == "active":
            assert await facade.register(peer.config("another"))

    facade.register_status_callback(register_another)
    events = told(facade)
    assert asyncio.run(facade.register(peer.config()))
    assert events == [("host", "inactive", "active"), ("another", "inactive", "active")]


def test_a_callback_may_clean_up(facade, peer):
    events = told(facade)
    facade.register_status_callback(lambda event: facade.cleanup_sync())
    assert facade.register_sync(peer.config())
    assert events == [("host", "inactive", "active"), ("host", "active", "inactive")]
    assert not facade.is_registered(USER, "host")


def test_a_callback_that_raises_harms_nobody(facade, peer, caplog):
    def raising(event):
        raise ValueError("oh")

    facade.register_status_callback(raising)
    events = told(facade)
    assert facade.register_sync(peer.config())
    assert events == [("host", "inactive", "active")]
    assert "oh" in caplog.text


# The end.


@pytest.mark.parametrize("twin", [False, True], ids=["awaited", "blocking"])
def test_after_a_clean_up_nothing_is_left_and_it_begins_anew(facade, peer, twin):
    events = told(facade)
    for _ in range(2):
        assert facade.register_sync(peer.config())
        assert echo(facade) == "x"
        if twin:
            facade.cleanup_sync()
        else:
            asyncio.run(facade.cleanup())
        assert facade._engine is None
        assert not [one for one in threading.enumerate() if "mcp client" in one.name]
    assert events == 2 * [("host", "inactive", "active"), ("host", "active", "inactive")]


def test_a_clean_up_ends_a_program_too(facade):
    config = MCPPluginConfig(
        USER, "p", plugin_type="stdio", command=sys.executable, args=[STDIO_SERVER]
    )
    assert facade.register_sync(config)
    pid = int(facade.call_tool_sync(USER, "p", "pid"))
    facade.cleanup_sync()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("twin", [False, True], ids=["awaited", "blocking"])
def test_a_clean_up_settles_what_is_under_way(ready, peer, twin):
    waiting = [elsewhere(ready.call_tool_sync, USER, "host", "hold") for _ in range(3)]
    peer.has_entered()
    until(lambda: under_way(ready) == 3)
    if twin:
        ready.cleanup_sync()
    else:
        asyncio.run(ready.cleanup())
    for thread, ends in waiting:
        thread.join(DEADLINE)
        assert [one.code for one in ends] == ["closed"]
    assert ready.register_sync(peer.config())


def test_a_clean_up_while_somebody_registers(facade, peer, bad, monkeypatch):
    """Who does not answer: the clean-up waits for nobody."""
    asked = threading.Event()

    def silent(message, modern):
        asked.set()
        bad.ended.wait(DEADLINE)

    monkeypatch.setattr(misbehaving, "answer_to", silent)
    thread, ends = elsewhere(facade.register_sync, MCPPluginConfig(USER, "bad", bad.url))
    assert asked.wait(DEADLINE)
    began = time.monotonic()
    facade.cleanup_sync()
    assert time.monotonic() - began < AT_ONCE
    thread.join(DEADLINE)
    assert [one.code for one in ends] == ["closed"]
    bad.ended.set()


def test_many_clean_up_at_once(ready):
    started = [elsewhere(ready.cleanup_sync) for _ in range(4)]
    for thread, ends in started:
        thread.join(DEADLINE)
        assert ends == [None]


def test_a_clean_up_that_is_given_up_leaves_nothing_either(ready, monkeypatch):
    entered, over = threading.Event(), threading.Event()
    session_type = type(ready._find((USER, "host")).session)
    leave = session_type.leave

    async def slow(self):
        entered.set()
        try:
            await plugins_module.sleep(self._loop, 60)
            await leave(self)
        finally:
            over.set()

    monkeypatch.setattr(session_type, "leave", slow)

    async def story():
        cleaning = asyncio.ensure_future(ready.cleanup())
        await becomes(entered.is_set)
        cleaning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cleaning

    asyncio.run(story())
    assert over.is_set()
    assert not ready.is_registered(USER, "host")
    assert not [one for one in threading.enumerate() if "mcp client" in one.name]


def test_what_is_called_between_two_ends_begins_anew(ready, peer):
    """However the clean-up and the calls of others fall."""
    stop = threading.Event()

    def call():
        codes = set()
        while not stop.is_set():
            try:
                if ready.register_sync(peer.config()):
                    echo(ready)
            except MCPError as error:
                codes.add(error.code)
        return codes

    started = [elsewhere(call) for _ in range(2)]
    for _ in range(10):
        ready.cleanup_sync()
    stop.set()
    for thread, ends in started:
        thread.join(DEADLINE)
        assert ends[0] <= {"closed", "not_registered", "not_connected", "unknown_outcome"}, ends


# Giving up.


def test_a_cancelled_call_leaves_nothing_under_way(ready, peer):
    async def story():
        calling = asyncio.ensure_future(ready.call_tool(USER, "host", "hold"))
        await becomes(lambda: peer.entered.acquire(blocking=False))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await becomes(lambda: not under_way(ready))
        assert await ready.call_tool(USER, "host", "echo", {"text": "x"}) == "x"

    asyncio.run(story())
    peer.was_given_up()
    assert ready.get_metrics()["host.hold"]["failed_calls"] == 1


def test_a_cancelled_batch_leaves_nothing_under_way(ready, peer):
    async def story():
        calls = [openai_call(number, "host_hold") for number in range(4)]
        calling = asyncio.ensure_future(ready.batch_call_tools(USER, calls, 3))
        await becomes(lambda: peer.entered.acquire(blocking=False))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await becomes(lambda: not under_way(ready))

    asyncio.run(story())
    assert echo(ready) == "x"


def test_a_cancelled_registration_is_none_and_is_told(facade, bad, monkeypatch):
    events = told(facade)
    asked = threading.Event()
    monkeypatch.setattr(
        misbehaving, "answer_to", lambda message, modern: asked.set() or bad.ended.wait(DEADLINE)
    )

    async def story():
        config = MCPPluginConfig(USER, "bad", bad.url)
        registering = asyncio.ensure_future(facade.register(config))
        await becomes(asked.is_set)
        registering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await registering

    asyncio.run(story())
    until(lambda: events)
    assert events == [("bad", "inactive", "error")]
    assert not facade._engine.client.plugins._sessions
    bad.ended.set()


@pytest.mark.skipif(os.name == "nt", reason="no signals")
def test_ctrl_c_leaves_nothing_under_way(ready, peer):
    with pytest.raises(KeyboardInterrupt):
        with ctrl_c(lambda: peer.entered.acquire(blocking=False)):
            ready.call_tool_sync(USER, "host", "hold")
    until(lambda: not under_way(ready))
    peer.was_given_up()
    assert echo(ready) == "x"


def test_ctrl_c_when_a_call_has_just_begun_leaves_nothing_under_way(ready, peer, monkeypatch):
    real = engine_module.Engine.run

    def run(self, *arguments):
        real(self, *arguments)
        assert peer.entered.acquire(timeout=DEADLINE)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine_module.Engine, "run", run)
        with pytest.raises(KeyboardInterrupt):
            ready.call_tool_sync(USER, "host", "hold")
    until(lambda: not under_way(ready))
    peer.was_given_up()
    assert echo(ready) == "x"


@pytest.mark.edges
def test_ctrl_c_at_any_line_harms_nobody(ready):
    modules = [facade_module, engine_module]
    number = 0
    while True:
        interrupt = Interrupt(number, modules)
        try:
            with interrupt:
                echo(ready, "interrupted")
        except KeyboardInterrupt:
            pass
        if interrupt.left >= 0:
            break
        assert echo(ready) == "x"
        number += 1
    assert number > 10
    until(lambda: not under_way(ready))


@pytest.mark.edges
def test_ctrl_c_at_any_line_leaves_no_thread(make, peer):
    modules = [facade_module, thread_module]
    number = 0
    while True:
        facade = make()
        interrupt = Interrupt(number, modules)
        try:
            with interrupt:
                facade.register_sync(peer.config())
        except KeyboardInterrupt:
            pass
        assert facade.register_sync(peer.config())
        assert echo(facade) == "x"
        facade.cleanup_sync()
        if interrupt.left >= 0:
            break
        number += 1
    assert number > 40
    until(lambda: not [one for one in threading.enumerate() if "mcp client" in one.name])


# Threads that must not wait.


def test_a_blocking_call_on_our_own_thread_raises_at_once(ready):
    ends = []
    over = threading.Event()

    def attempt():
        for call in (
            lambda: echo(ready),
            lambda: ready.unregister_sync(USER, "host"),
            ready.cleanup_sync,
        ):
            try:
                ends.append(call())
            except BaseException as error:
                ends.append(type(error))
        over.set()

    ready._engine.loop.call_soon(attempt)
    assert over.wait(AT_ONCE)
    assert ends == 3 * [WouldDeadlock]
    assert echo(ready) == "x"


def test_what_hears_of_progress_may_make_a_blocking_call(ready):
    ends = []
    arguments = {"count": 1}
    ready.call_tool_sync(
        USER, "host", "steps", arguments, on_progress=lambda params: ends.append(echo(ready))
    )
    assert ends == ["x"]


def test_a_host_s_main_thread_calls_itself(facade, peer):
    """What needs the main thread raises at once; everything else works there."""

    def on_main():
        found = {"registered": facade.register_sync(peer.config())}
        found["tools"] = len(facade.get_tools_sync(USER, "host"))
        found["worker"] = echo(facade, "from main")
        found["tested"] = facade.test_connection_sync(USER, "host")["success"]
        began = time.monotonic()
        try:
            facade.call_tool_sync(USER, "host", "on_main")
        except WouldDeadlock as error:
            found["error"] = [error.code, error.hint]
        # More than once: it must not depend on who is quicker.
        messages = [
            facade.batch_call_tools_sync(USER, [openai_call(0, "host_on_main")])[0]
            for _ in range(20)
        ]
        found["batch"] = sorted({one["error"] for one in messages})
        found["seconds"] = time.monotonic() - began
        facade.cleanup_sync()
        return found

    found = peer.on_main(on_main)
    assert found.pop("tools") > 5
    assert found.pop("seconds") < AT_ONCE
    code, hint = found.pop("error")
    assert code == "would_deadlock"
    assert "another thread" in hint
    (error,) = found.pop("batch")
    assert "would wait" in error
    assert found == {"registered": True, "worker": "from main", "tested": True}
    # It is free again, and for others.
    assert facade.register_sync(peer.config())
    assert facade.call_tool_sync(USER, "host", "on_main") == "mained"


def test_a_bad_configuration_is_told_at_once():
    with pytest.raises(ConfigError):
        MCPClientFacade(MCPSettings(error_rate_warning=-1))


# Memory.


@pytest.mark.edges
def test_a_call_leaves_nothing_for_the_collector(ready):
    assert left_behind(lambda: echo(ready)) == 0


@pytest.mark.edges
def test_a_failed_call_leaves_nothing_for_the_collector(ready):
    def fail():
        for name, arguments in (("fail", {}), ("no_such_tool", {}), ("echo", {"text": object()})):
            try:
                ready.call_tool_sync(USER, "host", name, arguments)
            except MCPError:
                pass

    assert left_behind(fail) == 0


@pytest.mark.edges
def test_a_registration_leaves_nothing_for_the_collector(facade, peer):
    def story():
        facade.register_sync(peer.config())
        facade.unregister_sync(USER, "host")

    assert left_behind(story) == 0


@pytest.mark.edges
def test_awaited_a_call_leaves_nothing_for_the_collector(ready):
    loop = asyncio.new_event_loop()
    try:

        async def call(tool, **arguments):
            # Caught here: what runs a loop leaves the errors behind that it raises.
            try:
                await ready.call_tool(USER, "host", tool, arguments)
            except MCPError:
                pass

        assert left_behind(lambda: loop.run_until_complete(call("echo", text="x"))) == 0
        assert left_behind(lambda: loop.run_until_complete(call("fail"))) == 0
    finally:
        loop.close()


@pytest.mark.heavy
def test_memory_is_flat_over_many_calls(ready, peer):
    def calls(count):
        for number in range(count):
            echo(ready, str(number))
        peer.ran.clear()

    calls(1_000)
    tracemalloc.start()
    try:
        calls(1_000)
        before = tracemalloc.get_traced_memory()[0]
        calls(3_000)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024
