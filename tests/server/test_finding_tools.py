"""Tools that are not listed: found, described and called over the wire, by the target's rules."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from fakes.live import Live, starting
from fakes.served import Served, inside


@dcc_mcp_embed.tool(read_only=True, thread="worker", tags=("where",))
def find_thread(ctx) -> dict:
    """Say on which thread it runs."""
    return {"name": threading.current_thread().name}


@dcc_mcp_embed.tool(timeout=0.3)
def wait_long(ctx) -> str:
    """Wait longer than its time."""
    for _ in range(2000):
        if ctx.cancelled():
            break
        threading.Event().wait(0.001)
    return "done"


@dcc_mcp_embed.tool
def add_two(left: int, right: int = 2) -> dict:
    """Add two numbers."""
    return {"sum": left + right}


TOOLS = SimpleNamespace(find_thread=find_thread, wait_long=wait_long, add_two=add_two)


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch, tools=[TOOLS]) as one_more:
        yield one_more


def ask(live, tool, **arguments):
    with live.connect() as wire:
        return wire.tool(tool, arguments)


def data(result):
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


def error(result):
    assert result["isError"] is True, result
    return result["structuredContent"]["error"]


def listed(live):
    with live.connect() as wire:
        return {one["name"] for one in wire.rpc("tools/list").json["result"]["tools"]}


def test_a_tool_that_is_not_listed_is_found_described_and_called(start):
    live = start()
    assert "get_log" not in listed(live)
    found = data(ask(live, "search_tools", query="log of the server"))
    assert found["items"][0]["name"] == "get_log"
    assert found["items"][0]["read_only"] is True
    shown = data(ask(live, "describe_tool", name="get_log"))
    assert set(shown["inputSchema"]["properties"]) == {"lines", "level", "since"}
    assert shown["example"] == {"name": "get_log", "arguments": {}}
    lines = data(ask(live, "call_tool", name="get_log", arguments={"lines": 1}))["items"]
    assert len(lines) == 1
    # And by those who know its name.
    assert len(data(ask(live, "get_log", lines=1))["items"]) == 1


def test_everything_is_listed_in_the_full_profile(start, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_PROFILE", "full")
    live = start()
    status = data(ask(live, "get_status"))["tools"]
    assert status["listed"] == status["all"] == len(listed(live))
    assert "get_log" in listed(live)


def test_an_argument_of_start_wins_over_the_environment(start, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_PROFILE", "full")
    live = start(profile="core")
    assert "get_log" not in listed(live)
    status = data(ask(live, "get_status"))["tools"]
    assert status["listed"] == len(listed(live)) < status["all"]


@pytest.mark.parametrize(
    "environment", [{"DCC_MCP_EMBED_PROFILE": "small"}, {"profile": "small"}], ids=str
)
def test_an_unknown_profile_is_refused(tmp_path, monkeypatch, environment):
    options = {}
    for name, value in environment.items():
        if name.isupper():
            monkeypatch.setenv(name, value)
        else:
            options[name] = value
    with pytest.raises(dcc_mcp_embed.ConfigError, match="takes core or full"):
        Live(str(tmp_path), monkeypatch, **options)


def test_a_call_by_name_runs_as_the_tool_says(start):
    live = start()
    found = data(ask(live, "call_tool", name="find_thread"))
    assert found == {"name": "dcc-mcp-embed tools"}
    assert data(ask(live, "call_tool", name="add_two", arguments={"left": 1})) == {"sum": 3}
    # Weak models send objects as text.
    sent = ask(live, "call_tool", name="add_two", arguments=json.dumps({"left": 1, "right": 1}))
    assert data(sent) == {"sum": 2}


def test_a_call_by_name_has_the_undo_step_and_the_time_of_its_tool(start):
    live = start()
    result = ask(live, "call_tool", name="create_object", arguments={"kind": "cube"})
    assert result["structuredContent"]["undo"] == {"label": "MCP: create_object", "steps": 1}
    found = error(ask(live, "call_tool", name="wait_long"))
    assert found["code"] == "timeout_running"
    data(ask(live, "cancel_job", job_id=found["details"]["job_id"]))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"name": "get_lock"}, "not_found", "get_log"),
        ({}, "invalid_argument", "name"),
        ({"name": "add_two"}, "invalid_argument", "left"),
        ({"name": "add_two", "arguments": {"left": "x"}}, "invalid_argument", "left"),
        ({"name": "call_tool", "arguments": {"name": "add_two"}}, "invalid_argument", "not itself"),
        ({"name": "execute_python", "arguments": {"code": "1"}}, "exec_disabled", "exec_mode"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_runs(start, arguments, code, words):
    found = error(ask(start(), "call_tool", **arguments))
    assert found["code"] == code
    assert found["state"] == "not_started"
    assert words in "{message} {hint}".format(**found)


def test_a_tool_nobody_knows_cannot_be_described(start):
    found = error(ask(start(), "describe_tool", name="get_lock"))
    assert (found["code"], "get_log" in found["hint"]) == ("not_found", True)


def test_a_search_without_a_hit_says_so(start):
    result = ask(start(), "search_tools", query="xylophone")
    assert data(result) == {"items": [], "total": 0}
    assert "other words" in result["structuredContent"]["warnings"][0]


def test_code_in_this_process_calls_by_name_too(start):
    live = start()
    assert live.server.call("call_tool", {"name": "add_two", "arguments": {"left": 5}}) == {
        "sum": 7
    }


@pytest.mark.parametrize("arguments", [[], ["--profile", "full"]], ids=str)
def test_serve_lists_what_its_profile_says(tmp_path, arguments):
    with Served(str(tmp_path), *arguments) as served, served.connect() as wire:
        names = {one["name"] for one in wire.rpc("tools/list").json["result"]["tools"]}
        assert ("get_log" in names) == bool(arguments)
        assert {"search_tools", "describe_tool", "call_tool", "batch"} <= names


def test_serve_takes_a_profile_and_keeps_it_for_a_restart(tmp_path, monkeypatch, capsys):
    from dcc_mcp_embed.cli.arguments import make_parser
    from dcc_mcp_embed.cli.serve import launch_command

    options = make_parser().parse_args(["serve", "--profile", "full"])
    assert options.profile == "full"
    assert "--profile full" in launch_command(options)
    assert "--profile" not in launch_command(make_parser().parse_args(["serve"]))
    assert inside(monkeypatch, capsys, str(tmp_path), "serve", "--profile", "x").returncode == 2
