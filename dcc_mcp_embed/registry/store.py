"""The registry's file on disk: read, replaced as a whole, set aside when damaged.

Readers take no lock. They see the file before or after a change, since ours is replaced and never
overwritten; a program that overwrites it is waited for (some milliseconds) before its half-written
file is taken for damaged.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Callable, Iterable, Optional, Tuple

from .. import collector
from .._compat import replace
from ..clock import Clock
from ..records import NamedTuple
from ..transport_errors import RegistryFile
from . import document
from .document import Document, Row
from .locking import open_plain

__all__ = ["FILE", "Store"]

FILE = "services.json"
#: A registry of a thousand hosts has 2 MiB. What is longer is damaged.
_LIMIT = 16 * 1024 * 1024
#: What opening a link without following it ends in; the second on BSD.
_LINK = (errno.ELOOP, errno.EMLINK)
#: Seconds between looks at a file that is damaged or held (dcc-mcp-core waits the same).
_RETRIES = (0.005, 0.010, 0.015, 0.020)
#: A file that was young when it was read may change without looking any different: the system
#: stamps with its tick, of up to 16 ms on Windows, and reuses the numbers of replaced files.
_SETTLED = 0.1
#: Damaged files kept. Whoever damages it again and again shall not fill the disk.
_KEPT = 16


class _Look(NamedTuple):
    """What tells one state of a file from the next without reading it."""

    modified: int
    size: int
    number: int


class Store:
    """One registry file. Reading: any thread. Writing: whoever holds the registry's lock."""

    def __init__(
        self, directory: str, mode: int, clock: Clock, log: Callable[[str, str], None]
    ) -> None:
        """``mode``: permissions of a file that is made."""
        self.path = os.path.join(directory, FILE)
        self._directory = directory
        self._mode = mode
        self._clock = clock
        self._log = log
        # One value, so that readers on several threads never pair one's look with another's text.
        self._known: Tuple[Optional[_Look], Document] = (None, Document())

    def read(self) -> Document:
        """Return what the file says, from memory while it looks the same. Raises RegistryFile."""
        look, known = self._known
        if look is not None and look == self._look():
            return known
        return self.read_anew()

    def read_anew(self) -> Document:
        """Return what the file says now. Raises RegistryFile."""
        for pause in (*_RETRIES, None):
            last = pause is None
            try:
                found, look = self._load()
            except PermissionError as error:
                # Windows, while another process replaces it; elsewhere it stays like that.
                if last or os.name != "nt":
                    raise RegistryFile("failed to read {}: {}".format(self.path, error)) from error
            except OSError as error:
                raise RegistryFile("failed to read {}: {}".format(self.path, error)) from error
            else:
                if last or found.damage is None:
                    break
            with collector.blocking():
                self._clock.sleep(pause or 0.0)
        young = look is not None and self._clock.wall() - look.modified / 1e9 < _SETTLED
        self._known = (None if young else look, found)
        return found

    def _look(self) -> Optional[_Look]:
        try:
            return _look(os.lstat(self.path))
        except OSError:
            return None

    def _load(self) -> Tuple[Document, Optional[_Look]]:
        try:
            handle = open_plain(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return Document(), None
        except OSError as error:
            if error.errno not in _LINK:
                raise
            return Document(damage="it is a link"), None
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                return Document(damage="it is not a file"), None
            with open(handle, "rb", closefd=False) as file:
                data = file.read(_LIMIT)
        finally:
            os.close(handle)
        return document.parse(data), _look(facts)

    def write(self, rows: Iterable[Row]) -> None:
        """Replace the file: whole and on disk, or not at all. Raises RegistryFile."""
        # One name per process, so that what a crash leaves behind does not pile up.
        temporary = os.path.join(self._directory, ".tmp.{}.{}".format(os.getpid(), FILE))
        try:
            handle = self._create(temporary)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(document.render(rows))
                    file.flush()
                    with collector.blocking():
                        os.fsync(handle)
                with collector.blocking():
                    replace(temporary, self.path, self._clock.sleep)
            except BaseException:
                # What went wrong is what is told, a Ctrl-C above all. (It may come when the file
                # has its new name already; what stays behind is replaced by the next change.)
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            raise RegistryFile("failed to write {}: {}".format(self.path, error)) from error

    def _create(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return open_plain(path, flags, self._mode)
        except FileExistsError:
            os.unlink(path)
            return open_plain(path, flags, self._mode)

    def set_aside(self, damage: str) -> None:
        """Keep a damaged file under another name, as dcc-mcp-core does. Raises RegistryFile.

        Readers find the damaged one until the next write replaces it.
        """
        stem = FILE + ".corrupted-"
        aside = os.path.join(self._directory, "{}{}".format(stem, int(self._clock.wall())))
        try:
            kept = sum(name.startswith(stem) for name in os.listdir(self._directory))
            if kept >= _KEPT:
                self._log("warning", "{} is damaged again: {}".format(self.path, damage))
                return
            try:
                os.link(self.path, aside)
            except FileExistsError:
                return  # of the same second
            except OSError:
                os.rename(self.path, aside)  # no hard links here
        except OSError as error:
            raise RegistryFile("failed to keep {}: {}".format(self.path, error)) from error
        self._log("warning", "{} was damaged ({}); kept as {}".format(self.path, damage, aside))


def _look(facts: os.stat_result) -> _Look:
    return _Look(facts.st_mtime_ns, facts.st_size, facts.st_ino)
