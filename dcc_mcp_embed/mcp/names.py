"""Names of plugins and tools as one name of a function, which OpenAI takes, and back. Pure.

OpenAI's names are at most 64 of A-Z a-z 0-9 _ -. What is not like that is made so, and told apart
by some digits of its digest; :class:`Names` knows what it has given out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Iterable, Optional, Tuple

from ..digest import sha256

__all__ = ["MOST", "Names", "joined"]

MOST = 64
#: Names that are remembered; the oldest are forgotten first.
_REMEMBERED = 10_000
_DIGITS = 8
_UNFIT = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)

Pair = Tuple[str, str]


def joined(plugin: str, tool: str) -> str:
    """Return the name of a tool of a plugin: ``plugin_tool`` where that will do."""
    plain = "{}_{}".format(plugin, tool)
    fit = _UNFIT.sub("_", plain)
    if fit == plain and len(fit) <= MOST:
        return fit
    digest = sha256("{}\0{}".format(plugin, tool).encode("utf-8", "surrogatepass")).hexdigest()
    return "{}_{}".format(fit[: MOST - _DIGITS - 1], digest[:_DIGITS])


class Names:
    """Leads names back. One thread at a time."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, Pair] = OrderedDict()

    def give(self, plugin: str, tool: str) -> str:
        """Return the name of a tool, and remember what it means."""
        name = joined(plugin, tool)
        self._given.pop(name, None)
        self._given[name] = (plugin, tool)
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return name

    def parse(self, name: str, plugins: Iterable[str], tools: Iterable[Pair] = ()) -> Pair:
        """Return (plugin, tool) of a name.

        By what was given out, if its plugin is there; then by the longest of ``plugins`` with which
        it begins; then by ``tools`` that are known; else what stands before the first ``_``, or
        ``.``. Raises ValueError.
        """
        known = set(plugins)
        found = self._given.get(name)
        if found is not None and found[0] in known:
            return found
        for pair in tools:
            if joined(*pair) == name:
                return pair
        by_prefix = _by_prefix(name, known)
        if by_prefix is not None:
            return by_prefix
        if found is not None:
            return found
        for mark in "_.":
            plugin, _, tool = name.partition(mark)
            if plugin and tool:
                return plugin, tool
        raise ValueError(
            "{!r} is no name of a tool; it is like 'plugin_tool' or 'plugin.tool'".format(name)
        )


def _by_prefix(name: str, plugins: Iterable[str]) -> Optional[Pair]:
    for plugin in sorted(plugins, key=len, reverse=True):
        if name.startswith(plugin) and name[len(plugin) : len(plugin) + 1] in ("_", "."):
            tool = name[len(plugin) + 1 :]
            if tool:
                return plugin, tool
    return None
