"""Which names Houdini has, and what its functions take: read once from ``types-houdini``."""

from __future__ import annotations

import ast
import functools
import os
import sys
from typing import Any, Dict, List, Optional, Tuple

from helpers import require

__all__ = ["Signature", "Stubs", "stubs"]


class Signature:
    """What one function takes."""

    def __init__(self, node: ast.FunctionDef, method: bool) -> None:
        arguments = node.args
        names = [one.arg for one in getattr(arguments, "posonlyargs", []) + arguments.args]
        static = any(getattr(one, "id", "") == "staticmethod" for one in node.decorator_list)
        if method and not static:
            names = names[1:]
        self.names = names
        self.required = len(names) - len(arguments.defaults)
        self.many = arguments.vararg is not None
        self.keywords = {one.arg for one in arguments.kwonlyargs}
        self.any_keyword = arguments.kwarg is not None

    def problem(self, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[str]:
        """Return why a call with these arguments fails, None if it does not."""
        if len(args) > len(self.names) and not self.many:
            return "takes {} arguments, not {}".format(len(self.names), len(args))
        given = set(self.names[: len(args)])
        for name in kwargs:
            if name in given:
                return "is given '{}' twice".format(name)
            if not (self.any_keyword or name in self.names or name in self.keywords):
                return "takes no argument '{}'".format(name)
        lacking = set(self.names[: self.required]) - given - set(kwargs)
        return "lacks {}".format(", ".join(sorted(lacking))) if lacking else None


class Class:
    """The members of one class: its functions, and its values by the name of their type."""

    def __init__(self, node: ast.ClassDef) -> None:
        self.bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        self.functions: Dict[str, List[Signature]] = {}
        self.values: Dict[str, str] = {}
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                self.functions.setdefault(part.name, []).append(Signature(part, True))
            elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                self.values[part.target.id] = getattr(part.annotation, "id", "")


class Stubs:
    """The module ``hou``."""

    def __init__(self, source: str) -> None:
        self.functions: Dict[str, List[Signature]] = {}
        self.classes: Dict[str, Class] = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                self.functions.setdefault(node.name, []).append(Signature(node, False))
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = Class(node)

    def has(self, owner: str, name: str) -> bool:
        """Return whether ``hou.<owner>``, or ``hou`` itself if that is "", has ``name``."""
        if not owner:
            return name in self.functions or name in self.classes
        return any(name in one.functions or name in one.values for one in self._line(owner))

    def signatures(self, owner: str, name: str) -> List[Signature]:
        """Return what a function takes, one for each way to call it; [] if there is none."""
        if not owner:
            return self.functions.get(name, [])
        for one in self._line(owner):
            if name in one.functions:
                return one.functions[name]
        return []

    def enumeration(self, name: str) -> List[str]:
        """Return the values of the enumeration ``hou.<name>``; [] if it is none."""
        known = self.classes.get(name)
        return (
            [] if known is None else [v for v, kind in known.values.items() if kind == "EnumValue"]
        )

    def _line(self, name: str) -> List[Class]:
        known = self.classes.get(name)
        if known is None:
            return []
        return [known] + [one for base in known.bases for one in self._line(base)]


@functools.lru_cache(maxsize=None)
def stubs() -> Stubs:
    """Return the stubs of this environment. Takes a third of a second, once per process."""
    for folder in sys.path:
        path = os.path.join(folder, "hou-stubs", "__init__.pyi")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return Stubs(file.read())
    require(False, "types-houdini")
    raise AssertionError("not reached")
