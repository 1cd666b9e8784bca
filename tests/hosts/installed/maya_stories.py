"""Stories of a Maya with our files: see ``inside``. Each returns what goes on beside its loop."""

from __future__ import annotations

import sys

from fakes.maya_host import starting
from hosts.installed.inside import PACKAGE, served, server


def dropped(stage, found, script, user):
    """Drop the artefact's script on the viewport of a Maya that has been idle before."""
    stage.host.user_app_dir = user + "/"
    found["returned"] = bool(starting.drop(script))
    found["stems"] = [name for name in sys.modules if name.startswith("install_")]
    return lambda: found.update(served())


def started(stage, found, user, other):
    """Start with that user folder, where somebody else's userSetup.py comes after ours."""
    namespace = starting.start(user, [other])
    found["others"] = namespace.get("other_ran", False)
    found["left"] = sorted(name for name in namespace if PACKAGE in name)
    stage.open_gate()

    return lambda: found.update(served())


def quiet(stage, found, user, other):
    """Start where what is ours may be damaged: others run as always."""
    namespace = starting.start(user, [other])
    found["others"] = namespace.get("other_ran", False)

    def go_on():
        found["server"] = server() is not None

    return go_on
