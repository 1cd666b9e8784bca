"""Content in words of older revisions."""

from __future__ import annotations

import copy

import pytest

from dcc_mcp_embed.wire import jsonrpc
from dcc_mcp_embed.wire.mcp.older import in_words_of
from dcc_mcp_embed.wire.mcp.revisions import HANDSHAKE

TEXT = {"type": "text", "text": "t"}
LINK = {"type": "resource_link", "uri": "file:///a", "name": "a", "annotations": {"priority": 1}}
AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}


def tool(*blocks):
    return jsonrpc.result(1, {"content": list(blocks), "isError": False})


def prompt(*blocks):
    return jsonrpc.result(1, {"messages": [{"role": "user", "content": one} for one in blocks]})


def blocks_of(message):
    result = message["result"]
    return result.get("content") or [one["content"] for one in result["messages"]]


@pytest.mark.parametrize("made", [tool, prompt])
@pytest.mark.parametrize(
    ("version", "types"),
    [
        ("2024-11-05", ["text", "text", "resource"]),
        ("2025-03-26", ["text", "text", "audio"]),
        ("2025-06-18", ["text", "resource_link", "audio"]),
        ("2025-11-25", ["text", "resource_link", "audio"]),
    ],
)
def test_content(made, version, types):
    message = made(TEXT, LINK, AUDIO)
    before = copy.deepcopy(message)
    said = in_words_of(version, message)
    assert [one["type"] for one in blocks_of(said)] == types
    assert message == before
    assert said["id"] == 1
    assert blocks_of(said)[1]["annotations"] == {"priority": 1}


def test_a_link_says_where_it_leads():
    for more, text in (
        ({}, "a: file:///a"),
        ({"title": "A"}, "A: file:///a"),
        ({"description": "what it is"}, "a: file:///a (what it is)"),
    ):
        (block,) = blocks_of(in_words_of("2025-03-26", tool(dict(LINK, **more))))
        assert block["text"] == text


def test_sounds_of_one_result_have_uris_of_their_own():
    blocks = blocks_of(in_words_of("2024-11-05", tool(AUDIO, TEXT, AUDIO)))
    assert [one["resource"]["uri"] for one in blocks[::2]] == [
        "content://audio/1",
        "content://audio/3",
    ]
    assert blocks[0]["resource"]["blob"] == AUDIO["data"]


@pytest.mark.parametrize("version", HANDSHAKE)
def test_what_has_no_content(version):
    for message in (
        jsonrpc.error(1, -32602, "no"),
        jsonrpc.result(1, {}),
        jsonrpc.result(1, {"contents": [{"uri": "a://b", "text": ""}]}),
    ):
        assert in_words_of(version, message) == message
