"""Run scripts that fork in processes of their own: that of the tests has too many threads."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from fakes.served import DEADLINE, environment

__all__ = ["run"]


def run(code: str, home: str) -> Any:
    """Run a script with ``home`` for its data; return how it ended. Warnings are errors there.

    Except for that of newer Pythons that a process with threads has forked.
    """
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
    )
