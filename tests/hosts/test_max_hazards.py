"""What 3ds Max does to its plug-ins, over the adapter for it; see test_maxbatch_hazards.py, too.

The hazards that all hosts with Qt have are those of ``fakes/hazards.py``. Those that may take the
process down with them are tried in a process of their own, whose end is looked at, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import dcc_mcp_embed
from fakes.hazards import HAZARDS, Tools, until
from fakes.hosted import DEADLINE, Hosted, data, error
from fakes.max_host import alone
from fakes.max_host.served import serving
from fakes.max_host.stage import MaxbatchStage, MaxStage
from fakes.stage import declared_among

pytestmark = [pytest.mark.qt, pytest.mark.limit(60)]

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
#: Seconds for a process of its own.
PATIENCE = 60.0


@pytest.fixture
def stage():
    with MaxStage() as entered:
        yield entered


@pytest.fixture
def start(tmp_path, monkeypatch):
    with serving(str(tmp_path), monkeypatch) as start:
        yield start


def playing(names):
    """Return a test's parameters: each of these stages."""
    return pytest.mark.parametrize("which", names)


# Those of every host with Qt.


SHARED = [one for one in HAZARDS if one[0].__name__ not in alone.CHECKS]


@pytest.mark.parametrize(("check", "needs"), SHARED, ids=[check.__name__ for check, _ in SHARED])
def test_hazard(check, needs, tmp_path, monkeypatch):
    running = []
    with MaxStage() as stage:
        assert needs <= stage.can

        def start(**options):
            running.append(Hosted(stage, str(tmp_path), monkeypatch, **options))
            return running[-1]

        try:
            check(stage, start)
        finally:
            for hosted in running:
                hosted.close()


# Those of both.


@playing([MaxStage, MaxbatchStage])
def test_64_callers_change_the_scene_each_once(which, start):
    """What they made is there once, and each change is one entry of the undo stack."""
    with which() as stage:
        hosted = start(stage)
        ready = threading.Barrier(64)

        def calling(number):
            with hosted.connect() as wire:
                # Who has shown no token has to make room when many come that say nothing.
                assert wire.rpc("ping").status == 200
                ready.wait(DEADLINE)
                answer = wire.tool("create_object", {"kind": "cube", "name": "c{}".format(number)})
                return data(answer)["name"]

        def body():
            from fakes.hosted import Later

            callers = [Later(lambda n=number: calling(n)) for number in range(64)]
            return [caller.get() for caller in callers]

        try:
            made = stage.run(body)
            there = [stage.host.scene.data(key)["name"] for key in stage.host.scene.nodes()]
            assert sorted(made) == sorted(there) == sorted("c{}".format(n) for n in range(64))
            assert len(stage.host.hold.done) == 64
        finally:
            hosted.close()


@playing([MaxStage, MaxbatchStage])
def test_an_error_reaches_its_caller_and_leaves_nothing(which, start):
    """3ds Max's own undo context would have swallowed it, and taken the error for success."""

    @dcc_mcp_embed.tool
    def half() -> dict:
        """Begin something and fail."""
        from pymxs import runtime as rt

        rt.Box(name="half")
        raise ValueError("half done")

    with which() as stage:
        hosted = start(stage, declared_among({"half": half}))
        try:
            answer = stage.run(lambda: hosted.call("half"))
            assert "half done" in error(answer)["message"]
            assert list(stage.host.scene.nodes()) == []
            assert (stage.host.hold.done, stage.host.hold.depth) == ([], 0)
        finally:
            hosted.close()


@playing([MaxStage, MaxbatchStage])
@pytest.mark.parametrize("how", ["begun", "undo", "cancelled"])
def test_a_tool_may_use_the_hold_itself(which, start, how):
    """However it leaves it, the hold is closed, and what is there is one entry at most."""

    @dcc_mcp_embed.tool
    def holds() -> dict:
        """Do as a script of 3ds Max does."""
        import pymxs

        rt = pymxs.runtime
        if how == "undo":
            with pymxs.undo(True, "mine"):
                rt.Box()
        else:
            rt.theHold.Begin()
            rt.Box()
            if how == "cancelled":
                rt.theHold.Cancel()
        return {}

    with which() as stage:
        hosted = start(stage, declared_among({"holds": holds}))
        try:
            assert data(stage.run(lambda: hosted.call("holds"))) == {}
            assert stage.host.hold.depth == 0
            made = 0 if how == "cancelled" else 1
            assert len(list(stage.host.scene.nodes())) == len(stage.host.hold.done) == made
        finally:
            hosted.close()


@playing([MaxStage, MaxbatchStage])
def test_a_tool_on_another_thread_is_kept_from_the_host(which, start):
    """It is refused by us; no call of it arrives there, where it could do harm much later."""

    @dcc_mcp_embed.tool(thread="worker")
    def wrong(ctx) -> dict:
        """Touch the host on a thread that is not its own."""
        return {"host": ctx.host is not None}

    with which() as stage:
        hosted = start(stage, declared_among({"wrong": wrong}))

        def body():
            answer = hosted.call("wrong")
            with pytest.raises(dcc_mcp_embed.errors.HostError):
                list(stage.adapter.scene_backend().rows())
            with pytest.raises(dcc_mcp_embed.errors.HostError):
                stage.adapter.undo_chunk("no").__enter__()
            return answer

        try:
            stage.run(body)
            assert stage.host.faults.found == []
        finally:
            hosted.close()


@playing([MaxStage, MaxbatchStage])
def test_a_tool_may_open_another_file(which, start, tmp_path):
    """The undo stack begins anew there, the hold is closed, and the registry is told."""
    path = str(tmp_path / "other.max")

    @dcc_mcp_embed.tool
    def opens() -> dict:
        """Save, then open what was saved."""
        from pymxs import runtime as rt

        rt.Box(name="saved")
        rt.saveMaxFile(path, quiet=True)
        rt.Box(name="lost")
        return {"opened": rt.loadMaxFile(path, quiet=True)}

    with which() as stage:
        hosted = start(stage, declared_among({"opens": opens}))
        try:
            assert data(stage.run(lambda: hosted.call("opens"))) == {"opened": True}
            scene = stage.host.scene
            assert [scene.data(key)["name"] for key in scene.nodes()] == ["saved"]
            assert (stage.host.hold.done, stage.host.hold.depth) == ([], 0)
            assert hosted.server._instance.scene == path
        finally:
            hosted.close()


@playing([MaxStage, MaxbatchStage])
def test_the_program_is_never_started_for_an_interpreter(which, start, monkeypatch):
    """sys.executable is 3ds Max: whoever starts it for a Python has a second 3ds Max."""
    started = []
    before = subprocess.Popen.__init__

    def popen(self, command, *arguments, **options):
        started.append(command)
        before(self, command, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", popen)
    with which() as stage:
        program = sys.executable
        hosted = start(stage)
        try:
            stage.run(lambda: hosted.call("get_status"))
        finally:
            hosted.close()
    assert "3dsmax" in program
    assert started == []


# Those of the window.


def test_a_drag_that_is_not_finished_is_not_written_into(stage, start):
    """It holds an entry open, and the user may still cancel it, and everything in it."""
    tools = Tools(stage)
    hosted = start(stage, tools.module)

    def body():
        stage.on_main(stage.host.hold.begin)
        refused = error(hosted.call("act", {"name": "no"}))
        assert refused["code"] == "host_modal"
        assert data(hosted.call("look"))
        stage.on_main(stage.host.hold.cancel)
        return data(hosted.call("act", {"name": "yes"}))["name"]

    assert stage.run(body) == "yes"
    assert tools.ran == ["yes"]


def test_what_a_worker_prints_is_shown_by_the_main_thread(start):
    @dcc_mcp_embed.tool(thread="worker")
    def says() -> dict:
        """Print on a thread of ours."""
        print("from a worker")
        return {}

    # Not a fixture's: pytest has another standard output for each part of a test.
    with MaxStage() as stage:
        hosted = start(stage, declared_among({"says": says}))

        def body():
            assert data(hosted.call("says")) == {}
            until(lambda: "from a worker\n" in stage.listener.text)

        try:
            stage.run(body)
            assert stage.listener.lost == []
        finally:
            hosted.close()


def test_the_shutdown_is_told_before_the_loop_ends_and_counts_once(stage, start):
    """What is told twice, by 3ds Max and by Qt, stops the server once; the callbacks are gone."""
    tools = Tools(stage)
    hosted = start(stage, tools.module)
    told = []
    stage.adapter.on_exit(lambda: told.append(threading.current_thread().name))

    def body():
        assert data(hosted.call("act", {"name": "before"}))
        stage.on_main(stage.host.quit)
        with pytest.raises(OSError):
            hosted.call("act", {"name": "after"})
        assert stage.host.events.left == []
        stage.quit()

    stage.run(body)
    assert (tools.ran, told) == (["before"], ["MainThread"])


def test_a_tool_may_end_the_host(stage, start):
    """Its caller is answered before the process goes, or told that the host shuts down."""

    @dcc_mcp_embed.tool
    def leaves() -> dict:
        """Quit 3ds Max."""
        stage.host.quit()
        return {}

    hosted = start(stage, declared_among({"leaves": leaves}))
    answers = []

    def body():
        try:
            answers.append(error(hosted.call("leaves"))["code"])
        except (OSError, EOFError):
            answers.append("closed")

    stage.run(body)
    assert answers in (["host_shutting_down"], ["closed"])
    assert stage.host.events.left == []


def test_a_call_is_quiet_and_the_user_is_not_afterwards(stage, start):
    """No dialog of 3ds Max's opens for a call; the user's own are not kept away."""
    seen = []

    @dcc_mcp_embed.tool
    def counts() -> dict:
        """Look whether 3ds Max is quiet."""
        seen.append(stage.host.contexts.get("quiet", 0))
        return {}

    hosted = start(stage, declared_among({"counts": counts}))
    stage.run(lambda: hosted.call("counts"))
    assert seen == [1]
    assert stage.host.contexts["quiet"] == 0


def test_it_can_be_asked_before_there_is_a_window(stage, start):
    """A script that runs at the start of 3ds Max comes before its main window."""
    stage.host.main_window = None
    hosted = start(stage)

    def body():
        call = hosted.later("execute_python", {"code": "result = 1 + 1"})
        stage.answer("once")
        return call.get()

    assert stage.run(body)["isError"] is False


def test_a_second_start_finds_the_first(stage, start):
    hosted = start(stage)
    assert dcc_mcp_embed.start() is hosted.server
    assert dcc_mcp_embed.start(adapter="3dsmax") is hosted.server


def test_the_kind_of_host_is_found(stage):
    from dcc_mcp_embed.host.detecting import load_adapter

    found = load_adapter(None)
    try:
        assert (found.dcc_type, found.version(), found.is_interactive()) == ("3dsmax", "2025", True)
    finally:
        found.close()


# Those that may take the process down.


@pytest.mark.parametrize("name", sorted(alone.CHECKS))
def test_alone(name, tmp_path):
    """In a process of its own: it does what it is to, and comes to its end by itself."""
    command = [sys.executable, "-W", "error", "-m", "fakes.max_host.alone", name, str(tmp_path)]
    tmp_path.chmod(0o700)
    done = subprocess.run(
        command,
        cwd=TESTS,
        env=dict(
            os.environ,
            # The package that is tested here, be it a checkout's or an installed one.
            PYTHONPATH=os.pathsep.join(filter(None, (PACKAGE, os.environ.get("PYTHONPATH")))),
            # Qt 5 would say that it takes another folder.
            XDG_RUNTIME_DIR=str(tmp_path),
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, output
    # Qt 5 says so of a window that is shown on no screen; anything else it says is a fault.
    said = [line for line in output.splitlines() if "propagateSizeHints" not in line]
    assert said == ["done"], output
