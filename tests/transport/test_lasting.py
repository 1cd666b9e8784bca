"""Pooled calls that outlive their connections: a real server, and a proxy that loses them."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress

import pytest

import dcc_mcp_embed
from dcc_mcp_embed import (
    CallTimeout,
    ConnectionClosed,
    PoolConfig,
    ServiceNotFound,
    Shutdown,
    TransportAddress,
    TransportConfig,
    TransportError,
    TransportManager,
)
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import UnknownOutcome
from dcc_mcp_embed.rpc import outbound, resume
from dcc_mcp_embed.rpc.hello import Facts
from dcc_mcp_embed.transport import flights, lasting, mending
from dcc_mcp_embed.transport.dialing import WIRE
from dcc_mcp_embed.transport_errors import Internal
from fakes.channels import Helper, until
from fakes.fault_proxy import DOWN, UP, FaultProxy
from fakes.framed import receipts_of, wire_key
from fakes.interrupt import Interrupt
from fakes.live import DEADLINE
from fakes.stage import Stage

pytestmark = pytest.mark.edges

KIND = "standalone"


@pytest.fixture
def stage():
    """Tools that have an effect, on every thread that a tool may be on."""
    with Stage() as one:

        @dcc_mcp_embed.tool()
        def work(name: str) -> dict:
            """Do something on the main thread."""
            one.ran.append(name)
            one.entered.release()
            return {"name": name}

        @dcc_mcp_embed.tool(thread="loop")
        def large(name: str, size: int) -> dict:
            """Do something that has much to say."""
            one.ran.append(name)
            return {"text": "x" * size}

        @dcc_mcp_embed.tool(thread="worker")
        def steps(name: str):
            """Say how far it is."""
            for number in (1, 2, 3):
                yield dcc_mcp_embed.Progress(number, 3, name)

        @dcc_mcp_embed.tool(thread="loop")
        def quick(name: str) -> dict:
            """Do something at once."""
            one.ran.append(name)
            return {"name": name}

        one.add(work, large, steps, quick)
        yield one


@pytest.fixture
def live(tmp_path, monkeypatch, stage):
    with stage.servers(str(tmp_path / "host"), monkeypatch) as start:
        yield start()


class Clock(SystemClock):
    """The real thing, but for what a test skips of it."""

    def __init__(self):
        super().__init__()
        self.skipped = 0.0
        real = self.monotonic
        self.monotonic = lambda: real() + self.skipped


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def proxy(live):
    with FaultProxy(TransportAddress.tcp("127.0.0.1", live.port), key=wire_key()) as one:
        yield one


@pytest.fixture
def manager(tmp_path, live, proxy, clock):
    """A manager that knows the host by the proxy's port."""
    config = TransportConfig(PoolConfig(2, acquire_timeout=DEADLINE), connect_timeout=DEADLINE)
    registry = str(tmp_path / "registry")
    with TransportManager(registry, config=config, heartbeat=False, clock=clock) as one:
        one.register_service(
            KIND,
            "127.0.0.1",
            proxy.port,
            metadata={WIRE: "1"},
            instance_id=live.server.instance_id,
        )
        yield one


def tool(channel, tool_name, timeout_ms=20_000, **arguments):
    params = {"name": tool_name, "arguments": arguments}
    answer = channel.call("tools/call", params, timeout_ms)
    result = json.loads(answer["payload"].decode("utf-8"))
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


def in_thread(function, *arguments, **named):
    return Helper(lambda: function(*arguments, **named))


def test_a_connection_lost_between_two_calls_is_not_noticed(manager, proxy, stage):
    with manager.connection(KIND) as channel:
        first = channel.hello
        assert isinstance(first, Facts)
        assert tool(channel, "work", name="a") == {"name": "a"}
        assert proxy.kill_all() == 1
        assert tool(channel, "work", name="b") == {"name": "b"}
        proxy.kill_all(reset=True)
        assert channel.call("ping")["payload"] == b"{}"
        proxy.kill_all()
        assert tool(channel, "work", name="c") == {"name": "c"}
        assert channel.hello == first
    assert stage.ran == ["a", "b", "c"]
    assert manager.pool_size() == 1, "it is as good as before"


def stepping(channel, ident):
    """Call a tool by MCP, with a token for its progress."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": ident,
    }
    params = {"name": "steps", "arguments": {"name": ident}, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}
    answer = json.loads(channel.call("mcp", message, 20_000)["payload"].decode("utf-8"))
    return answer["result"]["structuredContent"]


def test_a_listener_outlives_the_connection_and_ends_with_the_lease(manager, proxy, stage):
    heard = []

    def listen(topic, data):
        heard.append(json.loads(data.decode("utf-8"))["params"]["progressToken"])

    with manager.connection(KIND) as channel:
        channel.listener = listen
        assert stepping(channel, "a")["ok"]
        assert set(heard) == {"a"}
        proxy.kill_all()
        assert stepping(channel, "b")["ok"]
        assert set(heard) == {"a", "b"}
    del heard[:]
    with manager.connection(KIND) as channel:
        assert manager.pool_size() == 1, "the same one"
        assert channel.listener is None
        assert stepping(channel, "c")["ok"]
        assert channel.recv(10_000)["topic"] == "mcp"
    assert heard == []


def test_a_listener_that_calls_back_while_its_channel_is_closed_hangs_nobody(manager, stage):
    refused, ending = [], []
    with manager.connection(KIND) as channel:
        # Its answer is still to be acknowledged: at its end the carrier sends something, while it
        # keeps everybody else out.
        tool(channel, "quick", name="a")

        def calls_back(topic, data):
            if not ending:
                ending.append(in_thread(channel.shutdown))
                until(lambda: channel._carrier._closed)
                for back in (
                    lambda: tool(channel, "quick", name="b"),
                    lambda: channel.send_request("ping"),
                    lambda: setattr(channel, "listener", None),
                    channel.shutdown,
                ):
                    with pytest.raises(Internal) as caught:
                        back()
                    refused.append(str(caught.value))

        channel.listener = calls_back
        # Its answer may have come together with what the listener is told.
        with suppress(Internal):
            in_thread(stepping, channel, "c").result()
        ending[0].result()
    assert len(refused) == 4 and all("in the middle of another" in text for text in refused)
    assert stage.ran == ["a"]


@pytest.mark.parametrize("reset", [False, True])
def test_a_call_goes_on_that_was_running(manager, proxy, stage, reset):
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.kill_all(reset)
        stage.leave.set()
        assert running.result() == {"name": "a"}
    assert stage.ran == ["a"]


def test_an_answer_that_was_lost_is_fetched(manager, proxy, stage):
    with manager.connection(KIND) as channel:
        tool(channel, "work", name="first")
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.stall(DOWN)
        running = in_thread(tool, channel, "work", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        with manager.connection(KIND) as other:
            # Served after it on the same main thread: so its answer has been sent.
            tool(other, "work", name="b")
        proxy.kill_all()
        assert running.result() == {"name": "a"}
        assert proxy.states["done"] == 1
    assert stage.ran == ["first", "a", "b"]


def test_a_request_that_never_arrived_is_sent_again(manager, proxy, stage):
    with manager.connection(KIND) as channel:
        tool(channel, "work", name="first")
        proxy.stall(UP)
        running = in_thread(tool, channel, "work", name="a")
        until(manager.outbound.list_pending)
        proxy.kill_all()
        assert running.result() == {"name": "a"}
    assert stage.ran == ["first", "a"]


def test_all_threads_of_a_channel_go_on(manager, proxy, stage):
    with manager.connection(KIND) as channel:
        running = [in_thread(tool, channel, "hold", name=str(number)) for number in range(16)]
        assert stage.entered.acquire(timeout=DEADLINE)
        for _ in range(3):
            proxy.kill_all()
            # The others are in line at the host, or on their way.
            assert channel.call("ping", timeout_ms=20_000)["payload"] == b"{}"
        stage.leave.set()
        names = [one.result()["name"] for one in running]
    assert names == [str(number) for number in range(16)]
    assert sorted(stage.ran, key=int) == names


def test_a_connection_that_breaks_while_it_is_resumed_is_made_once_more(manager, proxy, stage):
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.refuse()
        proxy.kill_all()
        until(lambda: proxy.counts["refused"] >= 2)
        proxy.accept()
        stage.leave.set()
        assert running.result() == {"name": "a"}
    assert stage.ran == ["a"]


def test_when_the_host_is_gone_nobody_knows_and_that_is_said_at_once(manager, live, proxy, stage):
    instance = live.server.instance_id
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.refuse()
        manager.registry.deregister(KIND, instance)
        proxy.kill_all()
        with pytest.raises(UnknownOutcome, match="could not be made anew") as caught:
            running.result()
        assert caught.value.hint
        with pytest.raises(ServiceNotFound):
            tool(channel, "work", name="b")
        with pytest.raises(TransportError):
            channel.call("ping")
    stage.leave.set()
    assert manager.pool_size() == 0


def test_when_the_host_is_gone_everybody_is_told_the_same(manager, live, proxy, stage):
    with manager.connection(KIND) as channel:
        running = [in_thread(tool, channel, "hold", name=str(number)) for number in range(12)]
        assert stage.entered.acquire(timeout=DEADLINE)
        until(lambda: len(manager.outbound.list_pending()) == 12)
        proxy.refuse()
        manager.registry.deregister(KIND, live.server.instance_id)
        proxy.kill_all()
        for one in running:
            with pytest.raises(UnknownOutcome):
                one.result()
    stage.leave.set()


def test_a_calls_own_time_limits_the_search_for_a_connection(manager, clock, proxy, stage):
    with manager.connection(KIND) as channel:
        tool(channel, "work", name="a")
        running = in_thread(tool, channel, "hold", timeout_ms=100_000, name="b")
        assert stage.entered.acquire(timeout=DEADLINE)
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.refuse()
        proxy.kill_all()
        until(lambda: proxy.counts["refused"] >= 2)
        assert running.is_alive(), "it goes on searching"
        clock.skipped += 100.0
        with pytest.raises(UnknownOutcome):
            running.result()
        # Never sent: so it is the connection's error, and nothing is unknown.
        with pytest.raises(TransportError) as caught:
            tool(channel, "work", timeout_ms=200, name="c")
        assert not isinstance(caught.value, CallTimeout)
        proxy.accept()
        assert tool(channel, "work", name="d") == {"name": "d"}
    stage.leave.set()
    assert stage.ran == ["a", "b", "d"]


def test_the_time_of_a_call_ends_it_also_on_a_good_connection(manager, stage):
    with manager.connection(KIND) as channel:
        with pytest.raises(CallTimeout):
            tool(channel, "hold", timeout_ms=100, name="a")
    assert manager.pool_size() == 0, "its answer would be the next borrower's"
    stage.leave.set()


@pytest.mark.parametrize("end", ["shutdown", "deregister"])
def test_who_looks_for_a_connection_is_told_when_the_manager_or_the_host_ends(
    manager, live, proxy, stage, end
):
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.refuse()
        proxy.kill_all()
        until(lambda: proxy.counts["refused"])
        if end == "shutdown":
            manager.shutdown()
        else:
            manager.deregister_service(KIND, live.server.instance_id)
        with pytest.raises(UnknownOutcome):
            running.result()
    stage.leave.set()


def test_a_call_that_waits_is_told_when_the_manager_ends(manager, stage):
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        manager.shutdown()
        with pytest.raises(Shutdown):
            running.result()
    stage.leave.set()


def test_the_tracker_knows_what_is_under_way_and_how_it_ended(manager, live, proxy, stage):
    outbound = manager.outbound
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        (record,) = outbound.list_pending()
        assert record.route_key[:2] == (KIND, live.server.instance_id)
        proxy.kill_all()
        stage.leave.set()
        running.result()
        assert outbound.list_pending() == []
        external = "{}/{}".format(channel.hello.epoch, record.internal_message_id)
        receipt = outbound.get_receipt_by_external_id(external)
        assert (receipt.status, receipt.error) == ("done", None)
        assert receipt.driver_id == record.driver_id


def lost(channel):
    """Return once a channel says that what was to come is lost."""
    try:
        while channel.recv(20_000):
            pass
    except ConnectionClosed:
        return True
    return False


def test_what_has_arrived_is_acknowledged_and_the_server_lets_go_of_it(manager, live, stage):
    with manager.connection(KIND) as channel:
        for number in range(200):
            tool(channel, "large", name=str(number), size=40_000)
            assert receipts_of(live).result_bytes < 3_000_000
            assert len(receipts_of(live)) < 50


def test_a_request_whose_answer_is_received_runs_once_and_is_lost_with_its_connection(
    manager, proxy, stage
):
    call = {"name": "work", "arguments": {"name": "a"}}
    with manager.connection(KIND) as channel:
        request_id = channel.send_request("tools/call", call)
        answer = channel.recv(20_000)
        assert answer["id"] == request_id
        assert answer["success"], answer
        assert manager.outbound.list_pending() == []
    assert manager.pool_size() == 1
    with manager.connection(KIND) as channel:
        channel.send_request("tools/call", call)
        proxy.kill_all()
        assert lost(channel)
        assert tool(channel, "work", name="b") == {"name": "b"}
        assert manager.outbound.list_pending() == []
    assert stage.ran[0] == "a"
    assert stage.ran[-1] == "b"


def test_a_server_that_keeps_no_receipts_leaves_it_open(tmp_path, monkeypatch):
    from fakes.framed_peer import FramedPeer

    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))
    asked = threading.Semaphore(0)
    silence = threading.Event()

    def answer(method, params):
        asked.release()
        if method == "once" and not silence.is_set():
            silence.wait(DEADLINE)
        return params

    instance = "10000000-0000-4000-8000-000000000000"
    with FramedPeer(key=wire_key(), instance_id=instance, answer=answer) as peer:
        with TransportManager(str(tmp_path / "r"), heartbeat=False) as manager:
            manager.register_service(
                "maya", "127.0.0.1", peer.port, metadata={WIRE: "1"}, instance_id=instance
            )
            with manager.connection("maya") as channel:
                running = in_thread(channel.call, "once", b"x", 20_000)
                assert asked.acquire(timeout=DEADLINE)
                peer.cut()
                silence.set()
                with pytest.raises(UnknownOutcome, match="cannot tell"):
                    running.result()
                assert channel.call("twice", b"y", 20_000)["payload"] == b"y"


def test_threads_that_notice_a_loss_together_make_one_connection(manager, proxy, stage):
    stop, failures, done = threading.Event(), [], []
    told = threading.Condition()
    with manager.connection(KIND) as channel:

        def work(number):
            turn = 0
            while not stop.is_set():
                turn += 1
                try:
                    tool(channel, "quick", name="{}-{}".format(number, turn))
                    with told:
                        done.append(None)
                        told.notify()
                except BaseException as error:
                    with told:
                        failures.append(error)
                        told.notify()
                    return

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(16)]
        for thread in threads:
            thread.start()
        for cut in range(120):
            with told:
                before = len(done)
                assert told.wait_for(
                    lambda before=before: len(done) > before + 10 or failures, DEADLINE
                )
            proxy.kill_all(reset=bool(cut % 2))
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)
    assert failures == []
    assert len(stage.ran) == len(set(stage.ran)) == len(done)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_go_on_with_its_parents_calls(manager, stage):
    with manager.connection(KIND) as channel:
        tool(channel, "work", name="before")
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                tool(channel, "work", name="child", timeout_ms=5000)
                word = b"ran"
            except TransportError:
                word = b"refused"
            except BaseException as error:
                word = repr(error).encode()
            os.write(writer, word)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.read() == b"refused"
        os.waitpid(child, 0)
        assert tool(channel, "work", name="after") == {"name": "after"}
    assert stage.ran == ["before", "after"]


def test_a_request_whose_answer_nobody_receives_is_forgotten_with_its_channel(manager, stage):
    call = {"name": "work", "arguments": {"name": "a"}}
    for _ in range(3):
        with manager.connection(KIND) as channel:
            channel.send_request("tools/call", call)
        assert manager.outbound.list_pending() == []


def test_a_request_that_cannot_be_tracked_leaves_nothing_behind(manager, stage):
    with manager.connection(KIND) as channel:
        for number in range(4096):
            manager.outbound.begin_tracking(str(number), outbound.RouteKey(KIND), "another")
        with pytest.raises(outbound.TrackerFull):
            channel.send_request("tools/call", {"name": "quick", "arguments": {"name": "a"}})
        assert channel._carrier._posted == {}
        manager.outbound.clear()
        assert tool(channel, "quick", name="b") == {"name": "b"}


def test_a_call_that_may_take_for_ever_goes_on_over_a_new_connection(manager, proxy, stage):
    with manager.connection(KIND) as channel:
        running = [
            in_thread(tool, channel, "hold", timeout_ms=1 << 62, name=str(number))
            for number in range(3)
        ]
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.kill_all()
        stage.leave.set()
        assert [one.result()["name"] for one in running] == ["0", "1", "2"]


def test_a_call_of_which_nobody_knows_is_counted_in_the_session(manager, live, proxy, stage):
    with manager.connection(KIND) as channel:
        running = in_thread(tool, channel, "hold", name="a")
        assert stage.entered.acquire(timeout=DEADLINE)
        proxy.refuse()
        manager.registry.deregister(KIND, live.server.instance_id)
        proxy.kill_all()
        with pytest.raises(UnknownOutcome):
            running.result()
    (session,) = manager.list_sessions()
    assert (session["request_count"], session["error_count"]) == (1, 1)
    stage.leave.set()


INTERRUPTED = (lasting, mending, flights, resume, outbound)


def lines_of_a_call(manager):
    """Return how many lines of ours one call takes."""
    with manager.connection(KIND) as channel, Interrupt(10_000, INTERRUPTED) as seen:
        tool(channel, "quick", name="counted")
    return 10_000 - seen.left


def test_ctrl_c_at_any_line_of_a_call_leaves_a_channel_that_others_can_use(manager, proxy, stage):
    count = lines_of_a_call(manager)
    assert count > 50
    for line in range(0, count, 3):
        with manager.connection(KIND) as channel:
            tool(channel, "quick", name="before {}".format(line))
            try:
                with Interrupt(line, INTERRUPTED):
                    tool(channel, "quick", name="interrupted {}".format(line))
            except KeyboardInterrupt:
                pass
            assert manager.outbound.list_pending() == [], line
            proxy.kill_all()
            assert tool(channel, "quick", name="after {}".format(line))
    assert len(stage.ran) == len(set(stage.ran))
