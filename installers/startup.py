"""What a start of a host does before the server: finish what is owed, sweep old versions.

Called by ``boot.py`` on the host's main thread. Nothing here waits for anybody; when there is
nothing to do it is some looks at the disk.
"""

from __future__ import annotations

import os
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    from .acting import Installation

__all__ = ["LEAVING", "SHARED", "begin"]

#: A root with this file is a studio's: no start sweeps it.
SHARED = "shared.txt"
#: A root with this file is to go.
LEAVING = "leaving.txt"
#: Seconds of a start that what is owed may take; the next one goes on.
_BUDGET = 1.0


def begin(host: str, root: str, package: ModuleType, say: Callable[[str], None]) -> bool:
    """Clean up in ``root``, then have the server start when the host is ready; return whether.

    ``say`` takes the one line about it. Raises what importing the adapter raises.
    """
    # Loaded only where there is something to do: a host is waiting to start.
    from .. import install_lifecycle

    if os.path.lexists(os.path.join(root, LEAVING)):
        from . import hosts
        from .acting import Installation

        # What is owed may be the very version that this is loaded from: nothing is begun yet, but
        # all that does it is loaded, and then it goes by the plan.
        install_lifecycle.run_deferred_cleanup(budget_secs=0.0)
        _leave(Installation(hosts.find(host), os.path.dirname(root)), say)
        install_lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
        return False
    install_lifecycle.run_deferred_cleanup(budget_secs=_BUDGET)
    if not os.path.lexists(os.path.join(root, SHARED)) and len(os.listdir(_versions(root))) > 1:
        from . import hosts
        from .acting import Installation

        _sweep(Installation(hosts.find(host), os.path.dirname(root)))
    adapter = import_module("{}.adapters.{}".format(package.__name__, _FOLDERS.get(host, host)))

    def start() -> None:
        try:
            server: Any = package.start(host)
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


def _versions(root: str) -> str:
    return os.path.join(root, "versions")


def _sweep(ours: Installation) -> None:
    """Remove versions that nobody uses, and what was never finished."""
    from . import plan

    ours.carry_out(plan.plan_sweep(ours.facts(thorough=False)), None)


def _leave(ours: Installation, say: Callable[[str], None]) -> None:
    from . import plan

    _, outside = ours.texts()
    done = ours.carry_out(
        plan.plan_uninstall(ours.facts(thorough=False), outside, ours.made()), None
    )
    owed = [one for one in done if one.status != "done"]
    if owed:
        say("is being uninstalled; still to go: {}".format(owed[0].operation))
    else:
        say("was uninstalled; nothing is left of it in {}".format(ours.root.path))
