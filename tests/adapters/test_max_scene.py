"""The scene of 3ds Max against the contract of backends, over the fake 3ds Max."""

from __future__ import annotations

import pytest

from adapters import backend_contract
from fakes.max_host.stage import MaxbatchStage


@pytest.fixture
def stage():
    with MaxbatchStage() as made:
        yield made


@pytest.mark.parametrize("check", backend_contract.CHECKS, ids=lambda one: one.__name__)
def test_it_keeps_the_contract(stage, check):
    scene = stage.adapter.scene_backend()
    backend_contract.run_one(check, scene, stage.adapter.undo_chunk)
