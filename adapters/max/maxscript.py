"""The tool that only 3ds Max has: run MAXScript.

Whether it may run at all is decided as for execute_python, from its capability ``code``.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

from ...errors import HostError, InvalidArgument
from ...tools import scene_schema as s
from ...tools.code import CODE, MAX_RESULT, MAX_TRACE, fit
from ...tools.context import ToolContext
from ...tools.declare import tool
from .attributes import plain

__all__ = ["execute_maxscript"]


@tool(
    title="Run MAXScript",
    tags=("script", "code", "program", "max"),
    destructive=True,
    capabilities=(CODE,),
    input_schema=s.schema(
        {
            "code": s.text("MAXScript source; several lines may stand in parentheses."),
            "timeout_s": s.number(
                "Seconds to wait, up to 3600. The code itself is not stopped. Default: the "
                "server's."
            ),
            "undo": s.flag("Make all changes one undo step. Default true.", True),
        },
        required=("code",),
    ),
)
def execute_maxscript(
    ctx: ToolContext, code: str, timeout_s: Optional[float] = None, undo: bool = True
) -> Dict[str, Any]:
    """Run MAXScript in 3ds Max. Returns the value of the last expression as JSON, or its text.
    What it prints goes to the Listener. One undo step by default; seconds for timeout_s.
    """
    if not code.strip():
        raise InvalidArgument("There is no code.")
    rt = ctx.scene.namespace()["rt"]
    try:
        value = rt.execute(code)
    except RuntimeError as error:
        # With it goes its traceback, which holds values of the host.
        told = fit(str(error), MAX_TRACE)
    else:
        shown = plain(rt, value, MAX_RESULT, MAX_RESULT)
        if len(json.dumps(shown)) > MAX_RESULT:
            ctx.warn("The result is too large; its middle is left out of its text.")
            shown = fit(str(value), MAX_RESULT)
        kind = None if value is None else str(rt.classOf(value))
        return {"result": shown, "result_type": kind}
    raise HostError(told, hint="Correct the code and call again.")
