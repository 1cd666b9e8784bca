"""Stories of a Maya with our files: see ``inside``. Each returns what goes on beside its loop."""

from __future__ import annotations

import os
import sys
import threading

from fakes.maya_host import cmds_interface, starting
from hosts.installed.inside import PACKAGE, forget, served, server


def loaded():
    return sorted(name for name in sys.modules if name.partition(".")[0].lstrip("_") == PACKAGE)


def dropped(stage, found, user, script, then=(), harm=None):
    """Drop ``script`` on a Maya that has been idle before; then others, while that serves.

    Before the last one the file ``harm`` is damaged.
    """
    stage.host.user_app_dir = user + "/"
    before = list(sys.path)
    found["returned"] = [bool(starting.drop(script))]

    def go_on():
        found.update(served())
        for one in then:
            if harm is not None and one is then[-1]:
                with open(harm, "ab") as stream:
                    stream.write(b"# not ours\n")
            found["returned"].append(bool(stage.on_main(lambda one=one: starting.drop(one))))
        found["still"] = served()
        found["menu"] = cmds_interface.labels(stage.host)
        found["stems"] = [name for name in sys.modules if name.startswith("install")]
        found["path_kept"] = sys.path == before

    return go_on


def started(stage, found, user, others, shared=(), choose=(), answers=()):
    """Start with that user folder, where somebody else's userSetup.py come after ours.

    Then choose entries of our menu, one after the other; the person answers what is asked.
    """
    namespace = starting.start(user, others, shared)
    found["others"] = namespace["all_ran"] and namespace.get("other_ran", False)
    found["left"] = sorted(name for name in namespace if PACKAGE in name)
    stage.host.answers.extend(answers)
    stage.open_gate()

    def go_on():
        found.update(served())
        found["menu"] = cmds_interface.labels(stage.host)
        found["shown"] = []
        for label in choose:
            stage.on_main(lambda label=label: cmds_interface.choose(stage.host, label))
            stage.wait_idle()
            found["shown"].append(stage.on_main(lambda: cmds_interface.shown(stage.host)))
        found["asked"] = stage.host.asked
        found["serves"] = server() is not None
        found["loaded"] = loaded()
        found["menu_after"] = cmds_interface.labels(stage.host)

    return go_on


def quiet(stage, found, user, others, harms):
    """Start once with each of ``harms`` (path, text; None: it is not there): others always run."""
    found["others"], found["pending"] = [], []
    for path, text in harms:
        with open(path, "rb") as stream:
            before = stream.read()
        os.unlink(path)
        if text is not None:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
        forget()
        namespace = starting.start(user, others)
        found["others"].append(namespace["all_ran"] and namespace["other_ran"])
        found["pending"] += stage.host.idle.pending()
        with open(path, "wb") as stream:
            stream.write(before)
    return lambda: None


def batch(stage, found, user, others):
    """Start without a window; nothing is served there, and there is no loop."""
    threads = threading.active_count()
    namespace = starting.start(user, others)
    found["others"] = namespace["all_ran"] and namespace["other_ran"]
    found["loaded"] = loaded()
    found["threads"] = threading.active_count() - threads
    __import__(PACKAGE)
    found["file"] = sys.modules[PACKAGE].__file__
    stage.run = lambda body, seconds: body()
    return lambda: found.update(server=server() is not None)


def refused(stage, found, user, script):
    """Drop where it cannot be installed."""
    stage.host.user_app_dir = user + "/"
    before = list(sys.path)
    found["returned"] = starting.drop(script)
    found["path_kept"] = sys.path == before
    found["pending"] = stage.host.idle.pending()
    return lambda: None
