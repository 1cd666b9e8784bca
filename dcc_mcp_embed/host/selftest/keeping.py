"""The user's scene during a run: refused if it has unsaved changes, opened again at the end."""

from __future__ import annotations

import os
from typing import Callable, List, Optional

from ...clock import Clock
from ...errors import HostBusy, HostModal, HostShuttingDown, Unsupported
from .report import FAILED, LEFT_OUT, PASSED, Result, spelled
from .world import Call, LeftOut, World

__all__ = ["NewScene", "restored"]


#: How long a scene may take to open, or a dialog stay in the way of that, seconds.
PATIENCE = 120.0
#: How long between two attempts, seconds.
PAUSE = 0.25


class NewScene:
    """The new scene that checks work in. Not on the main thread.

    It is opened when the first check wants it. Whatever happens in between, :func:`restored` then
    opens the file that was open before, or a new scene if that was saved to none. What somebody has
    opened or saved meanwhile stays.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._why_not: Optional[str] = None
        #: The file that was open; None as long as the user's scene still is.
        self.before: Optional[str] = None
        #: Whether the new scene was open, and the file of the user's scene for :meth:`hide`.
        self._opened = False
        self._file = ""

    def hide(self, text: str) -> str:
        """Take the user's file out of a text: where it is kept is nobody's business."""
        return spelled(self._file).sub("(the file)", text)

    def open(self) -> None:
        """Have the new scene be open. Raises LeftOut, saying why, where it cannot be."""
        if self._why_not is None and self.before is None:
            self._begin()
        if self._why_not is not None:
            raise LeftOut(self._why_not)

    def _begin(self) -> None:
        if not getattr(self._world.backend, "kinds", ()):
            self._why_not = "There are no scene tools for this host."
            return
        try:
            # Not in an undo step: hosts forget their undo with the scene.
            self._world.start(self._replace, writes=True).wait(PATIENCE)
        except (LeftOut, HostModal) as reason:
            self._why_not = str(reason)
        except Unsupported as reason:
            self._why_not, self.before = reason.message, None
            self._owe_nothing()
        except (Exception, SystemExit):
            # The user's scene may be gone all the same, so it is opened again at the end.
            self._why_not = "No new scene could be opened."
            raise

    def _replace(self) -> None:
        """In one go: nothing can be changed between the look and the new scene. Main thread."""
        backend = self._world.backend
        info = backend.info([])
        if info["dirty"]:
            raise LeftOut(
                "The open scene has unsaved changes, and this works in a new one. Save it, or open "
                "another, and run this again."
            )
        file = str(info["file"])
        if file and not os.path.isfile(file):
            raise LeftOut(
                "The file of the open scene is not there, so it could not be opened again. Save "
                "it, or open another, and run this again."
            )
        self.before = self._file = file
        self._world.owed.append(self._open_again)
        backend.new_scene()
        self._opened = True

    def close(self) -> Optional[str]:
        """Open again what was open; return what was done, None if there was nothing to do.

        While a dialog is open in the host that has to wait, and does.
        """
        file, self.before = self.before, None
        if file is None:
            return None
        clock = self._world.clock
        deadline = clock.monotonic() + PATIENCE
        while True:
            call = Call(self._world, self._open_again, writes=True)
            try:
                try:
                    call.submit()
                except HostShuttingDown:
                    call.submit_last()
                call.wait(PATIENCE)
                break
            except (HostModal, HostBusy):
                if clock.monotonic() >= deadline:
                    raise
                clock.sleep(PAUSE)
        if file:
            return "the file that was open is open again"
        return "a new scene is open, as the one before was in no file"

    def _open_again(self) -> None:
        """Also called by the server, if it is stopped meanwhile. Main thread."""
        self._owe_nothing()
        backend, file = self._world.backend, self._file
        # The new scene is in no file.
        if self._opened and backend.info([])["file"]:
            raise LeftOut("another file was opened or saved meanwhile, and is left open")
        if file:
            backend.open_scene(file)
        else:
            backend.new_scene()

    def _owe_nothing(self) -> None:
        if self._open_again in self._world.owed:
            self._world.owed.remove(self._open_again)


def restored(scene: NewScene, clock: Clock, clean: Callable[[str], str]) -> List[Result]:
    """Close the new scene; return that as a result, or nothing if there was none."""
    start = clock.monotonic()
    verdict = PASSED
    try:
        text = scene.close()
    except LeftOut as reason:
        verdict, text = LEFT_OUT, str(reason)
    except (Exception, SystemExit) as error:  # of any kind; the user must know of it
        verdict = FAILED
        text = "what was open could not be opened again: {}".format(error)
    if text is None:
        return []
    return [Result("scene: restored", verdict, clock.monotonic() - start, clean(text))]
