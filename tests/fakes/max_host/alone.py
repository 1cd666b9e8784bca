"""One check in a process of its own: ``python -m fakes.max_host.alone NAME FOLDER``.

It prints ``done`` when it went well, and then the process has to end by itself, some with the
server still running.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict

if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # Not before the package that is to be tested, which may be an installed one.
    sys.path[0] = here

from fakes import hazards
from fakes.hosted import DEADLINE, Hosted, data, error
from fakes.max_host.served import queued
from fakes.max_host.stage import MaxbatchStage, MaxStage

__all__ = ["CHECKS"]


class Environment:
    """What of pytest's monkeypatch a server needs; there is nothing to be taken back."""

    def setenv(self, name: str, value: str) -> None:
        os.environ[name] = value


def _shared(check: Callable[..., None]) -> Callable[[str], None]:
    def run(home: str) -> None:
        with MaxStage() as stage:
            running = []

            def start(**options: Any) -> Hosted:
                running.append(Hosted(stage, home, Environment(), **options))
                return running[-1]

            check(stage, start)
            for hosted in running:
                hosted.close()

    return run


def batch_holds_the_interpreter(home: str) -> None:
    """Native code of a tool keeps the interpreter: then everybody is told what really was."""
    with MaxbatchStage() as stage:
        tools = hazards.Tools(stage)
        hosted = Hosted(stage, home, Environment(), tools=[tools.module])
        hosted.server.wait_registered(DEADLINE)

        def body() -> None:
            holding = hosted.later("hold_interpreter", {"seconds": 0.5})
            assert tools.entered.acquire(timeout=DEADLINE)
            calls = {str(n): hosted.later("act_soon", {"name": str(n)}) for n in range(4)}
            queued(hosted, "act_soon", 4)
            tools.leave.set()
            assert data(holding.get()) == {}
            answers = {name: call.get() for name, call in calls.items()}
            assert data(hosted.call("act", {"name": "after"}))
            ran = set(tools.ran) - {"held", "after"}
            codes = {name: error(one)["code"] for name, one in answers.items() if one["isError"]}
            # One that began as its time was over is told so, and goes on to run.
            began = {name for name, code in codes.items() if code == "timeout_running"}
            assert set(codes.values()) <= {"timeout_not_started", "timeout_running"}
            assert set(answers) - set(codes) <= ran <= set(answers) - set(codes) | began
            assert len(tools.ran) == len(set(tools.ran))

        stage.run(body)
        hosted.close()


def quit_and_end(home: str) -> None:
    """3ds Max shuts down with the server running, and the interpreter ends with the loop."""
    stage = MaxStage().__enter__()
    tools = hazards.Tools(stage)
    hosted = Hosted(stage, home, Environment(), tools=[tools.module])

    def body() -> None:
        blocked = hosted.later("block")
        assert tools.entered.acquire(timeout=DEADLINE)
        waiting = [hosted.later("act_slowly", {"name": str(n)}) for n in range(8)]
        queued(hosted, "act_slowly", 8)
        stage.quit()
        tools.leave.set()
        blocked.get()
        answers = [call.get() for call in waiting]
        assert len(tools.ran) - 1 == sum(not answer["isError"] for answer in answers)

    stage.run(body)


def end_without_a_word(home: str) -> None:
    """The interpreter ends without any of 3ds Max's events, the server and its port open."""
    stage = MaxStage().__enter__()
    hosted = Hosted(stage, home, Environment())
    stage.run(lambda: hosted.call("get_status"))


def batch_ends_without_a_word(home: str) -> None:
    """The script of 3dsmaxbatch ends without having served to its end."""
    stage = MaxbatchStage().__enter__()
    hosted = Hosted(stage, home, Environment())
    hosted.server.wait_registered(DEADLINE)
    hosted.later("get_status").get()


CHECKS: Dict[str, Callable[[str], None]] = {
    **{
        one.__name__: _shared(one)
        for one in (
            hazards.native_code_holds_the_interpreter,
            hazards.import_lock_held_by_main,
            hazards.cyclic_qobject_waits_to_be_collected,
        )
    },
    **{
        one.__name__: one
        for one in (
            batch_holds_the_interpreter,
            quit_and_end,
            end_without_a_word,
            batch_ends_without_a_word,
        )
    },
}


def main(name: str, home: str) -> None:
    """Run one of the checks."""
    stdout = sys.stdout
    CHECKS[name](home)
    print("done", file=stdout, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
