"""Maya's modules, handed out on its main thread only.

Autodesk's documentation of Python and threading: commands called from another thread raise, and
the API is not safe there at all. So every use of either goes through here.
"""

from __future__ import annotations

import ntpath
import sys
import threading
from typing import Any

from ...errors import HostError, StartError

__all__ = [
    "api",
    "cmds",
    "is_batch",
    "is_maya",
    "on_main_thread",
    "refuse_off_main",
    "require_maya",
]


def on_main_thread() -> bool:
    """Return whether the caller runs on Maya's main thread: the one that started Python."""
    return threading.current_thread() is threading.main_thread()


def refuse_off_main() -> None:
    """Raise HostError unless on the main thread."""
    if not on_main_thread():
        raise HostError(
            "Maya can be used only on its main thread; this is the thread '{}'.".format(
                threading.current_thread().name
            ),
            hint="Make it a tool: tools run on Maya's main thread.",
            state="not_started",
        )


def cmds() -> Any:
    """Return ``maya.cmds``. Main thread; raises HostError elsewhere."""
    refuse_off_main()
    import maya.cmds

    return maya.cmds


def api() -> Any:
    """Return ``maya.api.OpenMaya``. Main thread; raises HostError elsewhere."""
    refuse_off_main()
    import maya.api.OpenMaya

    return maya.api.OpenMaya


def is_batch() -> bool:
    """Return whether Maya has no window: batch mode or ``mayapy``. Main thread."""
    return bool(cmds().about(batch=True))


def is_maya() -> bool:
    """Return whether the module ``maya`` is Maya's own; in ``mayapy`` also before it has begun."""
    try:
        import maya.cmds

        about = maya.cmds.about
    except ImportError:
        return False
    except AttributeError:
        program = ntpath.basename(sys.executable or "").lower()
        return "maya.standalone" in sys.modules or program.startswith("mayapy")
    # Commands work on the main thread only; elsewhere the adapter refuses and says why.
    return not on_main_thread() or isinstance(about(version=True), str)


def require_maya() -> None:
    """Raise StartError unless Maya is there to be used; HostError off its main thread."""
    refuse_off_main()
    try:
        import maya.cmds
    except ImportError:
        raise StartError("This interpreter is not Maya's: it has no module maya.cmds") from None
    if not hasattr(maya.cmds, "about"):
        raise StartError("Maya has not begun; call maya.standalone.initialize() before start()")
