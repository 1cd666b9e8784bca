"""What calls there are in Maya: read from the stubs of ``types-maya``, made from Autodesk's pages.

The file of the commands has 93 000 lines; only the lines of a command that is called are parsed.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

__all__ = ["ANYTHING", "MODES", "Command", "command", "members", "module_names", "stub_path"]

MODES = {"q": "query", "query": "query", "e": "edit", "edit": "edit"}

#: A flag whose stub says ``Any``.
ANYTHING: FrozenSet[str] = frozenset()

Kinds = FrozenSet[str]


class Command(NamedTuple):
    """One command: mode -> flag -> the kinds of value it takes ("create", "edit", "query")."""

    name: str
    modes: Dict[str, Dict[str, Kinds]]

    def known(self) -> FrozenSet[str]:
        return frozenset(flag for flags in self.modes.values() for flag in flags)


#: As they were when this was loaded: a host that is played takes some away.
_FOLDERS = tuple(sys.path)


def stub_path(*parts: str) -> Optional[str]:
    """Return a file of the stubs, None where they are not installed."""
    for folder in _FOLDERS:
        path = os.path.join(folder or ".", "maya-stubs", *parts)
        if os.path.isfile(path):
            return path
    return None


def _text(*parts: str) -> str:
    path = stub_path(*parts)
    assert path is not None, "types-maya is not installed: pip install types-maya==0.6.1"
    with open(path, encoding="utf-8") as stream:
        return stream.read()


_lines: Dict[str, List[str]] = {}
_commands: Dict[str, Optional[Command]] = {}


def command(name: str) -> Optional[Command]:
    """Return what the stubs know of a command, None if there is no such command."""
    if not _lines:
        for line in _text("cmds.pyi").splitlines():
            if line.startswith("def "):
                _lines.setdefault(line[4 : line.index("(")], []).append(line)
    if name not in _commands:
        lines = _lines.get(name)
        _commands[name] = None if lines is None else _parsed(name, lines)
    return _commands[name]


def _parsed(name: str, lines: List[str]) -> Command:
    modes: Dict[str, Dict[str, Kinds]] = {"create": {}, "edit": {}, "query": {}}
    for line in lines:
        # A flag may be called as a keyword of Python is ("import", "from"): those cannot be parsed.
        try:
            function = ast.parse(line).body[0]
        except SyntaxError:
            continue
        assert isinstance(function, ast.FunctionDef)
        flags = {one.arg: _kinds(one.annotation) for one in function.args.kwonlyargs}
        mode = next((MODES[flag] for flag in MODES if _is_mode(function, flag)), "create")
        for flag in MODES:
            if _is_mode(function, flag):
                del flags[flag]
        if mode == "query":
            flags = dict.fromkeys(flags, ANYTHING)
        modes[mode].update(flags)
    return Command(name, modes)


def _is_mode(function: ast.FunctionDef, flag: str) -> bool:
    """Return whether this overload is the one with ``query=True``, not one with a flag ``e``."""
    return any(
        one.arg == flag
        and isinstance(one.annotation, ast.Subscript)
        and getattr(one.annotation.value, "id", None) == "Literal"
        for one in function.args.kwonlyargs
    )


def _kinds(annotation: Any) -> Kinds:
    """Return the names at the top of an annotation: ``str | list[str]`` is str and list."""
    if isinstance(annotation, ast.BinOp):
        left, right = _kinds(annotation.left), _kinds(annotation.right)
        return left | right if left and right else ANYTHING
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    name = getattr(annotation, "id", "Any")
    return ANYTHING if name in ("Any", "Literal") else frozenset((name,))


_CLASS = re.compile(r"^class (\w+)(?:\((\w+)\))?:", re.M)
_MEMBER = re.compile(r"^    (?:def (\w+)|(\w+): )", re.M)
_classes: Dict[str, Tuple[Optional[str], FrozenSet[str]]] = {}


def module_names(*parts: str) -> FrozenSet[str]:
    """Return the names that a stub file defines at its top, what it only lists among them."""
    text = _text(*parts)
    return frozenset(re.findall(r"^(?:def |class )?(\w+)\s*[:(]", text, re.M)) - {"def", "class"}


def members(name: str) -> Optional[FrozenSet[str]]:
    """Return the members of a class of ``maya.api.OpenMaya``, None if it has no body there."""
    if not _classes:
        text = _text("api", "OpenMaya.pyi")
        heads = list(_CLASS.finditer(text))
        for number, head in enumerate(heads):
            end = heads[number + 1].start() if number + 1 < len(heads) else len(text)
            found = _MEMBER.findall(text[head.end() : end])
            _classes[head.group(1)] = (head.group(2), frozenset(a or b for a, b in found))
    if name not in _classes:
        return None
    base, own = _classes[name]
    return own | (members(base) or frozenset() if base else frozenset())
