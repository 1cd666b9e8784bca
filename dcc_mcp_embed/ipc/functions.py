"""Users' functions: what they are and return, and how what they raise is shown and logged."""

from __future__ import annotations

import logging
from typing import Any, Callable, Optional

__all__ = ["close", "report", "shown"]

_logger = logging.getLogger("dcc_mcp_embed.ipc")


def close(awaitable: Any) -> None:
    """Give up a coroutine that will not be awaited, or anything else."""
    try:
        getattr(awaitable, "close", lambda: None)()
    except Exception as error:
        # It is a user's object, and raises what it likes.
        report("closing %s failed: %s", type(awaitable), shown(error))


def shown(error: BaseException, show: Callable[[BaseException], str] = repr) -> str:
    """Return an exception's text, even if it raises another one when it is asked."""
    try:
        return show(error)
    except BaseException:
        # Not even what ends a program: the error that is to be shown comes first.
        return "(its text cannot be had)"


def report(
    text: str, *args: Any, error: Optional[BaseException] = None, level: int = logging.ERROR
) -> None:
    """Log something, with the traceback of ``error``. Never raises; takes as long as the log does.

    The log's handlers are users' functions, too: one that writes to a window may outlive it.
    """
    try:
        _logger.log(level, text, *args, exc_info=error)
    except Exception:
        pass  # whatever it is: nobody is left who could be told
