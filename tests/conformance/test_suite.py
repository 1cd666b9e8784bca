"""The official conformance suite against the fixture: nothing fails, and all of it is checked.

Checks are counted, because the suite also passes a scenario that it had nothing to see in. Each run
is made twice, side by side: answers are JSON where they can be, or always streams, for which there
is more to check.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Sequence, Tuple

import pytest

from conformance.suite import install, run
from fakes.served import Served

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = [os.path.join(HERE, name) for name in ("fixture.py", "fixture_tasks.py")]
SERVE = ("--tools", *FIXTURES, "--no-auth")


def counted(folder: str, options: Sequence[str], *serve: str) -> Tuple[Dict[str, int], int]:
    """Return (scenario -> its failures, where it has some; how many checks passed)."""
    os.makedirs(folder)
    command = install()
    with Served(folder, *SERVE, *serve) as server:
        found = run(command, server.facts["plain_url"], folder, *options)
    failed = {name: bad for name, (_, bad) in found.items() if bad}
    return failed, sum(good for good, _ in found.values())


@pytest.mark.parametrize(
    ("options", "checks", "checks_of_streams"),
    [
        (["--suite", "all", "--spec-version", "2025-03-26"], 3, 3),
        (["--suite", "all", "--spec-version", "2025-06-18"], 56, 56),
        (["--requirements", "2025-11-25"], 83, 84),
        (["--requirements", "2026-07-28"], 196, 197),
    ],
    ids=["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"],
)
def test_nothing_fails(tmp_path, options, checks, checks_of_streams):
    install()
    with ThreadPoolExecutor(2) as pool:
        usual = pool.submit(counted, str(tmp_path / "usual"), options)
        streams = pool.submit(counted, str(tmp_path / "streams"), options, "--always-stream")
    assert usual.result() == ({}, checks)
    assert streams.result() == ({}, checks_of_streams)
