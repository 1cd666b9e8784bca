"""One Maya: what its modules have in common."""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any, List

from .complaints import Complaints
from .idle import IdleQueue
from .messages import Messages
from .scene import Scene
from .undo import UndoQueue

__all__ = ["MAIN_WINDOW", "MayaHost"]

#: What $gMainWindow has.
MAIN_WINDOW = "MayaWindow"


class MayaHost:
    """Made on the thread that is its main one."""

    def __init__(self, batch: bool, version: str = "2025") -> None:
        self.batch = batch
        self.version_text = version
        self.main = threading.get_ident()
        self.complaints = Complaints()
        self.idle = IdleQueue(self.complaints, batch)
        self.messages = Messages(self.complaints)
        self.scene = Scene()
        # Whether undo is on in batch mode is not documented; a stage plays either.
        self.undo = UndoQueue(
            self.complaints, self.scene.snapshot, self.scene.restore, state=not batch
        )
        #: What MGlobal.displayInfo and its like were told: (level, text).
        self.shown: List[Any] = []
        #: Ids of script jobs -> their flags.
        self.script_jobs: Any = {}
        self.job_ids = itertools.count(1)
        #: Names of the plug-ins that are loaded.
        self.plugins: List[str] = []
        #: The folder of the project, with a slash at its end; "" where none is set.
        self.project = ""
        #: MEL code -> what evaluating it gives.
        self.mel_answers: Any = {}
        #: Where the user's files of all versions are, with a stroke at its end.
        self.user_app_dir = ""
        #: Full name of each menu, item, window and so on of scripts -> what it is.
        self.controls: Any = {}
        #: The item whose command runs now.
        self.in_command = ""
        #: What confirmDialog has asked, and the buttons that it will be answered with.
        self.asked: List[Any] = []
        self.answers: List[str] = []
        #: How often a file's script nodes were run.
        self.scripts_run = 0
        #: Released when the stage ends: nobody waits in executeInMainThreadWithResult then.
        self.ended = threading.Event()

    def execute(self, code: Any, *arguments: Any, **named: Any) -> Any:
        """Run a callable, or a script as Maya's Python does: in ``__main__``."""
        if callable(code):
            return code(*arguments, **named)
        namespace = sys.modules["__main__"].__dict__
        try:
            compiled = compile(code, "<maya console>", "eval")
        except SyntaxError:
            exec(compile(code, "<maya console>", "exec"), namespace)
            return None
        return eval(compiled, namespace)

    def is_main(self) -> bool:
        return threading.get_ident() == self.main

    def require_main(self, what: str) -> None:
        """Raise as Maya does for a call off its main thread.

        Autodesk, "Python and threading": Maya's commands called from another thread raise; the API
        is not thread-safe either.
        """
        if not self.is_main():
            raise RuntimeError(
                self.complaints.add(
                    "{} called on the thread {!r}, not Maya's main one".format(
                        what, threading.current_thread().name
                    )
                )
            )

    def check(self, ids: bool = True) -> None:
        """Raise AssertionError for what Maya would not have taken, or what was left behind."""
        if self.undo.chunks:
            self.complaints.add("undo chunks left open: {}".format(self.undo.chunks))
        if ids and self.messages.ids():
            self.complaints.add("callbacks left: {}".format(self.messages.ids()))
        if self.script_jobs:
            self.complaints.add("script jobs left: {}".format(sorted(self.script_jobs)))
        self.complaints.check()
