"""The message kinds as values: what each has, and what is said about what it cannot have."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import EmbedError
from dcc_mcp_embed.ipc import InvalidMessage, MessageBody
from dcc_mcp_embed.ipc.protocol import KINDS

EXAMPLES = [
    MessageBody("request", id="1", name="echo", data={"message": "hello"}),
    MessageBody("request", id="1", name="echo"),
    MessageBody("response", id="1", data={"echo": {}}),
    MessageBody("response", id="1"),
    MessageBody("push", name="notification", data={"n": 1}),
    MessageBody("heartbeat", id="7"),
    MessageBody("error", id="1", error="there is no request 'ecco'"),
    MessageBody("error", error="the server is full"),
]


@pytest.mark.parametrize("body", EXAMPLES, ids=lambda body: body.kind)
def test_a_message_survives_the_way_through_json(body):
    content = json.loads(json.dumps(body.to_dict()))
    assert content["type"] == body.kind
    assert None not in content.values()
    assert MessageBody.from_dict(content) == body


def test_every_kind_has_an_example():
    assert {body.kind for body in EXAMPLES} == set(KINDS)


FALSE_DATA = [0, False, "", [], {}]


@pytest.mark.parametrize("data", FALSE_DATA)
def test_data_that_is_false_is_not_left_out(data):
    body = MessageBody("response", id="1", data=data)
    assert body.to_dict()["data"] == data
    assert MessageBody.from_dict(body.to_dict()) == body


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "has no type: add one of request, response, push, heartbeat, error"),
        ({"type": "shout"}, "no message of type 'shout': use one of request"),
        ({"type": None}, "no message of type None"),
        ({"type": ["request"]}, r"no message of type \['request'\]"),
        ({"type": "request", "name": "echo"}, "the request needs the field id: add it"),
        ({"type": "request", "id": "1"}, "the request needs the field name: add it"),
        ({"type": "request", "id": 1, "name": "echo"}, "id in the request is a text .* not 1"),
        ({"type": "request", "id": "1", "name": ""}, "name in the request is a text"),
        (
            {"type": "push", "id": "1", "name": "n"},
            "the push has a field id, which .*: leave it out",
        ),
        (
            {"type": "heartbeat", "id": "1", "data": {}},
            "the heartbeat has a field data, which .*: leave it out",
        ),
        ({"type": "error", "id": "1"}, "error needs the field error: add it"),
        (
            {"type": "response", "id": "1", "error": "x"},
            "the response has a field error, which .*: leave it out",
        ),
        ({"type": "push", "name": "n", "colour": 1}, "no field 'colour': leave it out, or put it"),
        ({"type": "push", "name": "n", 3: 1}, "no field 3"),
        ({"type": "push", "name": "n", "kind": "x"}, "no field 'kind'"),
        ([1], r"is a dictionary, not \[1\]"),
        ("request", "is a dictionary, not 'request'"),
    ],
)
def test_what_is_no_message_is_refused_with_what_to_change(content, said):
    with pytest.raises(InvalidMessage, match=said):
        MessageBody.from_dict(content)


def test_a_message_cannot_be_made_wrong_either():
    with pytest.raises(ValueError, match="push needs the field name"):
        MessageBody("push", data={})
    with pytest.raises(EmbedError, match="no message of type"):
        MessageBody("ping")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["type", "id", "name", "data", "error", "kind", "more"])


@given(st.dictionaries(FIELDS, JSON | st.sampled_from(list(KINDS))) | JSON)
def test_whatever_comes_is_a_message_or_an_invalid_one(content):
    try:
        body = MessageBody.from_dict(content)
    except InvalidMessage:
        return
    assert MessageBody.from_dict(body.to_dict()) == body
