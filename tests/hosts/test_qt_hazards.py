"""The hazards of a host, over the generic adapter: no dead-lock, nothing lost or doubled."""

from __future__ import annotations

import pytest

from fakes.hazards import HAZARDS
from fakes.hosted import Hosted

pytestmark = [pytest.mark.qt, pytest.mark.limit(60)]

NAMES = [check.__name__ for check, _ in HAZARDS]


@pytest.fixture(params=["QtStage", "BareQtStage"])
def stage(request):
    from fakes.qt_host import stage as stages

    with getattr(stages, request.param)() as entered:
        yield entered


@pytest.mark.parametrize(("check", "needs"), HAZARDS, ids=NAMES)
def test_hazard(check, needs, stage, tmp_path, monkeypatch) -> None:
    assert needs <= stage.can
    running = []

    def start(**options):
        running.append(Hosted(stage, str(tmp_path), monkeypatch, **options))
        return running[-1]

    try:
        check(stage, start)
    finally:
        for hosted in running:
            hosted.close()
