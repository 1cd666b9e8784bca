"""Maya as a test plays it: with its window, and ``mayapy``."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any, Callable, FrozenSet, List, Optional

from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install

__all__ = ["MayaStage", "MayapyStage"]

DEADLINE = 20.0
#: How long between two looks whether Maya may be idle again: after a dialog, say. Milliseconds.
FROZEN_MS = 5


class _Stage:
    """What both are. Made and entered on the test's thread, which is Maya's main one."""

    name = "?"
    can: FrozenSet[str] = frozenset()
    #: The HostAdapter, after ``__enter__``; the fake itself.
    adapter: Any = None
    host: MayaHost

    def __init__(self, version: str = "2025") -> None:
        self._version = version
        self._stack = ExitStack()

    def _create(self) -> Any:
        from dcc_mcp_embed.adapters import maya

        assert maya.detect()
        return maya.create()

    def _end(self) -> None:
        """Close the adapter; what Maya still holds of it must come back empty."""
        self.adapter.close()
        self.adapter.close()
        idle = self.host.idle
        idle.gated = idle.starved = idle.standing = False
        idle.process()


class MayaStage(_Stage):
    """Maya with its window: Qt's event loop, and the idle queue that it turns.

    ``gated``: it is in initializePlugin or userSetup until :meth:`open_gate`. Without ``binding``
    Maya's Python has no PySide, as where a studio has taken it out.
    """

    name = "maya"
    can = frozenset(("modal", "spin", "ask", "quit", "undo", "scene", "gate", "throttle"))

    def __init__(self, gated: bool = False, binding: bool = True, version: str = "2025") -> None:
        super().__init__(version)
        self._gated = gated
        self._binding = binding
        self._window: Optional[Any] = None

    def __enter__(self) -> MayaStage:
        from fakes import qtloop

        self._loop = qtloop
        qtloop.the_application()
        self.host = MayaHost(batch=False, version=self._version)
        self.host.idle.gated = self._gated
        self._idle = _QtIdle(qtloop.qt(), self.host)
        self._window = qtloop.qt().QtWidgets.QMainWindow()
        self._window.setObjectName("MayaWindow")
        self._window.show()
        self._stack.enter_context(install(self.host, self._address))
        try:
            self.adapter = self._create() if self._binding else self._create_without_binding()
        except BaseException:
            self._leave()
            raise
        return self

    def _create_without_binding(self) -> Any:
        from dcc_mcp_embed.adapters.maya import adapter as module

        # The test's Python has it, and this event loop is made of it: the adapter must not look.
        before, module.application = module.application, lambda: None
        try:
            return self._create()
        finally:
            module.application = before

    def _address(self) -> int:
        assert self._window is not None
        return int(self._loop.qt().shiboken.getCppPointer(self._window)[0])

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            self._end()
        finally:
            self._leave()
        if kind is None:
            self.host.check()

    def _leave(self) -> None:
        self._stack.close()
        self._idle.close()
        if self._window is not None:
            self._window.close()
            self._window = None
        self._loop.tidy()

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Run Maya's event loop here while ``body()`` runs on another thread.

        Unless Maya is still in its own start, which ``gated`` says, it has been idle once by then.
        """

        def when_idle() -> Any:
            if not self._gated:
                self.wait_idle()
            return body()

        return self._loop.run(when_idle, seconds)

    def wait_idle(self) -> None:
        """Wait until nothing is left on the idle queue. Any thread but the main one."""
        end = time.monotonic() + DEADLINE
        while self.host.idle.pending():
            assert time.monotonic() < end, "Maya does not get idle"
            threading.Event().wait(0.001)

    def on_main(self, function: Callable[[], Any]) -> Any:
        """Run Maya's own code on its main thread, from another."""
        return self._loop.on_main(function)

    def open_modal(self, title: str) -> None:
        self._loop.open_modal(title)

    def close_modal(self) -> None:
        self._loop.close_modal()

    def spin(self) -> None:
        self._loop.spin()

    def answer(self, choice: str) -> None:
        self._loop.press(choice)

    def quit(self) -> None:
        """Exit as File > Exit does: the message first, then the event loop ends. Any thread."""

        def leave() -> None:
            self.host.messages.send(("scene", "kMayaExiting"))
            self._loop.the_application().quit()

        self._loop.post(leave)

    def open_gate(self) -> None:
        self.host.idle.gated = False
        self.host.idle.poke()

    def throttled(self, slow: bool) -> None:
        """Let the loop stand still in each turn, and Maya never be idle: playback. Any thread."""
        self.host.idle.starved = slow
        self._loop.throttled(slow)
        self.host.idle.poke()


class _QtIdle:
    """Turns the idle queue when Qt has nothing else to do. Made on the main thread."""

    def __init__(self, qt: Any, host: MayaHost) -> None:
        core = qt.QtCore
        kind = core.QEvent.Type(core.QEvent.registerEventType())
        timer = core.QTimer()
        timer.setSingleShot(True)

        class Receiver(core.QObject):  # type: ignore[misc]
            def customEvent(self, event: Any) -> None:
                if not timer.isActive():
                    timer.start(0)

        receiver = Receiver()
        #: Kept, and ended, on the main thread.
        self._parts: List[Any] = [timer, receiver]

        def pause() -> int:
            return FROZEN_MS if host.idle.frozen or host.idle.standing else 0

        def turn() -> None:
            # Armed first: what runs may turn the loop itself, where Maya is idle as well.
            if len(host.idle.pending()) > 1:
                timer.start(pause())
            if host.idle.turn() and not timer.isActive():
                timer.start(pause())

        timer.timeout.connect(turn)
        host.idle.poke = lambda: core.QCoreApplication.postEvent(receiver, core.QEvent(kind))
        host.idle.modal = lambda: qt.QtWidgets.QApplication.activeModalWidget() is not None
        self._host = host

    def close(self) -> None:
        self._host.idle.poke = lambda: None
        self._host.idle.modal = lambda: False
        self._parts[0].stop()
        self._parts.clear()


class MayapyStage(_Stage):
    """``mayapy``: no window, no Qt, no idle; whoever runs it owns the main thread.

    ``undo``: whether it is on there, which is not documented.
    """

    name = "mayapy"

    def __init__(self, undo: bool = True, version: str = "2025") -> None:
        super().__init__(version)
        self._undo = undo
        self.can = frozenset(("quit", "scene", *(["undo"] if undo else [])))

    def __enter__(self) -> MayapyStage:
        self.host = MayaHost(batch=True, version=self._version)
        self.host.undo.state = self._undo
        self._stack.enter_context(install(self.host))
        try:
            self.adapter = self._create()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        lost = self.host.idle.pending()
        try:
            self._end()
        finally:
            self._stack.close()
        if kind is None:
            self.host.check()
            assert lost == [], "deferred in batch mode, where it never runs: {}".format(lost)

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Serve here while ``body()`` runs on another thread; ``mayapy`` ends with it."""
        box: List[Any] = []
        over = threading.Event()

        def work() -> None:
            try:
                box.append((body(), None))
            except BaseException as error:
                box.append((None, error))
            finally:
                self.adapter.close()

        def watch() -> None:
            if not over.wait(seconds):
                faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
                os._exit(3)

        threads = [threading.Thread(target=one, daemon=True) for one in (work, watch)]
        for thread in threads:
            thread.start()
        try:
            self.adapter.serve_forever()
            threads[0].join(seconds)
            assert box, "the body of the test did not end"
        finally:
            over.set()
            threads[1].join(DEADLINE)
        value, error = box[0]
        if error is not None:
            raise error
        return value

    def quit(self) -> None:
        """End as the script that serves does. Any thread."""
        self.adapter.close()
