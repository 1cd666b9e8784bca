"""Names of plugins and tools as one name of a function, which OpenAI takes, and back. Pure.

OpenAI's names are at most 64 of A-Z a-z 0-9 _ -. What is not like that is made so, and told apart
by some digits of its digest; :class:`Names` knows what it has given out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Callable, Iterable, Iterator, Optional, Tuple

from ..digest import sha256

__all__ = ["MOST", "Names", "joined"]

#: Characters of a name.
MOST = 64
#: Names that are remembered; the oldest are forgotten first.
_REMEMBERED = 10_000
_DIGITS = 8
_UNFIT = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_DIGEST = re.compile(r"_[0-9a-f]{{{}}}\Z".format(_DIGITS), re.ASCII)

Pair = Tuple[str, str]


def joined(plugin: str, tool: str) -> str:
    """Return the name of a tool of a plugin: ``plugin_tool`` where that will do."""
    return next(_candidates(plugin, tool))


def _candidates(plugin: str, tool: str) -> Iterator[str]:
    """Yield names for a tool, the best first: others may have taken it."""
    plain = "{}_{}".format(plugin, tool)
    fit = _UNFIT.sub("_", plain)
    if fit == plain and len(fit) <= MOST:
        yield fit
    digested = "{}\0{}".format(plugin, tool).encode("utf-8", "surrogatepass")
    while True:
        digested = sha256(digested).digest()
        yield "{}_{}".format(fit[: MOST - _DIGITS - 1], digested.hex()[:_DIGITS])


class Names:
    """Leads names back. Any thread parses, one at a time gives."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, Pair] = OrderedDict()

    def give(self, plugin: str, tool: str) -> str:
        """Return the name of a tool, which is no other's, and remember what it means."""
        pair = (plugin, tool)
        # "a_b_c" is a tool of "a", and one of "a_b".
        name = next(one for one in _candidates(*pair) if self._given.get(one, pair) == pair)
        self._given[name] = pair
        self._given.move_to_end(name)
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return name

    def parse(
        self,
        name: str,
        plugins: Iterable[str] = (),
        tools: Callable[[], Iterable[Pair]] = lambda: (),
    ) -> Pair:
        """Return (plugin, tool) of a name.

        By what was given out, if its plugin is one of ``plugins``; then by those of ``tools()``
        that have such a name; then by the longest of ``plugins`` with which it begins; else what
        was given out, or what stands before the first ``_``, or ``.``. Raises ValueError.
        """
        known = set(plugins)
        given = self._given.get(name)
        if given is not None and given[0] in known:
            return given
        found = _by_digest(name, tools) or _by_prefix(name, known)
        found = found or given or _by_mark(name)
        if found is None:
            raise ValueError(
                "{!r} is no name of a tool; it is like 'plugin_tool' or 'plugin.tool'".format(name)
            )
        return found


def _by_digest(name: str, tools: Callable[[], Iterable[Pair]]) -> Optional[Pair]:
    """Return what somebody else may have given it out for: another process, or this one before."""
    if _DIGEST.search(name) is None:
        return None
    return next((pair for pair in tools() if joined(*pair) == name), None)


def _by_prefix(name: str, plugins: Iterable[str]) -> Optional[Pair]:
    for plugin in sorted(plugins, key=len, reverse=True):
        tool = name[len(plugin) + 1 :]
        if tool and name.startswith((plugin + "_", plugin + ".")):
            return plugin, tool
    return None


def _by_mark(name: str) -> Optional[Pair]:
    for mark in "_.":
        plugin, _, tool = name.partition(mark)
        if plugin and tool:
            return plugin, tool
    return None
