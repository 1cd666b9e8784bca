"""The hazards of mayapy: no window, no idle, one thread that serves and that Ctrl-C can end."""

from __future__ import annotations

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.errors import TimeoutNotStarted, WouldDeadlock
from fakes import hazards
from fakes.hazards import Tools
from fakes.hosted import DEADLINE, Later, data, error
from fakes.maya_host.playing import child, entering, starting

pytestmark = [pytest.mark.qt, pytest.mark.limit(90)]


@pytest.fixture
def stage():
    with entering() as make:
        yield make("MayapyStage")


@pytest.fixture
def start(stage, tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as begin:
        yield lambda **options: begin(stage, **options)


@pytest.mark.parametrize(
    "check",
    [
        "start_during_initialisation",
        "callers_at_once",
        "host_exits_with_calls_in_flight",
        *(check.__name__ for check in hazards.HEADLESS),
    ],
)
def test_hazard(check, stage, start):
    getattr(hazards, check)(stage, start)


def test_deadly_hazard(tmp_path):
    child("MayapyStage", ["native_code_holds_the_interpreter"], tmp_path)


def test_the_script_joins_a_worker_that_calls(stage, start):
    """Before it serves, and in a tool: the worker has its answer in its time, and no tool runs."""
    tools = Tools(stage)

    @dcc_mcp_embed.tool
    def join() -> dict:
        """Wait for a thread that calls."""
        caller = Later(lambda: hosted.server.call("act", {"name": "never"}, timeout=0.3))
        with pytest.raises(TimeoutNotStarted):
            caller.get()
        with pytest.raises(WouldDeadlock):
            hosted.server.call("act", {"name": "never"})
        return {}

    tools.module.join = join
    hosted = start(tools=[tools.module])
    early = Later(lambda: hosted.server.call("act", {"name": "never"}, timeout=0.3))
    with pytest.raises(TimeoutNotStarted):
        early.get()

    def body():
        assert data(hosted.call("join")) == {}
        assert data(hosted.call("act", {"name": "after"}))["name"] == "after"

    stage.run(body)
    assert tools.ran == ["after"]


@pytest.mark.parametrize("kind", ["RuntimeError", "SystemExit", "MemoryError", "GeneratorExit"])
def test_an_exception_in_a_tool_is_its_callers(kind, stage, start):
    tools = Tools(stage)
    hosted = start(tools=[tools.module])

    def body():
        assert kind in str(error(hosted.call("fail", {"kind": kind})))
        assert data(hosted.call("act", {"name": "after"}))

    stage.run(body)
    assert tools.ran == ["after"]


def test_ctrl_c_in_a_tool_ends_the_script_once_its_caller_was_told(stage, start):
    """The main thread is ours there."""
    tools = Tools(stage)
    hosted = start(tools=[tools.module])
    told = []

    with pytest.raises(KeyboardInterrupt):
        stage.run(lambda: told.append(hosted.call("fail", {"kind": "KeyboardInterrupt"})))
    assert "KeyboardInterrupt" in str(error(told[0]))


def test_a_tool_that_forces_idle_events_gets_none(stage, start):
    """There are none in batch mode, and nothing of ours was put there to be lost."""
    tools = Tools(stage)

    @dcc_mcp_embed.tool
    def force() -> dict:
        """Force idle events while another call waits."""
        import maya.utils

        tools.entered.release()
        assert tools.leave.wait(DEADLINE)
        maya.utils.processIdleEvents()
        return {"ran": list(tools.ran)}

    tools.module.force = force
    hosted = start(tools=[tools.module])

    def body():
        forcing = hosted.later("force")
        assert tools.entered.acquire(timeout=DEADLINE)
        waiting = hosted.later("act", {"name": "after"})
        hazards.until(lambda: hosted.server._lanes["main"].status()["queue_depth"] == 1)
        tools.leave.set()
        assert data(forcing.get()) == {"ran": []}
        assert data(waiting.get())

    stage.run(body)
    assert tools.ran == ["after"]
