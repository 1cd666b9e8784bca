"""The hazards of Maya: no dead-lock, nothing lost, nothing run twice or after it was refused.

Those that any host with Qt has are in ``fakes.hazards``; those that may take the process down run
in one of their own. The rest are Maya's: what its documentation and its users tell of.
"""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import FileRegistry
from dcc_mcp_embed.registry.place import Place
from fakes.hazards import HAZARDS, Tools, until
from fakes.hosted import DEADLINE, Later, data, error
from fakes.maya_host.playing import child, entering, starting
from fakes.stage import declared_among

pytestmark = [pytest.mark.qt, pytest.mark.limit(90)]

#: These end the process where they go wrong, or its own end is what is looked at.
DEADLY = (
    "import_lock_held_by_main",
    "main_thread_joins_a_worker",
    "native_code_holds_the_interpreter",
    "cyclic_qobject_waits_to_be_collected",
    "host_exits_with_calls_in_flight",
)
SAFE = [one for one in HAZARDS if one[0].__name__ not in DEADLY]


@pytest.fixture
def enter():
    """Return what enters a stage."""
    with entering() as make:
        yield make


@pytest.fixture
def start(enter, tmp_path, monkeypatch):
    """Return what starts a server in a stage."""
    with starting(str(tmp_path), monkeypatch) as begin:
        yield begin


def names(checks):
    return [check.__name__ for check, _ in checks]


# -- those of any host ----------------------------------------------------------------------------


@pytest.mark.parametrize(("check", "needs"), SAFE, ids=names(SAFE))
def test_hazard(check, needs, enter, start):
    stage = enter()
    assert needs <= stage.can
    check(stage, lambda **options: start(stage, **options))


def test_deadly_hazards(tmp_path):
    child("MayaStage", DEADLY, tmp_path)


def test_an_interpreter_that_ends_without_a_word_takes_the_server_along(tmp_path):
    """Maya's own end may be skipped (a crash of it): no hang, no crash of ours, no row left."""
    child("MayaStage", ["leave"], tmp_path)
    assert entries(str(tmp_path / "registry")) == []


# -- Maya's start: nothing that is deferred runs before initializePlugin and userSetup are over ---


def test_what_comes_while_a_plugin_is_initialised_runs_after_it_or_never(enter, start):
    """The dead-lock of Maya 2022 and 2023: a worker waits for main, main for its own start."""
    stage = enter(gated=True)
    tools = Tools(stage)
    # In initializePlugin: on the main thread, no loop turns. It must come back.
    begun = time.monotonic()
    hosted = start(stage, tools=[tools.module])
    assert time.monotonic() - begun < 10
    early = hosted.later("act", {"name": "early"})
    assert error(hosted.later("act_soon", {"name": "never"}).get())["code"] == "timeout_not_started"

    def body():
        # userSetup may turn Qt's loop itself (a splash screen): still nothing of ours runs.
        for _ in range(3):
            stage.on_main(stage.spin)
        assert error(hosted.call("act_soon", {"name": "never"}))["code"] == "timeout_not_started"
        assert data(hosted.call("get_status"))
        assert tools.ran == [] and not early.over
        stage.open_gate()
        assert data(early.get())["name"] == "early"
        assert data(hosted.call("act", {"name": "late"}))["name"] == "late"

    stage.run(body)
    assert tools.ran == ["early", "late"]


def test_a_start_from_user_setup_comes_once_when_maya_is_idle(enter, start):
    from dcc_mcp_embed.adapters import maya as adapter_module

    stage = enter(gated=True)
    tools = Tools(stage)
    hosted, came = [], threading.Event()

    def begin(**options):
        hosted.append(start(stage, **options))
        came.set()

    adapter_module.start_when_idle(begin, tools=[tools.module])

    def body():
        stage.on_main(stage.spin)
        assert hosted == []
        stage.open_gate()
        assert came.wait(DEADLINE)
        assert data(hosted[0].call("act", {"name": "one"}))["name"] == "one"

    stage.run(body)
    assert len(hosted) == 1 and tools.ran == ["one"]


def test_a_dialog_that_is_up_before_maya_was_ever_idle_holds_calls_back_only(enter, start):
    """A crash report or the question for a security consent, right at the start."""
    stage = enter(gated=True)
    tools = Tools(stage)
    hosted = start(stage, tools=[tools.module])

    def body():
        stage.open_modal("Report a crash?")
        stage.open_gate()
        waiting = hosted.later("look")
        assert data(hosted.call("get_status"))
        refused = error(hosted.call("act_soon", {"name": "never"}))["code"]
        assert refused in ("timeout_not_started", "host_modal")
        stage.close_modal()
        assert data(waiting.get())["thread"] == "MainThread"
        assert data(hosted.call("act", {"name": "after"}))

    stage.run(body)
    assert tools.ran == ["after"]


def test_somebodys_standing_idle_callback_keeps_nobody_out(enter, start):
    """It starves the lowest priority for good."""
    stage = enter(gated=True)
    tools = Tools(stage)
    stage.host.idle.standing = True
    hosted = start(stage, tools=[tools.module])

    def body():
        stage.open_gate()
        assert data(hosted.call("act", {"name": "one"}))["name"] == "one"

    stage.run(body)
    assert tools.ran == ["one"]


# -- Maya without a binding of Qt: the idle queue is the only way to the main thread --------------


@pytest.mark.parametrize(
    "check",
    [
        "start_during_initialisation",
        "tool_that_spins_the_event_loop",
        "exception_in_a_tool",
        "callers_at_once",
        "host_exits_with_calls_in_flight",
    ],
)
def test_hazard_without_a_binding_of_qt(check, enter, start):
    from fakes import hazards

    stage = enter(binding=False)
    getattr(hazards, check)(stage, lambda **options: start(stage, **options))


def test_idle_that_does_not_come_ends_calls_in_their_time(enter, start):
    """Playback, or a dialog that the idle queue waits for: there is no time-out in Maya's own."""
    stage = enter(binding=False)
    tools = Tools(stage)
    hosted = start(stage, tools=[tools.module])

    def body():
        stage.open_modal("Save as")
        try:
            told = hosted.call("act_soon", {"name": "never"})
            assert error(told)["code"] == "timeout_not_started"
        finally:
            stage.close_modal()
        stage.host.idle.starved = True
        assert error(hosted.call("act_soon", {"name": "never"}))["code"] == "timeout_not_started"
        stage.host.idle.starved = False
        # Two in a row: a third is refused at once until the thread has shown that it lives.
        until(lambda: not hosted.call("act", {"name": "after"})["isError"])

    stage.run(body)
    assert tools.ran == ["after"]


@pytest.mark.parametrize("binding", [True, False])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_tool_that_forces_idle_events_runs_no_other_inside(read_only, binding, enter, start):
    """processIdleEvents within a tool runs what is queued, our own wake among it."""
    stage = enter(binding=binding)
    ran = []

    @dcc_mcp_embed.tool(read_only=read_only)
    def force(name: str) -> dict:
        """Force idle events, and Qt's, while this runs."""
        import maya.utils

        ran.append("begin " + name)
        for _ in range(5):
            maya.utils.processIdleEvents()
            stage.spin()
        ran.append("end " + name)
        return {}

    hosted = start(stage, tools=[declared_among(locals())])

    def body():
        calls = [hosted.later("force", {"name": str(number)}) for number in range(8)]
        for call in calls:
            assert data(call.get()) == {}

    stage.run(body)
    assert [one.split()[0] for one in ran] == ["begin", "end"] * 8
    assert [one.split()[1] for one in ran[::2]] == [one.split()[1] for one in ran[1::2]]
    assert len(set(ran)) == 16


# -- Maya's commands and threads ------------------------------------------------------------------


def test_a_tool_uses_mayas_blocking_routine_on_the_main_thread(enter, start):
    """On the main thread it runs at once, so what a tool's library does with it is no dead-lock."""
    stage = enter()

    @dcc_mcp_embed.tool
    def library() -> dict:
        """Use code that marshals whatever thread it is on."""
        import maya.utils

        name = maya.utils.executeInMainThreadWithResult(lambda: threading.current_thread().name)
        return {"thread": name}

    hosted = start(stage, tools=[declared_among(locals())])
    answer = stage.run(lambda: hosted.call("library"))
    assert data(answer) == {"thread": "MainThread"}


def test_a_tool_on_the_worker_that_calls_maya_fails_alone(enter, start):
    """Off the main thread a command raises; that is its caller's to know."""
    stage = enter()
    tools = Tools(stage)

    @dcc_mcp_embed.tool(thread="worker")
    def wrong() -> dict:
        """Call Maya from a thread that is not its own."""
        import maya.cmds

        return {"found": maya.cmds.ls()}

    tools.module.wrong = wrong
    hosted = start(stage, tools=[tools.module])

    def body():
        assert "main" in str(error(hosted.call("wrong")))
        assert data(hosted.call("act", {"name": "after"}))

    stage.run(body)
    assert stage.host.complaints.take("cmds.ls() called on the thread") == 1
    assert tools.ran == ["after"]


def test_no_thread_of_ours_ever_calls_maya(enter, start):
    """All scene tools at once from many connections: the stage fails for a call off main."""
    stage = enter()
    hosted = start(stage)

    def calling(number):
        name = "box{}".format(number)
        made = data(hosted.call("create_object", {"kind": "cube", "name": name}))
        assert data(hosted.call("list_objects"))
        assert data(hosted.call("get_scene_info"))
        return made

    def body():
        callers = [Later(lambda n=n: calling(n)) for n in range(12)]
        return [caller.get() for caller in callers]

    assert len(stage.run(body)) == 12
    made = [one for one in stage.host.scene.matching("box*") if len(one) == 1]
    assert len(made) == 12


@pytest.mark.parametrize("empty_steps", [False, True])
@pytest.mark.parametrize("tells_chunk", [True, False])
@pytest.mark.parametrize("name", ["MayaStage", "MayapyStage"])
def test_undo_is_balanced_whatever_a_tool_does(name, tells_chunk, empty_steps, enter, start):
    """A chunk left open would take in all that the artist does from then on."""
    stage = enter(name)
    queue = stage.host.undo
    queue.empty_steps, queue.tells_chunk = empty_steps, tells_chunk
    hosted = start(stage, tools=[chunky()])
    seen = []

    def body():
        for way in ("well", "fails", "nothing", "switches_off", "new_scene", "opens"):
            if way == "opens" and not tells_chunk:
                # Nobody can know then that there is one more to close.
                continue
            before = len(queue.done)
            answer = hosted.call("undoing", {"way": way})
            seen.append((way, answer["isError"], len(queue.done) - before, list(queue.chunks)))

    stage.run(body)
    assert [one for one in seen if one[3]] == [], "chunks left open"
    assert queue.state is True
    gained = {way: count for way, _, count, _ in seen}
    assert gained["well"] == 1
    assert gained["fails"] == 0
    assert gained["nothing"] == (1 if empty_steps else 0)
    assert [way for way, failed, _, _ in seen if failed] == ["fails"]


def chunky():
    @dcc_mcp_embed.tool
    def undoing(way: str) -> dict:
        """Treat Maya's undo queue as tools do."""
        import maya.cmds as cmds

        if way != "nothing":
            cmds.createNode("transform", name="made_" + way)
        if way == "fails":
            raise RuntimeError("no")
        if way == "switches_off":
            cmds.undoInfo(stateWithoutFlush=False)
        if way == "new_scene":
            cmds.file(new=True, force=True)
        if way == "opens":
            cmds.undoInfo(openChunk=True, chunkName="mine")
        return {}

    return declared_among(locals())


# -- what Maya tells us, and asks -----------------------------------------------------------------


def test_the_registry_follows_the_scene(enter, start, tmp_path):
    """What a user opens and saves is pushed from the main thread; nobody else asks Maya."""
    stage = enter()
    hosted = start(stage)
    path = str(tmp_path / "shot.ma").replace(os.sep, "/")

    def save():
        import maya.cmds as cmds

        cmds.file(rename=path)
        cmds.file(save=True, type="mayaAscii")

    def new():
        import maya.cmds as cmds

        cmds.file(new=True, force=True)

    def body():
        stage.on_main(save)
        until(lambda: scene_in_registry(hosted) == path)
        stage.on_main(new)
        until(lambda: not scene_in_registry(hosted))

    stage.run(body)


def scene_in_registry(hosted):
    found = entries(hosted.registry_dir)
    return found[0].scene if found else "no row"


def entries(folder):
    return FileRegistry(Place(folder, "argument"), SystemClock()).entries("maya")


def test_a_question_stops_nothing(enter, start):
    """It is no modal dialog: calls go on, idle events too, and the answer comes when it comes."""
    stage = enter()
    tools = Tools(stage)
    hosted = start(stage, tools=[tools.module], exec_mode="confirm")

    def body():
        asking = hosted.later("execute_python", {"code": "result = 6 * 7"})
        assert data(hosted.call("act", {"name": "meanwhile"}))
        stage.wait_idle()
        stage.answer("once")
        return asking.get()

    answer = stage.run(body)
    assert "42" in json.dumps(answer)
    assert tools.ran == ["meanwhile"]


def test_the_exit_takes_everything_back(enter, start):
    """A callback that is left when its plug-in goes is a fatal error in Maya."""
    stage = enter()
    hosted = start(stage)
    stage.run(lambda: data(hosted.call("get_status")))
    assert stage.host.messages.ids()
    hosted.close()
    stage.adapter.close()
    assert stage.host.messages.ids() == []


def test_an_idle_server_has_maya_do_nothing(enter, start):
    """Nothing stands on the idle queue or in Qt's: no timer, no pump."""
    stage = enter()
    hosted = start(stage)

    def look():
        return stage.host.idle.turns, hosted.server._lanes["main"]._lane.pumped_at

    def body():
        assert data(hosted.call("get_scene_info"))
        stage.wait_idle()
        # A call that came while the pump ran, and was taken at once, has it run once more.
        for _ in range(3):
            stage.on_main(lambda: None)
        before = stage.on_main(look)
        for _ in range(100):
            stage.on_main(lambda: None)
        assert data(hosted.call("get_status"))
        assert stage.on_main(look) == before

    stage.run(body)
