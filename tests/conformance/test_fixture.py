"""The conformance fixture, asked by us: exact texts where the suite takes anything."""

from __future__ import annotations

import base64
import os

import pytest

from conformance.talks import ANSWERS, OFFERED
from fakes.served import Served
from fakes.streaming import Streaming, initialize

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


# -- what a client is told and asked meanwhile --------------------------------------------------


def talk(server, name, arguments=None):
    """Call a tool of the handshake era; return (notifications, methods asked for, result)."""
    with Streaming(server) as wire, Streaming(server) as other:
        session = initialize(wire, OFFERED)
        params = {"name": name, "arguments": arguments or {}, "_meta": {"progressToken": 1}}
        answer = wire.rpc("tools/call", params, ident="call", headers=session)
        if answer.headers["content-type"] == "application/json":
            return [], [], answer.json["result"]
        told, asked = [], []
        while True:
            message = wire.message()
            if message.get("id") == "call":
                return told, asked, message["result"]
            if "id" in message:
                asked.append(message)
                other.answer(message["id"], ANSWERS[message["method"]], headers=session)
            else:
                told.append(message)


def rounds(server, method, name):
    """Call in the stateless era until it is complete; return (all that was asked, result)."""
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, "Mcp-Name": name}
    meta = dict(META, **{"io.modelcontextprotocol/clientCapabilities": OFFERED})
    params = {"name": name, "_meta": meta}
    asked = []
    while True:
        with server.connect() as wire:
            result = wire.rpc(method, params, headers=headers).json["result"]
        if result["resultType"] == "complete":
            return asked, result
        found = result["inputRequests"]
        asked += [(key, found[key]["method"]) for key in sorted(found)]
        params["inputResponses"] = {key: ANSWERS[one["method"]] for key, one in found.items()}
        params["requestState"] = result["requestState"]


def test_the_tool_that_logs(server):
    told, asked, result = talk(server, "test_tool_with_logging")
    assert [(one["params"]["level"], one["params"]["data"]) for one in told] == [
        ("info", "Tool execution started"),
        ("info", "Tool processing data"),
        ("info", "Tool execution completed"),
    ]
    assert asked == []
    assert result["content"][0]["text"] == "Tool with logging executed successfully"


def test_the_tool_that_reports_progress(server):
    told, _, _ = talk(server, "test_tool_with_progress")
    assert [one["params"]["progress"] for one in told] == [0, 50, 100]


@pytest.mark.parametrize(
    ("name", "arguments", "method", "text"),
    [
        (
            "test_sampling",
            {"prompt": "p"},
            "sampling/createMessage",
            "LLM response: thought",
        ),
        (
            "test_elicitation",
            {"message": "m"},
            "elicitation/create",
            'User response: action=accept, content={"username": "u"',
        ),
        (
            "test_elicitation_sep1034_defaults",
            {},
            "elicitation/create",
            "Elicitation completed: action=accept",
        ),
        (
            "test_elicitation_sep1330_enums",
            {},
            "elicitation/create",
            "Elicitation completed: action=accept",
        ),
    ],
)
def test_tools_that_ask(server, name, arguments, method, text):
    told, asked, result = talk(server, name, arguments)
    assert told == []
    assert [one["method"] for one in asked] == [method]
    assert result["content"][0]["text"].startswith(text)
    assert result["isError"] is False


@pytest.mark.parametrize(
    ("name", "keys", "text"),
    [
        ("elicitation", ["user_name"], "Hello, Ann!"),
        ("sampling", ["capital_question"], "thought"),
        ("list_roots", ["client_roots"], "1 roots"),
        ("request_state", ["confirm"], "state-ok"),
        ("multiple_inputs", ["client_roots", "greeting", "user_name"], "thought 1"),
        ("multi_round", ["step1", "step2"], "Ann likes blue"),
        ("tampered_state", ["confirm"], "confirmed"),
        ("capabilities", ["input_1", "input_2"], "2 answers"),
    ],
)
def test_tools_that_demand_input(server, name, keys, text):
    asked, result = rounds(server, "tools/call", "test_input_required_result_" + name)
    assert [key for key, _ in asked] == keys
    assert result["content"][0]["text"].endswith(text)
    assert result["isError"] is False


def test_the_prompt_that_demands_input(server):
    asked, result = rounds(server, "prompts/get", "test_input_required_result_prompt")
    assert asked == [("user_context", "elicitation/create")]
    assert result["messages"][0]["content"]["text"] == "Use this context: c"
