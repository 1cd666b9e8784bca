"""Which Qt binding to use: never a second one beside that of the host."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any, Optional

from ...records import NamedTuple

__all__ = ["Qt", "application", "binding", "inherits", "is_valid", "on_main_thread"]

#: Bindings and the module with the tools for their objects, the preferred one first.
BINDINGS = {"PySide6": "shiboken6", "PySide2": "shiboken2"}
#: Bindings that ours cannot share a process with: each brings a Qt of its own.
FOREIGN = ("PyQt6.QtCore", "PyQt5.QtCore")


class Qt(NamedTuple):
    """The modules of one binding."""

    #: "PySide6" or "PySide2".
    name: str
    QtCore: Any
    #: None where the binding was made without it, as is the next one.
    QtGui: Any
    QtWidgets: Any
    #: None where it is missing.
    shiboken: Any


def binding() -> Optional[Qt]:
    """Return the binding that this process has loaded, else PySide6, else PySide2, else None.

    Of two that are loaded the one with an application. Any thread; what is not loaded yet is
    imported, so that the first call belongs to the main thread.
    """
    loaded = [name for name in BINDINGS if name + ".QtCore" in sys.modules]
    running = [name for name in loaded if _instance(name) is not None]
    if not loaded and any(name in sys.modules for name in FOREIGN):
        return None
    for name in running or loaded or BINDINGS:
        core = _module(name, "QtCore")
        if core is not None:
            shiboken = _load(BINDINGS[name]) or _module(name, BINDINGS[name])
            return Qt(name, core, _module(name, "QtGui"), _module(name, "QtWidgets"), shiboken)
    return None


def application() -> Optional[Any]:
    """Return the QApplication, None without one or if it has no widgets. Any thread.

    Looks only into a binding that this process has loaded.
    """
    for name in BINDINGS:
        if sys.modules.get(name + ".QtWidgets") is not None:
            found = _instance(name)
            if inherits(found, "QApplication"):
                return found
    return None


def _instance(name: str) -> Any:
    core = sys.modules.get(name + ".QtCore")
    kind = getattr(core, "QCoreApplication", None)
    return None if kind is None else kind.instance()


def _module(*parts: str) -> Any:
    return _load(".".join(parts))


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def is_valid(qt: Qt, thing: Any) -> bool:
    """Return whether a Qt object still has what it wraps."""
    return qt.shiboken is None or bool(qt.shiboken.isValid(thing))


def inherits(application: Any, name: str) -> bool:
    """Return whether an application, or None, is of Qt's class ``name``, or of one below it.

    Its Python class does not tell. An application that the host made itself has that of the time
    when it was first asked for: as long as anybody holds one from before the widgets were loaded,
    everybody gets a QCoreApplication.
    """
    return application is not None and bool(application.inherits(name))


def on_main_thread() -> bool:
    """Return whether this is the thread of the application's windows, or else Python's main one.

    Touches nothing of the host, and loads no binding that the process has not.
    """
    current = threading.current_thread()
    is_main = current is threading.main_thread()
    if not is_main and not isinstance(current, threading._DummyThread):
        # One that Python has started is none of the host's. Qt is not asked on it: what it keeps of
        # such a thread takes the process down if that ends in the moment in which the thread does.
        return False
    windows = application()
    qt = None if windows is None else binding()
    if windows is None or qt is None:
        return is_main
    return bool(windows.thread() == qt.QtCore.QThread.currentThread())
