"""Houdini's backend over the fake Houdini: the suite of every backend, and what is its own."""

from __future__ import annotations

import importlib.util
import os

import pytest

pytestmark = pytest.mark.qt

# By path, so that it is found however the tests are imported.
_spec = importlib.util.spec_from_file_location(
    "backend_contract", os.path.join(os.path.dirname(__file__), "backend_contract.py")
)
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)


@pytest.fixture
def houdini():
    """Without a user interface; with undo, which a test of the backend wants to see."""
    from fakes.houdini_host import install

    with install(interactive=False) as host:
        host.scene.undos.enabled = True
        yield host


@pytest.fixture
def adapter(houdini):
    from dcc_mcp_embed.adapters.houdini import create

    made = create()
    yield made
    made.close()


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_contract(adapter, check):
    contract.run_one(check, adapter.scene_backend(), adapter.undo_chunk)


def test_the_whole_suite_runs_in_one_scene(adapter):
    assert contract.run(adapter.scene_backend(), adapter.undo_chunk) == []


def test_every_method_of_the_contract_is_implemented():
    from dcc_mcp_embed.adapters.houdini.scene import HoudiniScene

    from dcc_mcp_embed.tools.backend import SceneBackend

    missing = [
        name
        for name, value in vars(SceneBackend).items()
        if callable(value) and not name.startswith("_") and name not in vars(HoudiniScene)
    ]
    assert missing == []
