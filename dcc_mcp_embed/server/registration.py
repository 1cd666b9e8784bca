"""Our row in the service registry, from its entry to its leaving.

Neither the host's main thread nor the loop ever waits for a file or for the lock that all programs
share. What is needed for it, the plug-in's TransportManager, is loaded and made by a thread of its
own when the server runs already; every write is the registry thread's. Only the last one is made by
whoever stops, because there may be no thread left to do it.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Callable, Optional

from .. import collector
from ..host.identity import Instance
from ..records import NamedTuple
from .readiness import State
from .row import About, Changing, changing

if TYPE_CHECKING:
    from ..registry.file_registry import FileRegistry
    from ..registry.heartbeat import Heartbeat

__all__ = ["HEARTBEAT", "Registrar", "Registration"]

#: How often the registry is told that this process lives, seconds. A row that was silent for 30 s
#: is not called any more (dcc-mcp gateway, whose own servers beat every 5 s too).
HEARTBEAT = 5.0
#: How long the end of a host waits for the thread that is still about to open it, seconds.
_OPENING = 0.1
#: How often somebody who waits for the row is asked whether it is wanted still, seconds.
_SLICE = 0.1
#: How long somebody who needs the registry waits for it to be there, seconds.
_PATIENCE = 2.0


class Registrar(NamedTuple):
    """What is needed here of a TransportManager: the plug-in's own, which nobody else shuts down.

    ``register`` is its ``register_service``; ``shutdown`` takes 300 ms at most (DESIGN).
    """

    registry: FileRegistry
    heart: Heartbeat
    register: Callable[..., str]
    shutdown: Callable[[], None]


class Registration:
    """Enter a row, keep it true, take it out. Without a usable registry it only says so.

    ``manage(interval)`` makes what does it, beating so often; it raises RegistryFile. ``state()``
    returns how the server is; both it and ``instance`` are asked when the row is written, so
    whatever happened meanwhile is in it, and several changes at once are one. ``load()`` is done
    first, on the same thread: what others may want as soon as they find us.
    """

    def __init__(
        self,
        manage: Callable[[float], Registrar],
        instance: Instance,
        about: About,
        state: Callable[[], State],
        load: Callable[[], None],
        log: Callable[[str, str], None],
    ) -> None:
        self._manage = manage
        self._instance = instance
        self._about = about
        self._state = state
        self._load = load
        self._log = log
        self._registrar: Optional[Registrar] = None
        self._opened = threading.Event()
        self._tried = threading.Event()
        self._written: Optional[Changing] = None
        self._left = False
        # Whether it was logged that the file cannot be read.
        self._unreadable = False
        # Whether it was logged that the row is not written.
        self._failing = False
        self._opener = collector.Thread(self._open, "dcc-mcp-embed-registry-start")

    # -- any thread ---------------------------------------------------------------------------

    def enter(self) -> None:
        """Have everything loaded and the row written for the first time. Once."""
        try:
            self._opener.start()
        except RuntimeError as error:
            # The system has no thread left. The server serves all the same.
            self._log("error", "this server cannot be found by others: {}".format(error))
            self._opened.set()
            self._tried.set()

    def changed(self) -> None:
        """Have the row written anew if it is not true any more."""
        # Before there is somebody to write it the row has not been written either.
        if self._registrar is not None and not self._left:
            self._registrar.heart.defer(self._write)

    @property
    def registrar(self) -> Optional[Registrar]:
        """Return what keeps the row, None if there is no registry; waits until that is known."""
        self._opened.wait(_PATIENCE)
        return self._registrar

    def wait(self, timeout: float, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Wait until the row was written, or could not be; return whether it is in the file.

        As long as ``wanted()``, which is asked now and then.
        A file that cannot be read names nobody; the log says why.
        """
        # Loaded already, unless there is no registry at all.
        from ..transport_errors import TransportError

        slices = max(1, math.ceil(timeout / _SLICE))
        for _ in range(slices):
            if self._tried.wait(timeout / slices) or not wanted():
                break
        registrar = self._registrar
        if registrar is None:
            return False
        instance = self._instance
        try:
            return registrar.registry.get(instance.dcc_type, instance.instance_id) is not None
        except TransportError as error:
            if not self._unreadable:
                self._unreadable = True
                self._log("warning", "this server cannot be found by others: {}".format(error))
            return False

    def leave(self) -> None:
        """Take the row out of the file and end the threads. Blocks for 0.4 s at the very most.

        Starts no thread, so it may run in an exit handler.
        """
        self._left = True
        if self._opener.ident is not None:
            self._opener.join(_OPENING)
        if self._registrar is not None:
            self._registrar.shutdown()
        # Nobody tries any more: whoever waits has waited in vain.
        self._tried.set()

    def disown(self) -> None:
        """Be over in a forked child: row and threads are its parent's. The child's only thread."""
        self._left = True
        self._registrar = None
        # Whoever had the lock inside an old one does not exist here.
        self._opened, self._tried = threading.Event(), threading.Event()
        self._opened.set()
        self._tried.set()

    # -- the thread that opens it -------------------------------------------------------------

    def _open(self) -> None:
        collector.pause()
        try:
            self._load()
            self._open_registry()
            self.changed()
        except Exception as error:
            # The server serves all the same.
            self._log("error", "this server cannot be found by others: {!r}".format(error))
        finally:
            self._opened.set()
            if self._registrar is None:
                self._tried.set()
            collector.resume()

    def _open_registry(self) -> None:
        from ..transport_errors import RegistryFile

        if self._left:
            return
        try:
            self._registrar = self._manage(HEARTBEAT)
        except RegistryFile as error:
            self._log("warning", "this server cannot be found by others: {}".format(error))
            return
        if self._left:
            # Whoever stopped did not wait for this.
            self._registrar.shutdown()

    # -- registry thread ----------------------------------------------------------------------

    def _write(self) -> None:
        from ..transport_errors import TransportError

        wanted = changing(self._about, self._state(), self._instance.scene)
        if self._left or self._registrar is None:
            return
        if wanted == self._written:
            # Also what could not be written, as it has changed back.
            self._failing = False
            return
        try:
            if self._written is None:
                self._enter(self._registrar, wanted)
            else:
                self._update(self._registrar.registry, wanted)
        except (TransportError, TypeError, ValueError) as error:
            # Another program had the lock for too long, mostly: there need not be a next change.
            if not self._left:
                if not self._failing:
                    self._log("warning", "the registry row was not written: {}".format(error))
                self._failing = True
                self._registrar.heart.postpone(self._write)
        else:
            self._failing = False
            self._written = wanted
        finally:
            self._tried.set()

    def _enter(self, registrar: Registrar, row: Changing) -> None:
        from ..registry.status import status_of

        instance = self._instance
        registrar.register(
            instance.dcc_type,
            "127.0.0.1",
            self._about.port,
            instance_id=instance.instance_id,
            version=instance.version,
            adapter_version=self._about.version,
            adapter_dcc=instance.dcc_type,
            scene=row.scene,
            documents=row.documents,
            metadata=row.metadata,
            status=status_of(row.status),
            # A file that cannot be written now may be in a moment; the heartbeat goes on trying.
            insist=True,
        )
        if self._left:
            # Whoever stopped did not wait for this.
            registrar.registry.deregister(instance.dcc_type, instance.instance_id)

    def _update(self, registry: FileRegistry, row: Changing) -> None:
        from ..registry.status import status_of

        registry.update(
            self._instance.dcc_type,
            self._instance.instance_id,
            status=status_of(row.status),
            scene=row.scene,
            documents=row.documents,
            metadata=row.metadata,
        )
