"""What the tests of Windows share: they run in its own Python, and nowhere else (README.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

if os.name != "nt":
    collect_ignore_glob = ["test_*.py"]

HERE = os.path.dirname(os.path.abspath(__file__))


#: Of the hosts that can be played, the one that runs on Windows only.
HOSTS = ("max", "maxbatch")
#: What of 3ds Max's hazards is tried alone here, too: an end that nobody has told of.
ALONE = ("end_without_a_word",)


def pytest_configure(config):
    for mark in ("qt: needs PySide", "limit(seconds): counts as hung after that time"):
        config.addinivalue_line("markers", mark)
    expected = os.environ.get("DCC_MCP_EMBED_EXPECT")
    import dcc_mcp_embed

    root = os.path.dirname(os.path.dirname(HERE))
    from_checkout = os.path.dirname(os.path.dirname(dcc_mcp_embed.__file__)) == root
    if os.name == "nt" and expected and (expected == "checkout") != from_checkout:
        raise pytest.UsageError("{} was to be tested".format(expected))


def pytest_collection_modifyitems(config, items):
    """Leave out, of the tests that are those of other folders, what is not for here."""
    others = [item for item in items if item.path.parent.name == "hosts" and not _is_for_here(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _is_for_here(item):
    name = getattr(getattr(item, "callspec", None), "params", {}).get("name")
    # Each of those takes a process of its own, and this system some seconds to start one.
    wanted = ALONE if item.originalname == "test_alone" else HOSTS
    return name is None or name in wanted


class Process:
    """A Python of its own that reads JSON lines on stdin and answers each."""

    def __init__(self, *arguments):
        self._child = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._child.pid

    def line(self):
        line = self._child.stdout.readline()
        assert line, "it has ended"
        return json.loads(line.decode("utf-8"))

    def __call__(self, *call):
        self._child.stdin.write(json.dumps(call).encode("utf-8") + b"\n")
        self._child.stdin.flush()
        return self.line()

    def kill(self):
        self._child.kill()
        self._child.wait()

    def close(self):
        """Let it end."""
        self._child.stdin.close()
        self._child.stdout.close()
        return self._child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._child.poll() is None:
            self.kill()
        if not self._child.stdin.closed:
            self.close()


@pytest.fixture(scope="session")
def start():
    """Start a process: ``start("-c", code)``."""
    return Process


@pytest.fixture(scope="session")
def next_start():
    """Return what run_deferred_cleanup says as the first line of a host that starts now."""
    code = (
        "import json; from windows.ntfs import enforce; enforce(); "
        "from dcc_mcp_embed.install_lifecycle import run_deferred_cleanup; "
        "print(json.dumps(run_deferred_cleanup()))"
    )

    def run():
        return json.loads(subprocess.check_output([sys.executable, "-c", code]).decode("utf-8"))

    return run


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Make a folder with a journal of its own, which children use too."""
    before = os.environ.get("DCC_MCP_EMBED_HOME")

    def make(name):
        place = tmp_path_factory.mktemp(name)
        os.environ["DCC_MCP_EMBED_HOME"] = str(place / "home")
        (place / "trees").mkdir()
        return str(place / "trees")

    yield make
    if before is None:
        os.environ.pop("DCC_MCP_EMBED_HOME", None)
    else:
        os.environ["DCC_MCP_EMBED_HOME"] = before
