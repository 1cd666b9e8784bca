"""What the commands print: texts of others made harmless, and JSON.

Names, descriptions, rows and answers come from other programs, and a terminal obeys what it is
sent. So whatever is not printable is replaced, in everything that is printed. JSON says such
characters in ASCII.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Optional, Sequence, TextIO

from ..errors import RemoteProtocolError

__all__ = ["complain", "json_text", "printable", "say", "table"]

#: Characters of a table's cell; one row's long text must not push everybody's off the screen.
_CELL = 60


def printable(text: str, keep: str = "") -> str:
    """Return ``text`` with a ``?`` for each character that is not printable nor among ``keep``."""
    return "".join(char if char.isprintable() or char in keep else "?" for char in text)


def say(text: str, stream: Optional[TextIO] = None) -> None:
    """Print lines that may hold texts of others, in whatever encoding there is."""
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "ascii"
    clean = printable(text, "\n").encode(encoding, "backslashreplace").decode(encoding)
    print(clean, file=stream)


def complain(text: str) -> None:
    """Do so on stderr."""
    say(text, sys.stderr)


def json_text(value: Any) -> str:
    """Return ``value`` as readable JSON, in ASCII. Raises RemoteProtocolError."""
    try:
        return json.dumps(value, indent=2)
    except RecursionError:
        raise RemoteProtocolError("What was answered is nested too deeply to be shown.") from None


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as columns."""
    clean = [[_cell(cell) for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in clean) for column in range(len(clean[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(x, widths)) for x in clean]
    return "\n".join(line.rstrip() for line in shown)


def _cell(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _CELL else text[: _CELL - 3] + "..."
