"""What an adapter must bring, and what happens where it leaves out what it may."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import Unsupported
from dcc_mcp_embed.host.adapter import HostAdapter, Question

MUST = {
    "version": lambda self: "1",
    "is_main_thread": lambda self: True,
    "wake": lambda self, pump: None,
    "is_interactive": lambda self: False,
    "scene_backend": lambda self: None,
}


@pytest.mark.parametrize("left_out", sorted(MUST))
def test_an_adapter_without_what_it_must_bring_cannot_be_made(left_out):
    body = {name: method for name, method in MUST.items() if name != left_out}
    with pytest.raises(TypeError, match=left_out):
        type("Lame", (HostAdapter,), body)()


def test_an_adapter_may_leave_out_the_rest():
    adapter = type("Least", (HostAdapter,), dict(MUST, dcc_type="least"))()
    with pytest.raises(Unsupported, match="least.*Run code"):
        adapter.ask(Question("Run code?", "x", (), print))
    with pytest.raises(Unsupported, match="least"):
        adapter.serve_forever()
    with adapter.undo_chunk("x") as chunk:
        assert chunk.steps == 0
    assert (adapter.modal_state(), adapter.scene_path(), adapter.tool_modules()) == (None, "", [])
    for method in (adapter.on_exit, adapter.on_scene_change):
        method(print)
    adapter.close()


def test_an_adapter_may_be_of_a_class_with_a_metaclass_as_those_of_qt_are():
    other = type("Meta", (type,), {})("Other", (), {})
    kind = type(other)("Both", (other, HostAdapter), dict(MUST))
    assert kind().version() == "1"
