"""What a scene of 3ds Max is like as a whole."""

from __future__ import annotations

from typing import Any, Callable, Dict, Sequence

from . import nodes
from .attributes import frame_of
from .runtime import text

__all__ = ["describe"]

#: Names of the system units -> how the tools write them.
_UNITS = {
    "inches": "in",
    "feet": "ft",
    "miles": "mi",
    "millimeters": "mm",
    "centimeters": "cm",
    "meters": "m",
    "kilometers": "km",
}


def describe(rt: Any, include: Sequence[str]) -> Dict[str, Any]:
    """Return what ``info`` always tells, but for the file and the selection, and these parts."""
    shape: Dict[str, Any] = {
        "dirty": bool(rt.getSaveRequired()),
        "up_axis": "z",
        "units": {"linear": _unit(rt), "angle": "deg"},
    }
    shape.update((part, _PARTS[part](rt)) for part in include if part in _PARTS)
    return shape


def _unit(rt: Any) -> str:
    name = text(rt.units.SystemType).lower()
    scale = float(rt.units.SystemScale)
    unit = _UNITS.get(name, name)
    return unit if abs(scale - 1.0) < 1e-6 else "{:g} {}".format(scale, unit)


def _time(rt: Any) -> Dict[str, Any]:
    return {
        "fps": float(rt.frameRate),
        "start": frame_of(rt.animationRange.start),
        "end": frame_of(rt.animationRange.end),
        "current": frame_of(rt.sliderTime),
    }


def _render(rt: Any) -> Dict[str, Any]:
    camera = rt.getActiveCamera()
    return {
        "engine": text(rt.classOf(rt.renderers.current)),
        "width": int(rt.renderWidth),
        "height": int(rt.renderHeight),
        "camera": None if camera is None else nodes.path_of(rt, camera),
    }


_PARTS: Dict[str, Callable[[Any], Dict[str, Any]]] = {"time": _time, "render": _render}
