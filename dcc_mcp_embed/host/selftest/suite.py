"""Run the checks, one after the other, and say how each ended. Not on the host's main thread."""

from __future__ import annotations

import os
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ...config import homes
from ...errors import ToolError
from ...records import NamedTuple
from . import host_checks, queue_checks, scene_checks
from .keeping import NewScene, restored
from .report import FAILED, LEFT_OUT, PASSED, Redactor, Report, Result
from .world import LeftOut, World

__all__ = ["CHECKS", "STAGED", "Check", "perform", "run"]

#: What a check may need that only a test's stage can play, and how a report calls that.
STAGED: Dict[str, str] = {
    "modal": "opens a modal dialog",
    "spin": "turns the host's event loop within a call",
    "ask": "answers a question that the host shows",
    "quit": "has the host exit",
}


class Check(NamedTuple):
    """One named check. It returns what is worth knowing, or None; what it raises is its failure.

    ``needs``: some of :data:`STAGED`; "scene" for one that works in a new scene; "undo" for one
    that is left out in a host without an undo.
    """

    name: str
    run: Callable[[World], Optional[str]]
    needs: FrozenSet[str] = frozenset()


def _check(name: str, function: Callable[[World], Optional[str]], *needs: str) -> Check:
    return Check(name, function, frozenset(needs))


#: In the order in which they run; the host is gone after the last.
CHECKS: Tuple[Check, ...] = (
    _check("marshalling: on the main thread", queue_checks.on_the_main_thread),
    _check("marshalling: values", queue_checks.values),
    _check("marshalling: exceptions", queue_checks.exceptions),
    _check("marshalling: no dead-lock", queue_checks.no_dead_lock),
    _check("marshalling: latency", queue_checks.latency),
    _check("ordering: first in, first out", queue_checks.first_in_first_out),
    _check("ordering: many callers", queue_checks.many_callers),
    _check("timeouts: not started, never runs", queue_checks.not_started),
    _check("timeouts: running, result later", queue_checks.running),
    _check("cancel: while it waits", queue_checks.cancelled_waiting),
    _check("cancel: between two steps", queue_checks.cancelled_between_steps),
    _check("modal: writes refused, reads run", host_checks.modal, "modal"),
    _check("ask: does not block", host_checks.question, "ask"),
    _check("re-entrancy: no job inside another", host_checks.reentrancy, "spin"),
    _check("scene: create", scene_checks.create, "scene"),
    _check("scene: move", scene_checks.move, "scene"),
    _check("scene: rename", scene_checks.rename, "scene"),
    _check("scene: select", scene_checks.select, "scene"),
    _check("scene: delete", scene_checks.delete, "scene"),
    _check("scene: resources", scene_checks.resources, "scene"),
    _check("undo: one call, one step", scene_checks.one_step, "scene", "undo"),
    _check("undo: reading is no step", scene_checks.reading_is_no_step, "scene", "undo"),
    _check("undo: a failed call leaves nothing", scene_checks.failed_call, "scene", "undo"),
    _check("exit: callers are told", host_checks.leaving, "quit"),
)


def run(
    world: World,
    checks: Sequence[Check] = CHECKS,
    go_on: Callable[[int, str], bool] = lambda number, name: True,
) -> Report:
    """Run ``checks`` and restore the scene that was open. Never on the host's main thread.

    ``go_on(number, name)`` is asked before each, counted from 0; once it says no, the others are
    left out.
    """
    scene = NewScene(world)
    redact = Redactor(world.secrets, *homes(os.environ))

    def clean(text: str) -> str:
        return redact(scene.hide(text))

    results: List[Result] = []
    going = True
    try:
        for number, check in enumerate(checks):
            going = going and go_on(number, check.name)
            if not going:
                results.append(Result(check.name, LEFT_OUT, 0.0, "The run was cancelled."))
                continue
            if "quit" in check.needs:
                results += restored(scene, world.clock, clean)
            results.append(perform(world, check, scene, clean))
    finally:
        results += restored(scene, world.clock, clean)
    return Report({key: clean(value) for key, value in world.about.items()}, results)


def perform(world: World, check: Check, scene: NewScene, clean: Callable[[str], str]) -> Result:
    """Run one check; whatever it raises is in the result."""
    start = world.clock.monotonic()
    try:
        _demand(world, check)
        if "scene" in check.needs:
            scene.open()
        verdict, text = PASSED, check.run(world) or ""
    except LeftOut as reason:
        verdict, text = LEFT_OUT, str(reason)
    except (Exception, SystemExit) as error:  # what a host raises is of any kind
        verdict, text = FAILED, _told(error)
    return Result(check.name, verdict, world.clock.monotonic() - start, clean(text))


def _demand(world: World, check: Check) -> None:
    """Raise LeftOut for what nobody can play here."""
    for need in sorted(check.needs & set(STAGED)):
        if world.stage is None:
            raise LeftOut("It {}, which only our own tests can.".format(STAGED[need]))
        if need not in world.stage.can:
            raise LeftOut("It {}, which this stage cannot.".format(STAGED[need]))


def _told(error: BaseException) -> str:
    what = "{}: {}".format(type(error).__name__, error)
    if isinstance(error, ToolError) and error.hint:
        what += " " + error.hint
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        code = trace.tb_frame.f_code
        what += " ({}:{})".format(os.path.basename(code.co_filename), trace.tb_lineno)
    return what
