"""The official conformance suite against the fixture, as a ratchet: what fails is listed here.

A scenario that fails and is not listed fails the test, and so does one that is listed and passes.
Checks are counted too: the suite also passes a scenario that it had nothing to see in.
"""

from __future__ import annotations

import os

import pytest

from conformance.suite import install, run
from fakes.served import Served

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))

#: An extension that is none of ours.
EXTENSION = "tasks-"


@pytest.mark.parametrize(
    ("options", "failing", "checks"),
    [
        (["--suite", "all", "--spec-version", "2025-03-26"], set(), 3),
        (["--suite", "all", "--spec-version", "2025-06-18"], set(), 56),
        (["--requirements", "2025-11-25"], set(), 83),
        (["--requirements", "2026-07-28"], set(), 152),
    ],
    ids=["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"],
)
def test_nothing_but_what_is_listed_fails(tmp_path, options, failing, checks):
    command = install()
    fixture = os.path.join(HERE, "fixture.py")
    options_of = ("--tools", fixture, "--profile", "full", "--no-auth")
    with Served(str(tmp_path), *options_of) as server:
        found = run(command, server.facts["plain_url"], str(tmp_path), *options)
    ours = {name: counts for name, counts in found.items() if not name.startswith(EXTENSION)}
    assert {name for name, (_, bad) in ours.items() if bad} == failing
    assert sum(good for good, _ in ours.values()) == checks
