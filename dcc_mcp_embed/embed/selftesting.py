"""The tool ``run_selftest``, and what its report says about where it ran."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from .. import __version__
from ..errors import PermissionDenied
from ..tools.context import ToolContext
from ..tools.declare import tool
from .copies import neighbours

if TYPE_CHECKING:
    from ..host.selftest import World

__all__ = ["about", "selftest_in"]

#: How long the whole suite may take, seconds.
LONGEST = 300.0
_BINDINGS = ("PySide6", "PySide2", "PyQt6", "PyQt5")
_NOTHING: Dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def selftest_in(world: Callable[[], World]) -> Callable[..., Any]:
    """Return the tool, declared, that runs the suite in ``world()``."""

    # On the worker: the checks wait for the host's main thread, as any caller does.
    @tool(
        title="Run the self-test",
        tags=("check", "doctor", "diagnose"),
        thread="worker",
        destructive=True,
        timeout=LONGEST,
        input_schema=_NOTHING,
    )
    def run_selftest(ctx: ToolContext) -> Dict[str, Any]:
        """Check that this host does what calls rely on: threads, order, time-outs, undo, scene
        tools. Works in a new scene for some seconds and opens the user's file again; leaves that
        out if there are unsaved changes. Only when the user asks for it."""
        if ctx.control is not None and ctx.control is ctx.control.guests:
            raise PermissionDenied(
                "The self-test opens scenes; that is not done for those who come through the "
                "gateway or a sidecar.",
                hint="Connect to the host itself, with the URL that it shows its user.",
            )
        from ..host.selftest import CHECKS, run

        def go_on(number: int, name: str) -> bool:
            ctx.progress(number, len(CHECKS), name)
            return not ctx.cancelled()

        return run(world(), CHECKS, go_on).to_dict()

    return run_selftest


def about(dcc_type: str, host_version: str) -> Dict[str, str]:
    """Return the versions that matter to whoever reads a report. Any thread."""
    found = {
        "dcc_mcp_embed": __version__,
        "host": "{} {}".format(dcc_type, host_version),
        "python": "{}.{}.{} on {}".format(*sys.version_info[:3], sys.platform),
    }
    qt = _qt()
    if qt is not None:
        found["qt"] = qt
    others = neighbours()
    if others:
        found["also loaded"] = ", ".join(others)
    return found


def _qt() -> Optional[str]:
    """Return the Qt binding that the process has loaded; loads none."""
    for name in _BINDINGS:
        module = sys.modules.get(name)
        if module is not None:
            core = sys.modules.get(name + ".QtCore")
            version = getattr(module, "__version__", None) or "?"
            runs = getattr(core, "qVersion", None)
            return "{} {}{}".format(name, version, "" if runs is None else ", Qt " + str(runs()))
    return None
