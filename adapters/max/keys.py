"""Keys on the transform of a node."""

from __future__ import annotations

from typing import Any, Sequence

from ...errors import Unsupported
from .runtime import Runtime

__all__ = ["key_parts"]

#: Part of a transform -> the controller below the node's own that has it.
_TRACKS = {"translate": "Position", "rotate": "Rotation", "scale": "Scale"}


def key_parts(runtime: Runtime, node: Any, parts: Sequence[str], frame: float) -> None:
    """Set keys on ``frame`` for these parts, at the values they have now.

    Raises Unsupported where another kind of controller moves the node (a constraint, IK).
    """
    rt = runtime.rt
    tracks = []
    for part in parts:
        track = rt.getPropertyController(node.controller, _TRACKS[part])
        if track is None:
            raise Unsupported(
                "What moves '{}' in 3ds Max has no keys for {}.".format(node.name, part),
                hint="Leave out 'frame'.",
            )
        # In the space of the parent, as it is stored.
        tracks.append((track, track.value))
    for track, value in tracks:
        # The key comes first: where there is none yet, setting a value while animation is recorded
        # adds another one at frame 0.
        rt.addNewKey(track, frame)
        with runtime.pymxs.animate(True), runtime.pymxs.attime(frame):
            track.value = value
