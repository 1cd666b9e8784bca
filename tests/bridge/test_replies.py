"""Answers in words of the client's revision: of content that is none, as it came."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.bridge.replies import readable
from dcc_mcp_embed.wire import jsonrpc
from dcc_mcp_embed.wire.mcp.work import PromptGet

LINK = {"type": "resource_link", "uri": "a://b", "name": "b"}


def asked(stateless):
    message = {"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": {"name": "p"}}
    return PromptGet(jsonrpc.classify(message), stateless, "")


def saying(**result):
    return jsonrpc.result(1, result)


@pytest.mark.parametrize(
    ("stateless", "version", "kind"),
    [
        (False, "2025-03-26", "text"),
        (False, "2025-06-18", "resource_link"),
        (False, None, "resource_link"),
        (True, "2025-03-26", "resource_link"),
    ],
)
def test_what_a_link_is_to_whom(stateless, version, kind):
    message = saying(messages=[{"role": "user", "content": LINK}])
    found = readable(asked(stateless), message, version)
    assert found["result"]["messages"][0]["content"]["type"] == kind


@pytest.mark.parametrize(
    "result",
    [
        {"content": [1]},
        {"content": [{"type": "resource_link"}]},
        {"content": [{"type": []}]},
        {"messages": [1]},
        {"messages": [{}]},
    ],
)
def test_what_is_no_content_goes_on_as_it_came(result):
    message = saying(**result)
    assert readable(asked(False), message, "2024-11-05") == message
