"""The properties of MAXScript's values as JSON."""

from __future__ import annotations

from typing import Any, Callable, Dict

from .runtime import items, text

__all__ = ["attributes_of", "frame_of", "plain"]

#: Of a longer array only so many parts are shown.
MAX_PARTS = 100
MAX_TEXT = 500


def attributes_of(rt: Any, node: Any) -> Dict[str, Any]:
    """Return the parameters of what a node was made from, and its layer."""
    shown: Dict[str, Any] = {"layer": str(node.layer.name)}
    base = node.baseObject
    for name in items(rt.getPropNames(base)):
        try:
            shown[text(name)] = plain(rt, rt.getProperty(base, name))
        except RuntimeError:
            # Some can only be read in some states of the object; which ones is its plug-in's.
            continue
    return shown


def frame_of(time: Any) -> float:
    """Return a time in frames, also where it came as a number, which counts frames."""
    return float(time if isinstance(time, (int, float)) else time.frame)


def plain(rt: Any, value: Any, parts: int = MAX_PARTS, size: int = MAX_TEXT) -> Any:
    """Return a value as JSON, or its text where it has no JSON form.

    Of an array so many ``parts`` are shown, of a text ``size`` characters.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value[:size]
    kind = text(rt.classOf(value)).lower()
    if kind == "array":
        return [plain(rt, part, parts, size) for part in list(value)[:parts]]
    shape = _SHAPES.get(kind)
    return str(value)[:size] if shape is None else shape(value)


def _numbers(names: str) -> Callable[[Any], Any]:
    return lambda value: [float(getattr(value, name)) for name in names]


_SHAPES: Dict[str, Callable[[Any], Any]] = {
    "point2": _numbers("xy"),
    "point3": _numbers("xyz"),
    "point4": _numbers("xyzw"),
    "color": _numbers("rgb"),
    "name": text,
    "time": frame_of,
}
