"""What a start of a host does before the server: finish what is owed, sweep old versions.

Called by ``boot.py`` on the host's main thread. Nothing here waits for anybody; when there is
nothing to do it is some looks at the disk. What the server is made of is loaded by a thread
meanwhile: that takes four fifths of a start, and the host has more to do before it is ready.
"""

from __future__ import annotations

import os
from importlib import import_module

from ..ahead import Loading
from .boot import LEAVING, SHARED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    from .acting import Installation

__all__ = ["begin"]

#: In the package: that one start in this process has had it started.
_BEGUN = "_begun"
#: Seconds of a start that what is owed may take; the next one goes on.
_BUDGET = 1.0


def begin(host: str, root: str, package: ModuleType, say: Callable[[str], None]) -> bool:
    """Clean up in ``root``, then have the server start when the host is ready; return whether.

    ``say`` takes the one line about it. Raises what importing the adapter raises.
    """
    more = ""
    try:
        if _clean_up(host, root, say):
            return False
    except Exception as error:
        # What could not be cleaned up is no reason for the server not to start.
        more = "; could not clean up: {}: {}".format(type(error).__name__, error)
    if package.__dict__.get(_BEGUN):
        # A studio's and the user's own, or start-up files that are run again: once is enough.
        if more:
            say("was started already" + more)
        return True
    adapter = import_module("{}.adapters.{}".format(package.__name__, _FOLDERS.get(host, host)))
    loading = Loading(package.__name__ + ".embed", adapter.__name__ + ".adapter")

    def start() -> None:
        loading.end()
        try:
            server: Any = package.start(host)
            where = "{} serves {} at {}"
            told = where.format(package.__version__, server.dcc_type, server.plain_url)
        except (Exception, SystemExit) as error:
            told = "did not start: {}: {}".format(type(error).__name__, error)
        say(told + more + _show_menu(host, adapter))

    if adapter.when_ready(start):
        package.__dict__[_BEGUN] = True
        loading.begin()
        return True
    if more:
        say("does not serve here" + more)
    return False


def _show_menu(host: str, adapter: ModuleType) -> str:
    """Show our menu, where the host has a place for one; return what is to be said of it.

    Without it all else works.
    """
    try:
        from . import menu_entries

        menu_entries.put_up(host, adapter.__name__ + ".menu")
    except Exception as error:
        return "; has no menu here: {}".format(error)
    return ""


#: Host -> the folder of its adapter, where it is called otherwise.
_FOLDERS = {"3dsmax": "max"}


def _versions(root: str) -> str:
    return os.path.join(root, "versions")


def _clean_up(host: str, root: str, say: Callable[[str], None]) -> bool:
    """Do what is to be done; return whether all of it is to go, so that nothing is started."""
    # Loaded only where there is something to do: a host is waiting to start.
    from .. import install_lifecycle

    leaving = os.path.lexists(os.path.join(root, LEAVING))
    shared = os.path.lexists(os.path.join(root, SHARED))
    if not leaving or shared:
        install_lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
        if shared or len(os.listdir(_versions(root))) < 2:
            return False
    from . import hosts, plan
    from .acting import Installation
    from .alone import alone

    ours = Installation(hosts.find(host), os.path.dirname(root))
    if leaving:
        # What is owed may be the very version that this is loaded from. Nothing of it is begun
        # yet, but all that does it is loaded; then it goes by the plan.
        install_lifecycle.run_deferred_cleanup(budget_secs=0.0)
    with alone(0.0) as nobody_else:
        if leaving and nobody_else:
            _leave(ours, say)
        elif leaving:
            say("is being uninstalled just now")
        elif nobody_else:
            ours.carry_out(plan.plan_sweep(ours.facts(thorough=False)), None)
    if leaving:
        install_lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
    return leaving


def _leave(ours: Installation, say: Callable[[str], None]) -> None:
    from . import plan

    _, outside = ours.texts()
    done = ours.carry_out(
        plan.plan_uninstall(ours.facts(False, stopped=True), outside, ours.made()), None
    )
    owed = [one for one in done if one.status != "done"]
    if owed:
        say("is being uninstalled; still to go: {}".format(owed[0].operation))
    else:
        say("was uninstalled; nothing is left of it in {}".format(ours.root.path))
