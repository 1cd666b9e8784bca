"""start(): tools that cannot be used, and what a start that fails leaves behind."""

from __future__ import annotations

import os
import pathlib

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

from dcc_mcp_embed import embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.embed.lanes import make_lanes
from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.logbook import LogBook
from fakes.caller import Caller

TOOL = '''
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="loop", read_only=True)
def {name}() -> str:
    """Do nothing."""
    return ""
'''


class Closing(StandaloneAdapter):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    yield tmp_path
    embed.stop()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n", "declares no tool"),
        (TOOL.format(name="get_scene_info"), "get_scene_info"),
        ("def broken(:\n", "SyntaxError"),
        (TOOL.format(name="mine") + "dcc_mcp_embed.start('standalone', port=0)\n", "StartError"),
    ],
    ids=["no tool", "a name that is taken", "no Python", "starts a server itself"],
)
def test_a_file_of_the_users_folder_that_cannot_be_used_is_told_and_stops_nothing(home, text, told):
    (home / "tools").mkdir()
    (home / "tools" / "a.py").write_text(text)
    (home / "tools" / "b.py").write_text(TOOL.format(name="from_the_folder"))
    with embed.start("standalone", port=0) as server:
        assert server.call("from_the_folder") == ""
        (line,) = [one for one in server.logbook.read() if one.level == "error"]
    assert line.source == "tools"
    assert os.path.join("tools", "a.py") in line.text
    assert told in line.text


def test_a_start_that_fails_takes_back_what_its_adapter_has_hung_into_the_host():
    adapter = Closing()
    with pytest.raises(ConfigError, match="no_such_tools"):
        embed.start(adapter, port=0, tools=["no_such_tools"])
    assert adapter.closed == 1
    with embed.start("standalone", port=0) as server:
        assert server.adapter is not adapter


def test_what_can_be_created_is_a_choice_in_the_list_of_tools():
    from dcc_mcp_embed.adapters.standalone.shapes import KINDS

    with embed.start("standalone", port=0) as server:
        schema = server.call("describe_tool", {"name": "create_object"})["inputSchema"]
    assert schema["properties"]["kind"]["enum"] == list(KINDS)


@pytest.mark.parametrize("name", [str, pathlib.Path])
def test_a_file_with_tools_may_be_a_path_but_must_stand_in_a_list(home, name):
    file = name(str(home / "mine.py"))
    (home / "mine.py").write_text(TOOL.format(name="from_a_file"))
    with pytest.raises(ConfigError, match="tools is .*takes a list"):
        embed.start("standalone", port=0, tools=file)
    with embed.start("standalone", port=0, tools=[file]) as server:
        assert server.call("from_a_file") == ""


@pytest.mark.parametrize("given", [None, b"mine.py", 7])
def test_what_can_hold_no_tools_is_refused(given):
    with pytest.raises(ConfigError, match="is no module"):
        embed.start("standalone", port=0, tools=[given])


def test_the_name_of_a_module_is_no_module_to_register():
    with embed.start("standalone", port=0) as server:
        with pytest.raises(ConfigError, match="'mine' is no module"):
            server.register_tools("mine")


def test_a_launch_command_that_no_row_can_hold_is_refused():
    with pytest.raises(ConfigError, match="launch_command is .*as one text"):
        embed.start("standalone", port=0, launch_command=["mayapy", "serve.py"])


def test_the_log_keeps_as_many_lines_as_the_limits_say():
    with embed.start("standalone", port=0, limits=Limits(log_lines=2)) as server:
        for number in range(5):
            server.logbook.info("test", str(number))
        assert len(server.logbook.read()) == 2


def test_the_host_has_its_thread_back_after_the_budget_of_the_limits():
    calls = Caller()
    lanes, _ = make_lanes(
        calls.host,
        calls.clock,
        Limits(pump_budget=0.0),
        lambda delay, function, *args: None,
        LogBook(calls.clock),
        lambda: None,
    )
    for name in ("a", "b"):
        lanes["main"].submit(calls.job(name))
    lanes["main"].pump()
    assert calls.effects == ["a"]
