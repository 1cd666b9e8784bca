"""What the dcc-mcp gateway asks under /v1: shapes, refusals in words, the request's id in each."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dcc_mcp_embed
from dcc_mcp_embed.server import rest
from fakes.live import Live


@dcc_mcp_embed.tool(read_only=True, tags=("thread", "odd"))
def which_thread() -> str:
    """Say on which thread this runs. More words."""
    return threading.current_thread().name


@dcc_mcp_embed.tool
def fail() -> str:
    """Fail."""
    raise ValueError("no such luck")


@dcc_mcp_embed.tool(read_only=True)
def picture() -> dcc_mcp_embed.Image:
    """Return a picture."""
    return dcc_mcp_embed.Image(b"\x89PNG\r\n\x1a\n")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        home = str(tmp_path_factory.mktemp("home"))
        one = Live(
            home,
            patch,
            tools=[SimpleNamespace(which_thread=which_thread, fail=fail, picture=picture)],
            profile="full",
        )
        yield one
        one.close()


def post(live, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
    named = dict({"x-request-id": "r-1"}, **{k.replace("_", "-"): v for k, v in headers.items()})
    with live.connect() as wire:
        return wire.request("POST", path, named, data)


def get(live, path, **headers):
    with live.connect() as wire:
        return wire.request("GET", path, dict({"x-request-id": "r-2"}, **headers))


def test_a_search_without_words_returns_every_tool_in_the_ecosystems_shape(live):
    found = post(live, "/v1/search", {"loaded_only": False, "limit": 5000}).json
    assert found["request_id"] == "r-1"
    hits = {one["action"]: one for one in found["hits"]}
    assert found["total"] == len(found["hits"]) == len(hits)
    assert {"which_thread", "create_object", "get_status", "execute_python"} <= set(hits)
    hit = hits["which_thread"]
    assert hit["slug"] == "standalone.dcc-mcp-embed.which_thread"
    assert hit["summary"] == "Say on which thread this runs"
    assert (hit["loaded"], hit["has_schema"], hit["dcc"]) == (True, False, "standalone")
    assert hit["annotations"]["readOnlyHint"] is True
    assert hits["create_object"]["has_schema"] is True
    # Whoever has the user's own token may run code if the user lets it.
    assert not hits["execute_python"]["summary"].startswith("Refused")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"query": "which thread", "limit": 1}, ["which_thread"]),
        ({"tags": ["odd", "thread"]}, ["which_thread"]),
        ({"tags": ["odd", "even"]}, []),
        ({"tags_any": ["odd", "even"]}, ["which_thread"]),
        ({"query": "which thread", "limit": 0}, []),
        ({"dcc_type": "maya"}, []),
        ({"dcc_types": ["maya", "standalone"], "tags": ["odd"]}, ["which_thread"]),
    ],
)
def test_a_search_is_for_words_tags_and_kinds_of_host(live, body, wanted):
    assert [one["action"] for one in post(live, "/v1/search", body).json["hits"]] == wanted


@pytest.mark.parametrize("slug", ["create_object", "standalone.dcc-mcp-embed.create_object"])
def test_a_description_has_the_schema_unless_it_is_not_wanted(live, slug):
    found = post(live, "/v1/describe", {"tool_slug": slug}).json
    assert found["entry"]["action"] == "create_object"
    assert "kind" in found["input_schema"]["properties"]
    assert "\n" in found["description"] or len(found["description"]) > 40
    found = post(live, "/v1/describe", {"tool_slug": slug, "include_schema": False}).json
    assert "input_schema" not in found


@pytest.mark.parametrize("member", ["arguments", "params"])
def test_a_call_runs_on_the_hosts_main_thread(live, member):
    answer = post(live, "/v1/call", {"tool_slug": "which_thread", member: {}, "meta": {"a": 1}})
    assert answer.status == 200
    assert answer.json == {
        "slug": "which_thread",
        "output": {"success": True, "content": [{"type": "text", "text": "test host main"}]},
        "validation_skipped": False,
        "request_id": "r-1",
    }


def test_what_a_tool_returns_comes_once(live):
    output = post(live, "/v1/call", {"tool_slug": "get_scene_info", "arguments": {}}).json["output"]
    assert output["success"] is output["ok"] is True
    assert output["data"]["units"]
    assert "content" not in output
    output = post(live, "/v1/call", {"tool_slug": "picture"}).json["output"]
    assert [one["type"] for one in output["content"]] == ["image"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"tool_slug": "fail"}, "host_error"),
        ({"tool_slug": "get_object", "arguments": {"path": "/nope"}}, "not_found"),
        ({"tool_slug": "create_object", "arguments": {"typ": "cube"}}, "invalid_argument"),
        ({"tool_slug": "execute_python", "arguments": {"code": "1"}}, "exec_disabled"),
    ],
)
def test_a_call_that_fails_says_why_in_the_output(live, body, code):
    answer = post(live, "/v1/call", body)
    output = answer.json["output"]
    assert answer.status == 200
    assert (output["success"], output["isError"], output["error"]["code"]) == (False, True, code)
    assert output["message"].startswith(output["error"]["message"])


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/v1/call", {"tool_slug": "nope"}, 404, "unknown-slug"),
        ("/v1/describe", {"tool_slug": "nope"}, 404, "unknown-slug"),
        ("/v1/call", {}, 400, "bad-request"),
        ("/v1/call", {"tool_slug": 1}, 400, "bad-request"),
        ("/v1/call", {"tool_slug": "fail", "arguments": []}, 400, "bad-request"),
        ("/v1/call", [], 400, "bad-request"),
        ("/v1/call", b"{", 400, "bad-request"),
        ("/v1/search", {"query": 1}, 400, "bad-request"),
        ("/v1/search", {"limit": -1}, 400, "bad-request"),
        ("/v1/search", {"limit": True}, 400, "bad-request"),
        ("/v1/search", {"tags": "odd"}, 400, "bad-request"),
        ("/v1/search", {"dcc_types": [1]}, 400, "bad-request"),
        ("/v1/context", {}, 405, "bad-request"),
    ],
)
def test_what_is_not_served_is_refused_in_words_with_the_requests_id(
    live, path, body, status, kind
):
    answer = post(live, path, body)
    assert (answer.status, answer.json["kind"]) == (status, kind)
    assert answer.json["request_id"] == "r-1"
    assert len(answer.json["message"]) > 15


def test_only_json_is_taken_and_the_token_is_needed_first(live):
    assert post(live, "/v1/call", {"tool_slug": "fail"}, Content_Type="text/plain").status == 415
    for path in ("/v1/call", "/v1/search", "/v1/describe"):
        assert post(live, path, {"tool_slug": "fail"}, Authorization=None).status == 401
    for path in ("/v1/context", "/v1/resources", "/v1/resources/a", "/v1/prompts", "/v1/prompts/a"):
        assert get(live, path, Authorization=None).status == 401
    assert get(live, "/v1/call").status == 405
    assert get(live, "/v1/nope/a").status == get(live, "/v1/resources/a/b").status == 404


def test_a_request_without_an_id_gets_one(live):
    with live.connect() as wire:
        assert len(wire.request("GET", "/v1/context").json["request_id"]) == 36


def test_the_lists_and_the_context(live):
    found = get(live, "/v1/context").json
    assert (found["dcc"], found["scene"], found["request_id"]) == ("standalone", None, "r-2")
    assert found["action_count"] == len(live.server._table)
    assert get(live, "/v1/skills").json["total"] == found["action_count"]
    uris = {one["uri"] for one in get(live, "/v1/resources").json["resources"]}
    assert {"dcc://status", "scene://info"} <= uris
    prompts = {one["name"] for one in get(live, "/v1/prompts").json["prompts"]}
    assert "debug_scene" in prompts


def test_a_resource_is_read_and_a_prompt_rendered(live):
    found = get(live, "/v1/resources/" + quote("scene://info", safe="")).json
    assert json.loads(found["contents"][0]["text"])["units"]
    args = quote(json.dumps({"problem": "it is d\u00fcster + black"}), safe="")
    found = get(live, "/v1/prompts/debug_scene?args=" + args).json
    assert "it is d\u00fcster + black" in found["messages"][0]["content"]["text"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/resources/scene%3A%2F%2Fobject%2F%2Fnope", 404),
        ("/v1/resources/scene%3A%2F%2Fnope", 404),
        ("/v1/resources/%FF", 400),
        ("/v1/prompts/nope", 404),
        ("/v1/prompts/debug_scene", 400),
        ("/v1/prompts/debug_scene?args=%7B%22other%22%3A1%7D", 400),
        ("/v1/prompts/debug_scene?args=5", 400),
        ("/v1/prompts/debug_scene?args=%FF", 400),
    ],
)
def test_what_cannot_be_read_or_rendered_is_refused_in_words(live, path, status):
    answer = get(live, path)
    assert (answer.status, answer.json["request_id"]) == (status, "r-2")
    assert len(answer.json["message"]) > 15


@given(st.text(min_size=1))
def test_whatever_is_escaped_comes_back(text):
    assert rest.below("/v1/resources/" + quote(text, safe="")) == text
    args = quote(json.dumps({"a": text}), safe="")
    assert rest.prompt_arguments("/v1/prompts/x?b=1&args=" + args) == {"a": text}
