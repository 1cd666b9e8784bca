"""What 3dsmaxbatch does to its plug-ins: it has no window, and no loop but ours."""

from __future__ import annotations

import pytest

from fakes.hazards import HEADLESS, Tools
from fakes.hosted import DEADLINE, data, error
from fakes.max_host.served import queued, serving
from fakes.max_host.stage import MaxbatchStage

pytestmark = pytest.mark.limit(60)


@pytest.fixture
def batch():
    with MaxbatchStage() as entered:
        yield entered


@pytest.fixture
def start(tmp_path, monkeypatch):
    with serving(str(tmp_path), monkeypatch) as start:
        yield start


@pytest.mark.parametrize("check", HEADLESS, ids=lambda check: check.__name__)
def test_hazard_in_batch(check, batch, start):
    check(batch, lambda tools: start(batch, *tools))


def test_batch_serves_while_the_script_lasts(batch, start):
    """Calls that came before it served are run then, in order, each once."""
    tools = Tools(batch)
    hosted = start(batch, tools.module)
    early = hosted.later("act", {"name": "early"})
    queued(hosted, "act", 1)
    assert tools.ran == []

    def body():
        assert data(early.get())["name"] == "early"
        return [data(hosted.call("act", {"name": str(n)}))["thread"] for n in range(5)]

    assert batch.run(body) == ["MainThread"] * 5
    assert tools.ran == ["early", *map(str, range(5))]


def test_batch_ends_with_calls_in_flight(batch, start):
    """Every caller is told what became of its call, and what was told is true."""
    tools = Tools(batch)
    hosted = start(batch, tools.module)
    calls = {}

    def body():
        blocked = hosted.later("block")
        assert tools.entered.acquire(timeout=DEADLINE)
        for number in range(20):
            calls[str(number)] = hosted.later("act_slowly", {"name": str(number)})
        queued(hosted, "act_slowly", 20)
        batch.quit()
        tools.leave.set()
        blocked.get()

    batch.run(body)
    answers = {name: call.get() for name, call in calls.items()}
    run = sorted(name for name, answer in answers.items() if not answer["isError"])
    assert sorted(name for name in tools.ran if name != "block") == run
    codes = {error(answer)["code"] for answer in answers.values() if answer["isError"]}
    assert codes <= {"host_shutting_down"}


@pytest.mark.parametrize("kind", ["RuntimeError", "SystemExit", "GeneratorExit"])
def test_batch_goes_on_after_a_tool_that_raised(batch, start, kind):
    tools = Tools(batch)
    hosted = start(batch, tools.module)

    def body():
        assert kind in str(hosted.call("fail", {"kind": kind}))
        return data(hosted.call("act", {"name": "after"}))["name"]

    assert batch.run(body) == "after"


def test_batch_answers_while_its_thread_joins_another(batch, start):
    """The script's thread waits for one that calls: told in its time, and never run."""
    tools = Tools(batch)
    hosted = start(batch, tools.module)
    caller = hosted.later("act_soon", {"name": "joined"})
    assert error(caller.get())["code"] == "timeout_not_started"
    assert batch.run(lambda: data(hosted.call("act", {"name": "after"})))["name"] == "after"
    assert tools.ran == ["after"]


def test_batch_may_undo_without_saying_so(batch, start):
    """Whether there was a step to take back shows by the scene then."""
    batch.host.tells_undo = False
    hosted = start(batch)

    def body():
        assert data(hosted.call("create_object", {"kind": "cube"}))
        steps = []
        for tool in ("undo", "undo", "redo", "redo"):
            steps.append(data(hosted.call(tool))["steps"])
        return steps

    assert batch.run(body) == [1, 0, 1, 0]


def test_nobody_can_be_asked_in_batch(batch, start):
    """Code is not run there unless somebody has allowed it at the start."""
    hosted = start(batch)

    def body():
        return error(hosted.call("execute_python", {"code": "1"}))["code"]

    assert batch.run(body) == "exec_disabled"
