"""Questions are JSON before they are asked, and their answers are what they asked for."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import InvalidArgument
from dcc_mcp_embed.tools.asking import NotOffered, elicitation, roots, sampling, visit


def form(required=(), **members):
    return {"type": "object", "properties": members, "required": required}


# -- what is asked ------------------------------------------------------------------------------

IMAGE = [{"role": "user", "content": {"type": "image", "data": b"abc", "mimeType": "image/png"}}]
LOOP = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda: elicitation("k", "q", form(a={"type": "number", "default": float("nan")})),
            "JSON",
        ),
        (lambda: elicitation("k", "q", form(a={"type": "string", "enum": {"x"}})), "set"),
        (lambda: elicitation("k", "q", form(a={"type": "text"})), "no type 'text'"),
        (lambda: elicitation("k", "q", {"type": "string"}), "'properties'"),
        (lambda: sampling("k", IMAGE, 5, {}), "bytes"),
        (lambda: sampling("k", LOOP, 5, {}), "JSON"),
        (lambda: visit("k", "q", "example.org/login"), "with its scheme"),
        (lambda: visit("k", "q", "https://example.org/a b"), "with its scheme"),
    ],
)
def test_what_cannot_be_asked_is_said_to_who_asks(ask, said):
    with pytest.raises(ValueError, match=said):
        ask()


def test_what_is_asked_does_not_change_with_what_it_was_made_of():
    schema = form(a={"type": "string"})
    one = elicitation("k", "q", schema)
    schema["properties"]["b"] = {"type": "integer"}
    assert one.params["requestedSchema"] == form([], a={"type": "string"})
    messages = [{"role": "user", "content": {"type": "text", "text": "x"}}]
    one = sampling("k", messages, 5, {})
    messages.append(object())
    assert len(one.params["messages"]) == 1


@pytest.mark.parametrize(
    ("ask", "capabilities"),
    [
        (roots("k"), ("roots",)),
        (elicitation("k", "q", form()), ("elicitation",)),
        (visit("k", "q", "https://example.org/login"), ("elicitation.url",)),
        (sampling("k", "q", 5, {}), ("sampling",)),
        (sampling("k", "q", 5, {"includeContext": "none"}), ("sampling",)),
        (sampling("k", "q", 5, {"toolChoice": {"mode": "auto"}}), ("sampling", "sampling.tools")),
        (
            sampling("k", "q", 5, {"tools": [], "includeContext": "allServers"}),
            ("sampling", "sampling.context", "sampling.tools"),
        ),
    ],
    ids=str,
)
def test_a_question_needs_what_it_uses(ask, capabilities):
    assert ask.capabilities == capabilities


def test_what_is_lacking_is_said_as_capabilities_are_written():
    assert NotOffered("roots").details == {"required_capabilities": {"roots": {}}}
    assert NotOffered("sampling.tools").details == {
        "required_capabilities": {"sampling": {"tools": {}}}
    }


# -- what is answered ---------------------------------------------------------------------------

EVERYTHING = form(
    ["name"],
    name={"type": "string", "enum": ["x", "y"]},
    count={"type": "integer", "minimum": 1, "maximum": 3},
    size={"type": "number"},
    sure={"type": "boolean"},
    many={"type": "array", "items": {"type": "string", "enum": ["p", "q"]}},
    titled={"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]},
    titles={"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}},
)


def filled(**content):
    return elicitation("k", "q", EVERYTHING).read({"action": "accept", "content": content})


def test_a_form_that_was_filled_in_is_given_to_the_tool():
    content = {
        "name": "x",
        "count": 3,
        "size": 0.5,
        "sure": False,
        "many": ["p", "q"],
        "titled": "b",
        "titles": ["a"],
    }
    assert filled(**content) == {"action": "accept", "content": content}


def test_what_was_not_asked_for_is_left_out():
    assert filled(name="x", more=1, size=None)["content"] == {"name": "x"}
    open_to_more = dict(form(a={"type": "string"}), additionalProperties=True)
    one = elicitation("k", "q", open_to_more)
    answer = {"action": "accept", "content": {"a": "b", "more": 1}}
    assert one.read(answer)["content"] == {"a": "b"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"name": "evil"}, '\'name\' of the answer must be one of "x", "y"'),
        ({"name": "x", "count": 99}, "'count' of the answer must be 3 or less; it is 99."),
        ({"name": "x", "count": True}, "'count' of the answer must be a whole number"),
        ({"name": "x", "size": "big"}, "'size' of the answer must be a number"),
        ({"name": "x", "many": ["p", 5]}, r"'many\[1\]' of the answer must be"),
        ({"name": "x", "titled": "c"}, "'titled' of the answer fits none of its 2 forms"),
        ({"name": "x", "titles": ["b"]}, r"'titles\[0\]' of the answer must be"),
        ({"count": 1}, "The answer lacks 'name'"),
    ],
    ids=str,
)
def test_an_answer_that_does_not_fit_the_form_is_none(content, said):
    with pytest.raises(InvalidArgument, match=said):
        filled(**content)


def test_a_refusal_has_no_content():
    one = elicitation("k", "q", EVERYTHING)
    assert one.read({"action": "decline", "content": {"name": 5}}) == {
        "action": "decline",
        "content": {},
    }


def test_who_goes_to_a_page_says_no_more_than_that():
    one = visit("k", "q", "https://example.org/login")
    assert one.params == {"mode": "url", "message": "q", "url": "https://example.org/login"}
    for action in ("accept", "decline", "cancel"):
        answer = {"action": action, "content": {"secret": 1}}
        assert one.read(answer) == {"action": action, "content": {}}
    with pytest.raises(InvalidArgument, match="no action"):
        one.read({"action": "went"})
