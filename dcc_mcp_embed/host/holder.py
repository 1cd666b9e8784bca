"""Who has a thread, for how long, and where in its code it is."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional

from ..records import NamedTuple

__all__ = ["STACK_AFTER", "Holder", "stack_of"]

#: A holder older than this shows its stack, seconds.
STACK_AFTER = 5.0
_STACK_DEPTH = 12


class Holder(NamedTuple):
    """Who has the thread. ``age`` in seconds; ``stack`` innermost last, only when it is old."""

    tool: str
    client: str
    job_id: str
    age: float
    stack: Optional[List[str]]

    def to_dict(self) -> Dict[str, Any]:
        """Return what ``get_status`` shows."""
        shape: Dict[str, Any] = {
            "tool": self.tool,
            "client": self.client,
            "job_id": self.job_id,
            "age_ms": int(self.age * 1000),
        }
        if self.stack is not None:
            shape["stack"] = self.stack
        return shape


def stack_of(ident: int) -> Optional[List[str]]:
    """Return the innermost lines of a thread's stack, None if there is no such thread. Any thread.

    Made by hand: ``traceback`` and ``linecache`` would read source files, and may import.
    """
    frame = sys._current_frames().get(ident)
    lines: List[str] = []
    while frame is not None and len(lines) < _STACK_DEPTH:
        code = frame.f_code
        lines.append("{}:{} in {}".format(code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return lines[::-1] or None
