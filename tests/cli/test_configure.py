"""``config`` as a user runs it: what is printed, what is written, what is refused in words."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest
from dcc_mcp_embed.installers.rewriting import BACKUP

import dcc_mcp_embed
from dcc_mcp_embed.cli import interpreter
from dcc_mcp_embed.errors import ConfigError
from fakes import served
from fakes.answering import Answering, foreign_row, http
from fakes.served import DEADLINE, Served


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's directory, for the client and for us."""
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return str(tmp_path)


@pytest.fixture
def config(home, monkeypatch, capsys):
    def run(*arguments):
        return served.inside(monkeypatch, capsys, home, "config", *arguments)

    return run


@pytest.fixture
def cursor(home):
    return os.path.join(home, ".cursor", "mcp.json")


def make(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as stream:
        stream.write(text)


def read(path):
    with open(path) as stream:
        return stream.read()


# -- the bridge -------------------------------------------------------------------------------


def test_the_snippet_is_printed_and_nothing_is_written(config, home, cursor):
    done = config("cursor")
    assert done.returncode == 0
    assert cursor in done.stderr
    entry = json.loads(done.stdout)["mcpServers"]["dcc"]
    assert entry["command"] == sys.executable
    assert entry["args"] == ["-m", "dcc_mcp_embed", "bridge"]
    assert entry["env"]["DCC_MCP_EMBED_HOME"] == home
    assert entry["env"]["DCC_MCP_REGISTRY_DIR"] == os.path.join(home, "registry")
    assert os.listdir(home) == []


@pytest.mark.parametrize("client", ["claude-code", "gemini"])
def test_the_command_finds_the_package_from_anywhere(config, home, client):
    entry = json.loads(config(client, "--dcc", "Maya 2026").stdout)
    entry = entry["mcpServers"]["dcc-maya-2026"]
    *args, bridge, option, kind = entry["args"]
    assert (bridge, option, kind) == ("bridge", "--dcc", "Maya 2026")
    assert client == "gemini" or args == ["-m", "dcc_mcp_embed"]
    # Gemini CLI leaves this variable out, whatever its file says.
    assert client != "gemini" or "PYTHONPATH" not in entry["env"]
    # What lies in the project that a client is used in is no module of ours.
    make(os.path.join(home, "project", "json.py"), "raise SystemExit('taken')")
    safe = sys.version_info >= (3, 11) or args[0] == "-c"
    done = subprocess.run(
        [entry["command"], *args, "--version"],
        env=dict({"PATH": os.defpath}, **entry["env"]),
        cwd=os.path.join(home, "project") if safe else home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert done.stdout.decode().split() == ["dcc_mcp_embed", dcc_mcp_embed.__version__], done


def test_it_is_said_if_the_package_that_would_be_started_has_no_bridge(config, home):
    assert "has no bridge" not in config("cursor").stderr
    text = 'echo \'{"version": [3, 9], "package": "/opt/old/dcc_mcp_embed"}\''
    done = config("cursor", "--python", script(os.path.join(home, "python"), text))
    assert done.returncode == 0
    assert "/opt/old/dcc_mcp_embed has no bridge yet" in done.stderr


def test_writing_and_removing_gives_back_the_file(config, cursor):
    before = '{\n  "mcpServers": {\n    "other": {"command": "x"}\n  }\n}'
    make(cursor, before)
    done = config("cursor", "--write")
    assert done.returncode == 0, done
    assert cursor + BACKUP in done.stdout
    assert set(json.loads(read(cursor))["mcpServers"]) == {"other", "dcc"}
    assert read(cursor + BACKUP) == before
    again = config("cursor", "--write")
    assert "already" in again.stdout
    assert read(cursor + BACKUP) == before
    assert "Reload" in config("cursor", "--remove").stdout
    assert read(cursor) == before
    assert "has no server 'dcc'" in config("cursor", "--remove").stdout


def test_the_backup_is_what_the_user_had_for_as_long_as_there_is_a_server_of_ours(config, cursor):
    before = '{"keep": 1}'
    make(cursor, before)
    assert cursor + BACKUP in config("cursor", "--write").stdout
    for arguments in (("--write", "--name", "two"), ("--remove", "--name", "two")):
        done = config("cursor", *arguments)
        assert done.returncode == 0 and BACKUP not in done.stdout, done
        assert read(cursor + BACKUP) == before
    assert config("cursor", "--remove").returncode == 0
    assert json.loads(read(cursor)) == {"keep": 1}
    assert os.listdir(os.path.dirname(cursor)) == ["mcp.json"]


def test_an_old_backup_gives_way_to_what_the_user_has_now(config, cursor):
    make(cursor, '{"keep": 1}')
    make(cursor + BACKUP, '{"old": 1}')
    config("cursor", "--write")
    assert read(cursor + BACKUP) == '{"keep": 1}'


def test_a_file_that_the_user_has_put_our_server_into_has_a_backup_too(config, cursor):
    ours = config("cursor").stdout
    pasted = ours.replace("{", '{"keep": 1,', 1)
    make(cursor, pasted)
    assert config("cursor", "--write", "--name", "two").returncode == 0
    assert read(cursor + BACKUP) == pasted
    # Of what says nothing else there is nothing to be kept.
    os.unlink(cursor + BACKUP)
    make(cursor, ours)
    assert config("cursor", "--write", "--name", "two").returncode == 0
    assert not os.path.exists(cursor + BACKUP)


@pytest.mark.parametrize("client", ["cursor", "codex", "vscode", "gemini"])
def test_two_of_ours_in_a_file_that_was_not_there_go_again(config, home, client):
    for act in ("--write", "--remove"):
        for name in ("one", "two"):
            assert config(client, act, "--name", name).returncode == 0
    assert [names for _, _, names in os.walk(home) if names] == []


def test_a_file_that_was_not_there_goes_again(config, home):
    path = os.path.join(home, ".codex", "config.toml")
    assert "has no server" in config("codex", "--remove").stdout
    assert config("codex", "--write").returncode == 0
    assert read(path).startswith("[mcp_servers.dcc]\ncommand = ")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert config("codex", "--remove").returncode == 0
    assert os.listdir(os.path.dirname(path)) == []


def test_a_file_that_cannot_be_parsed_is_left(config, cursor):
    make(cursor, '{"mcpServers": {}, // mine\n}')
    for act in ("--write", "--remove"):
        done = config("cursor", act)
        assert done.returncode == 2
        assert "was left as it is" in done.stderr
        assert "It has comments, a comma behind a last member" in done.stderr
        assert os.listdir(os.path.dirname(cursor)) == ["mcp.json"]


def test_the_server_of_somebody_else_is_left(config, cursor):
    make(cursor, '{"mcpServers": {"dcc": {"command": "x"}}}')
    done = config("cursor", "--write")
    assert done.returncode == 2
    assert "--name" in done.stderr
    assert config("cursor", "--write", "--name", "mine").returncode == 0
    assert set(json.loads(read(cursor))["mcpServers"]) == {"dcc", "mine"}


REFUSED = [
    (("emacs",), "claude-desktop, claude-code"),
    (("cursor", "--instance", "3f"), "--instance"),
    (("cursor", "--remove", "--http", "--instance", "3f"), "--instance"),
    (("cursor", "--http"), "--dcc"),
    (("cursor", "--http", "--dcc", "x", "--python", "y"), "--python"),
    (("cursor", "--name", "a b"), "no name"),
    (("cursor", "--python", "/opt/autodesk/maya2026/bin/maya"), "mayapy"),
    (("cursor", "--python", "no-such-python"), "PATH"),
    (("cursor", "--python", "./no-such-python"), "does not run"),
    (("cursor", "--write", "--remove"), "not allowed"),
    (("cursor", "--bridge", "--http"), "not allowed"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED, ids=repr)
def test_what_makes_no_sense_is_refused(config, home, arguments, said):
    done = config(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert os.listdir(home) == []


def test_the_help_names_every_client():
    from dcc_mcp_embed.installers.clients import CLIENTS

    from dcc_mcp_embed.cli.arguments import _CLIENTS

    assert [client.key for client in CLIENTS] == _CLIENTS


# -- a host over HTTP -------------------------------------------------------------------------


def test_a_running_host_is_written_with_its_token(config, home, cursor):
    make(cursor, "{}")
    with Served(home) as server:
        for selector in (("--dcc", "standalone"), ("--instance", server.facts["instance_id"][:6])):
            done = config("cursor", "--http", *selector)
            expected = {"url": server.facts["plain_url"], "headers": server.authorization}
            assert json.loads(done.stdout) == {"mcpServers": {"dcc-standalone": expected}}, done
            assert "after a restart" in done.stderr
        done = config("cursor", "--http", "--dcc", "standalone", "--write")
        assert done.returncode == 0
        assert server.facts["token"] not in done.stdout + done.stderr
        assert json.loads(read(cursor)) == {"mcpServers": {"dcc-standalone": expected}}
        assert stat.S_IMODE(os.stat(cursor).st_mode) == 0o600
        refused = config("claude-desktop", "--http", "--dcc", "standalone")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--bridge" in refused.stderr
        # Its owner changes another thing: what is kept from before has no token.
        token = server.facts["token"]
        make(cursor, read(cursor).replace("{", '{"mine": 1, ', 1))
        assert config("cursor", "--write", "--name", "two").returncode == 0
        assert token in read(cursor) and token not in read(cursor + BACKUP)
    assert config("cursor", "--remove", "--name", "two").returncode == 0
    assert config("cursor", "--remove", "--dcc", "standalone").returncode == 0
    assert json.loads(read(cursor)) == {"mine": 1}
    assert os.listdir(os.path.dirname(cursor)) == ["mcp.json"]
    assert config("cursor", "--http", "--dcc", "standalone").returncode == 3


def test_a_row_whose_port_has_become_another_host_s_is_refused(config, home):
    folder = os.path.join(home, "old")
    os.mkdir(folder, 0o700)
    with Served(home) as server:
        rows = [foreign_row(port=server.port, metadata={"dcc_mcp_embed_wire": "1"})]
        make(os.path.join(folder, "services.json"), json.dumps(rows))
        done = config("cursor", "--http", "--dcc", "maya", "--registry-dir", folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert "belongs to a standalone" in done.stderr


def test_a_stranger_gets_no_token(config, home):
    folder = os.path.join(home, "registry")
    os.mkdir(folder, 0o700)
    with Answering(http(b"")) as one:
        for metadata, status in (({}, 1), ({"dcc_mcp_embed_wire": "1"}, 3)):
            rows = [foreign_row(port=one.port, metadata=metadata)]
            make(os.path.join(folder, "services.json"), json.dumps(rows))
            done = config("cursor", "--http", "--dcc", "maya")
            assert (done.returncode, done.stdout) == (status, ""), done


# -- which Python -----------------------------------------------------------------------------

PYTHONS = [
    "/usr/bin/python3",
    "/usr/bin/python3.11",
    "C:\\Python311\\python.exe",
    "C:\\Program Files\\Autodesk\\Maya2026\\bin\\mayapy.exe",
    "/opt/hfs20.5/bin/hython",
    "/opt/hfs20.5/bin/hython3.11",
    "C:\\Program Files\\Autodesk\\3ds Max 2026\\Python\\python.exe",
    "/opt/blender-4.2/4.2/python/bin/python3.11",
    "/usr/bin/pypy3",
    "/usr/autodesk/maya2022/bin/python-bin",
]
HOSTS = {
    "C:\\Program Files\\Autodesk\\Maya2026\\bin\\maya.exe": "mayapy",
    "/usr/autodesk/maya2026/bin/maya.bin": "mayapy",
    "C:\\Program Files\\Side Effects Software\\Houdini\\bin\\houdini.exe": "hython",
    "/opt/hfs20.5/bin/houdinifx-bin": "hython",
    "C:\\Program Files\\Autodesk\\3ds Max 2026\\3dsmax.exe": "Python\\python.exe",
    "C:\\Program Files\\Autodesk\\3ds Max 2026\\3dsmaxbatch.exe": "Python\\python.exe",
    "/usr/bin/blender": "python/bin",
    "C:\\Python311\\pythonw.exe": "python.exe",
}


@pytest.mark.parametrize("program", PYTHONS)
def test_a_python_is_written(program):
    assert interpreter.refusal(program, False) is None


@pytest.mark.parametrize("program", HOSTS)
@pytest.mark.parametrize("sure", [True, False])
def test_a_program_with_a_window_is_not(program, sure):
    assert HOSTS[program] in interpreter.refusal(program, sure)


@pytest.mark.parametrize("program", ["", "/usr/bin/something", "C:\\x\\myapp.exe"])
def test_what_only_embeds_a_python_is_not_written_unless_named(program, monkeypatch):
    assert "--python" in interpreter.refusal(program, False)
    assert interpreter.refusal(program, True) is None
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(ConfigError, match="--python"):
        interpreter.choose(None)


def script(path, text):
    make(path, "#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def test_what_is_no_python_is_refused(home):
    cases = {
        "exit 0": "not run as a Python",
        "echo hello": "not run as a Python",
        "echo some text >&2; exit 3": "some text",
        'echo \'{"version": [2, 7], "package": null}\'': "Python 2.7",
    }
    for text, said in cases.items():
        with pytest.raises(ConfigError, match=said):
            interpreter.look_at(script(os.path.join(home, "python"), text))


def test_a_path_that_is_no_text_is_refused_in_words(config, home):
    folder = os.path.join(home, os.fsdecode(b"\xff"))
    text = 'echo \'{"version": [3, 7], "package": "/opt/dcc_mcp_embed"}\''
    done = config("cursor", "--python", script(os.path.join(folder, "python"), text))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no text" in done.stderr


def test_a_host_s_python_may_say_something_before(home):
    text = 'echo Licence ok; echo \'{"version": [3, 7], "package": "/p"}\''
    found = interpreter.look_at(script(os.path.join(home, "hython"), text))
    assert found.package == "/p"


def test_what_only_this_shell_finds_does_not_count(home, monkeypatch):
    make(os.path.join(home, "dcc_mcp_embed", "__init__.py"), "")
    monkeypatch.setenv("PYTHONPATH", home)
    monkeypatch.chdir(home)
    found = interpreter.look_at(sys.executable)
    assert found.package != os.path.join(home, "dcc_mcp_embed")


def test_packages_of_different_pythons_are_not_mixed():
    other = interpreter.Interpreter("/opt/mayapy", None)
    with pytest.raises(ConfigError, match="another Python"):
        interpreter.environment(other, "/usr/lib/python3/site-packages")
    assert interpreter.environment(other, "/src")["PYTHONPATH"] == "/src"
    has_it = interpreter.Interpreter("/opt/mayapy", "/opt/site-packages/dcc_mcp_embed")
    assert "PYTHONPATH" not in interpreter.environment(has_it, "/src")
