"""The journal of what is owed: one file per user, for every host, whole or as it was.

It is replaced, never overwritten, by whoever holds the lock beside it. When nothing is owed there
is no file, so that a start finds out with one look. A damaged file is kept under another name, with
what could be read of it still owed; one that a newer release wrote is left alone.
"""

from __future__ import annotations

import os
import stat

from .exclusive import Exclusive, open_plain
from .home import JOURNAL, is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

    Value = TypeVar("Value")
    Entry = Dict[str, Any]

__all__ = [
    "VERSION",
    "Contents",
    "Journal",
    "JournalError",
    "parse",
]

VERSION = 1
_LOCK = "journal.lock"
_RUN_LOCK = "cleanup.lock"
_DAMAGED = "journal.damaged-"
#: An entry has some hundred bytes. What is longer is no journal.
_LIMIT = 4 * 1024 * 1024
#: Seconds to wait for another process's change, which takes some milliseconds.
_PATIENCE = 2.0


class JournalError(Exception):
    """The journal cannot be used. ``reason`` is a word for programs, ``str()`` for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Contents:
    """What a journal's bytes say: the good ``entries``, and what is wrong with the rest if any."""

    def __init__(self, entries: List[Entry], damage: Optional[str] = None) -> None:
        self.entries = entries
        self.damage = damage


def parse(data: bytes) -> Contents:
    """Return what the bytes of a journal say. Raises JournalError for a newer release's."""
    import json

    from .entries import problem_of_entry

    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return Contents([], "it is no JSON ({})".format(type(error).__name__))
    version = content.get("version") if isinstance(content, dict) else None
    if not isinstance(version, int) or version < 1 or not isinstance(content.get("entries"), list):
        return Contents([], "it is not built like a journal")
    if version > VERSION:
        raise JournalError(
            "journal_newer",
            "The journal has version {}, written by a newer release; this one knows {}.".format(
                version, VERSION
            ),
        )
    good, damage = [], None
    for entry in content["entries"]:
        problem = problem_of_entry(entry)
        if problem is None:
            good.append(entry)
        else:
            damage = damage or problem
    return Contents(good, damage)


def render(entries: List[Entry]) -> bytes:
    """Return the bytes of a journal with these entries."""
    import json

    content = {"version": VERSION, "entries": entries}
    # ASCII, in which even a file name of undecodable bytes goes there and back.
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("ascii")


class Journal:
    """One directory's journal. One thread at a time; every other thread or process has its own."""

    def __init__(
        self, directory: str, now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        """``now`` and ``sleep``: seconds, monotonic."""
        self.path = os.path.join(directory, JOURNAL)
        #: Where damaged files were put that this object has met.
        self.set_aside: List[str] = []
        self._directory = directory
        self._now = now
        self._sleep = sleep

    def exists(self) -> bool:
        """Return whether anything may be owed. Raises OSError if that cannot be seen."""
        return is_there(self.path)

    def damaged_files(self) -> List[str]:
        """Return the damaged journals that lie beside this one."""
        try:
            names = sorted(os.listdir(self._directory))
        except OSError:
            return []
        return [os.path.join(self._directory, n) for n in names if n.startswith(_DAMAGED)]

    def read(self) -> Contents:
        """Return what it says now; nothing is changed. Raises OSError, JournalError."""
        data, damage = self._load()
        if data is None:
            return Contents([], damage)
        return parse(data)

    def change(self, edit: Callable[[List[Entry]], List[Entry]]) -> List[Entry]:
        """Replace the entries by what ``edit`` makes of them, and return those.

        Others see all of it or nothing. It is on disk when it returns, but for the name of the file
        where the system cannot say so of a folder: a power cut may bring back the one before.
        Raises OSError, JournalError.
        """
        self.make_directory()
        lock = Exclusive(os.path.join(self._directory, _LOCK))
        if not lock.acquire(_PATIENCE, self._now, self._sleep):
            raise JournalError(
                "journal_busy",
                "Another process has held the journal for {:.0f} s.".format(_PATIENCE),
            )
        try:
            return self._edit(edit)
        finally:
            lock.release()

    def _edit(self, edit: Callable[[List[Entry]], List[Entry]]) -> List[Entry]:
        data, damage = self._load()
        found = Contents([], damage) if data is None else parse(data)
        if found.damage is not None:
            self._keep_damaged(data)
        entries = edit(list(found.entries))
        if not entries:
            self._delete()
        elif found.damage is not None or entries != found.entries:
            self._write(render(entries))
        return entries

    def turn(self, timeout: float) -> Optional[Exclusive]:
        """Take the turn to carry out what is owed; None: no luck within ``timeout`` seconds.

        It is the caller's to release. Raises OSError, JournalError.
        """
        self.make_directory()
        lock = Exclusive(os.path.join(self._directory, _RUN_LOCK))
        return lock if lock.acquire(timeout, self._now, self._sleep) else None

    def make_directory(self) -> None:
        """Make the directory, private to the user. Raises OSError, and JournalError if it is not.

        What is written there is deleted at the next start, so nobody else may write it.
        """
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        if not hasattr(os, "getuid"):
            return  # Windows: the user's local application data is private by its inherited ACL.
        facts = os.lstat(self._directory)
        if stat.S_ISLNK(facts.st_mode) or facts.st_uid != os.getuid():
            raise JournalError(
                "journal_unsafe",
                "{} is a link or somebody else's; set DCC_MCP_EMBED_HOME to a directory of your "
                "own.".format(self._directory),
            )
        if facts.st_mode & 0o077:
            os.chmod(self._directory, 0o700)

    def _load(self) -> Tuple[Optional[bytes], Optional[str]]:
        """Return the file's bytes, or None and what is wrong with it, if anything."""
        try:
            facts = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None, None
        if not stat.S_ISREG(facts.st_mode):
            return None, "it is a link, a folder or a device"
        try:
            # On Windows it may be held while it is being replaced.
            handle = self._patiently(lambda: open_plain(self.path, os.O_RDONLY))
        except FileNotFoundError:
            return None, None
        try:
            facts = os.fstat(handle)
            if hasattr(os, "getuid") and (facts.st_uid != os.getuid() or facts.st_mode & 0o022):
                raise JournalError(
                    "journal_unsafe",
                    "{} is somebody else's, or others may write it; remove it.".format(self.path),
                )
            if facts.st_size > _LIMIT:
                return None, "it is too long"
            with os.fdopen(handle, "rb", closefd=False) as stream:
                return stream.read(), None
        finally:
            os.close(handle)

    def _patiently(self, action: Callable[[], Value]) -> Value:
        from .locks import Patience

        return Patience(self._sleep).attempt(action)

    def _keep_damaged(self, data: Optional[bytes]) -> None:
        """Keep what is there under another name, the same one however often it is tried."""
        from zlib import crc32

        if data is None:
            place = self._beside("{:.0f}".format(os.lstat(self.path).st_mtime))
            os.replace(self.path, place)
        else:
            # A copy: the good entries are in the file until they are in the next one.
            place = self._beside("{:08x}".format(crc32(data)))
            _write_whole(place, data)
        self.set_aside.append(place)

    def _beside(self, label: str) -> str:
        return os.path.join(self._directory, _DAMAGED + label + ".json")

    def _write(self, data: bytes) -> None:
        temporary = self.path + ".new"  # one name, so that nothing piles up: we hold the lock
        try:
            _write_whole(temporary, data)
            self._patiently(lambda: os.replace(temporary, self.path))
        except BaseException:
            _drop(temporary)
            raise
        self._settle()

    def _delete(self) -> None:
        self._patiently(lambda: _unlink(self.path))
        self._settle()

    def _settle(self) -> None:
        from .disk import Disk

        try:
            Disk().fsync_folder(self._directory)
        except OSError:
            pass  # all processes see the new state already


def _write_whole(path: str, data: bytes) -> None:
    """Write a file anew and have it on disk. Raises OSError, and then there is none."""
    _unlink(path)
    handle = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        _drop(path)
        raise


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _drop(path: str) -> None:
    """Delete what is half written, if that can be: what went wrong before is what is told."""
    try:
        os.unlink(path)
    except OSError:
        pass
