"""Stories of a Houdini with our files: see ``inside``. Each returns what its loop runs beside."""

from __future__ import annotations

import os
import runpy
import sys
import time
from functools import partial

from fakes import qtloop
from fakes.houdini_host import starting
from hosts.installed.inside import PACKAGE, served, server, wait_for


def hython(stage, found, script, user):
    """``hython install.py``: Houdini has loaded ``hou``, and runs the script as the main one."""
    stage.host.hou._home = user
    sys.argv[:] = [script]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        found["code"] = end.code
    return lambda: found.update(server=server() is not None)


def shell(stage, found, line, user, environ=None, already=False):
    """Paste a line into the Python shell of a Houdini that has been idle, or serves ``already``."""
    stage.host.hou._home = user
    if already:
        starting.start(user, True, environ or {})

    def paste():
        exec(compile(line, "<shell>", "single"), {"__name__": "__main__"})

    if not already:
        paste()

    def go_on():
        if already:
            found["before"] = wait_for(server, "no server was started").url
            qtloop.on_main(paste)
        found.update(served())
        found["url"] = server().url

    return go_on


def started(stage, found, user, environ=None, version="21.0", named=True):
    """Start with a window; what is somebody else's says ``other_<hook>``."""
    begun = _begin(stage, found, user, environ, version, named)

    def go_on():
        found.update(served())
        found["menus"] = sorted(starting.menu(begun.path))

    return go_on


def chosen(stage, found, user):
    """Start, then choose the entries of our menu, one after the other."""
    begun = _begin(stage, found, user, None, "21.0")
    ((_, items),) = starting.menu(begun.path).items()
    choose = {item.label.split()[0].strip("."): item.choose for item in items}
    loop = stage.host.loop

    def shown():
        """Return what the newest box says, and close it."""
        boxes = [
            one
            for one in qtloop.the_application().topLevelWidgets()
            if one.objectName() == "dcc_mcp_embed_menu" and one.isVisible()
        ]
        texts = [one.text() for one in boxes]
        for box in boxes:
            box.close()
        return texts[-1] if texts else ""

    def pick(label, answer=""):
        loop.answers += [answer] if answer != "" else []
        choose[label]()
        return shown()

    def go_on():
        found["url"] = wait_for(server, "no server was started").plain_url
        for label in ("Status", "Log", "Copy", "Start", "Start"):
            found.setdefault("shown", []).append(qtloop.on_main(partial(pick, label)))
            found.setdefault("serves", []).append(server() is not None)
        clipboard = qtloop.qt().QtWidgets.QApplication.clipboard
        found["copied"] = qtloop.on_main(lambda: clipboard().text())
        found["kept"] = qtloop.on_main(lambda: pick("Uninstall", None)), server() is not None
        found["removed"] = qtloop.on_main(lambda: pick("Uninstall", "Yes")), server() is not None
        found["after"] = qtloop.on_main(lambda: pick("Status") or loop.status)

    return go_on


def dropped(stage, found, user, drops, environ=None):
    """Start; drop on the window what each of ``drops`` lists, then look whether it serves on."""
    begun = _begin(stage, found, user, environ, "21.0")
    stage.host.hou._path = begun.path

    def drop(files):
        try:
            found["answers"].append(starting.drop(begun.path, files))
        except Exception as error:
            found["answers"].append("raised {}".format(error))

    def go_on():
        found["before"] = wait_for(server, "no server was started").url
        found["answers"] = []
        for files in drops:
            qtloop.on_main(partial(drop, files))
        found.update(served())
        found["url"] = server().url
        found["others_asked"] = getattr(sys, "others_asked", [])

    return go_on


def quiet(stage, found, user, environ=None, version="21.0"):
    """Start where nothing of ours is to serve: it is damaged, or there is no window."""
    _begin(stage, found, user, environ, version)
    package = sys.modules.get(PACKAGE)
    found["loaded"] = None if package is None else package.__file__
    return lambda: found.update(server=server() is not None)


def _begin(stage, found, user, environ, version, named=True):
    stage.host.hou._home = user
    before = time.thread_time()
    begun = starting.start(user, stage.host.hou.isUIAvailable(), environ or {}, version, named)
    found["hooks_ms"] = (time.thread_time() - before) * 1000.0
    found["hooks"] = [os.path.basename(one) for one in begun.hooks]
    found["others"] = sorted(name for name in begun.namespace if name.startswith("other"))
    found["left"] = sorted(name for name in begun.namespace if PACKAGE in name)
    return begun
