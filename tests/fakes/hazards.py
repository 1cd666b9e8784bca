"""What hosts do to their plug-ins, one check each, over any stage with a loop of Qt.

A check is called on the host's main thread with an entered stage and ``start(**options)``, which
starts a server in it (see :class:`fakes.hosted.Hosted`). :data:`HAZARDS` names what a stage must be
able to do for it. Where the stage has an ``on_main`` that runs the host's own code there.
"""

from __future__ import annotations

import _imp
import ctypes
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Tuple

import dcc_mcp_embed
from dcc_mcp_embed.errors import TimeoutNotStarted, WouldDeadlock
from fakes import qtloop
from fakes.hosted import DEADLINE, Later, data, error
from fakes.stage import declared_among

CALLERS = 64
#: Taken now: inside a host it may be the host's own program.
PYTHON = sys.executable
#: Seconds within which an answer comes that needs nothing of the main thread.
SOON = 5.0


class Tools:
    """Tools of which a check decides when they go on, and what they have done."""

    def __init__(self, stage: Any) -> None:
        self.ran: List[str] = []
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        ran, entered, leave = self.ran, self.entered, self.leave

        @dcc_mcp_embed.tool
        def act(name: str) -> dict:
            """Note that it ran."""
            ran.append(name)
            return {"name": name, "thread": threading.current_thread().name}

        @dcc_mcp_embed.tool(timeout=0.3)
        def act_soon(name: str) -> dict:
            """Note that it ran; its caller has little time."""
            ran.append(name)
            return {"name": name}

        @dcc_mcp_embed.tool
        def act_slowly(name: str) -> dict:
            """Take more than half of what a pump may."""
            ran.append(name)
            time.sleep(0.005)
            return {"name": name}

        @dcc_mcp_embed.tool(read_only=True)
        def look() -> dict:
            """Change nothing."""
            return {"thread": threading.current_thread().name}

        @dcc_mcp_embed.tool
        def block() -> dict:
            """Keep the main thread until the check lets go."""
            entered.release()
            assert leave.wait(DEADLINE)
            ran.append("block")
            return {}

        @dcc_mcp_embed.tool
        def turn(name: str) -> dict:
            """Have the host's loop turn while this runs, until the check lets go and on."""
            ran.append("begin " + name)
            entered.release()
            end = time.monotonic() + DEADLINE
            while not leave.is_set():
                assert time.monotonic() < end
                stage.spin()
            for _ in range(20):
                stage.spin()
            ran.append("end " + name)
            return {}

        @dcc_mcp_embed.tool(read_only=True)
        def glance(name: str) -> dict:
            """Change nothing, as calls do that may run where others must not."""
            ran.extend(("begin " + name, "end " + name))
            return {}

        @dcc_mcp_embed.tool
        def fail(kind: str) -> dict:
            """Raise."""
            raise {
                "RuntimeError": RuntimeError("no"),
                "SystemExit": SystemExit(3),
                "KeyboardInterrupt": KeyboardInterrupt(),
                "MemoryError": MemoryError(),
                "GeneratorExit": GeneratorExit(),
            }[kind]

        @dcc_mcp_embed.tool
        def hold_interpreter(seconds: float) -> dict:
            """Be native code that does not let go of the interpreter, once the check says so."""
            entered.release()
            assert leave.wait(DEADLINE)
            ctypes.PyDLL(None).usleep(int(seconds * 1e6))
            ran.append("held")
            return {}

        self.module = declared_among(locals())


def _on_main(stage: Any, function: Callable[[], Any]) -> Any:
    return getattr(stage, "on_main", qtloop.on_main)(function)


def start_during_initialisation(stage: Any, start: Callable[..., Any]) -> None:
    """Calls that come while the host starts wait, and its main thread waits for none of them."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    early = hosted.later("act", {"name": "early"})
    until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 2)
    # What the main thread does here is the rest of the host's start, which takes its time.
    status = hosted.later("get_status").get(SOON)
    # It, and the server's own first job, which finds out whether the loop runs.
    assert data(status)["queue_depth"] == 2
    assert hosted.server.dispatch_status == "booting"
    assert not early.over
    assert tools.ran == []
    answer = stage.run(early.get)
    assert data(answer)["name"] == "early"
    assert tools.ran == ["early"]
    assert hosted.server.dispatch_status == "ready"


def call_while_a_modal_dialog_is_up(stage: Any, start: Callable[..., Any]) -> None:
    """Reading goes on, writing is refused with the dialog's title and runs never."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def body() -> None:
        stage.open_modal("Save changes?")
        try:
            assert data(hosted.call("look"))["thread"] == "MainThread"
            refused = error(hosted.call("act", {"name": "no"}))
            assert refused["code"] == "host_modal"
            assert "Save changes?" in refused["message"]
        finally:
            stage.close_modal()
        assert data(hosted.call("act", {"name": "yes"}))["name"] == "yes"

    stage.run(body)
    assert tools.ran == ["yes"]


def main_thread_joins_a_worker(stage: Any, start: Callable[..., Any]) -> None:
    """A thread that the main one waits for, and that calls, has its answer in its time."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def join() -> Any:
        caller = Later(lambda: hosted.server.call("act", {"name": "joined"}, timeout=0.3))
        try:
            caller.get()
        except TimeoutNotStarted:
            pass
        else:
            raise AssertionError("it ran on a thread that waited for it")
        try:
            hosted.server.call("act", {"name": "own"})
        except WouldDeadlock:
            return "refused"
        return "ran"

    def body() -> None:
        assert _on_main(stage, join) == "refused"
        assert data(hosted.call("act", {"name": "after"}))["name"] == "after"

    stage.run(body)
    assert tools.ran == ["after"]


def import_lock_held_by_main(stage: Any, start: Callable[..., Any]) -> None:
    """What needs no main thread is answered while that one imports, so nothing else imports."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    held, done = threading.Event(), threading.Event()

    def importing() -> bool:
        _imp.acquire_lock()
        try:
            held.set()
            return done.wait(DEADLINE)
        finally:
            _imp.release_lock()

    def body() -> None:
        holder = Later(lambda: _on_main(stage, importing))
        assert held.wait(DEADLINE)
        try:
            waiting = hosted.later("act", {"name": "after"})
            for _ in range(3):
                assert data(hosted.later("get_status").get(SOON))
                assert "error" in Later(lambda: _ask(hosted, "nothing/such")).get(SOON)
                assert Later(lambda: _ask(hosted, "tools/list")).get(SOON)["result"]["tools"]
            assert error(hosted.later("act_soon", {"name": "never"}).get(SOON))["code"] == (
                "timeout_not_started"
            )
            assert not waiting.over
        finally:
            done.set()
        assert holder.get() is True
        assert data(waiting.get())["name"] == "after"

    stage.run(body)
    assert tools.ran == ["after"]


def _ask(hosted: Any, method: str, **params: Any) -> Any:
    with hosted.connect() as wire:
        return wire.rpc(method, params or None).json


class Marshalling(logging.Handler):
    """A host's console: what is logged is shown by the main thread, for which the logger waits."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: List[str] = []

    def emit(self, record: Any) -> None:
        self.threads.append(threading.current_thread().name)
        if threading.current_thread() is threading.main_thread():
            return
        shown = threading.Event()
        qtloop.post(shown.set)
        shown.wait(DEADLINE)


def logging_handler_marshals_to_main(stage: Any, start: Callable[..., Any]) -> None:
    """No thread of ours logs to the host, whose handler would wait for a main thread that works."""
    tools = Tools(stage)
    handler, root = Marshalling(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        hosted = start(tools=[tools.module])

        def body() -> None:
            blocked = hosted.later("block")
            assert tools.entered.acquire(timeout=DEADLINE)
            try:
                # Each of these is worth a line in a log.
                assert error(hosted.later("act_soon", {"name": "never"}).get(SOON))
                with hosted.connect() as wire:
                    assert wire.request("GET", "/nowhere").status == 404
                    assert wire.request("POST", "/mcp", body=b"{").status == 400
                with hosted.connect() as wire:
                    wire.send(b"nonsense\r\n\r\n")
                    assert wire.at_end() or True
                assert data(hosted.later("get_log").get(SOON))
            finally:
                tools.leave.set()
            assert data(blocked.get()) == {}
            assert error(hosted.call("fail", {"kind": "RuntimeError"}))

        stage.run(body)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [name for name in handler.threads if name != "MainThread"] == []


class Stream:
    """A host's output, which must be left alone by all threads but its main one."""

    def __init__(self) -> None:
        self.threads: List[str] = []

    def write(self, text: str) -> int:
        self.threads.append(threading.current_thread().name)
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def _go_wrong(hosted: Any, tools: Tools) -> None:
    """Have happen what is worth a line in a log."""
    blocked = hosted.later("block")
    assert tools.entered.acquire(timeout=DEADLINE)
    try:
        # Two in a row: the host counts as one that does not answer, which is noted.
        for _ in range(2):
            assert error(hosted.later("act_soon", {"name": "never"}).get(SOON))
        with hosted.connect() as wire:
            assert wire.request("GET", "/nowhere").status == 404
            assert wire.request("POST", "/mcp", body=b"{").status == 400
        # On our own worker.
        read = Later(lambda: _ask(hosted, "resources/read", uri="dcc://instances")).get(SOON)
        assert read["result"]["contents"]
        assert data(hosted.later("get_log").get(SOON))
    finally:
        tools.leave.set()
    assert data(blocked.get()) == {}
    assert error(hosted.call("fail", {"kind": "RuntimeError"}))


def output_belongs_to_main(stage: Any, start: Callable[..., Any]) -> None:
    """No thread of ours prints: Maya is reported to crash, 3ds Max shows nothing of it."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    stream = Stream()
    before = sys.stdout, sys.stderr

    def body() -> None:
        sys.stdout = sys.stderr = stream  # type: ignore[assignment]
        try:
            _go_wrong(hosted, tools)
        finally:
            sys.stdout, sys.stderr = before

    stage.run(body)
    assert [name for name in stream.threads if name != "MainThread"] == []


class Recorder(logging.Handler):
    """A studio's handler that may show what is logged in the host, whose thread must be main."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: List[str] = []

    def emit(self, record: Any) -> None:
        self.threads.append(threading.current_thread().name)


def logging_belongs_to_main(stage: Any, start: Callable[..., Any]) -> None:
    """No thread of ours logs to the host. For hosts without a loop, too."""
    tools = Tools(stage)
    handler, root = Recorder(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        hosted = start(tools=[tools.module])
        stage.run(lambda: _go_wrong(hosted, tools))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert [name for name in handler.threads if name != "MainThread"] == []


def tool_holds_the_import_lock(stage: Any, start: Callable[..., Any]) -> None:
    """What needs no main thread is answered meanwhile. For hosts without a loop, too."""
    tools = Tools(stage)
    held, leave = threading.Event(), threading.Event()

    @dcc_mcp_embed.tool
    def importing() -> dict:
        """Import something large."""
        _imp.acquire_lock()
        try:
            held.set()
            assert leave.wait(DEADLINE)
        finally:
            _imp.release_lock()
        return {}

    tools.module.importing = importing
    hosted = start(tools=[tools.module])

    def body() -> None:
        holder = hosted.later("importing")
        assert held.wait(DEADLINE)
        try:
            assert data(hosted.later("get_status").get(SOON))
            told = hosted.later("act_soon", {"name": "never"}).get(SOON)
            assert error(told)["code"] == "timeout_not_started"
        finally:
            leave.set()
        assert data(holder.get()) == {}
        assert data(hosted.call("act", {"name": "after"}))

    stage.run(body)
    assert tools.ran == ["after"]


def tool_that_spins_the_event_loop(stage: Any, start: Callable[..., Any]) -> None:
    """No other call runs inside one that turns the loop; they run after it, each once."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def body() -> None:
        calls = [hosted.later("turn", {"name": "first"})]
        assert tools.entered.acquire(timeout=DEADLINE)
        for number in range(4):
            calls.append(hosted.later("turn", {"name": str(number)}))
            calls.append(hosted.later("glance", {"name": "glance " + str(number)}))
        until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 8)
        tools.leave.set()
        for call in calls:
            assert data(call.get()) == {}

    stage.run(body)
    begun = tools.ran[::2]
    assert len(begun) == len(set(begun)) == 9
    assert tools.ran[1::2] == [one.replace("begin", "end") for one in begun]


def host_exits_with_calls_in_flight(stage: Any, start: Callable[..., Any]) -> None:
    """Every caller is answered, and by what really was: run, or never to be run."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    hosted.server.wait_registered(DEADLINE)
    calls: Dict[str, Later] = {}

    def body() -> None:
        blocked = hosted.later("block")
        assert tools.entered.acquire(timeout=DEADLINE)
        for number in range(40):
            calls[str(number)] = hosted.later("act_slowly", {"name": str(number)})
        until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 40)
        stage.quit()
        tools.leave.set()
        blocked.get()

    stage.run(body)
    outcomes = {name: call.get() for name, call in calls.items()}
    run = sorted(name for name, answer in outcomes.items() if not answer["isError"])
    assert sorted(name for name in tools.ran if name != "block") == run
    left = [error(answer)["code"] for answer in outcomes.values() if answer["isError"]]
    assert set(left) == {"host_shutting_down"}
    try:
        hosted.connect().close()
    except OSError:
        return
    raise AssertionError("it still listens")


def until(true: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait for what becomes true on another thread."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        threading.Event().wait(0.001)


def idle_starvation(stage: Any, start: Callable[..., Any]) -> None:
    """A host whose loop always has something to do, so that it never idles, still runs calls."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    busy: List[Any] = []

    def begin() -> None:
        # All of it in native code, as playback is: a slot of Python would starve Python's threads.
        turns, timer = qtloop.qt().QtWidgets.QSpinBox(), qtloop.qt().QtCore.QTimer()
        turns.setMaximum(2**31 - 1)
        turns.show()
        timer.timeout.connect(turns.stepUp)
        timer.start(0)
        busy.extend((turns, timer))

    def body() -> Tuple[List[float], int]:
        _on_main(stage, begin)
        try:
            times = _times(hosted, 50)
            return times, _on_main(stage, lambda: busy[0].value())
        finally:
            _on_main(stage, end)

    def end() -> None:
        busy[1].stop()
        busy[0].close()

    times, turns = stage.run(body)
    assert len(tools.ran) == 50
    assert times[len(times) // 2] < 0.5
    assert turns > 50, "the host's own events stood still"


def event_loop_throttled(stage: Any, start: Callable[..., Any]) -> None:
    """A loop that stands still in each turn runs the calls that came in one turn in one turn."""
    tools = Tools(stage)
    turns: List[int] = []

    @dcc_mcp_embed.tool
    def note_turn() -> dict:
        """Note in which turn of the loop it ran."""
        turns.append(qtloop.standstills())
        return {"noted": True}

    hosted = start(tools=[tools.module, declared_among({"note_turn": note_turn})])

    def body() -> None:
        stage.throttled(True)
        try:
            until(lambda: qtloop.standstills() > 0)
            blocked = hosted.later("block")
            assert tools.entered.acquire(timeout=DEADLINE)
            calls = [hosted.later("note_turn") for _ in range(40)]
            until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 40)
            tools.leave.set()
            for call in [blocked, *calls]:
                assert data(call.get()) is not None
        finally:
            stage.throttled(False)

    stage.run(body)
    assert len(turns) == 40
    assert len(set(turns)) < 30, "one turn for each call"


def _times(hosted: Any, count: int) -> List[float]:
    """Return how long calls took, one after the other over one connection, sorted."""
    times = []
    with hosted.connect() as wire:
        for number in range(count):
            since = time.perf_counter()
            assert data(wire.tool("act", {"name": str(number)}))
            times.append(time.perf_counter() - since)
    return sorted(times)


def exception_in_a_tool(stage: Any, start: Callable[..., Any]) -> None:
    """Whatever a tool raises is its caller's to know; the host goes on."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def body() -> None:
        kinds = ("RuntimeError", "SystemExit", "KeyboardInterrupt", "MemoryError", "GeneratorExit")
        for kind in kinds:
            assert kind in str(hosted.call("fail", {"kind": kind}))
            assert data(hosted.call("act", {"name": kind}))["name"] == kind
        assert tools.ran == list(kinds)

    stage.run(body)


def native_code_holds_the_interpreter(stage: Any, start: Callable[..., Any]) -> None:
    """While it does nobody is answered; then everybody is, and by what really was."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def body() -> None:
        holding = hosted.later("hold_interpreter", {"seconds": 0.6})
        assert tools.entered.acquire(timeout=DEADLINE)
        # They need not all wait at once: each has little time.
        begun = hosted.server._server.calls.total
        calls = {str(n): hosted.later("act_soon", {"name": str(n)}) for n in range(8)}
        until(lambda: hosted.server._server.calls.total == begun + 8)
        tools.leave.set()
        assert data(holding.get()) == {}
        outcomes = {name: call.get() for name, call in calls.items()}
        told: Dict[str, List[str]] = {"ran": [], "timeout_not_started": [], "timeout_running": []}
        for name, answer in outcomes.items():
            told[error(answer)["code"] if answer["isError"] else "ran"].append(name)
        # One that was told that it will not run does not run later either; one that began as its
        # time was over is told so.
        assert data(hosted.call("act", {"name": "after"}))
        found = [name for name in tools.ran if name not in ("held", "after")]
        assert sorted(found) == sorted(told["ran"] + told["timeout_running"])

    stage.run(body)


#: What calls from a process of its own, so that no thread here allocates but ours and the main one.
_OUTSIDE = """
import http.client, json, sys
port, token, rounds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
headers = {
    "Authorization": "Bearer " + token,
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
def ask(method, **params):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    connection.request("POST", "/mcp", json.dumps(message), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    assert "result" in json.loads(answer.read()), method
for _ in range(rounds):
    ask("tools/call", name="litter", arguments={})
    print(flush=True)
    sys.stdin.readline()
    for _ in range(10):
        ask("tools/list")
        ask("tools/call", name="get_status", arguments={})
    ask("tools/call", name="sweep", arguments={})
"""


def cyclic_qobject_waits_to_be_collected(stage: Any, start: Callable[..., Any]) -> None:
    """It is collected by the main thread, whatever our threads allocate."""
    tools = Tools(stage)
    core = qtloop.qt().QtCore
    where: List[str] = []
    kept: List[Any] = []

    @dcc_mcp_embed.tool
    def litter() -> dict:
        """Make cycles with objects of Qt in them, which wait for the one that holds them."""
        for _ in range(20):
            one = core.QObject()
            one.itself = one
            weakref.finalize(one, lambda: where.append(threading.current_thread().name))
            kept.append(one)
        return {}

    @dcc_mcp_embed.tool
    def sweep() -> dict:
        """Collect what is left of them."""
        gc.collect()
        return {}

    tools.module.litter, tools.module.sweep = litter, sweep
    hosted = start(tools=[tools.module])
    command = [PYTHON, "-c", _OUTSIDE, str(hosted.port), hosted.server.token, "15"]

    def body() -> int:
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as outside:
            assert outside.stdin is not None and outside.stdout is not None
            into, out = outside.stdin.fileno(), outside.stdout.fileno()
            # While the main thread is idle. Nothing is made here that the collector looks at, so
            # it is for one of ours to start it.
            while os.read(out, 1):
                kept.clear()
                os.write(into, b"\n")
        return outside.returncode

    with _eager_collector():
        assert stage.run(body) == 0
    gc.collect()
    assert len(where) == 300
    assert set(where) == {"MainThread"}


@contextmanager
def _eager_collector() -> Iterator[None]:
    before = gc.get_threshold()
    # With many old objects the interpreter puts off looking at what has become old.
    gc.collect()
    gc.freeze()
    gc.collect()
    gc.set_threshold(5, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def callers_at_once(stage: Any, start: Callable[..., Any]) -> None:
    """64 of them, each with a connection of its own: none is lost, none runs twice."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    ready = threading.Barrier(CALLERS)

    def calling(caller: int) -> List[str]:
        with hosted.connect() as wire:
            # Who has shown no token has to make room when many come that say nothing.
            assert wire.rpc("ping").status == 200
            ready.wait(DEADLINE)
            names = ["{}.{}".format(caller, number) for number in range(5)]
            return [data(wire.tool("act", {"name": name}))["name"] for name in names]

    def body() -> List[str]:
        callers = [Later(lambda number=number: calling(number)) for number in range(CALLERS)]
        return [name for caller in callers for name in caller.get()]

    names = stage.run(body)
    assert len(names) == len(set(names)) == CALLERS * 5
    assert sorted(tools.ran) == sorted(names)


#: Each check and what a stage must be able to do for it.
HAZARDS: Tuple[Tuple[Callable[..., None], FrozenSet[str]], ...] = tuple(
    (check, frozenset(needs.split()))
    for check, needs in (
        (start_during_initialisation, ""),
        (call_while_a_modal_dialog_is_up, "modal"),
        (main_thread_joins_a_worker, ""),
        (import_lock_held_by_main, ""),
        (logging_handler_marshals_to_main, ""),
        (output_belongs_to_main, ""),
        (tool_that_spins_the_event_loop, "spin"),
        (host_exits_with_calls_in_flight, "quit"),
        (idle_starvation, ""),
        (event_loop_throttled, "throttle"),
        (exception_in_a_tool, ""),
        (native_code_holds_the_interpreter, ""),
        (cyclic_qobject_waits_to_be_collected, ""),
        (callers_at_once, ""),
    )
)

#: Those of them that are written for a host without a loop.
HEADLESS: Tuple[Callable[..., None], ...] = (
    tool_holds_the_import_lock,
    logging_belongs_to_main,
    output_belongs_to_main,
)
