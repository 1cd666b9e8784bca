"""``maya.cmds``: each call is held against the stubs before it is played.

Autodesk, "Using Python": a flag that a command does not have raises TypeError ("Invalid flag"), and
a value of another type as well ("Invalid arguments for flag"). What is found here fails the test
also where the caller catches the error.
"""

from __future__ import annotations

import types
from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Tuple

from . import stubs
from .host import MayaHost

__all__ = ["Cmds", "Flags", "flat", "played"]

#: Queries that need no flag. undoInfo: "In query mode, if invoked without flags (other than the
#: query flag), this command will return the number of items currently on the undo queue";
#: currentTime: "-query" returns the time (both from Autodesk's command reference).
_BARE_QUERIES = frozenset(("undoInfo", "currentTime", "select", "sets"))

#: Flags that the stubs lack in a mode. upAxis: -axis(-ax) "create query" in the command reference.
_LACKING: Dict[Tuple[str, str], Dict[str, FrozenSet[str]]] = {
    ("upAxis", "create"): {"axis": frozenset(("str",))},
}

#: Commands that without names work on the selection: an empty list is somebody's mistake there.
_SELECTION = frozenset(("delete", "select", "listRelatives", "listHistory", "xform", "parent"))

_VALUES: Dict[str, Tuple[type, ...]] = {
    "bool": (bool, int),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "tuple": (tuple, list),
    "list": (tuple, list),
}


class Played(NamedTuple):
    play: Callable[[MayaHost, str, List[Any], Flags], Any]
    #: Whether a call that is no query is a step of undo.
    undoable: bool
    short: Dict[str, str]


COMMANDS: Dict[str, Played] = {}


def played(name: str, undoable: bool = False, **short: str) -> Callable[[Any], Any]:
    """Register what plays a command; ``short`` names its flags' long names by the short ones."""

    def register(function: Any) -> Any:
        COMMANDS[name] = Played(function, undoable, short)
        return function

    return register


class Flags:
    """The flags of one call, by their long names; it notes which of them were looked at."""

    def __init__(self, values: Dict[str, Any]) -> None:
        self._values = values
        self._seen = set(values) & {"query", "edit"}

    def get(self, name: str, default: Any = None) -> Any:
        self._seen.add(name)
        return self._values.get(name, default)

    def __contains__(self, name: str) -> bool:
        self._seen.add(name)
        return name in self._values

    def unseen(self) -> List[str]:
        return sorted(set(self._values) - self._seen)


def flat(arguments: Any) -> List[Any]:
    """Return the arguments of a command, lists among them taken apart as Maya does."""
    found: List[Any] = []
    for one in arguments:
        if isinstance(one, (list, tuple)):
            found.extend(flat(one))
        else:
            found.append(one)
    return found


class Cmds(types.ModuleType):
    """The module."""

    def __init__(self, host: MayaHost) -> None:
        super().__init__("maya.cmds")
        self.__dict__["_host"] = host

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if stubs.command(name) is None:
            text = self._host.complaints.add("there is no command {!r}".format(name))
            raise AttributeError(text)
        host = self._host

        def call(*arguments: Any, **flags: Any) -> Any:
            return run(host, name, arguments, flags)

        call.__name__ = name
        return call


def run(host: MayaHost, name: str, arguments: Any, given: Dict[str, Any]) -> Any:
    host.require_main("cmds.{}()".format(name))
    command = stubs.command(name)
    assert command is not None
    mode = next(
        (stubs.MODES[one] for one in ("q", "query", "e", "edit") if given.get(one)), "create"
    )
    _check(host, command, mode, given)
    entry = COMMANDS.get(name)
    if entry is None:
        raise NotImplementedError(host.complaints.add("{} is not in the fake".format(name)))
    short = dict(entry.short, q="query", e="edit")
    flags = Flags({short.get(flag, flag): value for flag, value in given.items()})
    if name in _SELECTION and arguments and not flat(arguments):
        host.complaints.add("{}([]) works on the selection".format(name))
    names = flat(arguments)

    def play() -> Any:
        return entry.play(host, mode, names, flags)

    if entry.undoable and mode != "query":
        value = host.undo.record(name, play)
        host.scene.modified = True
    else:
        value = play()
    if flags.unseen():
        text = "{}: the fake does not play {}".format(name, ", ".join(flags.unseen()))
        raise NotImplementedError(host.complaints.add(text))
    return value


def _check(host: MayaHost, command: stubs.Command, mode: str, given: Dict[str, Any]) -> None:
    flags = {one: value for one, value in given.items() if one not in stubs.MODES}
    takes = dict(command.modes[mode], **_LACKING.get((command.name, mode), {}))
    known = takes if mode != "query" else dict.fromkeys(command.known(), stubs.ANYTHING)
    problem = None
    for flag, value in flags.items():
        if flag not in known:
            problem = "Invalid flag '{}'".format(flag)
        elif mode != "query" and not _fits(known[flag], value):
            problem = "Invalid arguments for flag '{}'.  Expected {}, got {}".format(
                flag, " or ".join(sorted(known[flag])), type(value).__name__
            )
    bare = not flags and command.name in _BARE_QUERIES
    if mode == "query" and not bare and not any(one in takes for one in flags):
        problem = "none of the flags {} can be queried".format(sorted(flags))
    if mode != "create" and not command.modes[mode] and command.name not in _BARE_QUERIES:
        problem = "it has no mode '{}'".format(mode)
    if problem is not None:
        text = "{} ({}): {}".format(command.name, mode, problem)
        raise TypeError(host.complaints.add(text))


def _fits(kinds: FrozenSet[str], value: Any) -> bool:
    allowed = [kind for one in kinds for kind in _VALUES.get(one, (object,))]
    return not kinds or isinstance(value, tuple(allowed))
