"""Enter stages and start servers in them, for tests; and run what is deadly in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Sequence

from fakes.hosted import Hosted
from helpers import ROOT

__all__ = ["child", "entering", "starting"]


@contextmanager
def entering() -> Iterator[Callable[..., Any]]:
    """Yield what enters a stage; at the end it is left, which fails for what Maya refuses."""
    from fakes.maya_host import stage as stages

    entered: List[Any] = []

    def make(name: str = "MayaStage", **options: Any) -> Any:
        entered.append(getattr(stages, name)(**options))
        return entered[-1].__enter__()

    yield make
    for stage in entered[::-1]:
        stage.__exit__(None, None, None)


@contextmanager
def starting(home: str, monkeypatch: Any) -> Iterator[Callable[..., Hosted]]:
    """Yield what starts a server in a stage; at the end it is stopped."""
    running: List[Hosted] = []

    def begin(stage: Any, **options: Any) -> Hosted:
        running.append(Hosted(stage, home, monkeypatch, **options))
        return running[-1]

    try:
        yield begin
    finally:
        for hosted in running:
            hosted.close()


def child(stage: str, checks: Sequence[str], home: Any) -> None:
    """Run checks in a process of their own, which must hold them all and end well."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")
    path = os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, script, stage, str(home), *checks],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
        env=dict(os.environ, PYTHONPATH=path),
    )
    told = done.stderr.decode("utf-8", "replace")
    held = done.stdout.decode("ascii").split()
    assert (done.returncode, held) == (0, [*checks, "end"]), told
