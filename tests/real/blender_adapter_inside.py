"""Runs inside Blender for test_blender_adapter.py: prints one line ``RESULT {json}`` and leaves."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback

sys.path[:0] = os.environ["DCC_MCP_EMBED_TEST_PATH"].split(os.pathsep)

import backend_contract
import bpy
from dcc_mcp_embed.adapters.blender import create, detect

from dcc_mcp_embed.errors import NotFound
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
    FOUND["steps"] = steps
    trail = []
    for _ in range(3):
        scene.undo()
        made = bpy.data.objects.get("made")
        half = bpy.data.objects.get("half")
        trail.append([made is not None and made.location.x, half is not None])
    FOUND["trail"] = trail


def identity(adapter) -> None:
    scene: SceneBackend = adapter.scene_backend()
    empty_scene()
    path = scene.create("cube", "before", None, {})
    ident = scene.row(path)["id"]
    bpy.data.objects["before"].name = "by the user"
    FOUND["id after the user's rename"] = scene.row("/by the user")["id"] == ident
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


def cycles() -> None:
    before = hung_on_blender()
    for _ in range(10):
        adapter = create()
        if adapter.is_interactive():
            adapter.ask(Question("Run code?", "A test asks.", CHOICES, lambda choice: None))
        adapter.close()
        adapter.close()
    FOUND["left"] = [before, hung_on_blender()]


def pump_survives_a_file_load(adapter, then) -> None:
    """The timer must go on after another file was opened: Blender drops those not persistent."""
    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
    adapter.wake(then)


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
    run([lambda: facts(adapter), lambda: contract(adapter), lambda: identity(adapter)])
    woken: list = []

    def pump() -> None:
        woken.append(adapter.is_main_thread())
        adapter.close()

    threading.Timer(0.0, adapter.wake, (pump,)).start()
    adapter.serve_forever()
    FOUND["woken"] = woken
    run([cycles])
    leave()


def windowed() -> None:
    adapter = create()

    def after_the_load() -> None:
        FOUND["woken"] = [adapter.is_main_thread()]
        adapter.close()
        run([cycles])
        # From another round of the loop: the quitting operator must not run inside our pump.
        bpy.app.timers.register(leave, first_interval=0.1)

    run(
        [
            lambda: facts(adapter),
            lambda: contract(adapter),
            lambda: undo_steps(adapter),
            lambda: identity(adapter),
            lambda: questions(adapter),
            lambda: pump_survives_a_file_load(adapter, after_the_load),
        ]
    )
    if "error" in FOUND:
        leave()


if bpy.app.background:
    headless()
else:
    bpy.app.timers.register(windowed, first_interval=1.0)
