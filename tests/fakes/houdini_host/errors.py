"""The exceptions of ``hou`` and the values of its enumerations."""

from __future__ import annotations

from typing import Any, Dict

from .stubs import stubs

__all__ = [
    "EXCEPTIONS",
    "EnumValue",
    "Error",
    "LoadWarning",
    "ObjectWasDeleted",
    "OperationFailed",
    "PermissionError",
    "enumeration",
]


class Error(Exception):
    """Base class for all exceptions in the hou module."""

    def exceptionTypeName(self) -> str:
        return type(self).__name__

    def instanceMessage(self) -> str:
        return str(self.args[0]) if self.args else ""

    def description(self) -> str:
        return type(self).__name__


class OperationFailed(Error):
    """The generic one."""


class ObjectWasDeleted(Error):
    """A reference to a node that is gone was used."""

    def __init__(
        self, message: str = "Attempt to access an object that no longer exists in Houdini"
    ) -> None:
        super().__init__(message)


class PermissionError(Error):
    """What is locked was to be changed."""


class LoadWarning(Error):
    """A file was loaded, but."""


class OperationInterrupted(Error):
    """The user pressed escape."""


class InvalidInput(Error):
    """There is no such input or output."""


EXCEPTIONS = {
    kind.__name__: kind
    for kind in (
        Error,
        InvalidInput,
        LoadWarning,
        ObjectWasDeleted,
        OperationFailed,
        OperationInterrupted,
        PermissionError,
    )
}


class EnumValue:
    """One value of an enumeration."""

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name

    def name(self) -> str:
        return self._name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EnumValue) and (self._kind, self._name) == (
            other._kind,
            other._name,
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self._kind, self._name))

    def __lt__(self, other: Any) -> bool:
        return bool(self._name < other._name)

    def __repr__(self) -> str:
        return "{}.{}".format(self._kind, self._name)


class _Enumeration:
    def __init__(self, kind: str) -> None:
        self._kind = kind
        vars(self).update({name: EnumValue(kind, name) for name in stubs().enumeration(kind)})

    def __getattr__(self, name: str) -> Any:
        from .strict import unknown

        raise unknown(self._kind, name)


_made: Dict[str, _Enumeration] = {}


def enumeration(kind: str) -> Any:
    """Return the enumeration ``hou.<kind>``."""
    if kind not in _made:
        _made[kind] = _Enumeration(kind)
    return _made[kind]
