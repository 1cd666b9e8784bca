"""What has to be done to a user folder so that it is as wished. Pure: facts in, operations out.

The order of the operations is what makes a crash harmless. An install stages the whole version,
then writes what the host finds, then switches: whatever it is cut off after, the host starts the
old version, the new one, or (the first time) nothing. An uninstall says so in a file of ours first:
from then on whatever is started there finishes it, as long as the host finds something of ours.
That goes last but for the rest of our folder, which the journal has by then.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

__all__ = [
    "Facts",
    "Operation",
    "Wish",
    "near",
    "plan_change",
    "plan_install",
    "plan_sweep",
    "plan_uninstall",
]

#: Kinds of operations: what the sentence about one begins with.
SENTENCES = {
    "stage": "Put {name} into {path}",
    "replace": "Put {name} anew into {path}: {why}",
    "write": "Write {path}",
    "switch": "Have the host start {name} ({path})",
    "keep": "Keep {path}: {why}",
    "mark": "Note in {path} that all of it is to go",
    "remove": "Remove {path}: {why}",
    "clear": "Remove what is ours from {path}, and leave the rest: {why}",
    "unlink": "Delete {path}",
    "owe": "Have the next start of any host finish, should this be cut off: {path}",
    "forget": "Have no start remove {path} any more",
    "prune": "Remove {path} if nothing else is in it",
    "unlist": "Take the server {name} out of {path}",
    "refuse": "Leave {path} alone: {why}",
}


class Operation(NamedTuple):
    """One step. ``data``: the content of ``write``, the lines of ``mark``."""

    kind: str
    path: str
    name: str = ""
    why: str = ""
    data: bytes = b""

    def __str__(self) -> str:
        return SENTENCES[self.kind].format(path=self.path, name=self.name, why=self.why)

    def public(self) -> Dict[str, Any]:
        """Return it as JSON has it."""
        shown = {"operation": self.kind, "path": self.path, "text": str(self)}
        if self.name:
            shown["server" if self.kind == "unlist" else "version"] = self.name
        return shown


class Wish(NamedTuple):
    """What an install is to end in. ``inside``, ``outside``: path -> content, in this order."""

    name: str
    inside: Mapping[str, bytes]
    outside: Mapping[str, bytes]


class Facts(NamedTuple):
    """What was seen. ``files``: path -> content of those that are there."""

    root: str
    versions: str
    current_file: str
    leaving_file: str
    current: Optional[str]
    installed: Tuple[str, ...]
    staged: Tuple[str, ...]
    #: Version -> the first thing that is wrong with its files.
    damaged: Mapping[str, str]
    #: Version -> who runs it.
    users: Mapping[str, str]
    files: Mapping[str, bytes]
    leaving: bool
    #: Whether the journal has it that the root is to go.
    owed: bool
    #: Folders of ours that are links.
    links: Tuple[str, ...]
    #: What another host finds in this user folder and is ours -> what that host is called here.
    foreign: Mapping[str, str]
    #: Whether there is a root, and what lies in it that is not ours.
    there: bool
    others: Tuple[str, ...]
    #: Whether it is a studio's, which other machines run.
    shared: bool
    mark: bytes
    separator: str

    @property
    def installed_here(self) -> bool:
        """Whether something was installed, of which at least a part is left."""
        ours = any(self.mark in data for data in self.files.values())
        return bool(self.installed) or ours

    def below(self, *parts: str) -> str:
        return self.separator.join((self.versions, *parts))

    def near(self, path: str) -> str:
        """Return ``path`` as it is seen from the user folder, which may be moved meanwhile."""
        return near(self.root.rpartition(self.separator)[0], path, self.separator)


def near(user: str, path: str, separator: str) -> str:
    """Return ``path``, below the folder ``user`` or one of those that it is in, from there."""
    if path == user:
        return "."
    # The root of a drive has its separator.
    below = user.rstrip(separator) + separator
    if path.startswith(below):
        return path[len(below) :].replace(separator, "/")
    above = user[len(path) :].strip(separator).split(separator)
    return "/".join([".."] * len(above))


def plan_install(facts: Facts, wish: Wish) -> List[Operation]:
    """Return what installs, upgrades, downgrades or repairs, in order; nothing if all is there."""
    refused = _refused(facts)
    if refused:
        return refused
    strangers = [
        path
        for path in (*wish.inside, *wish.outside)
        if path in facts.files and facts.mark not in facts.files[path]
    ]
    if strangers:
        why = "it is somebody else's; move it away, then install again"
        return [Operation("refuse", path, why=why) for path in strangers]
    planned: List[Operation] = []
    folder = facts.below(wish.name)
    if wish.name not in facts.installed:
        planned.append(Operation("stage", folder, wish.name))
    elif wish.name in facts.damaged:
        planned.append(Operation("replace", folder, wish.name, facts.damaged[wish.name]))
    if facts.leaving or facts.owed:
        planned.append(Operation("forget", facts.root))
    if facts.leaving:
        planned.append(Operation("unlink", facts.leaving_file))
    for files in (wish.inside, wish.outside):
        for path, data in files.items():
            if facts.files.get(path) != data:
                planned.append(Operation("write", path, data=data))
    if facts.current != wish.name:
        # Before the file that the host finds, the first time: it must not find a root without one.
        switch = Operation("switch", facts.current_file, wish.name)
        found = [n for n, one in enumerate(planned) if one.path in wish.outside]
        planned.insert(found[0] if found and facts.current is None else len(planned), switch)
    return planned + _sweep(facts, wish.name)


def plan_change(facts: Facts, wish: Wish) -> List[Operation]:
    """Return what upgrades or repairs what is installed; where nothing is, nothing."""
    refused = _refused(facts)
    if refused:
        return refused
    if facts.leaving:
        why = "it is being uninstalled; install it again to keep it"
        return [Operation("keep", facts.root, why=why)]
    return plan_install(facts, wish) if facts.installed_here else []


_LINK = "it is a link, and nothing of ours is put or removed where that leads"


def _refused(facts: Facts) -> List[Operation]:
    refused = [Operation("refuse", path, why=_LINK) for path in facts.links]
    if not facts.shared:
        # All of them have one root, so what is done for one would be done to the others.
        why = "it was installed for another host, whose user folder this is: --host {}"
        refused += [
            Operation("refuse", path, why=why.format(key)) for path, key in facts.foreign.items()
        ]
    return refused


def plan_sweep(facts: Facts) -> List[Operation]:
    """Return what a start cleans up: versions that are neither current nor run by anybody."""
    return [] if facts.current is None or facts.links else _sweep(facts, facts.current)


def _sweep(facts: Facts, current: str) -> List[Operation]:
    planned: List[Operation] = []
    if facts.shared:
        # Who runs which version is known on each machine only.
        return planned
    for name in facts.installed:
        if name == current:
            continue
        path = facts.below(name)
        if name in facts.users:
            why = "{} runs it; the next start removes it".format(facts.users[name])
            planned.append(Operation("keep", path, name, why))
        else:
            planned.append(Operation("remove", path, name, "it is not used any more"))
    for name in facts.staged:
        planned.append(Operation("remove", facts.below(name), why="it was never finished"))
    return planned


def plan_uninstall(
    facts: Facts, outside: Mapping[str, bytes], made: Tuple[str, ...]
) -> List[Operation]:
    """Return what removes all of ours; ``outside``: what the host finds, ``made``: our folders.

    Versions that somebody runs stay, and what the host finds with them, until the next start.
    """
    refused = _refused(facts)
    if refused:
        return refused
    if facts.shared:
        why = "it is a studio's, and other machines may run it; delete the folder once none does"
        return [Operation("refuse", facts.root, why=why)]
    ours = [path for path in outside if facts.mark in facts.files.get(path, b"")]
    strangers = [path for path in outside if path in facts.files and path not in ours]
    planned = [Operation("refuse", path, why="it is not ours") for path in strangers]
    if facts.others and not facts.installed and not facts.leaving and not facts.files:
        # Somebody else has a folder of that name.
        return planned
    if not ours and not facts.there:
        # Of what an earlier removal has put beside it something may be left.
        left = Operation("remove", facts.root, why="an earlier removal was cut off")
        return [*planned, left] if facts.owed else planned
    lines = "".join(facts.near(path) + "\n" for path in (*ours, *made)).encode("ascii")
    planned.append(Operation("mark", facts.leaving_file, data=lines))
    busy = [name for name in facts.installed if name in facts.users]
    for name in (*facts.installed, *facts.staged):
        path = facts.below(name)
        if name in busy:
            why = "{} runs it; the next start removes it".format(facts.users[name])
            planned.append(Operation("keep", path, name, why))
        else:
            planned.append(Operation("remove", path, name, "it is not wanted any more"))
    if busy:
        return planned
    if facts.others:
        why = "{} in it is not ours".format(facts.others[0])
        planned += [Operation("unlink", path) for path in ours]
        planned.append(Operation("clear", facts.root, why=why))
        return [*planned, *(Operation("prune", folder) for folder in made)]
    planned.append(Operation("owe", facts.root))
    planned += [Operation("unlink", path) for path in ours]
    planned.append(Operation("remove", facts.root, why="nothing of it is wanted any more"))
    planned += [Operation("prune", folder) for folder in made]
    return planned
