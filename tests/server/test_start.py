"""What start() adds: tools of the user's folder, tools for a server that runs already."""

from __future__ import annotations

from dcc_mcp_embed import embed
from fakes.live import Live

GOOD = '''
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="loop", read_only=True)
def from_{name}() -> str:
    """Say where it is from."""
    return "{name}"
'''


def names(live):
    with live.connect() as wire:
        return {tool["name"] for tool in wire.rpc("tools/list").json["result"]["tools"]}


def test_tools_in_the_users_folder_are_there_and_a_broken_file_stops_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "good.py").write_text(GOOD.format(name="folder"))
    (folder / "broken.py").write_text("def broken(:\n")
    live = Live(str(tmp_path), monkeypatch)
    try:
        assert "from_folder" in names(live)
        told = [line for line in live.server.logbook.read(100) if line.level == "error"]
        assert len(told) == 1
        assert "broken.py" in told[0].text
    finally:
        live.close()


def test_starting_again_gives_the_running_server_and_adds_tools(tmp_path, monkeypatch):
    (tmp_path / "more.py").write_text(GOOD.format(name="later"))
    live = Live(str(tmp_path), monkeypatch)
    try:
        assert "from_later" not in names(live)
        assert embed.start(tools=[str(tmp_path / "more.py")]) is live.server
        assert "from_later" in names(live)
    finally:
        live.close()
