"""The seed's example of use, with another import, and its blocking twin: they run everywhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import helpers
from fakes.served import Served, environment
from fakes.usage_example import FOLDER, SAID, TOOLS, URL

DEADLINE = 60.0
EXAMPLES = ("usage.py", "usage_blocking.py")
VERSIONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    tools = folder / "tools.py"
    tools.write_text(TOOLS, encoding="utf-8")
    with Served(str(folder), "--tools", str(tools)) as server:
        yield server.facts["url"]


def said(executable, example, url, folder):
    """Run an example as a program; return the lines that it prints."""
    with open(os.path.join(FOLDER, example), encoding="utf-8") as file:
        code = file.read()
    assert URL in code
    done = subprocess.run(
        [executable, "-W", "error", "-c", code.replace(URL, url)],
        env=environment(str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example, url, tmp_path):
    assert said(sys.executable, example, url, tmp_path) == SAID


@pytest.mark.heavy
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_on_each_python(example, version, url, tmp_path):
    assert said(helpers.python(version), example, url, tmp_path) == SAID
