"""What a start of a host does before the server: finish what is owed, sweep old versions.

Called by ``boot.py`` on the host's main thread. Nothing here waits for anybody; when there is
nothing to do it is some looks at the disk.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any, Callable

from .. import install_lifecycle as lifecycle
from . import bootstraps, hosts, plan
from .acting import Installation

__all__ = ["begin"]

#: Seconds of a start that what is owed may take; the next one goes on.
_BUDGET = 1.0


def begin(host: str, root: str, package: ModuleType, say: Callable[[str], None]) -> bool:
    """Clean up in ``root``, then have the server start when the host is ready; return whether.

    ``say`` takes the one line about it. Raises what importing the adapter raises.
    """
    lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
    ours = Installation(hosts.find(host), os.path.dirname(root))
    if not os.path.lexists(os.path.join(root, bootstraps.SHARED)):
        if os.path.lexists(ours.leaving):
            return _leave(ours, say)
        _sweep(ours)
    adapter = import_module("{}.adapters.{}".format(package.__name__, _FOLDERS.get(host, host)))

    def start() -> None:
        try:
            server: Any = package.start()
        except Exception as error:
            say("did not start: {}".format(error))
        else:
            say("{} serves {} at {}".format(package.__version__, server.dcc_type, server.plain_url))
        _show_menu(host, adapter, say)

    return bool(adapter.when_ready(start))


def _show_menu(host: str, adapter: ModuleType, say: Callable[[str], None]) -> None:
    """Show our menu, where the host has a place for one. Without it all else works."""
    from . import menu_entries

    try:
        menu_entries.put_up(host, adapter.__name__ + ".menu")
    except Exception as error:
        say("has no menu here: {}".format(error))


#: Host -> the folder of its adapter, where it is called otherwise.
_FOLDERS = {"3dsmax": "max"}


def _sweep(ours: Installation) -> None:
    """Remove versions that nobody uses. There are none at nearly every start."""
    current = ours.root.current()
    if set(ours.root.installed()) - {current} or ours.root.staged():
        ours.carry_out(plan.plan_sweep(ours.facts(thorough=False)), None)


def _leave(ours: Installation, say: Callable[[str], None]) -> bool:
    _, outside = ours.texts()
    done = ours.carry_out(
        plan.plan_uninstall(ours.facts(thorough=False), outside, ours.made()), None
    )
    owed = [one for one in done if one.status != "done"]
    if owed:
        say("is being uninstalled; still to go: {}".format(owed[0].operation))
    else:
        say("was uninstalled; nothing is left of it in {}".format(ours.root.path))
    return False
