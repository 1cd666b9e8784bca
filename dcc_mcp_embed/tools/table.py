"""Everything that one server offers. Reading takes no lock; adding swaps in a new state."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Iterable, List, Tuple, Union

from ..errors import ConfigError, NotFound
from ..records import NamedTuple
from .declare import Entry, PromptEntry, ResourceEntry, Tool, declared, declared_in
from .hints import meant
from .profiles import as_tasks, listed
from .uri import MAX_URI

__all__ = ["ToolTable"]


class _State(NamedTuple):
    """One version of the table; never changed once it is visible.

    ``templates`` are those of the resources, the most definite first; ``listings`` are by MCP's
    names for them.
    """

    tools: Dict[str, Tool]
    resources: Dict[str, ResourceEntry]
    prompts: Dict[str, PromptEntry]
    templates: Tuple[ResourceEntry, ...]
    listings: Dict[str, List[Dict[str, Any]]]
    revision: int


class ToolTable:
    """Tools by name, resources by uri, prompts by name. Any thread.

    ``profile``: which of the tools are listed (see :mod:`.profiles`); all of them can be called.
    """

    def __init__(self, profile: str = "full") -> None:
        self._lock = threading.Lock()
        self._profile = profile
        self._state = _State({}, {}, {}, (), _listings({}, {}, {}, profile), 0)
        #: Called with the names of the lists that have changed, by whoever changed them.
        self.changed: Callable[[List[str]], None] = lambda lists: None

    def add(self, thing: Union[Tool, Callable[..., Any]]) -> None:
        """Add a Tool or a declared function. The same one twice is fine.

        Raises ConfigError for what is not declared, and for a name that is taken.
        """
        entry = declared(thing)
        if entry is None:
            raise ConfigError(
                "{!r} is not declared; put @dcc_mcp_embed.tool above it.".format(thing)
            )
        self._add_all([entry])

    def add_module(self, module: Any) -> int:
        """Add all that is declared in ``module`` or imported into it, and return how many.

        All or none: raises ConfigError for a name that is taken, naming both places.
        """
        entries = declared_in(module)
        self._add_all(entries)
        return len(entries)

    def get(self, name: str) -> Tool:
        """Return the tool ``name``. Raises NotFound with the nearest names as hint."""
        tools = self._state.tools
        tool = tools.get(name)
        if tool is None:
            raise NotFound(
                "There is no tool '{}'.".format(str(name)[:64]),
                hint=meant(name, tools) or "Ask search_tools, or tools/list, for the names.",
                state="not_started",
            )
        return tool

    def resource(self, uri: str) -> Tuple[ResourceEntry, Dict[str, str]]:
        """Return the resource that ``uri`` means and the values of its placeholders there.

        Raises NotFound with the nearest as hint.
        """
        state = self._state
        if len(uri) <= MAX_URI:
            entry = state.resources.get(uri)
            if entry is not None and not entry.template:
                return entry, {}
            for one in state.templates:
                values = one.match(uri)
                if values is not None:
                    return one, values
        plain = [key for key, one in state.resources.items() if not one.template]
        raise NotFound(
            "There is no resource '{}'.".format(uri[:200]),
            hint=meant(uri, plain) or "Ask resources/list and resources/templates/list.",
            state="not_started",
        )

    def referred(self, uri: str) -> ResourceEntry:
        """Return the resource or template with this very ``uri``, or that it means.

        Raises NotFound.
        """
        entry = self._state.resources.get(uri)
        return entry if entry is not None else self.resource(uri)[0]

    def prompt(self, name: str) -> PromptEntry:
        """Return the prompt ``name``. Raises NotFound with the nearest names as hint."""
        prompts = self._state.prompts
        entry = prompts.get(name)
        if entry is None:
            raise NotFound(
                "There is no prompt '{}'.".format(name[:64]),
                hint=meant(name, prompts) or "Ask prompts/list for the names.",
                state="not_started",
            )
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._state.tools

    def __len__(self) -> int:
        return len(self._state.tools)

    @property
    def revision(self) -> int:
        """A number that grows with each change."""
        return self._state.revision

    @property
    def tools(self) -> Tuple[Tool, ...]:
        """All tools, by name."""
        return tuple(tool for _, tool in sorted(self._state.tools.items()))

    @property
    def resources(self) -> Tuple[ResourceEntry, ...]:
        """All resources, by uri."""
        return tuple(entry for _, entry in sorted(self._state.resources.items()))

    @property
    def prompts(self) -> Tuple[PromptEntry, ...]:
        """All prompts, by name."""
        return tuple(entry for _, entry in sorted(self._state.prompts.items()))

    def listing(self, member: str = "tools") -> List[Dict[str, Any]]:
        """Return the entries of one of MCP's lists; the same list until the next change.

        ``member`` is "tools", "toolsAsTasks" (with what each says of tasks), "resources",
        "resourceTemplates" or "prompts", sorted by name or uri. It is shared: not to be changed.
        """
        return self._state.listings[member]

    def _add_all(self, entries: Iterable[Entry]) -> None:
        with self._lock:
            old = self._state
            tools, resources, prompts = dict(old.tools), dict(old.resources), dict(old.prompts)
            changed: List[str] = []
            for entry in entries:
                if isinstance(entry, Tool):
                    new, of = _put(tools, entry.name, entry, "tool"), "tools"
                elif isinstance(entry, ResourceEntry):
                    new, of = _put(resources, entry.uri, entry, "resource"), "resources"
                else:
                    new, of = _put(prompts, entry.name, entry, "prompt"), "prompts"
                if new and of not in changed:
                    changed.append(of)
            if changed:
                self._state = _State(
                    tools,
                    resources,
                    prompts,
                    _templates(resources),
                    _listings(tools, resources, prompts, self._profile),
                    old.revision + 1,
                )
        if changed:
            self.changed(changed)


def _templates(resources: Dict[str, ResourceEntry]) -> Tuple[ResourceEntry, ...]:
    found = [one for one in resources.values() if one.template]
    return tuple(sorted(found, key=lambda one: (-one.weight, one.uri)))


def _listings(
    tools: Dict[str, Tool],
    resources: Dict[str, ResourceEntry],
    prompts: Dict[str, PromptEntry],
    profile: str,
) -> Dict[str, List[Dict[str, Any]]]:
    by_uri = sorted(resources.items())
    shown = listed(tools, profile)
    return {
        "tools": shown,
        "toolsAsTasks": as_tasks(tools, shown),
        "resources": [one.describe() for _, one in by_uri if not one.template],
        "resourceTemplates": [one.describe() for _, one in by_uri if one.template],
        "prompts": [one.describe() for _, one in sorted(prompts.items())],
    }


def _put(table: Dict[str, Any], key: str, entry: Any, kind: str) -> bool:
    """Put an entry in and return whether it is new."""
    if key not in table:
        table[key] = entry
        return True
    there = table[key]
    if there is entry:
        return False
    raise ConfigError(
        "The {} '{}' is declared by {} and by {}; rename one (name=).".format(
            kind, key, there.place, entry.place
        )
    )
