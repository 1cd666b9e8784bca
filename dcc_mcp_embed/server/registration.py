"""Our row in the service registry, from its entry to its leaving.

Every write is the registry thread's, so neither the host's main thread nor the loop ever waits for
a file or for the lock that all programs share; only the last one, at the end, is made by whoever
stops, because there may be no thread left to do it.
"""

from __future__ import annotations

import threading
from typing import Callable, Optional

from ..clock import Clock
from ..host.identity import Instance
from ..registry.file_registry import FileRegistry
from ..registry.heartbeat import Heartbeat
from ..registry.status import status_of
from ..transport_errors import RegistryFile, TransportError
from .readiness import State
from .row import About, Changing, changing

__all__ = ["HEARTBEAT", "LEAVE_TIMEOUT", "Registration"]

#: How often the registry is told that this process lives, seconds. A row that was silent for 30 s
#: is not called any more (dcc-mcp gateway, whose own servers beat every 5 s too).
HEARTBEAT = 5.0
#: How long leaving may hold up the end of a host, seconds (DESIGN: 300 ms).
LEAVE_TIMEOUT = 0.3


class Registration:
    """Enter a row, keep it true, take it out.

    ``state()`` returns how the server is. Both it and ``instance`` are asked when the row is
    written: whatever happened meanwhile is in it, and several changes at once are one.
    """

    def __init__(
        self,
        registry: FileRegistry,
        clock: Clock,
        instance: Instance,
        about: About,
        state: Callable[[], State],
        log: Callable[[str, str], None],
    ) -> None:
        self.registry = registry
        self._heartbeat = Heartbeat(registry, HEARTBEAT, clock, log)
        self._clock = clock
        self._instance = instance
        self._about = about
        self._state = state
        self._log = log
        self._written: Optional[Changing] = None
        self._tried = threading.Event()
        self._left = False

    # -- any thread ---------------------------------------------------------------------------

    def enter(self, before: Callable[[], None]) -> None:
        """Have the row written for the first time, once ``before()`` is done on that thread."""
        self._heartbeat.defer(before)
        self.changed()

    def changed(self) -> None:
        """Have the row written anew if it is not true any more."""
        if not self._left:
            self._heartbeat.defer(self._write)

    def wait(self, timeout: float) -> bool:
        """Wait until the row was written, or could not be; return whether it is in the file."""
        self._tried.wait(timeout)
        try:
            found = self.registry.get(self._instance.dcc_type, self._instance.instance_id)
        except RegistryFile:
            return False
        return found is not None

    def leave(self) -> None:
        """Take the row out of the file and end the registry thread. Blocks LEAVE_TIMEOUT at most.

        Starts no thread, so it may run in an exit handler.
        """
        self._left = True
        begun = self._clock.monotonic()
        self._heartbeat.stop(LEAVE_TIMEOUT / 2)
        spent = self._clock.monotonic() - begun
        self.registry.close(timeout=max(0.0, LEAVE_TIMEOUT - spent))

    # -- registry thread ----------------------------------------------------------------------

    def _write(self) -> None:
        wanted = changing(self._about, self._state(), self._instance.scene)
        if self._left or wanted == self._written:
            return
        try:
            if self._written is None:
                self._enter(wanted)
            else:
                self._update(wanted)
        except (TransportError, TypeError, ValueError) as error:
            # The next change writes everything anew.
            self._log("warning", "the registry row was not written: {}".format(error))
        else:
            self._written = wanted
        finally:
            self._tried.set()

    def _enter(self, row: Changing) -> None:
        instance = self._instance
        self.registry.register(
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
            self.registry.deregister(instance.dcc_type, instance.instance_id)

    def _update(self, row: Changing) -> None:
        self.registry.update(
            self._instance.dcc_type,
            self._instance.instance_id,
            status=status_of(row.status),
            scene=row.scene,
            documents=row.documents,
            metadata=row.metadata,
        )
