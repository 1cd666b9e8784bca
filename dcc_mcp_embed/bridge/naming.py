"""What hosts and their tools are called. Pure.

A host has a label: its kind, and a number from the second of a kind on. A tool has its own name
while one host runs, and ``<label>_<name>`` while several do. Labels are letters and digits only, so
the first underline ends them. Names are what every client takes: ``[a-zA-Z0-9_-]``, 64 at most.
"""

from __future__ import annotations

import hashlib
import re
from typing import Dict, Iterable, Mapping, NamedTuple, Sequence

__all__ = ["LONGEST_NAME", "Route", "expose", "label_for", "split"]

LONGEST_NAME = 64
_LONGEST_KIND = 12
_HASH = 6
#: Some clients take no name that begins with a digit.
_KINDS = {"3dsmax": "max"}
_BAD = re.compile(r"[^a-zA-Z0-9_-]")


class Route(NamedTuple):
    """Where a name leads: the host's label and the name that the tool has there."""

    label: str
    tool: str


def label_for(kind: str, taken: Iterable[str]) -> str:
    """Return the first label for one more host of a kind that nobody has."""
    base = kind.lower()
    base = _KINDS.get(base) or re.sub(r"[^a-z0-9]", "", base)[:_LONGEST_KIND]
    if not base or base[0].isdigit():
        base = "host" + base
    used = set(taken)
    label, number = base, 1
    while label in used:
        number += 1
        label = "{}{}".format(base, number)
    return label


def expose(tools: Mapping[str, Sequence[str]], plain: bool) -> Dict[str, Route]:
    """Return name -> route for the tools of each label.

    ``plain``: without labels; there must be one then. The same tools get the same names, whatever
    their order.
    """
    found: Dict[str, Route] = {}
    odd = []
    for label in sorted(tools):
        for tool in sorted(set(tools[label])):
            wanted = tool if plain else "{}_{}".format(label, tool)
            name = _BAD.sub("_", wanted)
            if name == wanted and 0 < len(name) <= LONGEST_NAME and name not in found:
                found[name] = Route(label, tool)
            else:
                odd.append((wanted, name, Route(label, tool)))
    # Names that are good as they are keep them; the others are told apart by what they were.
    for wanted, name, route in odd:
        digest = hashlib.sha256(wanted.encode("utf-8", "surrogatepass")).hexdigest()
        told_apart = _marked(name, digest[:_HASH])
        while told_apart in found:
            digest = hashlib.sha256(digest.encode("ascii")).hexdigest()
            told_apart = _marked(name, digest[:_HASH])
        found[told_apart] = route
    return found


def _marked(name: str, mark: str) -> str:
    return "{}_{}".format(name[: LONGEST_NAME - _HASH - 1], mark)


def split(name: str, labels: Iterable[str]) -> Route:
    """Return the route that a name spells out, with the label "" if it begins with none."""
    label, line, tool = name.partition("_")
    if line and tool and label in labels:
        return Route(label, tool)
    return Route("", name)
