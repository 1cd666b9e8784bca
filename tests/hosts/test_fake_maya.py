"""The fake Maya keeps the contract that it says it does; each test names the source of the fact.

PAGE stands for Autodesk's page "Python and threading", STUBS for types-maya (made from Autodesk's
command and API reference), COMMANDS for the command reference itself.
"""

from __future__ import annotations

import contextlib
import sys
import threading

import pytest

from fakes.maya_host import commands, openmaya, stubs
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import PLAYED_BY, install
from fakes.maya_host.messages import SCENE_MESSAGES

pytestmark = pytest.mark.qt

WAIT_S = 20.0


@pytest.fixture
def host():
    with install(MayaHost(batch=False)) as made:
        yield made
    made.check()


@pytest.fixture
def batch():
    with install(MayaHost(batch=True)) as made:
        yield made
    made.check()


@pytest.fixture
def cmds(host):
    import maya.cmds

    return maya.cmds


@pytest.fixture
def om(host):
    import maya.api.OpenMaya

    return maya.api.OpenMaya


def on_a_thread(function):
    """Return what it raised on another thread, None if nothing."""
    raised = []

    def work():
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    return raised[0] if raised else None


# -- strict ---------------------------------------------------------------------------------------


def test_every_command_and_flag_that_is_played_is_in_the_stubs():
    """STUBS: nothing here was made up, the short names of flags included."""
    assert PLAYED_BY
    for name, entry in commands.COMMANDS.items():
        command = stubs.command(name)
        assert command is not None, name
        for flag in (*entry.short, *entry.short.values()):
            assert flag in command.known(), (name, flag)


def test_every_name_of_the_api_is_in_the_stubs_or_cites_its_page(host, om):
    """STUBS, and the pages in ALLOWED for what the stubs only name."""
    listed = stubs.module_names("api", "OpenMaya.pyi")
    for name, cls in vars(om).items():
        if not isinstance(cls, type):
            continue
        assert name in listed, name
        page, allowed = openmaya.ALLOWED.get(name, ("", frozenset()))
        known = stubs.members(name) or allowed
        assert not allowed or page.startswith("https://help.autodesk.com/")
        for member in vars(cls):
            if not member.startswith("_") and member != "complain":
                assert member in known, (name, member)


def test_every_routine_of_the_threads_is_in_the_stubs(host):
    """STUBS."""
    import maya.utils

    public = [name for name in vars(type(maya.utils)) if not name.startswith("_")]
    assert set(public) <= stubs.module_names("utils.pyi")
    assert len(public) == 3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c: c.polyCubes(), "no command 'polyCubes'"),
        (lambda c: c.ls(everything=True), "Invalid flag 'everything'"),
        (lambda c: c.polyCube(name=None), "Expected str, got NoneType"),
        (lambda c: c.polyCube(width="wide"), "Expected float, got str"),
        # A flag only to create with is none to query, and the other way round.
        (lambda c: c.undoInfo(query=True, openChunk=True), "can be queried"),
        (lambda c: c.undoInfo(undoName=True), "Invalid flag 'undoName'"),
        (lambda c: c.delete("persp", query=True), "no mode 'query'"),
        (lambda c: c.ls(edit=True, long=True), "no mode 'edit'"),
        (lambda c: c.delete([]), "works on the selection"),
        (lambda c: c.sphere(), "not in the fake"),
        (lambda c: c.ls(visible=True), "does not play visible"),
    ],
)
def test_a_call_that_maya_does_not_take_fails_the_test_though_it_was_caught(host, cmds, call, text):
    """STUBS; COMMANDS: "flag can appear in create, edit, query mode" of each flag."""
    with contextlib.suppress(TypeError, AttributeError, NotImplementedError, RuntimeError):
        call(cmds)
    with pytest.raises(AssertionError):
        host.check()
    assert host.complaints.take(text) == 1


def test_names_of_the_api_that_are_not_there_fail_the_test_though_they_were_caught(host, om):
    """STUBS."""
    for get in (lambda: om.MNothing, lambda: om.MGlobal.nothing, lambda: om.MDagPath().nothing):
        with pytest.raises(AttributeError):
            get()
    assert host.complaints.take("in the fake") == 3


def test_some_queries_need_no_flag(host, cmds):
    """COMMANDS, undoInfo: "if invoked without flags ... the number of items on the undo queue"."""
    cmds.createNode("transform")
    assert cmds.undoInfo(query=True) == 1
    assert cmds.currentTime(query=True) == 1.0


# -- threads --------------------------------------------------------------------------------------


def test_commands_and_the_api_raise_off_the_main_thread(host, cmds, om):
    """PAGE: Maya's commands from another thread "throw an exception"; the API is not safe there."""
    path = om.MSelectionList().add("persp").getDagPath(0)
    for call in (
        lambda: cmds.ls(),
        lambda: cmds.evalDeferred(print, lowestPriority=True),
        lambda: path.isVisible(),
        lambda: om.MMessage.removeCallback(1),
    ):
        assert isinstance(on_a_thread(call), RuntimeError)
    assert host.complaints.take("not Maya's main one") == 4
    assert host.idle.pending() == []


def test_the_blocking_routine_runs_at_once_on_the_main_thread(host):
    """PAGE: called from the main thread it runs immediately and returns."""
    import maya.utils

    assert maya.utils.executeInMainThreadWithResult(lambda a, b=0: a + b, 3, b=4) == 7
    assert maya.utils.executeInMainThreadWithResult("3 + 4") == 7
    assert host.idle.pending() == []


def test_the_blocking_routine_waits_for_idle_on_another_thread(host):
    """PAGE: it queues an idle event and blocks until that has run; there is no time-out."""
    import maya.utils

    box = []

    def ask():
        box.append(maya.utils.executeInMainThreadWithResult(threading.current_thread))

    thread = threading.Thread(target=ask)
    thread.start()
    while not host.idle.pending():
        threading.Event().wait(0.001)
    assert box == []
    host.idle.turn()
    thread.join(WAIT_S)
    assert box == [threading.main_thread()]


def test_what_raises_through_the_blocking_routine_is_somebodys_mistake(host, monkeypatch):
    """No source says what Maya does then, so nobody may rely on it."""
    import maya.utils

    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    raised = []
    call = maya.utils.executeInMainThreadWithResult
    thread = threading.Thread(target=lambda: raised.append(on_call(lambda: call(lambda: 1 / 0))))
    thread.start()
    while not host.idle.pending():
        threading.Event().wait(0.001)
    host.idle.turn()
    thread.join(WAIT_S)
    assert isinstance(raised[0], RuntimeError)
    assert host.complaints.take("raised") == 2


def on_call(function):
    try:
        function()
    except Exception as error:
        return error
    return None


def test_arguments_are_for_callables_only(host):
    """PAGE: "arguments may only be passed for a callable"."""
    import maya.utils

    with pytest.raises(TypeError):
        maya.utils.executeDeferred("print()", 1)
    with pytest.raises(TypeError):
        maya.utils.executeDeferred(None)
    assert len(host.complaints.all()) == 2
    host.complaints.take("")


def test_in_batch_mode_deferred_work_is_taken_and_never_runs(batch):
    """pymel's mayautils: "Maya's version does not execute at all when in batch mode"."""
    import maya.cmds
    import maya.utils

    ran = []
    maya.utils.executeDeferred(ran.append, 1)
    maya.cmds.evalDeferred(lambda: ran.append(2), lowestPriority=True)
    maya.utils.processIdleEvents()
    batch.idle.turn()
    assert ran == [] and len(batch.idle.pending()) == 2
    assert maya.cmds.about(batch=True) is True


def test_in_batch_mode_the_blocking_routine_is_not_there_for_threads(batch):
    """PAGE: "not available in batch mode", since idle events implement it."""
    import maya.utils

    call = maya.utils.executeInMainThreadWithResult
    assert call(lambda: 5) == 5
    assert isinstance(on_a_thread(lambda: call(lambda: 5)), RuntimeError)
    assert batch.complaints.take("batch mode never returns") == 1


def test_idle_priorities(host, cmds):
    """COMMANDS, evalDeferred: evaluateNext, then the usual, lowPriority, and lowestPriority "when
    no other idle events are scheduled"; ``list`` shows a string as it is.
    """
    import maya.utils

    ran = []
    cmds.evalDeferred(lambda: ran.append("lowest"), lowestPriority=True)
    cmds.evalDeferred(lambda: ran.append("low"), lowPriority=True)
    cmds.evalDeferred("1 + 1")
    maya.utils.executeDeferred(ran.append, "deferred")
    cmds.evalDeferred(lambda: ran.append("next"), evaluateNext=True)
    assert cmds.evalDeferred(list=True).count("<internal command>") == 4
    assert "1 + 1" in cmds.evalDeferred(list=True)
    assert len(cmds.evalDeferred(list=True, lowestPriority=True)) == 1
    turns = 1
    while host.idle.turn():
        turns += 1
    assert ran == ["next", "deferred", "low", "lowest"]
    assert turns == 5, "one entry in a turn"


def test_idle_events_can_be_forced(host):
    """STUBS, maya.utils.processIdleEvents; PAGE. What is put there meanwhile comes later."""
    import maya.utils

    ran = []

    def first():
        ran.append(1)
        maya.utils.executeDeferred(ran.append, 3)

    maya.utils.executeDeferred(first)
    maya.utils.executeDeferred(ran.append, 2)
    maya.utils.processIdleEvents()
    assert ran == [1, 2]
    maya.utils.processIdleEvents()
    assert ran == [1, 2, 3]


def test_nothing_deferred_runs_while_maya_starts(host):
    """dcc-mcp-maya's reports of 2022 and 2023: deferred work waits for the end of
    initializePlugin, so whoever waits for it there waits for ever.
    """
    import maya.utils

    ran = []
    host.idle.gated = True
    maya.utils.executeDeferred(ran.append, 1)
    assert host.idle.turn() is True
    maya.utils.processIdleEvents()
    assert ran == []
    host.idle.gated = False
    assert host.idle.turn() is False
    assert ran == [1]


def test_a_standing_idle_callback_starves_the_lowest_priority(host, cmds):
    """Reference of MEventMessage: idle callbacks "should be removed immediately after running"."""
    ran = []
    host.idle.standing = True
    cmds.evalDeferred(lambda: ran.append("lowest"), lowestPriority=True)
    cmds.evalDeferred(lambda: ran.append("low"), lowPriority=True)
    for _ in range(5):
        host.idle.turn()
    assert ran == ["low"]
    host.idle.standing = False
    host.idle.turn()
    assert ran == ["low", "lowest"]


# -- the window: a real event loop of Qt ----------------------------------------------------------


@pytest.fixture
def stage():
    from fakes.maya_host.stage import MayaStage

    with MayaStage() as entered:
        yield entered


def test_qt_turns_the_idle_queue_and_a_modal_dialog_stops_it(stage):
    """PAGE (idle events come when Maya is idle); a modal dialog has a loop without them, though
    Qt's own queued events run in it.
    """
    import maya.utils

    ran, came = [], threading.Event()

    def body():
        stage.open_modal("Save changes?")
        maya.utils.executeDeferred(lambda: (ran.append(1), came.set()))
        # Of Qt's events dozens have their turn meanwhile.
        for _ in range(50):
            stage.on_main(lambda: None)
        assert stage.on_main(stage._loop.title_of_modal) == "Save changes?"
        assert ran == []
        stage.close_modal()
        assert came.wait(WAIT_S)

    stage.run(body)
    assert ran == [1]


def test_an_idle_maya_turns_nothing(stage):
    """A timer that stood would be seen by whoever measures what an idle host costs."""

    def body():
        before = stage.host.idle.turns
        for _ in range(50):
            stage.on_main(lambda: None)
        return stage.host.idle.turns - before, stage.on_main(stage._idle._parts[0].isActive)

    assert stage.run(body) == (0, False)


def test_the_exit_is_told_before_the_loop_ends(stage):
    """Reference of MSceneMessage, kMayaExiting: its callback gets the client data."""
    told = []

    def hang():
        import maya.api.OpenMaya as om

        function = lambda data: told.append((data, threading.current_thread()))  # noqa: E731
        return om.MSceneMessage.addCallback(om.MSceneMessage.kMayaExiting, function, "data")

    def body():
        ident = stage.on_main(hang)
        stage.quit()
        return ident

    ident = stage.run(body)
    assert told == [("data", threading.main_thread())]
    stage.host.messages.remove(ident)


def test_its_main_window_is_a_widget(stage):
    """Reference of MQtUtil: mainWindow() is a pointer to Maya's main window, called MayaWindow."""
    import maya.OpenMayaUI

    qt = stage._loop.qt()
    pointer = maya.OpenMayaUI.MQtUtil.mainWindow()
    window = qt.shiboken.wrapInstance(int(pointer), qt.QtWidgets.QWidget)
    assert window.objectName() == "MayaWindow"


def test_the_modules_are_gone_afterwards():
    with install(MayaHost(batch=True)):
        import maya.cmds

        assert maya.cmds is sys.modules["maya.cmds"]
        assert "maya.OpenMayaUI" not in sys.modules
    assert not [name for name in sys.modules if name.split(".")[0] == "maya"]


# -- messages -------------------------------------------------------------------------------------


def test_messages_have_ids_that_must_be_removed(host, om):
    """Reference of MSceneMessage: "An id is returned and is used to remove the callback"; what is
    left when a plug-in goes is "a fatal error".
    """
    told = []
    first = om.MSceneMessage.addCallback(om.MSceneMessage.kAfterNew, told.append, 7)
    om.MSceneMessage.addCallback(om.MSceneMessage.kAfterOpen, told.append)
    host.messages.send(("scene", "kAfterNew"))
    assert told == [7]
    om.MMessage.removeCallback(first)
    with pytest.raises(RuntimeError):
        om.MMessage.removeCallback(first)
    assert host.complaints.take("no callback with the id") == 1
    with pytest.raises(AssertionError):
        host.check()
    assert host.complaints.take("callbacks left") == 1
    om.MMessage.removeCallbacks(host.messages.ids())


def test_the_numbers_of_the_messages(host, om):
    """Python API reference, MSceneMessage: kAfterOpen 6, kAfterSave 13, kMayaExiting 30."""
    assert om.MSceneMessage.kAfterOpen == 6
    assert om.MSceneMessage.kAfterSave == 13
    assert om.MSceneMessage.kMayaExiting == SCENE_MESSAGES["kMayaExiting"] == 30


# -- undo -----------------------------------------------------------------------------------------


def test_each_command_is_a_step_and_a_chunk_is_one(host, cmds):
    """COMMANDS, undoInfo: what is in a chunk "will undo as a single undo operation"."""
    cmds.createNode("transform", name="a")
    cmds.setAttr("a.translateX", 3)
    assert cmds.undoInfo(query=True) == 2
    cmds.undoInfo(openChunk=True, chunkName="mine")
    cmds.setAttr("a.translateX", 4)
    cmds.undoInfo(openChunk=True, chunkName="inner")
    cmds.setAttr("a.translateY", 5)
    cmds.undoInfo(closeChunk=True)
    assert cmds.undoInfo(query=True) == 2
    cmds.undoInfo(closeChunk=True)
    assert cmds.undoInfo(query=True) == 3
    assert cmds.undoInfo(query=True, undoName=True) == "mine"
    cmds.undo()
    assert cmds.getAttr("a.translate") == [(3.0, 0.0, 0.0)]
    assert cmds.undoInfo(query=True, redoName=True) == "mine"
    cmds.redo()
    assert cmds.getAttr("a.translate") == [(4.0, 5.0, 0.0)]
    cmds.undo()
    cmds.select("a")
    assert cmds.undoInfo(query=True, redoQueueEmpty=True) is True


def test_reading_is_no_step(host, cmds):
    """COMMANDS: ls, getAttr and the like are "NOT undoable"."""
    cmds.ls(), cmds.getAttr("persp.translateX"), cmds.xform("persp", query=True, translation=True)
    assert cmds.undoInfo(query=True) == 0
    with pytest.raises(RuntimeError, match="no more commands"):
        cmds.undo()


@pytest.mark.parametrize("empty_steps", [False, True])
def test_an_empty_chunk_is_a_step_or_none(host, cmds, empty_steps):
    """COMMANDS do not say; both are played."""
    host.undo.empty_steps = empty_steps
    cmds.undoInfo(openChunk=True, chunkName="nothing")
    cmds.undoInfo(closeChunk=True)
    assert cmds.undoInfo(query=True) == int(empty_steps)


def test_unbalanced_chunks_fail_the_test(host, cmds):
    """COMMANDS, undoInfo: "Improper use ... can leave the undo queue in a bad state"."""
    cmds.undoInfo(closeChunk=True)
    assert host.complaints.take("without a chunk") == 1
    cmds.undoInfo(openChunk=True)
    with pytest.raises(AssertionError):
        host.check()
    assert host.complaints.take("left open") == 1
    cmds.undoInfo(closeChunk=True)


def test_the_queue_has_a_length_and_can_be_off(host, cmds):
    """COMMANDS, undoInfo: length, state (off flushes), stateWithoutFlush."""
    cmds.undoInfo(length=2)
    for name in "abc":
        cmds.createNode("transform", name=name)
    assert cmds.undoInfo(query=True) == 2
    cmds.undoInfo(stateWithoutFlush=False)
    cmds.createNode("transform")
    assert cmds.undoInfo(query=True) == 2
    assert cmds.undoInfo(query=True, state=True) is False
    cmds.undoInfo(state=False)
    assert cmds.undoInfo(query=True, undoQueueEmpty=True) is True
