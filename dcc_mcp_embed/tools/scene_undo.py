"""Take back and bring back the host's undo steps.

These tools carry the capability :data:`UNDO`: whoever builds their jobs must open no undo chunk
for them, because a host cannot undo while a step of its own is open.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..errors import InvalidArgument, Unsupported
from . import scene_schema as s
from .context import ToolContext
from .declare import tool

__all__ = ["UNDO", "redo", "undo"]

#: The capability that says: this tool moves on the undo stack, so it opens no chunk itself.
UNDO = "undo"

MAX_STEPS = 100

SCHEMA = s.schema(
    {
        "steps": s.integer("How many steps, 1 to 100. Default 1.", 1),
        "expected_label": s.text(
            "Label that the first step must have, as undo.label of an earlier result; otherwise "
            "nothing happens. Guards work that the artist did since."
        ),
    }
)


@tool(
    title="Undo",
    tags=("revert", "back"),
    destructive=True,
    capabilities=(UNDO,),
    input_schema=SCHEMA,
)
def undo(ctx: ToolContext, steps: int = 1, expected_label: Optional[str] = None) -> Dict[str, Any]:
    """Take back the last undo steps (default 1, max 100), the artist's own ones too: pass
    expected_label to be sure that the first is yours. Returns the labels undone, null where the
    host cannot tell.
    """
    return _move(ctx, "undo", steps, expected_label, ctx.scene.undo, ctx.scene.undo_label)


@tool(title="Redo", tags=("again",), destructive=True, capabilities=(UNDO,), input_schema=SCHEMA)
def redo(ctx: ToolContext, steps: int = 1, expected_label: Optional[str] = None) -> Dict[str, Any]:
    """Bring back the steps undone last (default 1, max 100); any edit in between has
    dropped them. Returns the labels redone, null where the host cannot tell.
    """
    return _move(ctx, "redo", steps, expected_label, ctx.scene.redo, ctx.scene.redo_label)


def _move(
    ctx: ToolContext,
    what: str,
    steps: int,
    expected: Optional[str],
    move: Callable[[], bool],
    top: Callable[[], Optional[str]],
) -> Dict[str, Any]:
    if not 1 <= steps <= MAX_STEPS:
        raise InvalidArgument(
            "'steps' is {}; it must be between 1 and {}.".format(steps, MAX_STEPS)
        )
    if expected is not None:
        _check_top(what, expected, top())
    labels: List[Optional[str]] = []
    while len(labels) < steps:
        label = top()
        if not move():
            break
        labels.append(label)
    if len(labels) < steps:
        ctx.warn("Only {} of {} steps were there to {}.".format(len(labels), steps, what))
    ctx.evidence(next_undo=ctx.scene.undo_label(), next_redo=ctx.scene.redo_label())
    return {"labels": labels, "steps": len(labels)}


def _check_top(what: str, expected: str, label: Optional[str]) -> None:
    if label == expected:
        return
    if label is None:
        raise Unsupported(
            "There is nothing to {}, or this host does not name its steps; nothing was "
            "changed.".format(what),
            hint="Call {} without expected_label if you are sure.".format(what),
            state="not_started",
        )
    raise InvalidArgument(
        "The next step to {} is '{}', not '{}': something else was done since. Nothing was "
        "changed.".format(what, label, expected),
        hint="Look at the scene first. To go on, pass expected_label='{}'.".format(label),
        details={"next_label": label},
    )
