"""What a run of the suite has found, fit to be attached to an issue that everybody can read."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, List, Pattern, Tuple

from ...records import NamedTuple

__all__ = ["FAILED", "LEFT_OUT", "PASSED", "Report", "Result", "Redactor", "spelled"]

PASSED = "passed"
FAILED = "failed"
LEFT_OUT = "left out"
_ORDER = (PASSED, FAILED, LEFT_OUT)
#: A shorter text that is to be kept out would take half of every other with it.
_SHORTEST = 4


class Result(NamedTuple):
    """One check: its name, the verdict, how long it took, and why or with what."""

    name: str
    verdict: str
    seconds: float
    text: str


def spelled(path: str) -> Pattern[str]:
    """Return what finds a path in a text, however a host, Python or JSON has spelled it there."""
    if len(path) < _SHORTEST:
        return re.compile("(?!)")
    # Of Windows: with either slash, doubled in a literal, and in capitals or not.
    windows = re.IGNORECASE if path[1:2] == ":" else 0
    return re.compile(r"[\\/]+".join(map(re.escape, re.split(r"[\\/]+", path))), windows)


class Redactor:
    """Take what is the user's own out of a text: secrets, and the places of home directories."""

    def __init__(self, secrets: Iterable[str], *homes: str) -> None:
        self._taken: List[Tuple[Pattern[str], str]] = [
            (re.compile(re.escape(one)), "***") for one in secrets if len(one) >= _SHORTEST
        ]
        # The longest first: one may be how another begins.
        for home in sorted(homes, key=len, reverse=True):
            self._taken.append((spelled(home), "~"))

    def __call__(self, text: str) -> str:
        for taken, put in self._taken:
            text = taken.sub(put, text)
        return text


class Report(NamedTuple):
    """All results, in the order of the checks, and what they were made with."""

    about: Dict[str, str]
    results: List[Result]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(one.verdict != FAILED for one in self.results)

    def count(self, verdict: str) -> int:
        """Return how many checks ended so."""
        return sum(one.verdict == verdict for one in self.results)

    def to_dict(self) -> Dict[str, Any]:
        """Return it as JSON values."""
        return {
            "about": dict(self.about),
            "passed": self.passed,
            "counts": {verdict: self.count(verdict) for verdict in _ORDER},
            "results": [
                {
                    "name": one.name,
                    "verdict": one.verdict,
                    "seconds": round(one.seconds, 4),
                    "text": one.text,
                }
                for one in self.results
            ],
        }

    @classmethod
    def from_dict(cls, shape: Dict[str, Any]) -> Report:
        """Return the report that :meth:`to_dict` made. Raises KeyError, TypeError for others."""
        return cls(
            {str(name): str(value) for name, value in dict(shape["about"]).items()},
            [
                Result(str(r["name"]), str(r["verdict"]), float(r["seconds"]), str(r["text"]))
                for r in shape["results"]
            ],
        )

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

    def to_text(self) -> str:
        """Return it for people: a head, one line for each check, a sum."""
        lines = ["Self-test of dcc_mcp_embed"]
        lines += ["  {}: {}".format(*pair) for pair in self.about.items()]
        lines.append("")
        width = max([len(one.name) for one in self.results] or [0])
        for one in self.results:
            line = "{:8}  {:{}}  {:7.3f} s".format(one.verdict, one.name, width, one.seconds)
            lines.append(line + ("  " + " ".join(one.text.split()) if one.text else ""))
        lines.append("")
        lines.append(", ".join("{} {}".format(self.count(one), one) for one in _ORDER))
        return "\n".join(lines)
