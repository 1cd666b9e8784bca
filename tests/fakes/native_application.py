"""A QApplication made as a host makes its own: in C++, by nothing that Python knows of.

One made by PySide is known to it from the beginning. Of a host's it makes a Python object when
somebody asks, of the class that it knows then, and keeps that as long as anybody holds it: it has
been seen to be a plain QCoreApplication in Maya 2020 (github.com/getavalon/core/issues/485) and in
3ds Max (github.com/mottosso/Qt.py/issues/363).
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
from typing import Any, List

__all__ = ["known_to_core_only", "make"]

#: PySide's name -> its library, and the version of Qt that a program says it was made with.
_LIBRARIES = {
    "PySide2": ("libQt5Widgets.so.5", 0x050F02),
    "PySide6": ("libQt6Widgets.so.6", 0x060503),
}
#: The object's memory and its arguments: it goes on to live until the process ends.
_kept: List[Any] = []


def make() -> str:
    """Make it, without loading the binding; return the binding's name. Linux only."""
    for name, (library, version) in _LIBRARIES.items():
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        place = os.path.join(os.path.dirname(spec.origin), "Qt", "lib", library)
        loaded = ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
        count, arguments = ctypes.c_int(1), (ctypes.c_char_p * 2)(b"host", None)
        memory = ctypes.create_string_buffer(256)
        # QApplication::QApplication(int &, char **, int)
        loaded._ZN12QApplicationC1ERiPPci(memory, ctypes.byref(count), arguments, version)
        _kept.extend((loaded, memory, count, arguments))
        return name
    raise AssertionError("there is no PySide here")


def known_to_core_only() -> str:
    """Make it, and have somebody hold what PySide makes of it without its widgets."""
    name = make()
    core = importlib.import_module(name + ".QtCore")
    found = core.QCoreApplication.instance()
    assert type(found) is core.QCoreApplication
    _kept.append(found)
    return name
