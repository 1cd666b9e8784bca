"""Locks between processes on Windows: held, and free once whoever holds them was killed."""

from __future__ import annotations

import os

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.install_lifecycle import (
    list_deferred,
    processes,
    query_runtime_state,
    run_deferred_cleanup,
    schedule_deferred_cleanup,
)
from fakes.trees import plant
from fakes.waiting import until

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: Does what another host does that is carrying out what is owed.
AT_IT = """
import os, sys, time
from dcc_mcp_embed.install_lifecycle.journal import Journal
turn = Journal(os.environ["DCC_MCP_EMBED_HOME"], time.monotonic, time.sleep).turn(0.0)
print(int(turn is not None), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(fresh):
    return fresh("locks")


def test_a_host_that_is_killed_lets_go_of_the_journal(place, start):
    tree = plant(os.path.join(place, "tree"), {"a.txt": b"old"})
    owed = {"operation": "remove_tree", "path": tree}
    assert schedule_deferred_cleanup({"deferred_operation": owed})["status"] == "scheduled"
    with start("-c", AT_IT) as other:
        assert other.line() == 1
        assert run_deferred_cleanup()["status"] == "busy"
        assert os.path.exists(tree)
        other.kill()
    # The lock ends with its holder, or a moment later.
    until(lambda: run_deferred_cleanup()["status"] != "busy")
    assert not os.path.exists(tree)
    assert list_deferred()["entries"] == []


def test_the_sentinel_of_a_row_tells_whether_its_owner_lives(place, start):
    directory = os.path.join(place, "registry")
    script = os.path.join(TESTS, "registry", "registry_process.py")
    package = os.path.dirname(os.path.dirname(dcc_mcp_embed.__file__))
    with start(script, directory, package) as owner:
        told = owner.line()
        state = query_runtime_state(directory)
        (entry,) = state["entries"]
        assert (state["success"], state["alive_count"]) == (True, 1)
        assert entry["instance_id"] == told["id"]
        assert (entry["sentinel_held"], entry["runtime_alive"]) == (True, True)
        assert entry["parent_pid"] == owner.pid
        assert processes.runs(owner.pid)
        owner.kill()
        until(lambda: not processes.runs(owner.pid))
    state = query_runtime_state(directory)
    assert (state["alive_count"], state["dead_count"]) == (0, 1)
    assert state["entries"][0]["sentinel_held"] is False
