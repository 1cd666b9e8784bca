"""A Houdini in this process: its modules in, its loop turning, and all of it out again."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional

from .deferring import Deferring, drain, make_module
from .hou_module import Hou
from .loop import Loop
from .policy import houdini_policy
from .scene import Scene, use_scene
from .strict import Ledger, use

__all__ = ["Houdini", "install"]

_MODULES = ("hou", "hdefereval")


class Houdini:
    """What a test may look at: ``hou``, ``scene``, ``loop``, ``deferring``, ``ledger``."""

    def __init__(self, interactive: bool, dead_locks: bool = False, old: bool = False) -> None:
        self.ledger = Ledger()
        use(self.ledger)
        self.loop: Optional[Loop] = None
        self.deferring: Optional[Deferring] = None
        self.scene = Scene(interactive, os.path.join(tempfile.gettempdir(), "untitled.hip"))
        self.scene.undos.enabled = interactive
        use_scene(self.scene)
        if interactive:
            from fakes import qtloop

            qtloop.the_application()
            self.loop = Loop(qtloop.qt())
        self.hou = Hou(self.loop, old)
        # In hython its import fails: its first line wants hou.ui.
        modules: Dict[str, Any] = {"hou": self.hou, "hdefereval": None}
        if interactive:
            self.deferring = Deferring(self.hou, dead_locks)
            modules["hdefereval"] = make_module(self.deferring)
        self.modules = modules

    def end(self) -> None:
        """Be torn down, then let whatever still comes come, and have it found out."""
        if self.loop is not None:
            drain(self.deferring, self.loop)
            self.loop.close()
        self.hou.hipFile._close()
        if self.scene.undos.groups:
            self.ledger.blame("undo groups were left open: {}".format(self.scene.undos.groups))
        self.ledger.tear_down()
        if self.loop is not None:
            core = self.loop.binding.QtCore.QCoreApplication
            core.sendPostedEvents()
            core.processEvents()
        gc.collect()


@contextmanager
def install(
    interactive: bool = True, dead_locks: bool = False, old: bool = False
) -> Iterator[Houdini]:
    """Have a Houdini here; fails at the end for whatever the real one would not have stood.

    ``dead_locks``: as ``Deferring`` has it. ``old``: it is Houdini 19.
    """
    before = {name: sys.modules.get(name) for name in _MODULES}
    host = Houdini(interactive, dead_locks, old)
    with houdini_policy():
        sys.modules.update(host.modules)
        try:
            yield host
        finally:
            host.end()
            for name, module in before.items():
                sys.modules.pop(name, None)
                if module is not None:
                    sys.modules[name] = module
            use_scene(None)
    host.ledger.check()
