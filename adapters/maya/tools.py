"""The tools that only Maya has: MEL, and a picture of the view."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from typing import Any, Dict, List, Optional

from ...errors import HostError, InvalidArgument, Unsupported
from ...tools import scene_schema as s
from ...tools.capture import Capture
from ...tools.code import CODE, MAX_RESULT, MAX_STDERR, MAX_STDOUT, fit
from ...tools.content import Image
from ...tools.context import ToolContext
from ...tools.declare import tool
from .session import cmds, is_batch

__all__ = ["capture_viewport", "execute_mel"]

#: Pixels along a side: a larger picture costs a client more than it shows.
MAX_SIDE = 2048


@tool(
    title="Run MEL",
    tags=("script", "code", "command"),
    destructive=True,
    capabilities=(CODE,),
    input_schema=s.schema(
        {
            "code": s.text("MEL source."),
            "timeout_s": s.number(
                "Seconds to wait, up to 3600. The code itself is not stopped. Default: the "
                "server's."
            ),
            "undo": s.flag("Make all changes one undo step. Default true.", True),
        },
        required=("code",),
    ),
)
def execute_mel(
    ctx: ToolContext, code: str, timeout_s: Optional[float] = None, undo: bool = True
) -> Dict[str, Any]:
    """Run MEL on Maya's main thread. Returns the value of the last statement (text, a number, or a
    list of them; null if it has none) and what was printed. One undo step by default; seconds for
    timeout_s.
    """
    if not code.strip():
        raise InvalidArgument("'code' is empty.")
    cmds()
    import maya.mel

    with Capture(MAX_STDOUT, MAX_STDERR) as capture:
        try:
            value = maya.mel.eval(code)
        except RuntimeError as error:
            problem: Optional[str] = str(error).strip()
        else:
            problem = None
    printed = fit(capture.stdout.text(), MAX_STDOUT)
    if problem is not None:
        raise HostError(
            "MEL failed: {}".format(problem or "no reason was given"),
            hint="The Script Editor shows the line.",
            details={"stdout": printed} if printed else None,
        )
    shown = _plain(value)
    text = json.dumps(shown)
    if len(text) > MAX_RESULT:
        # What it did cannot be refused with it, as a result that is too large would be.
        ctx.warn("The result is too large; parts of its text are left out.")
        shown = fit(shown if isinstance(shown, str) else text, MAX_RESULT)
    return {"result": shown, "stdout": printed}


def _plain(value: Any) -> Any:
    """Return a result of MEL as JSON: a string, a number, or an array of one of these."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return str(value)


@tool(
    title="Capture viewport",
    tags=("screenshot", "image", "view", "look", "playblast"),
    read_only=True,
    input_schema=s.schema(
        {
            "width": s.integer("Pixels, 16 to 2048. Default 960.", 960),
            "height": s.integer("Pixels, 16 to 2048. Default 540.", 540),
            "frame": s.number("Which frame to show. Default: the current one."),
        }
    ),
)
def capture_viewport(
    ctx: ToolContext, width: int = 960, height: int = 540, frame: Optional[float] = None
) -> List[Any]:
    """Return a picture of the active 3D view, as a PNG without heads-up display. Default 960 by
    540 pixels. Needs a Maya with a window.
    """
    for name, side in (("width", width), ("height", height)):
        if not 16 <= side <= MAX_SIDE:
            raise InvalidArgument(
                "'{}' is {}; it must be between 16 and {}.".format(name, side, MAX_SIDE)
            )
    if is_batch():
        raise Unsupported("A Maya without a window has no view.", state="not_started")
    if frame is None:
        frame = float(cmds().currentTime(query=True))
    folder = tempfile.mkdtemp(prefix="dcc_mcp_")
    try:
        path = os.path.join(folder, "view.png")
        cmds().playblast(
            format="image",
            compression="png",
            frame=[frame],
            completeFilename=path,
            viewer=False,
            offScreen=True,
            percent=100,
            widthHeight=[width, height],
            showOrnaments=False,
            forceOverwrite=True,
        )
        if not os.path.isfile(path):
            raise HostError(
                "Maya wrote no picture.",
                hint="It needs a 3D view that shows: none may be open, or it is minimised.",
            )
        return [Image(path=path)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
