"""Stories of a 3ds Max with our files: see ``inside``. Each returns what goes on beside it."""

from __future__ import annotations

import sys

from fakes.max_host import starting
from hosts.installed.inside import PACKAGE, served, server


def dropped(stage, found, package, user, temp, already=False, python=True):
    """Drop the package on the viewport of one that has been idle, or serves ``already``."""
    stage.host.has_python = python
    if already:
        starting.start(stage.host, user)
        found["before"] = _served_at(stage)
    stage.host.user_folder = user
    starting.drop(stage.host, package, temp)
    _tell(stage, found)
    return (lambda: _serve(stage, found)) if python else (lambda: _look(stage, found))


def opened(stage, found, package, user, temp, startup):
    """Open the package by the menu of one that has its start-up scripts elsewhere."""
    stage.host.user_folder, stage.host.startup_folder = user, startup
    starting.open_package(stage.host, package, temp)
    _tell(stage, found)
    return lambda: _look(stage, found)


def started(stage, found, user, addon=""):
    """Start with that user folder, where somebody else's script comes after ours."""
    _start(stage, found, user, addon)
    return lambda: _serve(stage, found)


def quiet(stage, found, user, addon="", rendering=False):
    """Start where nothing of ours is to serve: it is damaged, or nobody sits before it.

    ``rendering``: 3dsmax.exe itself, as what renders on a network starts it.
    """
    stage.host.batch = stage.host.batch or rendering
    _start(stage, found, user, addon)
    if rendering:
        # What was put off has its turn.
        for _ in range(3):
            stage.spin()
    return lambda: _look(stage, found)


def _served_at(stage):
    """Have the loop turn until the server is there; return where."""
    while server() is None:
        stage.spin()
    return server().url


def _menu(stage):
    """Return the titles in the bar, and how many entries each has."""
    bar = stage.host.main_window.menuBar()
    return [(one.text(), len(one.menu().actions())) for one in bar.actions()]


def _start(stage, found, user, addon):
    found["ran"] = starting.start(stage.host, user, addon)
    _tell(stage, found)


def _serve(stage, found):
    try:
        found.update(served(), url=server().url)
    except AssertionError:
        raise AssertionError("{} {}".format(stage.host.messages, stage.listener.text)) from None
    # What the main thread is doing, which has just started it, comes first.
    found.update(menu=stage.on_main(lambda: _menu(stage)), listener=stage.listener.text)


def _look(stage, found):
    found.update(server=server() is not None, listener=stage.listener.text)


def _tell(stage, found):
    found["messages"] = stage.host.messages
    found["left"] = sorted(name for name in stage.host.python if not name.startswith("__"))
    found["loaded"] = PACKAGE in sys.modules
