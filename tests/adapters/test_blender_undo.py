"""An undo step that cannot be begun, in a Blender of which only that much is there.

What a step does in a real one stands in tests/real/test_blender_adapter.py.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from dcc_mcp_embed.adapters.blender.scene import BlenderScene
from dcc_mcp_embed.adapters.blender.undo import Step
from dcc_mcp_embed.adapters.blender.watch import ChangeWatch

EVENTS = ("depsgraph_update_post", "undo_post", "redo_post", "load_post")


class Objects:
    """Somebody's add-on has an object that raises when it is looked at."""

    def __iter__(self):
        raise ReferenceError("gone")


@pytest.fixture
def bpy(monkeypatch):
    windows = SimpleNamespace(operators=[], windows=[])
    fake = SimpleNamespace(
        app=SimpleNamespace(
            handlers=SimpleNamespace(
                persistent=lambda function: function, **{name: [] for name in EVENTS}
            )
        ),
        context=SimpleNamespace(
            window_manager=windows, view_layer=SimpleNamespace(update=lambda: None)
        ),
        data=SimpleNamespace(bl_rna=SimpleNamespace(properties=[]), objects=Objects()),
        ops=SimpleNamespace(ed=SimpleNamespace(undo_push=lambda message: None)),
    )
    monkeypatch.setitem(sys.modules, "bpy", fake)
    return fake


def test_a_drag_is_seen_after_a_step_that_could_not_begin(bpy):
    now = [1000.0]
    watch = ChangeWatch(lambda: now[0])
    with pytest.raises(ReferenceError), Step("MCP: paint", BlenderScene(undoable=True), watch):
        raise AssertionError("it has begun")
    now[0] += 60
    assert not watch.in_motion()
    for changed in bpy.app.handlers.depsgraph_update_post:
        changed()
    assert watch.in_motion(), "deleting or undoing now would crash Blender"
