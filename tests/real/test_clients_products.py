"""Programs that people use: the Inspector, and Claude Code and Gemini CLI with our ``config``.

Each has a home of its own and no account; what they say of a server they find by themselves.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

import helpers
from fakes import served as serving
from fakes.served import Served
from real.clients import npm

pytestmark = pytest.mark.heavy

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients", "tools.py")
DEADLINE = 120.0
PATH = os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(home):
    with Served(home, "--tools", TOOLS) as server:
        yield server
    assert "Traceback" not in server.stderr


def run(command, home, **more):
    """Run a product with nothing of this user's around it; return what it says on both streams."""
    done = subprocess.run(
        command,
        env=dict(HOME=home, PATH=PATH, **more),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    said = [stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr)]
    assert done.returncode == 0, said
    return said


# -- Inspector ----------------------------------------------------------------------------------


@pytest.fixture
def inspect(served, home):
    command = npm.install().command(
        "@modelcontextprotocol/inspector", "clients", "launcher", "build", "index.js"
    )
    where = [served.facts["plain_url"], "--transport", "http"]
    token = ["--header", "Authorization: Bearer " + served.facts["token"]]

    def ask(era, method, *arguments):
        arguments = (*arguments, "--method", method, "--format", "json", "--protocol-era", era)
        command_line = [*command, "--cli", *where, *token, *arguments]
        output, _ = run(command_line, home, MCP_INSPECTOR_SECRET_STORE="memory")
        return json.loads(output)["result"]

    return ask


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_calls_reads_and_gets(inspect, era):
    # It refuses a schema that some client or model does not take.
    tools = inspect(era, "tools/list", "--strict")["tools"]
    assert {"count_up", "create_object"} <= {tool["name"] for tool in tools}
    called = inspect(
        era, "tools/call", "--tool-name", "count_up", "--tool-args-json", '{"steps": 2}'
    )
    assert (called["isError"], called["content"][0]["text"]) == (False, "counted to 2")
    read = inspect(era, "resources/read", "--uri", "test://greeting")
    assert read["contents"][0]["text"] == "Hello from the host"
    got = inspect(era, "prompts/get", "--prompt-name", "greet", "--prompt-args", "name=Ann")
    assert got["messages"][0]["content"]["text"] == "Say hello to Ann."


# -- products that have a configuration --------------------------------------------------------


def claude_code(installed):
    """Return (command, environment) of Claude Code on this machine, and skip the test if none."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    kind = "{}-{}".format(sys.platform, machine)
    program = installed.binary("@anthropic-ai/claude-code-" + kind, "claude")
    helpers.require(os.path.isfile(program), "Claude Code for " + kind)
    # It is to look at our servers, and at nothing else.
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    return [program], quiet


def gemini(installed):
    return installed.command("@google/gemini-cli", "bundle", "gemini.js"), {}


@pytest.mark.parametrize(
    ("client", "find", "connected"),
    [("claude-code", claude_code, "\u2714 Connected"), ("gemini", gemini, "- Connected")],
    ids=["claude-code", "gemini"],
)
def test_a_product_connects_with_what_config_writes(
    served, tmp_path, home, client, find, connected
):
    command, more = find(npm.install())
    own = str(tmp_path)
    folder = tmp_path / ".gemini"
    folder.mkdir()
    (folder / "trustedFolders.json").write_text(json.dumps({own: "TRUST_FOLDER"}))
    for how in (["--http", "--dcc", "standalone"], []):
        subprocess.run(
            [sys.executable, "-m", "dcc_mcp_embed", "config", client, *how, "--write"],
            env=dict(serving.environment(home), HOME=own),
            cwd=home,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    # Gemini CLI says it on stderr.
    listed = "".join(run([*command, "mcp", "list"], own, **more))
    lines = {line.split(":")[0].split()[-1]: line for line in listed.splitlines() if ": " in line}
    # One over HTTP, and one through the bridge that the product starts.
    for name in ("dcc-standalone", "dcc"):
        assert lines[name].endswith(connected), listed
