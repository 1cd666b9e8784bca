"""What a model wants called: as many at once as may be, all of them, each with its own message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp import batches
from dcc_mcp_embed.net.tasks import Cut, Wait
from fakes.turning import Turning


@pytest.fixture
def turning():
    with Turning() as one:
        yield one
        assert one.failures == []


class Calls:
    """Calls that go on when a test says so. ``most``: how many were under way at once."""

    def __init__(self):
        self.made = []
        self.waits = []
        self.running = 0
        self.most = 0

    async def call(self, name, arguments):
        wait = Wait()
        self.made.append((name, arguments))
        self.waits.append(wait)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await wait
        finally:
            self.running -= 1


def wanted(*names, arguments="{}"):
    return [
        {"id": "id-" + name, "type": "function", "function": {"name": name, "arguments": arguments}}
        for name in names
    ]


def run(turning, tool_calls, call, most=2):
    return turning.run(batches.run(turning.loop, tool_calls, most, call))


async def echo(name, arguments):
    return {"name": name, "arguments": arguments}


def test_nothing_is_wanted(turning):
    assert run(turning, [], echo) == []


def test_a_message_for_each(turning):
    good, bad = run(turning, wanted("a_b") + wanted("c_d", arguments="{"), echo)
    assert good == {
        "tool_call_id": "id-a_b",
        "role": "tool",
        "name": "a_b",
        "content": '{"name": "a_b", "arguments": {}}',
        "success": True,
    }
    error = bad.pop("error")
    assert "no JSON" in error
    assert bad == {
        "tool_call_id": "id-c_d",
        "role": "tool",
        "name": "c_d",
        "content": "The tool call failed: " + error,
        "success": False,
    }


@given(st.integers(-1, 6), st.integers(0, 8), st.randoms(use_true_random=False))
def test_the_limit_is_kept_and_reached_and_the_order_is_theirs(most, count, chance):
    with Turning() as turning:
        calls = Calls()
        names = ["a_{}".format(number) for number in range(count)]
        _, over = turning.begin(batches.run(turning.loop, wanted(*names), most, calls.call))
        open_ones = []
        turning.turn(10)
        while not over:
            open_ones = [wait for wait in calls.waits if not wait.done]
            left = count - sum(1 for wait in calls.waits if wait.done)
            # As many as may be are under way, all the time.
            assert len(open_ones) == min(max(1, most), left)
            at = calls.waits.index(chance.choice(open_ones))
            if chance.random() < 0.3:
                calls.waits[at].fail(RuntimeError("broken"))
            else:
                calls.waits[at].settle(at)
            turning.turn(10)
        ((messages, error),) = over
        assert error is None
        assert calls.most == min(max(1, most), count)
        assert [name for name, _ in calls.made] == names
        assert [one["name"] for one in messages] == names
        for number, one in enumerate(messages):
            if one["success"]:
                assert one["content"] == str(number)
            else:
                assert one["error"] == "broken"


ARGUMENTS = [
    ('{"q": "é"}', {"q": "é"}),
    ({"q": 1}, {"q": 1}),
    ("{}", {}),
    ("", {}),
    ("  ", {}),
    (None, {}),
    ("null", {}),
]


@pytest.mark.parametrize(("given_ones", "taken"), ARGUMENTS)
def test_arguments_are_an_object_or_its_text(turning, given_ones, taken):
    (message,) = run(turning, wanted("a_b", arguments=given_ones), echo)
    assert json.loads(message["content"])["arguments"] == taken


@pytest.mark.parametrize(
    ("given_ones", "text"),
    [
        ("{", "no JSON"),
        ("nonsense", "no JSON"),
        ("[" * 100_000, "nested|no JSON"),
        ("[1]", "list, not an object"),
        ([1], "list, not an object"),
        ("7", "int, not an object"),
        (7, "int, not an object"),
        ('"text"', "str, not an object"),
    ],
)
def test_bad_arguments_are_told_to_the_model(turning, given_ones, text):
    (message,) = run(turning, wanted("a_b", arguments=given_ones), echo)
    assert not message["success"]
    assert any(part in message["error"] for part in text.split("|")), message


@pytest.mark.parametrize(
    ("tool_call", "ident", "name", "good"),
    [
        ({"id": "x", "function": {"name": "a_b"}}, "x", "a_b", True),
        ({"function": {"name": "a_b", "arguments": "{}"}}, "call_0", "a_b", True),
        ({"id": "x", "function": {"arguments": "{}"}}, "x", "unknown", False),
        ({"id": "x", "function": {"name": "", "arguments": "{}"}}, "x", "", False),
        ({"id": "x", "function": {"name": 7}}, "x", "unknown", False),
        ({"id": "x", "function": None}, "x", "unknown", False),
        ({"id": "x"}, "x", "unknown", False),
        ({}, "call_0", "unknown", False),
        (None, "call_0", "unknown", False),
        ("a_b", "call_0", "unknown", False),
    ],
)
def test_what_is_missing_breaks_its_own_call_only(turning, tool_call, ident, name, good):
    first, second = run(turning, [tool_call, *wanted("c_d")], echo)
    assert (first["tool_call_id"], first["name"], first["success"]) == (ident, name, good)
    assert ("error" in first) is not good
    assert second["success"]


CONTENTS = [
    ("text", '"text"'),
    ("", ""),
    (None, ""),
    ({"a": "é"}, '{"a": "é"}'),
    ([1, "x"], '[1, "x"]'),
    (0, "0"),
    (False, "false"),
]


@pytest.mark.parametrize(("value", "content"), CONTENTS)
def test_what_is_put_back(turning, value, content):
    async def call(name, arguments):
        return value

    (message,) = run(turning, wanted("a_b"), call)
    assert message["success"]
    assert message["content"] == content


def test_what_cannot_be_put_back_is_a_failure(turning):
    async def call(name, arguments):
        return object()

    (message,) = run(turning, wanted("a_b"), call)
    assert not message["success"]


def test_cut_short_it_leaves_nothing_under_way(turning):
    calls = Calls()
    task, over = turning.begin(batches.run(turning.loop, wanted(*"abcde"), 3, calls.call))
    turning.turn(10)
    assert calls.running == 3
    task.cancel()
    turning.turn(10)
    assert isinstance(over[0][1], Cut)
    assert calls.running == 0
    assert len(calls.made) == 3
