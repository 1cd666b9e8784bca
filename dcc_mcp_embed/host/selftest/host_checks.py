"""Checks that need a stage: a dialog, a question, a nested event loop, the end of the host."""

from __future__ import annotations

import threading
from functools import partial
from typing import Iterator, List, Optional

from ...errors import HostModal, HostShuttingDown
from ..adapter import Question
from .queue_checks import expect, raised, told_once
from .world import SECONDS, Call, World

__all__ = ["leaving", "modal", "question", "reentrancy"]

TITLE = "Self-test dialog"
CHOICES = (("once", "Allow once"), ("never", "Never"))
#: How often a tool turns the host's loop while a job waits.
TURNS = 10


def modal(world: World) -> None:
    world.stage.open_modal(TITLE)
    try:
        refused = world.start(lambda: "written", writes=True)
        error = raised(HostModal, refused)
        expect(TITLE in str(error), "the title of the dialog is not told: {}".format(error))
        expect(refused.begun == 0, "it wrote while a dialog was open")
        expect(world.run(lambda: "read") == "read", "nothing is read while a dialog is open")
    finally:
        world.stage.close_modal()
    written = world.run(lambda: "written", writes=True)
    expect(written == "written", "nothing is written after the dialog")
    told_once(refused)


def question(world: World) -> None:
    given: List[str] = []
    answered = threading.Event()

    def answer(choice: str) -> None:
        given.append(choice)
        answered.set()

    world.run(lambda: world.adapter.ask(Question(TITLE, "May it?", CHOICES, answer)))
    expect(world.run(lambda: "read") == "read", "the host waits for the answer")
    expect(not given, "it was answered by nobody: {}".format(given))
    world.stage.answer("once")
    expect(answered.wait(SECONDS), "the answer did not arrive")
    world.run(lambda: None)
    expect(given == ["once"], "the answers are {}".format(given))


def reentrancy(world: World) -> None:
    entered, queued = threading.Event(), threading.Event()
    ran: List[str] = []

    def spins() -> List[str]:
        entered.set()
        queued.wait(SECONDS)
        for _ in range(TURNS):
            world.stage.spin()
        return list(ran)

    outer = world.start(spins, writes=True)
    expect(entered.wait(SECONDS), "it did not begin")
    # Writers wait for each other anyway; a reader only for the thread.
    inner = [
        world.start(partial(ran.append, name), writes=writes)
        for name, writes in (("reader", False), ("writer", True))
    ]
    queued.set()
    within = outer.wait()
    expect(not within, "inside a job that turned the event loop ran: {}".format(within))
    for call in inner:
        call.wait()
    expect(ran == ["reader", "writer"], "after it ran: {}".format(ran))
    told_once(outer, *inner)


def leaving(world: World) -> None:
    """The last check: there is no host after it."""
    begun, ended = threading.Event(), threading.Event()
    closed: List[bool] = []

    def steps() -> Iterator[Optional[int]]:
        try:
            while True:
                begun.set()
                yield None
        finally:
            closed.append(world.adapter.is_main_thread())
            ended.set()

    flying = world.start(steps, writes=True)
    expect(begun.wait(SECONDS), "it did not begin")
    # Another writer waits until that one has ended, and so never begins.
    waiting = world.start(lambda: "ran", writes=True)
    world.stage.quit()
    for call, state in ((flying, "running"), (waiting, "not_started")):
        error = raised(HostShuttingDown, call)
        expect(error.state == state, "a caller was told {!r}".format(error.state))
    refused = Call(world, lambda: "ran")
    try:
        refused.submit()
    except HostShuttingDown:
        pass
    else:
        raised(HostShuttingDown, refused)
    expect(waiting.begun == refused.begun == 0, "a job ran after its caller was told otherwise")
    # Callers are told first.
    ended.wait(SECONDS)
    expect(closed == [True], "what was between two steps was not ended there: {}".format(closed))
    told_once(flying, waiting)
