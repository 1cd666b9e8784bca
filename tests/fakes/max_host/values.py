"""The values that pymxs wraps: names, points, matrices, arrays, times, classes.

Autodesk's documentation of "MAXScript Values in pymxs". Attributes are case-insensitive like
everything of MAXScript's; what a kind of value has stands in ``allowed.py``.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Sequence, Tuple

from . import rows
from .allowed import PROPERTIES

__all__ = [
    "Array",
    "Color",
    "Interval",
    "MXSWrapperBase",
    "Matrix3",
    "Name",
    "Point3",
    "Time",
    "vector",
]


class MXSWrapperBase:
    """A value of MAXScript's. ``_kind`` names its table of properties."""

    _kind = "value"
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: Any) -> None:
        object.__setattr__(self, "_host", host)

    def _look_up(self, name: str) -> str:
        """Return the lower-case name of a property that there is."""
        lower = name.lower()
        self._host.faults.on_main_thread("{}.{}".format(self._kind, name))
        if lower not in PROPERTIES.get(self._kind, {}):
            text = "{}.{} is not in the list of what there is".format(self._kind, name)
            raise AttributeError(str(self._host.faults.wrong(text)))
        return lower

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._get(self._look_up(name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._set(self._look_up(name), value)

    def _get(self, name: str) -> Any:
        return getattr(self, "_get_" + name)()

    def _set(self, name: str, value: Any) -> None:
        setter = getattr(self, "_set_" + name, None)
        if setter is None:
            raise self._host.faults.wrong("{}.{} can only be read".format(self._kind, name))
        setter(value)

    def __repr__(self) -> str:
        return "<{}<{}>>".format(type(self).__name__, self)


class Name(MXSWrapperBase):
    """``#name``: equal whatever the case."""

    _kind = "name"

    def __init__(self, host: Any, text: str) -> None:
        super().__init__(host)
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and other._text.lower() == self._text.lower()


class Array(MXSWrapperBase):
    """Indices count from 0, and none is negative; what is stored beyond the end makes room."""

    _kind = "array"

    def __init__(self, host: Any, items: Sequence[Any] = ()) -> None:
        super().__init__(host)
        self._items: List[Any] = list(items)

    def _at(self, index: Any) -> int:
        if not isinstance(index, int) or index < 0:
            raise self._host.faults.wrong("an array has no index {!r}".format(index))
        return index

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._items))

    def __getitem__(self, index: Any) -> Any:
        return self._items[self._at(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._items += [None] * (self._at(index) + 1 - len(self._items))
        self._items[index] = value

    def _get_count(self) -> int:
        return len(self._items)

    def __str__(self) -> str:
        return "#({})".format(", ".join(map(str, self._items)))


class _Triple(MXSWrapperBase):
    _names: Tuple[str, ...] = ()

    def __init__(self, host: Any, x: float, y: float, z: float) -> None:
        super().__init__(host)
        self._parts = [float(x), float(y), float(z)]

    def _get(self, name: str) -> float:
        return self._parts[self._names.index(name)]

    def _set(self, name: str, value: Any) -> None:
        self._parts[self._names.index(name)] = float(value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._parts == self._parts  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return "[{:g},{:g},{:g}]".format(*self._parts)


class Point3(_Triple):
    _kind = "point3"
    _names = ("x", "y", "z")


class Color(_Triple):
    """Parts from 0 to 255."""

    _kind = "color"
    _names = ("r", "g", "b")


class Matrix3(MXSWrapperBase):
    _kind = "matrix3"

    def __init__(self, host: Any, value: rows.Rows) -> None:
        super().__init__(host)
        self._rows = value

    def _get(self, name: str) -> Point3:
        return Point3(self._host, *self._rows[_row(name)])

    def _set(self, name: str, value: Any) -> None:
        changed = list(self._rows)
        changed[_row(name)] = vector(value)
        self._rows = tuple(changed)  # type: ignore[assignment]

    def __mul__(self, other: object) -> Matrix3:
        if not isinstance(other, Matrix3):
            raise self._host.faults.wrong("a matrix times {!r}".format(other))
        return Matrix3(self._host, rows.multiply(self._rows, other._rows))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matrix3) and other._rows == self._rows

    def __str__(self) -> str:
        return "(matrix3 {} {} {} {})".format(*(Point3(self._host, *row) for row in self._rows))


def _row(name: str) -> int:
    return 3 if name in ("pos", "translation") else int(name[3:]) - 1


class Time(MXSWrapperBase):
    """A time; as a number, its frames."""

    _kind = "time"

    def __init__(self, host: Any, frame: float) -> None:
        super().__init__(host)
        self._frame = float(frame)

    def _get_frame(self) -> float:
        return self._frame

    def _get_ticks(self) -> int:
        return int(self._frame * 4800 / self._host.scene.frame_rate)

    def __float__(self) -> float:
        return self._frame

    def __int__(self) -> int:
        return int(self._frame)

    def __str__(self) -> str:
        return "{:g}f".format(self._frame)


class Interval(MXSWrapperBase):
    _kind = "interval"

    def __init__(self, host: Any, start: float, end: float) -> None:
        super().__init__(host)
        self._ends = (float(start), float(end))

    def _get_start(self) -> Time:
        return Time(self._host, self._ends[0])

    def _get_end(self) -> Time:
        return Time(self._host, self._ends[1])

    def __str__(self) -> str:
        return "(interval {:g}f {:g}f)".format(*self._ends)


def vector(value: Any) -> rows.Vector:
    """Return the three numbers of a point or of a Python sequence of three.

    Raises TypeError for anything else.
    """
    if isinstance(value, _Triple):
        x, y, z = value._parts
        return (x, y, z)
    raise TypeError("{!r} is no Point3".format(value))


def plain(value: Any) -> Optional[Any]:
    """Return what the scene keeps of a value: nothing that belongs to a wrapper."""
    if isinstance(value, _Triple):
        return tuple(value._parts)
    return value
