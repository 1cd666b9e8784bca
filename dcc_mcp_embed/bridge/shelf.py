"""Resources and prompts of the hosts that run: one list of each kind, and the way back. Pure.

As tools, they are listed as they are while one host runs. While several do, the name of a prompt
begins with its host's label and an underline, and the uri of a resource with the label and a plus,
which a scheme may have: ``maya_review``, ``maya+dcc://status``. So begun they lead to their host
at any time. Nothing is remembered of hosts that do not run.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Tuple

from ..errors import Ambiguous, ToolError
from ..wire.mcp.listing import LISTS
from ..wire.mcp.work import Completion, PromptGet, ResourceRead, ToolCall, Work
from .naming import Route

__all__ = ["SHELVES", "Shelf", "asked", "marked", "request"]

Entries = List[Dict[str, Any]]

#: Method of a list -> its member in the result.
SHELVES = {method: which[0] for method, which in LISTS.items() if which[0] != "tools"}
#: Member -> what names its entries.
_KEYS = dict(LISTS.values())
#: Member -> what stands between a label and a name.
_MARKS = {"resources": "+", "resourceTemplates": "+", "prompts": "_"}


class Shelf:
    """What is listed, and where names lead. One thread.

    ``nobody()`` returns the error for when no host runs.
    """

    def __init__(self, nobody: Callable[[], ToolError]) -> None:
        self._nobody = nobody
        self._running: List[str] = []
        #: (label, member) -> entries, as the host lists them.
        self._entries: Dict[Tuple[str, str], Entries] = {}

    def set_running(self, labels: Iterable[str]) -> None:
        """Take who runs."""
        self._running = sorted(labels)
        for key in [key for key in self._entries if key[0] not in self._running]:
            del self._entries[key]

    @property
    def several(self) -> bool:
        """Whether names begin with labels."""
        return len(self._running) > 1

    def take(self, label: str, member: str, entries: Any) -> None:
        """Take what a host lists; what is no entry is left out."""
        key = _KEYS[member]
        if label in self._running and type(entries) is list:
            self._entries[label, member] = [
                one for one in entries if type(one) is dict and type(one.get(key)) is str
            ]

    def has(self, label: str, member: str) -> bool:
        """Return whether a host has listed these."""
        return (label, member) in self._entries

    def listing(self, member: str) -> Entries:
        """Return the list, sorted by what names its entries. Not to be changed."""
        key = _KEYS[member]
        found = [
            _described(one, key, _marked(label, member, one[key]), label) if self.several else one
            for label in self._running
            for one in self._entries.get((label, member), ())
        ]
        return sorted(found, key=lambda one: one[key])

    def route(self, member: str, name: str) -> Route:
        """Return where a name leads. Raises NoHost, Ambiguous; whether it is there, hosts know."""
        running = self._running
        if not running:
            raise self._nobody()
        label, mark, rest = name.partition(_MARKS[member])
        spelt = Route(label, rest) if mark and rest and label in running else None
        if not self.several:
            listed = self._entries.get((running[0], member), ())
            if spelt is None or any(one[_KEYS[member]] == name for one in listed):
                return Route(running[0], name)
        if spelt is None:
            raise Ambiguous(
                "Several hosts run, and {!r} does not say which is meant.".format(name[:100]),
                hint="Begin it with {}; list_instances tells which host is which.".format(
                    " or ".join(label + _MARKS[member] for label in running[:8])
                ),
                state="not_started",
            )
        return spelt


def asked(work: Work) -> Tuple[str, str]:
    """Return the list that work other than a tool call is about, and the name in it."""
    if isinstance(work, ResourceRead):
        return "resources", work.uri
    if isinstance(work, Completion):
        return ("prompts" if work.kind == "prompt" else "resourceTemplates"), work.of
    return "prompts", work.name


def request(work: Work, name: str) -> Tuple[str, Dict[str, Any]]:
    """Return the method and the params that ask a host for ``work``, by the host's own name."""
    if isinstance(work, ToolCall):
        return "tools/call", {"name": name, "arguments": work.arguments}
    if isinstance(work, ResourceRead):
        return "resources/read", {"uri": name}
    if isinstance(work, PromptGet):
        return "prompts/get", {"name": name, "arguments": work.arguments}
    params = {key: work.params[key] for key in ("argument", "context") if key in work.params}
    key = "name" if work.kind == "prompt" else "uri"
    params["ref"] = dict(work.params["ref"], **{key: name})
    return "completion/complete", params


def marked(result: Dict[str, Any], label: str) -> Dict[str, Any]:
    """Return a result in whose contents, content and messages each uri begins with the label."""
    found = dict(result)
    for member in ("contents", "content"):
        if type(found.get(member)) is list:
            found[member] = [_with_uris(one, label) for one in found[member]]
    if type(found.get("messages")) is list:
        found["messages"] = [
            dict(one, content=_with_uris(one.get("content"), label)) if type(one) is dict else one
            for one in found["messages"]
        ]
    return found


def _with_uris(item: Any, label: str) -> Any:
    if type(item) is not dict:
        return item
    changed = {}
    if type(item.get("uri")) is str:
        changed["uri"] = _marked(label, "resources", item["uri"])
    if type(item.get("resource")) is dict:
        changed["resource"] = _with_uris(item["resource"], label)
    return dict(item, **changed) if changed else item


def _marked(label: str, member: str, name: str) -> str:
    return label + _MARKS[member] + name


def _described(entry: Dict[str, Any], key: str, name: str, label: str) -> Dict[str, Any]:
    shown = dict(entry, **{key: name})
    shown["description"] = "[{}] {}".format(label, entry.get("description") or "").rstrip()
    if type(entry.get("title")) is str:
        shown["title"] = "{}: {}".format(label, entry["title"])
    return shown
