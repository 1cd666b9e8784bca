"""The standalone backend is the reference: it passes the suite that every backend must pass."""

from __future__ import annotations

import importlib.util
import os

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

from dcc_mcp_embed.errors import Unsupported
from dcc_mcp_embed.tools.backend import SceneBackend

# By path, so that it is found however the tests are imported.
_spec = importlib.util.spec_from_file_location(
    "backend_contract", os.path.join(os.path.dirname(__file__), "backend_contract.py")
)
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_contract(check):
    adapter = StandaloneAdapter()
    contract.run_one(check, adapter.scene_backend(), adapter.undo_chunk)
    assert len(adapter.scene) == 0


def test_the_whole_suite_runs_in_one_scene_and_reports_nothing():
    adapter = StandaloneAdapter()
    assert contract.run(adapter.scene_backend(), adapter.undo_chunk) == []


def test_the_suite_reports_a_backend_that_cheats():
    adapter = StandaloneAdapter()
    scene = adapter.scene_backend()
    scene.select = lambda paths: None
    failed = [name for name, _ in contract.run(scene, adapter.undo_chunk)]
    assert failed == ["check_selection_is_exact"]


def test_every_method_of_the_contract_is_implemented_or_has_a_default():
    missing = [
        name
        for name, value in vars(SceneBackend).items()
        if callable(value)
        and not name.startswith("_")
        and name not in ("key_transform",)
        and name not in vars(type(StandaloneAdapter().scene_backend()))
    ]
    assert missing == []


def test_a_new_scene_holds_nothing_and_nothing_to_undo():
    adapter = StandaloneAdapter()
    scene = adapter.scene_backend()
    with adapter.undo_chunk("before"):
        path = scene.create("cube", "before", None, {})
        scene.select([path])
    taken = scene.row(path)["id"]
    scene.new_scene()
    assert list(scene.rows()) == []
    assert scene.selection() == []
    assert scene.info([])["dirty"] is False
    assert scene.undo() is False
    assert scene.row(scene.create("cube", None, None, {}))["id"] != taken


def test_a_new_scene_is_no_part_of_an_undo_step():
    adapter = StandaloneAdapter()
    scene = adapter.scene_backend()
    with pytest.raises(Unsupported), adapter.undo_chunk("step"):
        scene.new_scene()


def test_no_file_is_opened():
    with pytest.raises(Unsupported):
        StandaloneAdapter().scene_backend().open_scene("/a/file")
