"""What the scene as a whole is like. Main thread."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Sequence

from .naming import kinds, listed, parent_of
from .session import api, cmds

__all__ = ["scene_info"]


def scene_info(include: Sequence[str], selected: int) -> Dict[str, Any]:
    """Return what SceneBackend.info returns."""
    shape: Dict[str, Any] = {
        "file": str(cmds().file(query=True, sceneName=True) or ""),
        "dirty": bool(cmds().file(query=True, modified=True)),
        "up_axis": str(cmds().upAxis(query=True, axis=True)).lower(),
        "units": {"linear": str(cmds().currentUnit(query=True, linear=True)), "angle": "deg"},
        "selection_count": selected,
    }
    for part in include:
        if part in _PARTS:
            shape[part] = _PARTS[part]()
    return shape


def _counts() -> Dict[str, int]:
    counts: Dict[str, int] = {}
    for _, kind in kinds():
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def _time() -> Dict[str, float]:
    time = api().MTime
    return {
        "fps": float(time(1.0, time.kSeconds).asUnits(time.uiUnit())),
        "start": float(cmds().playbackOptions(query=True, minTime=True)),
        "end": float(cmds().playbackOptions(query=True, maxTime=True)),
        "current": float(cmds().currentTime(query=True)),
    }


def _render() -> Dict[str, Any]:
    read = cmds().getAttr
    return {
        "engine": str(read("defaultRenderGlobals.currentRenderer")),
        "width": int(read("defaultResolution.width")),
        "height": int(read("defaultResolution.height")),
        "camera": _rendered(),
    }


def _rendered() -> Optional[str]:
    """Return the object of the first camera that is rendered through."""
    for shape in listed(cmds().ls(type="camera", long=True)):
        if cmds().getAttr(shape + ".renderable"):
            return parent_of(shape)
    return None


def _plugins() -> Any:
    return sorted(listed(cmds().pluginInfo(query=True, listPlugins=True)))


_PARTS: Dict[str, Callable[[], Any]] = {
    "counts": _counts,
    "time": _time,
    "render": _render,
    "plugins": _plugins,
}
