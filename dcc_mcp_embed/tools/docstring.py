"""Take a docstring apart: what describes the tool, and what its "Args:" section says of each."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

__all__ = ["split"]

_ARGS = re.compile(r"(?:Args|Arguments|Parameters)\s*:\s*\Z")
_ENTRY = re.compile(r"\*{0,2}([^\W\d]\w*)\s*(?:\([^()]*\))?\s*:\s*(.*)\Z")
_BLANKS = re.compile(r"\n{3,}")


def split(doc: Optional[str]) -> Tuple[str, Dict[str, str]]:
    """Return (the text without its "Args:" section, argument -> description).

    The section is the one of Google's style guide for Python: a heading on a line of its own,
    below it, indented, ``name: text`` or ``name (type): text``, continued with deeper indentation.
    """
    kept: List[str] = []
    section: List[str] = []
    inside = False
    for line in _dedent(doc or ""):
        if inside and line and not line[0].isspace():
            inside = False
        if not inside and _ARGS.match(line):
            inside = True
            continue
        (section if inside else kept).append(line)
    text = _BLANKS.sub("\n\n", "\n".join(kept)).strip()
    return text, _entries(section)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedent(doc: str) -> List[str]:
    lines = [line.rstrip() for line in doc.expandtabs().splitlines()]
    # The first line stands behind the quotes and tells nothing about the indentation.
    margin = min((_indent(line) for line in lines[1:] if line), default=0)
    return [line.strip() if number == 0 else line[margin:] for number, line in enumerate(lines)]


def _entries(section: List[str]) -> Dict[str, str]:
    lines = [line for line in section if line]
    margin = min((_indent(line) for line in lines), default=0)
    found: Dict[str, str] = {}
    current: Optional[str] = None
    for line in lines:
        entry = _ENTRY.match(line.strip()) if _indent(line) == margin else None
        if entry is not None:
            current = entry.group(1)
            found[current] = entry.group(2).strip()
        elif current is not None:
            found[current] = (found[current] + " " + line.strip()).strip()
    return found
