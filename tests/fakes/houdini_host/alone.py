"""Play hazards in a process of their own: ``python alone.py <folder of tests> <stage> <check>...``.

For what takes the process down where it goes wrong. Says "all is well" if all went well.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Callable, Dict, List


class Setting:
    """What the server's helpers need of pytest's monkeypatch."""

    def setenv(self, name: str, value: str) -> None:
        os.environ[name] = value


def start_in(stage: Any, running: List[Any]) -> Callable[..., Any]:
    """Return what starts a server in ``stage``."""
    from fakes.hosted import DEADLINE, Hosted

    def start(**options: Any) -> Any:
        running.append(Hosted(stage, os.getcwd(), Setting(), **options))
        running[-1].server.wait_registered(DEADLINE)
        return running[-1]

    return start


def main(stage_name: str, checks: List[str]) -> None:
    """Play each as the tests in one process do. The working directory is the user's home."""
    from fakes import hazards
    from fakes.houdini_host import ends, stage

    known: Dict[str, Any] = {one.__name__: one for one, _ in hazards.HAZARDS}
    kind = getattr(stage, stage_name)
    # What a client's socket would load as it connects, which a held import lock would not let it.
    "localhost".encode("idna")
    for check in checks:
        sys.stdout.write("{}\n".format(check))
        sys.stdout.flush()
        if check in ends.ENDS:
            end(kind, ends.ENDS[check])
            return
        running: List[Any] = []
        with kind() as entered:
            try:
                known[check](entered, start_in(entered, running))
            finally:
                for hosted in running:
                    hosted.close()
    print("all is well")


def end(kind: Any, check: Callable[..., None]) -> None:
    """Play the last one: nothing is closed, and the process ends as it is."""
    kind.dead_locks = True
    entered = kind().__enter__()
    # Not even as the interpreter clears up.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(entered))
    check(entered, start_in(entered, []))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    main(sys.argv[2], sys.argv[3:])
