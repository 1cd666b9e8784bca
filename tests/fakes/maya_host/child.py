"""Hazards in a process of their own, which one may take down: ``child.py STAGE HOME CHECK...``."""

from __future__ import annotations

import os
import sys
from typing import Callable, List

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))


class _Environment:
    """What of pytest's ``monkeypatch`` a started server needs; the process ends with it."""

    def setenv(self, name: str, value: str) -> None:
        os.environ[name] = value


def warm_up() -> None:
    """Import what only the test's own clients need: they stand for those of other processes."""
    "127.0.0.1".encode("idna")


def main(stage_name: str, home: str, *checks: str) -> None:
    from fakes import hazards

    warm_up()
    if checks == ("leave",):
        leave(stage_name, home)
        return
    for number, name in enumerate(checks):
        run_one(stage_name, getattr(hazards, name), os.path.join(home, str(number)))
        print(name, flush=True)
    # A crash while the interpreter ends shows in the exit code.
    print("end")


def leave(stage_name: str, home: str) -> None:
    """Let the interpreter end while a server runs, without a word to it before: a host's crash
    handler does so, and whoever calls ``sys.exit``.
    """
    from fakes.hosted import Hosted, data
    from fakes.maya_host import stage as stages

    stage = getattr(stages, stage_name)().__enter__()
    hosted = Hosted(stage, home, _Environment())

    def body() -> None:
        hosted.server.wait_registered(20)
        assert data(hosted.call("get_scene_info"))

    stage.run(body)
    _left.extend((stage, hosted))
    print("leave\nend", flush=True)


#: What is still there when the interpreter ends.
_left: List[object] = []


def run_one(stage_name: str, check: Callable[..., None], home: str) -> None:
    from fakes.hosted import Hosted
    from fakes.maya_host import stage as stages

    os.mkdir(home)
    running = []
    with getattr(stages, stage_name)() as stage:

        def start(**options: object) -> Hosted:
            running.append(Hosted(stage, home, _Environment(), **options))
            return running[-1]

        try:
            check(stage, start)
        finally:
            for hosted in running:
                hosted.close()


if __name__ == "__main__":
    sys.path[0] = TESTS
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    main(*sys.argv[1:])
