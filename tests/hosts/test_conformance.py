"""The conformance suite over every host that can be played, one test per stage and check."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.host.selftest import CHECKS, LEFT_OUT, PASSED, run
from hosts import stages

#: What of a check's needs a stage itself may lack.
PLAYED = {"modal", "spin", "ask", "quit", "scene", "undo"}


def _params():
    marks = {name: [pytest.mark.qt] for name in stages.WITH_QT | stages.WITH_STUBS}
    return [pytest.param(name, marks=marks.get(name, [])) for name in stages.available()]


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Start a stage and the server in it, run a body beside its main loop, end both."""
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    return lambda name, body: stages.play(stages.stage(name), str(tmp_path), body)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", _params())
def test_a_host_passes(play, name, check):
    can = []

    def body(stage, server):
        can.append(stage.can)
        return run(server.selftest_world(stage), [check])

    report = play(name, body)
    lacks = check.needs & PLAYED - can[0]
    result = report.results[-1 if "quit" in check.needs else 0]
    assert (result.verdict, report.passed) == (LEFT_OUT if lacks else PASSED, True), report
    if "scene" in check.needs and not lacks:
        assert [one.name for one in report.results] == [check.name, "scene: restored"]


@pytest.mark.parametrize("name", _params())
def test_a_host_passes_all_of_it_one_after_the_other(play, name):
    def body(stage, server):
        return run(server.selftest_world(stage))

    report = play(name, body)
    assert report.passed, report.to_text()
    assert len(report.results) >= len(CHECKS)
