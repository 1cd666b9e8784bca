"""What a start of a host does before the server: finish what is owed, sweep old versions.

Called by ``boot.py`` on the host's main thread. Nothing here waits for anybody; when there is
nothing to do it is some looks at the disk. A thread loads what the server is made of, which takes
four fifths of a start, and deletes old versions: the host has more to do before it is ready.
"""

from __future__ import annotations

import os
from importlib import import_module

from ..ahead import Loading
from .boot import LEAVING, SHARED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, List

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
    troubles: List[str] = []
    if _tried(lambda: _clean_up(host, root, say), troubles):
        return False
    if package.__dict__.get(_BEGUN):
        # A studio's and the user's own, or start-up files that are run again: once is enough.
        _tried(lambda: _sweep(host, root), troubles)
        if troubles:
            say("was started already" + troubles[0])
        return True
    name = "{}.adapters.{}".format(package.__name__, _FOLDERS.get(host, host))
    loading = Loading(
        package.__name__ + ".embed",
        name + ".adapter",
        then=lambda: _tried(lambda: _sweep(host, root), troubles),
    )

    def start() -> None:
        loading.end()
        try:
            server: Any = package.start(host)
            where = "{} serves {} at {}"
            told = where.format(package.__version__, server.dcc_type, server.plain_url)
        except (Exception, SystemExit) as error:
            told = "did not start: {}: {}".format(type(error).__name__, error)
        say(told + "".join(troubles[:1]) + _show_menu(host, name))

    begun = False
    try:
        begun = import_module(name).when_ready(start)
    finally:
        if not begun:
            # Nobody will need it.
            loading.end()
        loading.begin()
    if begun:
        package.__dict__[_BEGUN] = True
    elif troubles:
        say("does not serve here" + troubles[0])
    return begun


def _tried(do: Callable[[], bool], troubles: List[str]) -> bool:
    """Clean up; what cannot be is no reason for the server not to start."""
    try:
        return do()
    except Exception as error:
        troubles.append("; could not clean up: {}: {}".format(type(error).__name__, error))
        return False


def _show_menu(host: str, adapter: str) -> str:
    """Show our menu, where the host has a place for one; return what is to be said of it.

    Without it all else works.
    """
    try:
        from . import menu_entries

        menu_entries.put_up(host, adapter + ".menu")
    except Exception as error:
        return "; has no menu here: {}".format(error)
    return ""


#: Host -> the folder of its adapter, where it is called otherwise.
_FOLDERS = {"3dsmax": "max"}


def _versions(root: str) -> str:
    return os.path.join(root, "versions")


def _is_shared(root: str) -> bool:
    return os.path.lexists(os.path.join(root, SHARED))


def _clean_up(host: str, root: str, say: Callable[[str], None]) -> bool:
    """Do what is owed; return whether all of it is to go, so that nothing is started."""
    from .. import install_lifecycle

    if _is_shared(root) or not os.path.lexists(os.path.join(root, LEAVING)):
        install_lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
        return False
    # Loaded only where there is something to do: a host is waiting to start.
    from . import hosts
    from .acting import Installation
    from .alone import alone

    ours = Installation(hosts.find(host), os.path.dirname(root))
    # What is owed may be the very version that this is loaded from. Nothing of it is begun yet,
    # but all that does it is loaded; then it goes by the plan.
    install_lifecycle.run_deferred_cleanup(budget_secs=0.0)
    with alone(0.0) as nobody_else:
        if nobody_else:
            _leave(ours, say)
        else:
            say("is being uninstalled just now")
    install_lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
    return True


def _sweep(host: str, root: str) -> bool:
    """Delete the versions that nobody runs; return whether it could be tried. Any thread."""
    if _is_shared(root) or len(os.listdir(_versions(root))) < 2:
        return False
    from . import hosts, plan
    from .acting import Installation
    from .alone import alone

    ours = Installation(hosts.find(host), os.path.dirname(root))
    with alone(0.0) as nobody_else:
        if nobody_else:
            ours.carry_out(plan.plan_sweep(ours.facts(thorough=False)), None)
    return nobody_else


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
