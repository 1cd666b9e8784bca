"""The conformance fixture, asked by us: exact texts where the suite takes anything."""

from __future__ import annotations

import base64
import os

import pytest

from fakes.served import Served

HERE = os.path.dirname(os.path.abspath(__file__))
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = str(tmp_path_factory.mktemp("home"))
    with Served(home, "--tools", os.path.join(HERE, "fixture.py"), "--no-auth") as served:
        yield served


def old(server, method, params):
    with server.connect() as wire:
        return wire.rpc(method, params).json


def new(server, method, params):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if method != "completion/complete":
        headers["Mcp-Name"] = params.get("uri") or params["name"]
    with server.connect() as wire:
        return wire.rpc(method, dict(params, _meta=META), headers=headers).json


BOTH = pytest.mark.parametrize("ask", [old, new], ids=["handshake", "stateless"])

PNG = {"type": "image", "mimeType": "image/png"}


def shown(content):
    """Return a content block without its bytes, which must be there."""
    content = dict(content)
    if "data" in content:
        assert base64.b64decode(content.pop("data"))
    return content


@BOTH
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "test_simple_text",
            [{"type": "text", "text": "This is a simple text response for testing."}],
        ),
        ("test_image_content", [PNG]),
        ("test_audio_content", [{"type": "audio", "mimeType": "audio/wav"}]),
        (
            "test_embedded_resource",
            [
                {
                    "type": "resource",
                    "resource": {
                        "uri": "test://embedded-resource",
                        "mimeType": "text/plain",
                        "text": "This is an embedded resource content.",
                    },
                }
            ],
        ),
        (
            "test_multiple_content_types",
            [
                {"type": "text", "text": "Multiple content types test:"},
                PNG,
                {
                    "type": "resource",
                    "resource": {
                        "uri": "test://mixed-content-resource",
                        "mimeType": "application/json",
                        "text": '{"test":"data","value":123}',
                    },
                },
            ],
        ),
        (
            "test_tool_with_progress",
            [{"type": "text", "text": "Tool with progress executed successfully"}],
        ),
    ],
)
def test_tools(server, ask, name, content):
    result = ask(server, "tools/call", {"name": name})["result"]
    assert [shown(one) for one in result["content"]] == content
    assert result["isError"] is False


@BOTH
def test_the_tool_that_fails(server, ask):
    result = ask(server, "tools/call", {"name": "test_error_handling"})["result"]
    assert result["isError"] is True
    assert "This tool intentionally returns an error for testing" in result["content"][0]["text"]


@BOTH
def test_resources(server, ask):
    for uri, mime_type, text in (
        (
            "test://static-text",
            "text/plain",
            "This is the content of the static text resource.",
        ),
        ("test://watched-resource", "text/plain", "Watched resource content"),
        (
            "test://template/123/data",
            "application/json",
            '{"id":"123","templateTest":true,"data":"Data for ID: 123"}',
        ),
    ):
        result = ask(server, "resources/read", {"uri": uri})["result"]
        assert result["contents"] == [{"uri": uri, "mimeType": mime_type, "text": text}]
    (binary,) = ask(server, "resources/read", {"uri": "test://static-binary"})["result"]["contents"]
    assert base64.b64decode(binary["blob"]).startswith(b"\x89PNG")


@BOTH
def test_prompts(server, ask):
    for name, arguments, contents in (
        (
            "test_simple_prompt",
            {},
            [{"type": "text", "text": "This is a simple prompt for testing."}],
        ),
        (
            "test_prompt_with_arguments",
            {"arg1": "hello", "arg2": "world"},
            [{"type": "text", "text": "Prompt with arguments: arg1='hello', arg2='world'"}],
        ),
        (
            "test_prompt_with_embedded_resource",
            {"resourceUri": "test://example"},
            [
                {
                    "type": "resource",
                    "resource": {
                        "uri": "test://example",
                        "mimeType": "text/plain",
                        "text": "Embedded resource content for testing.",
                    },
                },
                {"type": "text", "text": "Please process the embedded resource above."},
            ],
        ),
        (
            "test_prompt_with_image",
            {},
            [PNG, {"type": "text", "text": "Please analyze the image above."}],
        ),
    ):
        params = {"name": name, "arguments": arguments}
        messages = ask(server, "prompts/get", params)["result"]["messages"]
        assert {one["role"] for one in messages} == {"user"}
        assert [shown(one["content"]) for one in messages] == contents


@BOTH
def test_completions(server, ask):
    params = {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"},
    }
    completion = ask(server, "completion/complete", params)["result"]["completion"]
    assert completion["values"] == ["paris", "park", "party"]
