"""A real Qt event loop on this thread, and what a test does with it from another.

One application per process, because Qt knows no second one; stages of hosts build on it.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from typing import Any, Callable, List, Optional

from dcc_mcp_embed.adapters.qt import Qt, application, binding

DEADLINE = 20.0
#: Name of the boxes in which a host asks, and how long one is looked for.
QUESTION = "dcc_mcp_question"

#: Set when the application was told to quit while it ran.
_quitting = threading.Event()
#: What this module has made and keeps: the application, and the object calls are posted to.
_kept: List[Any] = []


def qt() -> Qt:
    """Return the binding; the test session was started with one."""
    found = binding()
    assert found is not None, "there is no PySide here"
    return found


def the_application() -> Any:
    """Return the process's QApplication, made when first asked for. Main thread."""
    if not _kept:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        made = application() or qt().QtWidgets.QApplication(["test"])
        # A host's main window is open; tests close their windows and go on.
        made.setQuitOnLastWindowClosed(False)
        _kept.extend((made, _Calls(qt())))
    return _kept[0]


class _Calls:
    """Run functions on the main thread, in whatever loop it turns. Made there."""

    def __init__(self, qt: Qt) -> None:
        core = qt.QtCore
        number = core.QEvent.Type(core.QEvent.registerEventType())
        waiting: List[Callable[[], Any]] = []

        class Receiver(core.QObject):
            def customEvent(self, event: Any) -> None:
                while waiting:
                    waiting.pop(0)()

        receiver = Receiver()

        def post(function: Callable[[], Any]) -> None:
            waiting.append(function)
            core.QCoreApplication.postEvent(receiver, core.QEvent(number))

        self.post = post


def post(function: Callable[[], Any]) -> None:
    """Have the main thread call ``function()`` in its loop, a nested one too. Any thread."""
    _kept[1].post(function)


def on_main(function: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Run it on the main thread, wait, and return what it returned or raise. Not that thread."""
    box: List[Any] = []
    over = threading.Event()

    def run() -> None:
        try:
            box.append((function(), None))
        except BaseException as error:
            box.append((None, error))
        over.set()

    post(run)
    assert over.wait(seconds), "the main thread did not come to it"
    value, error = box[0]
    if error is not None:
        raise error
    return value


def run_loop(loop: Any) -> int:
    """Run an application, an event loop or a dialog; PySide2 calls it ``exec_``."""
    return (getattr(loop, "exec", None) or loop.exec_)()


def run(body: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Run the application's loop here while ``body()`` runs on another thread; return what it did.

    The loop ends with the body, or when the application quits (see :func:`quit_application`), which
    only then says so by ``aboutToQuit``; what the body raised is raised here. After ``seconds``
    the stacks of all threads are printed and the process is ended: the main thread may hang.
    """
    made = the_application()
    box: List[Any] = []
    _quitting.clear()

    def work() -> None:
        try:
            box.append((body(), None))
        except BaseException as error:
            box.append((None, error))
        finally:
            post(leave)

    def leave() -> None:
        if not _quitting.is_set():
            # The host goes on to live; this is only the end of the test's part.
            made.blockSignals(True)
            made.exit(0)

    thread = threading.Thread(target=work, name="body", daemon=True)
    watchdog = _Watchdog(seconds)
    try:
        post(thread.start)
        run_loop(made)
        thread.join(seconds)
        assert box, "the body of the test did not end"
        # What was posted by a body that ended after the application did.
        qt().QtCore.QCoreApplication.sendPostedEvents()
    finally:
        made.blockSignals(False)
        watchdog.over()
    value, error = box[0]
    if error is not None:
        raise error
    return value


class _Watchdog:
    """End the process with all stacks unless it is over in time.

    Its own thread cannot be stopped by what it watches: a dead-lock of the main thread, or native
    code that holds the interpreter, which the timer of ``faulthandler`` survives.
    """

    def __init__(self, seconds: float) -> None:
        self._over = threading.Event()
        self._seconds = seconds
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        if not self._over.wait(self._seconds):
            stream = sys.__stderr__
            print("The main loop hangs after {} s:".format(self._seconds), file=stream)
            faulthandler.dump_traceback(file=stream, all_threads=True)
            stream.flush()
            os._exit(3)

    def over(self) -> None:
        self._over.set()
        self._thread.join(DEADLINE)


def quit_application() -> None:
    """Have the host begin to exit, as its menu would. Any thread."""
    _quitting.set()
    post(the_application().quit)


def spin() -> None:
    """Turn the event loop once, nested. Main thread."""
    qt().QtCore.QCoreApplication.processEvents()


_dialogs: List[Any] = []


def open_modal(title: str) -> None:
    """Have a modal dialog up, in a loop of its own as its ``exec`` has it, and wait for that.

    Any thread but the main one.
    """
    shown = threading.Event()

    def show() -> None:
        dialog = qt().QtWidgets.QDialog()
        dialog.setWindowTitle(title)
        dialog.setModal(True)
        _dialogs.append(dialog)
        qt().QtCore.QTimer.singleShot(0, shown.set)
        run_loop(dialog)
        _dialogs.remove(dialog)

    post(show)
    assert shown.wait(DEADLINE)


def close_modal() -> None:
    """Close the newest dialog that :func:`open_modal` opened. Any thread but the main one."""
    on_main(lambda: _dialogs[-1].reject())


def press(choice: str, seconds: float = DEADLINE) -> None:
    """Press the button for ``choice`` of the question that is open, or opens soon.

    Any thread but the main one.
    """
    end = time.monotonic() + seconds
    while not on_main(lambda: _press(choice)):
        assert time.monotonic() < end, "no question is open that takes {!r}".format(choice)
        threading.Event().wait(0.005)


def _press(choice: str) -> bool:
    for box in open_questions():
        for button in box.buttons():
            if button.objectName() == choice and button.isEnabled():
                button.click()
                return True
    return False


def open_questions() -> List[Any]:
    """Return the boxes of questions that are to be seen. Main thread."""
    return [
        box
        for box in qt().QtWidgets.QApplication.topLevelWidgets()
        if box.objectName() == QUESTION and box.isVisible()
    ]


#: How long the loop of a throttled host stands still in each turn, seconds.
STANDSTILL = 0.05


def throttled(on: bool) -> None:
    """Have the loop stand still in each of its turns, or not any more. Any thread.

    So does a host that plays a scene back, or whose window is in the background.
    """

    def stand_still() -> None:
        _standstills.append(time.monotonic())
        time.sleep(STANDSTILL)

    def switch() -> None:
        while _timers:
            _timers.pop().stop()
        del _standstills[:]
        if on:
            timer = qt().QtCore.QTimer()
            timer.timeout.connect(stand_still)
            timer.start(0)
            _timers.append(timer)

    post(switch)


def standstills() -> int:
    """Return in how many turns the loop has stood still since it is throttled. Any thread."""
    return len(_standstills)


_timers: List[Any] = []
_standstills: List[float] = []


def tidy() -> None:
    """End what a test has left in the application. Main thread."""
    while _timers:
        _timers.pop().stop()
    del _standstills[:]
    while _dialogs:
        _dialogs.pop().close()
    core = qt().QtCore
    core.QCoreApplication.sendPostedEvents(None, core.QEvent.DeferredDelete)
    core.QCoreApplication.processEvents()


def title_of_modal() -> Optional[str]:
    """Return the title of the active modal widget. Main thread."""
    widget = qt().QtWidgets.QApplication.activeModalWidget()
    return None if widget is None else widget.windowTitle()
