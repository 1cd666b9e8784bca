"""What an object is like beyond its place: settings and custom properties. Main thread."""

from __future__ import annotations

from typing import Any, Dict

__all__ = ["attributes_of"]

#: Type of an object -> the properties of its data that are shown.
_DATA_ATTRIBUTES = {
    "CAMERA": ("lens", "clip_start", "clip_end", "type"),
    "LIGHT": ("type", "energy", "color"),
}


def attributes_of(item: Any) -> Dict[str, Any]:
    """Return an object's own settings, those of its data, and its custom properties, as JSON."""
    shown: Dict[str, Any] = {
        "hide_viewport": bool(item.hide_viewport),
        "hide_render": bool(item.hide_render),
        "rotation_mode": item.rotation_mode,
    }
    data = item.data
    for name in _DATA_ATTRIBUTES.get(item.type, ()):
        shown[name] = _plain(getattr(data, name))
    if item.type == "MESH":
        shown["vertices"] = len(data.vertices)
        shown["faces"] = len(data.polygons)
    for name, value in item.items():
        if not name.startswith("_"):
            shown[name] = _plain(value)
    return shown


def _plain(value: Any) -> Any:
    """Return a property's value as JSON, or its text where it has no JSON form."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "to_dict"):
        return {key: _plain(part) for key, part in value.to_dict().items()}
    if hasattr(value, "to_list"):
        return [_plain(part) for part in value.to_list()]
    if hasattr(value, "__iter__"):
        return [_plain(part) for part in value]
    return str(value)
