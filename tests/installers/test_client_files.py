"""MCP clients' files: what an installed version wrote there outlasts it, and can be removed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest
from dcc_mcp_embed.installers import (
    api,
    cli,
    client_files,
    clients,
    hosts,
    payload,
    plan,
    rewriting,
)
from dcc_mcp_embed.installers.acting import Installation
from dcc_mcp_embed.installers.rewriting import BACKUP
from dcc_mcp_embed.installers.sources import Source

from fakes.trees import picture

pytestmark = pytest.mark.edges

OTHERS = '{"mcpServers": {"other": {"command": "other"}}}\n'

#: What a menu in a host does, which runs from the installed version.
CONFIGURE = """
import runpy, sys
root, python = sys.argv[1:3]
runpy.run_path(root + "/boot.py")["load"](root)
from dcc_mcp_embed.cli.main import main
sys.exit(main(["config", *sys.argv[3:], "--python", python]))
"""


@pytest.fixture(autouse=True)
def user(tmp_path, monkeypatch):
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "APPDATA", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    return tmp_path


@pytest.fixture
def ours(user):
    made = Installation(hosts.find("maya"), str(user / "my maya"), lambda _: None)
    install(made, "1.0")
    return made


def install(ours, version):
    files = payload.own_files()
    listed = payload.describe(files, version)
    source = Source(listed, lambda folder: payload.write(files, folder, version))
    ours.carry_out(plan.plan_install(ours.facts(), ours.wish(listed.name)), source)


def configure(ours, *words):
    command = [sys.executable, "-B", "-c", CONFIGURE, ours.root.path, sys.executable, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Bridge:
    """What a client starts by an entry of its file."""

    def __init__(self, entry, folder):
        self._process = subprocess.Popen(
            [entry["command"], *entry["args"]],
            env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **entry["env"]),
            cwd=str(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def asked(self, method, params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def begun(self):
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        return self.asked("initialize", params)["result"]["serverInfo"]["version"]

    def end(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def test_a_configuration_outlasts_the_version_that_made_it(user, ours):
    entry = json.loads(configure(ours, "cursor"))["mcpServers"]["dcc"]
    assert entry["args"] == [os.path.join(ours.root.path, "bridge.py")]
    assert "versions" not in json.dumps(entry)
    first = Bridge(entry, user)
    assert first.begun()
    old = ours.root.current()
    install(ours, "2.0")
    assert old in ours.root.installed(), "a client has it open"
    assert first.asked("tools/list", {})["result"]["tools"]
    first.end()
    ours.carry_out(plan.plan_sweep(ours.facts()), None)
    assert old not in ours.root.installed()
    second = Bridge(entry, user)
    assert second.begun()
    second.end()


def test_the_clients_files_are_as_before_when_that_is_wished(user, ours, capsys):
    (user / ".cursor").mkdir()
    (user / ".cursor" / "mcp.json").write_text(OTHERS)
    (user / ".codex").mkdir()
    before = picture(str(user / ".cursor"))
    for words in (
        ("cursor", "--write"),
        ("codex", "--write"),
        ("cursor", "--write", "--name", "x"),
    ):
        configure(ours, *words)
    assert (user / ".cursor" / ("mcp.json" + BACKUP)).exists()
    where = ["uninstall", "--host", "maya", "--target", ours.user, "--json"]
    changed = picture(str(user))
    assert cli.main([*where, "--clients", "--dry-run"]) == 0
    assert picture(str(user)) == changed
    planned = json.loads(capsys.readouterr().out)["clients"]
    assert [(one["operation"], one["server"]) for one in planned] == [
        ("unlist", "dcc"),
        ("unlist", "x"),
        ("unlist", "dcc"),
    ]
    assert cli.main([*where, "--yes"]) == 0
    assert "clients" not in json.loads(capsys.readouterr().out)
    assert (user / ".codex" / "config.toml").exists(), "nobody has asked for that"
    assert cli.main([*where, "--yes", "--clients"]) == 0
    told = json.loads(capsys.readouterr().out)["clients"]
    assert {one["status"] for one in told} == {"done"}
    assert picture(str(user / ".cursor")) == before
    assert picture(str(user / ".codex")) == {}
    assert not os.path.exists(ours.user)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"{}", b"{\r\n}\r\n"])
def test_a_file_that_says_nothing_is_afterwards_as_it_was(user, content):
    (user / ".cursor").mkdir()
    path = user / ".cursor" / "mcp.json"
    path.write_bytes(content)
    client = clients.find("cursor")
    server = clients.Command("python", ("dcc_mcp_embed",))
    rewriting.rewrite(str(path), content, clients.add(content, client, "dcc", server), None)
    assert client_files.take_out(client, str(path), ["dcc"], None)[0]
    assert picture(str(user / ".cursor")) == {"mcp.json": content}


@pytest.mark.parametrize("installed", [True, False])
def test_whoever_cannot_be_asked_has_to_say_so_before_a_clients_file_is_changed(
    user, ours, installed, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    where = ["uninstall", "--host", "maya", "--target", ours.user]
    configure(ours, "cursor", "--write")
    if not installed:
        assert cli.main([*where, "--yes"]) == 0
    before = picture(str(user))
    assert cli.main([*where, "--clients"]) == 1
    assert "again with --yes" in capsys.readouterr().err
    assert picture(str(user)) == before


def test_nobody_is_asked_about_what_is_left_as_it_is(user, ours, capsys):
    where = ["uninstall", "--host", "maya", "--target", ours.user]
    assert cli.main([*where, "--yes"]) == 0
    (user / ".cursor").mkdir()
    (user / ".cursor" / "mcp.json").write_text("{ no")
    assert cli.main([*where, "--clients"]) == 1
    told = capsys.readouterr()
    assert "mcp.json" in told.out and told.err == ""


def test_a_file_that_cannot_be_read_is_told_and_keeps_nothing(user, ours):
    (user / ".cursor").mkdir()
    (user / ".cursor" / "mcp.json").write_text("{ no")
    report = api.uninstall("maya", target=ours.user, clients=True)
    assert not report["success"]
    (one,) = report["clients"]
    assert one["status"] == "kept" and "mcp.json" in one["path"]
    assert (user / ".cursor" / "mcp.json").read_text() == "{ no"
    assert not os.path.exists(ours.user)
