"""What a tool is given about the call it serves."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

__all__ = ["ToolContext"]


def _never() -> bool:
    return False


class ToolContext:
    """The first argument of a tool whose first parameter is named ``ctx``.

    ``host`` is the host adapter and ``scene`` its SceneBackend, both None off the host's main
    thread. ``client`` is a label for people. ``control`` answers for the server (``status()``,
    ``log(...)``). ``cancelled()`` says whether somebody asked for the call to end. ``warnings``
    and ``facts`` collect what goes into the result. One call, one context, one thread.
    """

    __slots__ = ("cancelled", "client", "control", "facts", "host", "scene", "warnings")

    def __init__(
        self,
        host: Any = None,
        scene: Any = None,
        client: str = "",
        control: Any = None,
        cancelled: Optional[Callable[[], bool]] = None,
    ) -> None:
        self.host = host
        self.scene = scene
        self.client = client
        self.control = control
        self.cancelled: Callable[[], bool] = cancelled if cancelled is not None else _never
        self.warnings: List[str] = []
        self.facts: Dict[str, Any] = {}

    def warn(self, text: str) -> None:
        """Tell the caller something about a call that works all the same."""
        self.warnings.append(str(text))

    def evidence(self, **facts: Any) -> None:
        """Add facts, as JSON values, that show what the call really did; a later one wins."""
        self.facts.update(facts)
