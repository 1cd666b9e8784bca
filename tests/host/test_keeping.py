"""What outlived its caller is kept for a while, within bounds; who watches a job hears its end."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import NotFound
from dcc_mcp_embed.host import lane, pump
from fakes.caller import Caller

KILO = 1024


def late(calls, name, answer):
    """Have a job return ``answer`` after its caller was told that it goes on."""

    def run():
        calls.dispatcher.expire(one)
        return answer

    one = calls.submit(name, run)
    calls.host.run()
    assert calls.told[name] == ["timeout_running"]
    return one


def kept(calls):
    return [one.name for one in calls.dispatcher.jobs()]


def test_a_late_answer_is_kept_for_its_time():
    calls = Caller()
    late(calls, "a", "x")
    calls.clock.advance(lane.KEPT_FOR - 1)
    late(calls, "b", "x")
    assert calls.dispatcher.find("id-a").answer == ("value", "x")
    calls.clock.advance(2)
    with pytest.raises(NotFound) as raised:
        calls.dispatcher.find("id-a")
    assert "ten minutes" in raised.value.hint
    with pytest.raises(NotFound):
        calls.dispatcher.cancel("id-a")
    assert kept(calls) == ["b"]
    calls.clock.advance(lane.KEPT_FOR)
    assert kept(calls) == []


def test_the_oldest_late_answers_go_when_there_are_too_many():
    calls = Caller()
    for number in range(lane.KEPT_RESULTS + 2):
        late(calls, str(number), "x")
    assert kept(calls) == [str(number) for number in range(2, lane.KEPT_RESULTS + 2)]


@pytest.mark.parametrize(
    "make",
    [lambda text: text, lambda text: {"content": [{"data": text}]}, lambda text: {text: 1}],
    ids=["text", "nested", "key"],
)
def test_the_oldest_late_answers_go_when_they_are_too_large_together(make):
    calls = Caller()
    for number in range(10):
        late(calls, str(number), make(str(number) + "x" * 1000 * KILO))
    assert kept(calls) == [str(number) for number in range(2, 10)]
    late(calls, "small", "x")
    assert kept(calls)[-1] == "small"
    late(calls, "huge", make("x" * 9000 * KILO))
    assert kept(calls) == []
    late(calls, "again", make("x" * 7000 * KILO))
    assert kept(calls) == ["again"]


def test_what_is_over_weighs_no_more():
    calls = Caller()
    for number in range(8):
        late(calls, str(number), "x" * 1000 * KILO)
        calls.clock.advance(lane.KEPT_FOR)
    for number in range(8):
        late(calls, "again {}".format(number), "x" * 1000 * KILO)
    assert len(kept(calls)) == 8


def test_weighing_survives_what_holds_itself_and_asks_nothing_of_the_host():
    class Node:
        def __sizeof__(self):
            raise RuntimeError("gone")

    loop = [Node(), "x" * 1000]
    loop.append(loop)
    assert 1000 < lane.weight_of((loop, {"a": loop})) < 2000
    assert lane.weight_of([1] * 10**6) < 2 * lane.KEPT_BYTES + 10**7


# -- watching ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["done", "late", "cancelled", "abandoned", "shutdown", "broken"])
def test_who_watches_is_told_once_when_the_job_is_over(end, monkeypatch):
    calls = Caller()
    told = []

    def run():
        assert told == []
        if end == "late":
            calls.dispatcher.expire(one)
        assert told == []
        return "x"

    one = calls.submit("a", run)
    calls.dispatcher.watch(one, lambda: told.append(1))
    calls.dispatcher.watch(one, lambda: told.append(2))
    leave = calls.dispatcher.watch(one, lambda: told.append(3))
    leave()
    if end == "cancelled":
        calls.dispatcher.cancel("id-a")
    elif end == "abandoned":
        calls.dispatcher.expire(one)
    elif end == "shutdown":
        calls.dispatcher.shutdown("over")
    elif end == "broken":
        monkeypatch.setattr(pump.Pump, "_end", None)
    calls.host.run()
    assert told == [1, 2]
    leave()
    calls.dispatcher.watch(one, lambda: told.append(4))
    assert told == [1, 2, 4]


def test_the_end_of_the_server_is_told_to_who_watches_what_runs_on():
    calls = Caller(budget=0.0)
    told = []

    def steps():
        while True:
            yield

    one = calls.submit("a", steps)
    calls.host.turn()
    calls.dispatcher.expire(one)
    calls.dispatcher.watch(one, lambda: told.append(1))
    calls.dispatcher.shutdown("over")
    assert told == [1]
    calls.host.run()
    assert told == [1]


def test_a_late_answer_is_there_when_who_watches_is_told():
    calls = Caller()
    found = []

    def run():
        calls.dispatcher.expire(one)
        return "x"

    one = calls.submit("a", run)
    calls.dispatcher.watch(one, lambda: found.append(calls.dispatcher.find("id-a").answer))
    calls.host.run()
    assert found == [("value", "x")]
