"""The official conformance suite against the bridge over HTTP, with its fixture in a host behind.

What only the server itself can do, such as ending a stream so that its client comes back for the
rest, is not checked here; so there are a few checks less.
"""

from __future__ import annotations

import os
from typing import Any, Dict

import pytest

import helpers
from conformance.suite import install, run
from fakes.bridged import Bridged
from fakes.served import Served, ServedBridge

pytestmark = pytest.mark.heavy

FIXTURE = os.path.join(helpers.TESTS, "conformance", "fixture.py")
#: Options of a run -> checks that pass.
RUNS = {
    ("--suite", "all", "--spec-version", "2025-03-26"): 3,
    ("--suite", "all", "--spec-version", "2025-06-18"): 56,
    ("--requirements", "2025-11-25"): 80,
    ("--requirements", "2026-07-28"): 152,
}
#: An extension that is none of ours.
EXTENSION = "tasks-"


def test_nothing_fails_through_the_bridge(tmp_path):
    home, command = str(tmp_path), install()
    found: Dict[Any, Any] = {}
    with Served(home, "--tools", FIXTURE, "--profile", "full"):
        # It has been seen, so that no check comes too early.
        with Bridged(home) as first:
            first.initialize()
            first.appears("test_simple_text")
        with ServedBridge(home) as web:
            url = web.facts["url"]
            for number, options in enumerate(RUNS):
                folder = tmp_path / str(number)
                folder.mkdir()
                ours = {
                    name: counts
                    for name, counts in run(command, url, str(folder), *options).items()
                    if not name.startswith(EXTENSION)
                }
                assert {name: bad for name, (_, bad) in ours.items() if bad} == {}, options
                found[options] = sum(good for good, _ in ours.values())
            assert web.end() == 0
    assert found == RUNS
