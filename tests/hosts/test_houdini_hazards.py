"""The hazards of Houdini, over the adapter in a fake one with the real server on real sockets.

No dead-lock, no crash, nothing lost or doubled, nothing run after its caller was told otherwise.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.errors import HostError
from fakes import hazards, qtloop
from fakes.hazards import HAZARDS, SOON, Tools, until
from fakes.hosted import DEADLINE, Hosted, Later, data, error
from fakes.houdini_host import alone, ends
from fakes.houdini_host import stage as stages
from fakes.stage import declared_among

pytestmark = [pytest.mark.qt, pytest.mark.limit(60)]

# By path, so that it is found however the tests are imported.
_spec = importlib.util.spec_from_file_location(
    "backend_contract",
    os.path.join(os.path.dirname(__file__), "..", "adapters", "backend_contract.py"),
)
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: These take the whole process down where they go wrong.
ALONE = {
    hazards.import_lock_held_by_main,
    hazards.host_exits_with_calls_in_flight,
    hazards.native_code_holds_the_interpreter,
    hazards.cyclic_qobject_waits_to_be_collected,
}
#: The host's own code runs there in its loop, and hython has none.
NEED_A_LOOP = {
    hazards.main_thread_joins_a_worker,
    hazards.import_lock_held_by_main,
    hazards.logging_handler_marshals_to_main,
    hazards.output_belongs_to_main,
    hazards.idle_starvation,
    hazards.cyclic_qobject_waits_to_be_collected,
    # A KeyboardInterrupt is the script's own there: see below.
    hazards.exception_in_a_tool,
}
#: One call after the other, each of which has to wait for Houdini to be idle: nothing else.
SLOW = {hazards.idle_starvation, hazards.cyclic_qobject_waits_to_be_collected}


def checks_of(name):
    """Return the hazards that this stage can play, as (check, whether in a process of its own)."""
    kind = getattr(stages, name)
    for check, needs in HAZARDS:
        if not needs <= kind.can or (name == "HythonStage" and check in NEED_A_LOOP):
            continue
        if name in ("DeferredStage", "IdleStage") and check in SLOW | ALONE:
            continue
        yield check, check in ALONE


def cases():
    for name in ("HoudiniStage", "DeferredStage", "IdleStage", "HythonStage"):
        for check, apart in checks_of(name):
            if not apart:
                yield pytest.param(name, check, id=name + "-" + check.__name__)


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Call a check on the main thread of a Houdini; every server that it starts is closed."""

    def play(name, check):
        running = []
        with getattr(stages, name)() as stage:

            def start(**options):
                running.append(Hosted(stage, str(tmp_path), monkeypatch, **options))
                if stage.name == "hython":
                    # Its end is also the server's, which may come before there is a row.
                    running[-1].server.wait_registered(DEADLINE)
                if stage.idles and check is not hazards.start_during_initialisation:
                    # The first job takes a place in the queue until Houdini is idle.
                    ready = running[-1].server
                    stage.run(lambda: until(lambda: ready.dispatch_status == "ready"))
                return running[-1]

            try:
                check(stage, start)
            finally:
                for hosted in running:
                    hosted.close()

    return play


def play_alone(name, checks, home):
    command = [sys.executable, alone.__file__, TESTS, name] + [one.__name__ for one in checks]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        command,
        cwd=str(home),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=50,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert (done.returncode, "all is well" in output) == (0, True), output
    assert "HOUDINI MISUSED" not in output, output


@pytest.mark.parametrize(("name", "check"), list(cases()))
def test_hazard(play, name, check):
    play(name, check)


@pytest.mark.parametrize("name", ["HoudiniStage", "HythonStage"])
def test_hazards_that_could_take_the_process_down(name, tmp_path):
    checks = [check for check, apart in checks_of(name) if apart]
    assert len(checks) >= 2
    play_alone(name, checks, tmp_path)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("HoudiniStage", ends.main_thread_dead_locks_in_hdefereval),
        ("HoudiniStage", ends.interpreter_ends_with_calls_in_flight),
        ("HythonStage", ends.interpreter_ends_with_calls_in_flight),
    ],
)
def test_end(name, check, tmp_path):
    play_alone(name, [check], tmp_path)


# -- Houdini's own ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["DeferredStage", "IdleStage"])
def test_no_call_runs_late_that_waited_for_an_idle_houdini_in_vain(play, name):
    """Callbacks come when Houdini is idle, so perhaps not for long."""

    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])

        def body():
            assert data(hosted.call("act", {"name": "before"}))
            # On the main thread: a turn of its loop may be just about to call back.
            qtloop.on_main(lambda: stage.starved(True))
            late = [hosted.later("act_soon", {"name": str(n)}) for n in range(8)]
            codes = {error(one.get(SOON))["code"] for one in late}
            assert codes <= {"timeout_not_started", "host_busy"}
            assert data(hosted.later("get_status").get(SOON))
            stage.starved(False)
            until(lambda: hosted.server.dispatch_status == "ready")
            assert data(hosted.call("act", {"name": "after"}))
            assert tools.ran == ["before", "after"]

        stage.run(body)

    play(name, check)


def test_a_houdini_that_is_never_idle_is_woken_by_qt(play):
    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])
        stage.starved(True)
        answer = stage.run(lambda: hosted.call("act", {"name": "now"}))
        assert data(answer)["name"] == "now"

    play("HoudiniStage", check)


@pytest.mark.parametrize("name", ["HoudiniStage", "DeferredStage", "IdleStage"])
def test_an_idle_houdini_calls_nothing_of_ours(play, name):
    """The callback of an event loop is there only while there is work."""

    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])
        loop = stage.host.loop

        def ticks(count):
            before = loop.ticks
            until(lambda: loop.ticks >= before + count)

        def body():
            for number in range(3):
                assert data(hosted.call("act", {"name": str(number)}))
            ticks(3)
            assert loop.callbacks == []
            called = loop.called
            ticks(4)
            return loop.called - called

        assert stage.run(body) == 0

    play(name, check)


def test_results_are_not_swapped_with_those_of_others(play):
    """Another plug-in's blocking marshals share their result slots with everybody but us."""

    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])
        stage.foreign = 6

        def marshal():
            import hdefereval

            for _ in range(2):
                hdefereval.executeInMainThreadWithResult(lambda: "theirs")

        def body():
            others = [Later(marshal) for _ in range(3)]
            calls = {str(n): hosted.later("act", {"name": str(n)}) for n in range(24)}
            for name, call in calls.items():
                assert data(call.get())["name"] == name
            for other in others:
                other.get()
            assert sorted(tools.ran) == sorted(calls)

        stage.run(body)

    play("DeferredStage", check)


def test_hou_exit_in_a_tool_answers_everybody(play):
    """It raises SystemExit, and Houdini begins to exit while calls wait."""

    def check(stage, start):
        tools = Tools(stage)
        begun, go = threading.Event(), threading.Event()

        @dcc_mcp_embed.tool
        def leave() -> dict:
            """End Houdini."""
            import hou

            begun.set()
            assert go.wait(DEADLINE)
            hou.exit(0, suppress_save_prompt=True)
            return {}

        hosted = start(tools=[tools.module, declared_among(locals())])

        def body():
            leaving = hosted.later("leave")
            assert begun.wait(DEADLINE)
            calls = {str(n): hosted.later("act_slowly", {"name": str(n)}) for n in range(30)}
            until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 30)
            go.set()
            assert leaving.get()["isError"] is True
            answers = {name: call.get() for name, call in calls.items()}
            ran = [name for name, answer in answers.items() if not answer["isError"]]
            assert sorted(ran) == sorted(tools.ran)
            codes = {error(one)["code"] for one in answers.values() if one["isError"]}
            assert codes <= {"host_shutting_down"}

        stage.run(body)
        assert stage.host.hou.hipFile.isShuttingDown()

    play("HoudiniStage", check)


def test_no_call_runs_in_the_loop_that_a_load_turns(play, tmp_path):
    """Houdini draws its progress, and what is queued meanwhile waits until the file is there."""

    def check(stage, start):
        tools = Tools(stage)
        path = str(tmp_path / "a.hip")
        stage.host.hou.hipFile.save(path)
        begun, go = threading.Event(), threading.Event()

        @dcc_mcp_embed.tool
        def load() -> dict:
            """Open a file."""
            import hou

            begun.set()
            assert go.wait(DEADLINE)
            tools.ran.append("begin")
            hou.hipFile.load(path, suppress_save_prompt=True)
            tools.ran.append("end")
            return {}

        @dcc_mcp_embed.tool(read_only=True)
        def peek() -> dict:
            """Change nothing."""
            tools.ran.append("act")
            return {}

        hosted = start(tools=[tools.module, declared_among(locals())])

        def body():
            loading = hosted.later("load")
            assert begun.wait(DEADLINE)
            calls = [hosted.later("act", {"name": "act"}) for _ in range(2)]
            calls += [hosted.later("peek") for _ in range(2)]
            until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 4)
            go.set()
            for call in [loading] + calls:
                data(call.get())

        stage.run(body)
        assert tools.ran == ["begin", "end"] + ["act"] * 4

    play("HoudiniStage", check)


def test_a_load_by_the_artist_lets_nothing_write_into_half_a_scene(play, tmp_path):
    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])
        hip = stage.host.hou.hipFile
        hip.save(str(tmp_path / "a.hip"))
        asked, answers = threading.Event(), []

        def turn():
            # The bar of the progress is up as long as it takes for the calls to be tried.
            asked.set()
            until(lambda: len(answers) == 2 or qtloop.spin())

        def call():
            assert asked.wait(DEADLINE)
            answers.append(hosted.call("act", {"name": "no"}))
            answers.append(hosted.call("look"))

        def body():
            calling = Later(call)
            qtloop.on_main(lambda: hip.load(hip.path()))
            calling.get()

        hip.turn = turn
        stage.run(body)
        assert error(answers[0])["code"] == "host_modal"
        assert data(answers[1])["thread"] == "MainThread"
        assert tools.ran == []

    play("HoudiniStage", check)


@pytest.mark.parametrize("name", ["HoudiniStage", "HythonStage"])
def test_a_worker_never_reaches_houdini(play, name):
    """What the backend is asked off the main thread is refused before HOM is touched."""

    def check(stage, start):
        backend = stage.adapter.scene_backend()

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def stray() -> dict:
            """Ask for the scene where that may not be."""
            backend.info([])
            return {}

        hosted = start(tools=[declared_among(locals())])
        refused = error(stage.run(lambda: hosted.call("stray")))
        assert refused["code"] == HostError.code, refused

    play(name, check)


@pytest.mark.parametrize("name", ["HoudiniStage", "HythonStage"])
def test_a_node_that_somebody_deletes_is_not_found_any_more(play, name):
    def check(stage, start):
        hosted = start()
        gone = []

        @dcc_mcp_embed.tool
        def artist(path: str) -> dict:
            """Delete what the agent has just made."""
            stage.host.hou.node(path).destroy()
            return {}

        hosted.server.add_tools([declared_among(locals())])

        def body():
            made = data(hosted.call("create_object", {"kind": "cube", "name": "here"}))
            path = str(made["object"]["path"] if "object" in made else made["path"])
            assert data(hosted.call("artist", {"path": path})) == {}
            gone.append(error(hosted.call("get_object", {"path": path}))["code"])
            return data(hosted.call("list_objects"))

        stage.run(body)
        assert gone == ["not_found"]

    play(name, check)


@pytest.mark.parametrize("name", ["HoudiniStage", "HythonStage"])
def test_serving_needs_no_loop_of_asyncio(play, name):
    """Houdini's policy lets none run off the main thread, and it stays as it is."""

    def check(stage, start):
        tools = Tools(stage)
        policy = asyncio.get_event_loop_policy()
        assert type(policy).__name__ == "HoudiniEventLoopPolicy"
        hosted = start(tools=[tools.module])
        assert data(stage.run(lambda: hosted.call("act", {"name": "x"})))
        assert asyncio.get_event_loop_policy() is policy
        assert policy.made == 0

    play(name, check)


def test_others_may_clear_the_callbacks_of_the_hip_file(play):
    def check(stage, start):
        hosted = start()
        stage.host.hou.hipFile.clearEventCallbacks()
        assert data(stage.run(lambda: hosted.call("get_status")))

    play("HoudiniStage", check)


# -- hython -----------------------------------------------------------------------------------


@pytest.mark.parametrize("check", hazards.HEADLESS, ids=lambda check: check.__name__)
def test_hazard_without_a_loop(play, check):
    play("HythonStage", check)


def test_hython_goes_on_after_an_exception_in_a_tool(play):
    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])

        def body():
            for kind in ("RuntimeError", "SystemExit", "MemoryError", "GeneratorExit"):
                assert kind in str(hosted.call("fail", {"kind": kind}))
                assert data(hosted.call("act", {"name": kind}))["name"] == kind
            return len(tools.ran)

        assert stage.run(body) == 4

    play("HythonStage", check)


def test_an_interrupt_in_a_tool_ends_hython_and_its_caller_is_told(play):
    """Ctrl+C is for the script that serves, whatever it breaks off."""
    answers = []

    def check(stage, start):
        tools = Tools(stage)
        hosted = start(tools=[tools.module])
        with pytest.raises(KeyboardInterrupt):
            stage.run(lambda: answers.append(hosted.call("fail", {"kind": "KeyboardInterrupt"})))

    play("HythonStage", check)
    until(lambda: answers)
    assert answers[0]["isError"] is True


def test_a_tool_that_joins_a_worker_in_hython_is_not_waited_for_by_it(play):
    """The worker calls the thread that waits for it: told at once, or in its time."""

    def check(stage, start):
        tools = Tools(stage)

        @dcc_mcp_embed.tool
        def join() -> dict:
            """Wait for a thread that calls."""
            answer = Later(lambda: hosted.call("act_soon", {"name": "joined"})).get(SOON)
            return {"code": error(answer)["code"]}

        hosted = start(tools=[tools.module, declared_among(locals())])

        def body():
            told = data(hosted.call("join"))
            assert told["code"] == "timeout_not_started", told
            assert data(hosted.call("act", {"name": "after"}))

        stage.run(body)
        assert tools.ran == ["after"]

    play("HythonStage", check)


def test_houdini_19_serves_too():
    """It lacks classes that later ones have."""
    with stages.OldHythonStage() as stage:
        scene = stage.adapter.scene_backend()
        assert contract.run(scene, stage.adapter.undo_chunk) == []
        assert stage.adapter.version().startswith("19.")


def test_houdini_19_tells_what_is_wrong_with_its_scene_too():
    with stages.OldHythonStage() as stage:
        file = stage.host.hou.node("/obj").createNode("geo", "broken").createNode("file")
        file.parm("file").set("/no such file.bgeo")
        faults = [one for one in stage.adapter.scene_backend().errors() if one is not None]
        assert [one for one in faults if "no such file" in str(one)]
