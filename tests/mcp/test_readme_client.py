"""What the README says of calling other MCP servers: its code runs, its settings are ours."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from typing import Any, Iterator, List

import pytest

import helpers
from conformance.test_client_suite import EXPECTED
from dcc_mcp_embed.mcp import MCPError, failures
from dcc_mcp_embed.mcp.settings import MCPSettings, settings_from
from fakes.served import Served, environment

DEADLINE = 60.0
TITLE = "## Calling other MCP servers\n"
URL = "http://localhost:8000/mcp"
TOOLS = '''
import dcc_mcp_embed


@dcc_mcp_embed.tool(thread="loop", read_only=True)
def web_search(query: str) -> str:
    """Search.

    Args:
        query: What for.
    """
    return "found " + query
'''


def section() -> str:
    with open(os.path.join(helpers.ROOT, "README.md"), encoding="utf-8") as file:
        rest = file.read().partition(TITLE)[2]
    assert rest
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks() -> List[str]:
    """Return what is indented, each block without its indent."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section(), re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()).strip() for block in found]


@pytest.fixture(scope="module")
def url(tmp_path_factory: Any) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    tools = folder / "tools.py"
    tools.write_text(TOOLS, encoding="utf-8")
    with Served(str(folder), "--tools", str(tools)) as server:
        yield server.facts["url"]


def ran(code: str, folder: Any, url: str) -> List[str]:
    """Run a block, as a program of its own; return the lines that it prints."""
    assert URL in code
    script = folder / "example.py"
    script.write_text(code.replace(URL, url), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=environment(str(folder)),
        cwd=str(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr.decode("utf-8")) == (0, "")
    return done.stdout.decode("utf-8").splitlines()


def test_there_are_three_examples():
    assert len(blocks()) == 3


def test_the_awaited_example(tmp_path, url):
    lines = ran(blocks()[0], tmp_path, url)
    assert lines[0] == "exa-search: inactive -> active"
    assert "'web_search'" in lines[1]
    assert lines[2:] == ["found maya", "exa-search: active -> inactive"]


def test_the_blocking_example(tmp_path, url):
    assert ran(blocks()[1], tmp_path, url) == ["found maya"]


def test_the_example_of_a_model(tmp_path, url):
    first, second = [json.loads(line) for line in ran(blocks()[2], tmp_path, url)]
    assert (first["tool_call_id"], first["success"]) == ("call_1", True)
    assert (second["tool_call_id"], second["success"]) == ("call_2", False)
    assert "no JSON" in second["error"]


def test_the_settings_are_those():
    table = section().partition("| setting |")[2].partition("\n\n")[0]
    told = {}
    for line in table.splitlines()[2:]:
        names, defaults = line.split("|")[1:3]
        values = [float(one) for one in defaults.split(",")]
        told.update(zip(re.findall(r"`(\w+)`", names), values))
    assert told == MCPSettings()._asdict()
    prefix = re.findall(r"`(DCC_MCP_EMBED_CLIENT_)`", section())[0]
    variables = {prefix + name.upper(): str(int(value) + 1) for name, value in told.items()}
    changed = settings_from(variables)
    assert changed == MCPSettings(*(int(value) + 1 for value in MCPSettings()))


def test_the_codes_are_those():
    assert MCPError.__doc__ is not None
    listed = re.findall(r"\w+", MCPError.__doc__.partition("Codes:")[2])
    made = {code for _, code, _ in failures._KINDS}
    for name in sorted(os.listdir(os.path.dirname(failures.__file__))):
        if name.endswith(".py"):
            with open(os.path.join(os.path.dirname(failures.__file__), name), "rb") as file:
                made.update(codes_in(ast.parse(file.read())))
    assert sorted(listed) == sorted(made)
    told = set(re.findall(r"`(\w+)`", section()))
    assert made <= told, made - told


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Yield the second argument of each error that is made there, if it is a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "MCPError",
            "NotRegistered",
        ):
            yield from (ast.literal_eval(one) for one in node.args[1:2] if not hasattr(one, "id"))


def test_what_needs_oauth_is_named():
    told = section().partition("begin with `auth/`:")[2]
    named = re.findall(r"`([a-z0-9-]+)`", told)
    demanded = set().union(*(one.oauth | one.oauth_beside for one in EXPECTED.values()))
    assert sorted("auth/" + name for name in named) == sorted(demanded)
    passed = [len(one.passed) for one in EXPECTED.values()]
    assert "({} of 2025-11-25, {} of 2026-07-28".format(*passed) in section()
