"""Runs inside Blender for test_blender_adapter.py: prints one line ``RESULT {json}`` and leaves."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import traceback

sys.path[:0] = os.environ["DCC_MCP_EMBED_TEST_PATH"].split(os.pathsep)

import backend_contract
import bpy
from dcc_mcp_embed.adapters.blender import create, detect

from dcc_mcp_embed.errors import HostError, NotFound
from dcc_mcp_embed.host.adapter import Question
from dcc_mcp_embed.tools.backend import SceneBackend

FOUND: dict = {}
CHOICES = (("once", "Allow once"), ("never", "Never"))


def hung_on_blender() -> dict:
    """Return what of ours Blender and the process hold."""
    handlers = bpy.app.handlers
    return {
        "handlers": {
            name: len(getattr(handlers, name))
            for name in dir(handlers)
            if isinstance(getattr(handlers, name), list)
        },
        "classes": sorted(name for name in dir(bpy.types) if "dcc_mcp" in name.lower()),
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


def empty_scene() -> None:
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)


def contract(adapter) -> None:
    empty_scene()
    FOUND["contract"] = backend_contract.run(adapter.scene_backend(), adapter.undo_chunk)


def facts(adapter) -> None:
    FOUND["detect"] = detect()
    FOUND["version"] = adapter.version()
    FOUND["main"] = adapter.is_main_thread()
    FOUND["interactive"] = adapter.is_interactive()
    FOUND["modal"] = adapter.modal_state()
    FOUND["scene_path"] = adapter.scene_path()


def undo_steps(adapter) -> None:
    """One undo gets rid of one call, whether it ended well or broke half-way."""
    scene: SceneBackend = adapter.scene_backend()
    steps = {}
    bpy.ops.ed.undo_push(message="the user's own")
    with adapter.undo_chunk("MCP: made") as chunk:
        scene.create("cube", "made", None, {})
    steps["made"] = chunk.steps
    try:
        with adapter.undo_chunk("MCP: broken") as chunk:
            scene.create("cube", "half", None, {})
            raise ValueError("broke after the first half")
    except ValueError:
        steps["broken"] = chunk.steps
    try:
        with adapter.undo_chunk("MCP: refused") as chunk:
            scene.resolve("nothing of this name")
    except NotFound:
        steps["refused"] = chunk.steps
    with adapter.undo_chunk("MCP: code") as chunk:
        bpy.data.objects["made"].location.x = 5.0
    steps["code"] = chunk.steps
    with adapter.undo_chunk("MCP: reading code") as chunk:
        len(bpy.data.objects)
    steps["reading"] = chunk.steps
    FOUND["trail"] = trail(scene)
    try:
        with adapter.undo_chunk("MCP: broken code") as chunk:
            bpy.data.objects.new("unlinked", None)
            raise HostError("The code broke after the first half.")
    except HostError:
        steps["broken code"] = chunk.steps
    for name, change in QUIET_CHANGES.items():
        with adapter.undo_chunk("MCP: " + name) as chunk:
            change()
        steps[name] = chunk.steps
    FOUND["steps"] = steps


def trail(scene) -> list:
    found = []
    for _ in range(3):
        scene.undo()
        made = bpy.data.objects.get("made")
        half = bpy.data.objects.get("half")
        found.append([made is not None and made.location.x, half is not None])
    return found


#: What Blender evaluates nothing for.
QUIET_CHANGES = {
    "a property of a scene": lambda: bpy.context.scene.__setitem__("mine", 1),
    "in a property": lambda: bpy.context.scene.__setitem__("mine", [1, 2]),
    "a marker": lambda: bpy.context.scene.timeline_markers.new("mark", frame=3),
    "a text": lambda: bpy.data.texts.new("text").write("a line"),
    "the frame": lambda: bpy.context.scene.frame_set(7),
}


def edits_of_scripts(adapter) -> None:
    """What a script changed without an undo step of its own is not taken away with our step."""
    scene: SceneBackend = adapter.scene_backend()
    found = []
    empty_scene()
    path = scene.create("cube", "moved by a script", None, {})
    with adapter.undo_chunk("MCP: other") as chunk:
        scene.create("cube", "other", None, {})
    found.append(chunk.steps)
    bpy.data.objects[path[1:]].location.x = 4.0
    with adapter.undo_chunk("MCP: third") as chunk:
        scene.create("cube", "third", None, {})
    found.append(chunk.steps)
    for _ in range(2):
        scene.undo()
        found.append([bpy.data.objects[path[1:]].location.x, len(bpy.data.objects)])
    FOUND["edits of scripts"] = found


def a_drag(adapter) -> None:
    """Without ``Window.modal_operators``, changes that no operator has finished are a drag."""
    found = [adapter.modal_state()]
    # Called as the user does, an operator stands in the list of the last ones.
    bpy.ops.object.select_all("EXEC_DEFAULT", True, action="SELECT")
    bpy.context.view_layer.update()
    found.append(adapter.modal_state())
    bpy.data.objects[0].location.z += 1.0
    bpy.context.view_layer.update()
    found.append(adapter.modal_state() is not None)
    bpy.ops.object.select_all("EXEC_DEFAULT", True, action="DESELECT")
    found.append(adapter.modal_state())
    FOUND["drag"] = found
    FOUND["drags are told"] = "modal_operators" in bpy.types.Window.bl_rna.properties


def placing(adapter) -> None:
    """Placing in the world what is flat itself, or below a very small parent."""
    scene: SceneBackend = adapter.scene_backend()
    found = []
    for above, below in (((1.0, 1.0, 1.0), (1.0, 1.0, 0.0)), ((1e-5,) * 3, (1.0, 1.0, 1.0))):
        parent = scene.create("empty", None, None, {})
        child = scene.create("cube", None, parent, {})
        scene.set_transform(parent, (1, 2, 3), None, above, "local")
        scene.set_transform(child, None, None, below, "local")
        scene.set_transform(child, (5, 6, 7), (10, 20, 30), None, "world")
        world = scene.transform(child, "world")
        found.append([round(x, 3) for x in world["translate"] + world["rotate"]])
    FOUND["placed"] = found
    mesh = bpy.data.objects.new("no vertices", bpy.data.meshes.new("no vertices"))
    bpy.context.scene.collection.objects.link(mesh)
    FOUND["box of nothing"] = scene.detail(scene.resolve("no vertices"), "bbox")
    parent = scene.create("empty", "many", None, {})
    for _ in range(200):
        scene_object = bpy.data.objects.new("one of many", mesh.data)
        scene_object.parent = bpy.data.objects["many"]
        bpy.context.scene.collection.objects.link(scene_object)
    before = len(bpy.data.objects)
    FOUND["deleted"] = [len(scene.delete([parent])), before - len(bpy.data.objects)]


def identity(adapter) -> None:
    scene: SceneBackend = adapter.scene_backend()
    empty_scene()
    path = scene.create("cube", "before", None, {})
    ident = scene.row(path)["id"]
    bpy.data.objects["before"].name = "by the user"
    FOUND["id after the user's rename"] = scene.row("/by the user")["id"] == ident
    bpy.data.objects["by the user"].name = "renamed"
    other = scene.create("cube", "by the user", None, {})
    ids = [scene.row(scene.resolve(name))["id"] for name in ("by the user", "renamed")]
    FOUND["id beside a new one of the old name"] = ids[1] == ident and ids[0] != ident
    first, second = bpy.data.objects["renamed"], bpy.data.objects[other[1:]]
    first.name, second.name, first.name = "for a moment", "renamed", "by the user"
    swapped = [scene.row(scene.resolve(name))["id"] for name in ("by the user", "renamed")]
    FOUND["ids after names were swapped"] = swapped == [ident, ids[0]]
    bpy.data.objects.remove(first)
    mesh = bpy.data.meshes.new("another")
    another = bpy.data.objects.new("another", mesh)
    bpy.context.scene.collection.objects.link(another)
    FOUND["id after the user's deletion"] = scene.row("/another")["id"] not in swapped
    slashed = bpy.data.objects.new("a/b", None)
    bpy.context.scene.collection.objects.link(slashed)
    FOUND["a name with a slash"] = scene.row(scene.resolve("a/b"))["name"]


def questions(adapter) -> None:
    answers: list = []
    for _ in range(2):
        adapter.ask(Question("Run code?", "A test asks.", CHOICES, answers.append))
    FOUND["shown"] = [name for name in dir(bpy.types) if "dcc_mcp" in name.lower()]
    bpy.ops.dcc_mcp.answer(number=2, choice="later")
    FOUND["later"] = list(answers)
    bpy.ops.dcc_mcp.answer(number=2, choice="never")
    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
    bpy.ops.dcc_mcp.answer(number=1, choice="once")
    FOUND["again"] = sorted(bpy.ops.dcc_mcp.answer(number=1, choice="once"))
    FOUND["answers"] = answers


def a_file_opened_in_a_call(adapter) -> None:
    with adapter.undo_chunk("MCP: opens") as chunk:
        bpy.ops.wm.read_homefile(use_empty=True)
    FOUND["opened"] = [chunk.steps, len(bpy.data.objects)]


def scene_changes(adapter) -> None:
    """Saving and opening files is told, also after one was opened."""
    seen: list = []
    adapter.on_scene_change(lambda: seen.append(os.path.basename(adapter.scene_path())))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first.blend", "second.blend"):
            bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, name))
        bpy.ops.wm.open_mainfile(filepath=os.path.join(folder, "first.blend"))
        bpy.ops.wm.read_homefile(use_empty=True)
    FOUND["scene changes"] = list(seen)


def cycles() -> None:
    before = hung_on_blender()
    for _ in range(10):
        adapter = create()
        adapter.on_scene_change(adapter.scene_path)
        if adapter.is_interactive():
            adapter.ask(Question("Run code?", "A test asks.", CHOICES, lambda choice: None))
        adapter.close()
        adapter.close()
    FOUND["left"] = [before, hung_on_blender()]


def a_menu_outlives_its_adapter(then) -> None:
    """Close the adapter whose menu stands on the screen, round by round of Blender's loop.

    A click into what is left must not answer the next question.
    """
    answers: list = []

    def ask():
        adapter = create()
        adapter.ask(Question("Run code?", "A test asks.", CHOICES, answers.append))
        return adapter

    number = bpy.types.DCC_MCP_OT_answer.count + 1
    first = ask()

    def close_the_first():
        first.close()
        bpy.app.timers.register(click, first_interval=0.2)

    def click():
        second = ask()
        clicked = sorted(bpy.ops.dcc_mcp.answer(number=number, choice="once"))
        FOUND["a click too late"] = [clicked, list(answers)]
        second.close()
        FOUND["asking"] = list(bpy.types.DCC_MCP_OT_answer.asking)
        bpy.app.timers.register(then, first_interval=0.2)

    bpy.app.timers.register(close_the_first, first_interval=0.2)


def pump_survives_a_file_load(adapter, then) -> None:
    """The timer must go on after another file was opened: Blender drops those not persistent."""
    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)

    def broken() -> None:
        adapter.wake(then)
        raise ValueError("a pump that breaks must not be the last one")

    adapter.wake(broken)


def run(parts) -> None:
    try:
        for part in parts:
            part()
    except BaseException:
        FOUND["error"] = traceback.format_exc()


def leave() -> None:
    print("\nRESULT " + json.dumps(FOUND), flush=True)
    if not bpy.app.background:
        bpy.ops.wm.quit_blender()


def headless() -> None:
    adapter = create()
    run(
        [
            lambda: facts(adapter),
            lambda: contract(adapter),
            lambda: identity(adapter),
            lambda: placing(adapter),
            lambda: scene_changes(adapter),
        ]
    )
    woken: list = []

    def pump() -> None:
        woken.append(adapter.is_main_thread())
        adapter.close()

    exits: list = []
    adapter.on_exit(lambda: exits.append(list(woken)))
    threading.Timer(0.0, adapter.wake, (pump,)).start()
    adapter.serve_forever()
    FOUND["woken"] = woken
    FOUND["exits"] = exits
    run([cycles])
    leave()


def windowed() -> None:
    adapter = create()

    def after_the_load() -> None:
        FOUND["woken"] = [adapter.is_main_thread()]
        adapter.close()
        run([cycles])
        a_menu_outlives_its_adapter(leave)

    run(
        [
            lambda: facts(adapter),
            lambda: contract(adapter),
            lambda: undo_steps(adapter),
            lambda: edits_of_scripts(adapter),
            lambda: a_drag(adapter),
            lambda: identity(adapter),
            lambda: placing(adapter),
            lambda: questions(adapter),
            lambda: a_file_opened_in_a_call(adapter),
            lambda: scene_changes(adapter),
            lambda: pump_survives_a_file_load(adapter, after_the_load),
        ]
    )
    if "error" in FOUND:
        leave()


if bpy.app.background:
    headless()
else:
    bpy.app.timers.register(windowed, first_interval=1.0)
