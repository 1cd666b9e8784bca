"""See how a user folder of a host stands. Nothing is changed here."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .. import install_lifecycle as lifecycle
from ..install_lifecycle.results import is_link
from . import boot, bootstraps, hosts, leases
from .boot import LEAVING, SHARED
from .plan import Facts, Wish
from .root import FOLDER, Root

__all__ = ["MADE", "Standing"]

#: In our root: the folders outside it that an install has made.
MADE = "made.txt"
_MOST = 1 << 20


class Standing:
    """Ours in one user folder of one host. Made without looking."""

    def __init__(self, host: hosts.Host, user: str) -> None:
        self.host = host
        self.user = os.path.abspath(user)
        self.root = Root(os.path.join(self.user, FOLDER))

    @property
    def leaving(self) -> str:
        return os.path.join(self.root.path, LEAVING)

    def texts(self) -> Tuple[Dict[str, bytes], Dict[str, bytes]]:
        """Return path -> content of what stands inside our root, and of what the host finds."""
        inside = {
            os.path.join(self.root.path, name): data
            for name, data in bootstraps.in_root(self.host.key).items()
        }
        outside: Dict[str, bytes] = {}
        for file in self.host.files:
            path = os.path.join(self.user, *file.path.split("/"))
            within = path.startswith(self.root.path + os.sep)
            (inside if within else outside)[path] = bootstraps.text(file.text)
        return inside, outside

    def wish(self, name: str) -> Wish:
        """Return what an install of the version ``name`` is to end in."""
        inside, outside = self.texts()
        return Wish(name, inside, outside)

    def facts(self, thorough: bool = True, stopped: bool = False) -> Facts:
        """Look at everything. ``thorough``: also at the content of every version's files.

        ``stopped``: what this process has loaded of ours does nothing any more.
        """
        root = self.root
        inside, outside = self.texts()
        files = {}
        for path in (*inside, *outside):
            data = _read(path)
            if data is not None:
                files[path] = data
        damaged = {one.name: one.problems[0] for one in root.damaged()} if thorough else {}
        return Facts(
            root=root.path,
            versions=root.versions,
            current_file=root.current_file,
            leaving_file=self.leaving,
            current=root.current(),
            installed=tuple(root.installed()),
            staged=tuple(self._staged()),
            damaged=damaged,
            users=self._users(stopped),
            files=files,
            leaving=os.path.lexists(self.leaving),
            owed=bool(self.entries(root.path)),
            links=self._links(inside),
            foreign=self._foreign(),
            there=os.path.isdir(root.path),
            others=tuple(boot.strangers(root.path)) if os.path.isdir(root.path) else (),
            shared=os.path.lexists(os.path.join(root.path, SHARED)),
            mark=bootstraps.MARK.encode("ascii"),
            separator=os.sep,
        )

    def made(self) -> Tuple[str, ...]:
        """Return the folders outside our root that an install has made, the lower ones first."""
        data = _read(os.path.join(self.root.path, MADE)) or b""
        lines = data.decode("ascii", "replace").splitlines()
        return tuple(
            os.path.normpath(os.path.join(self.user, *line.split("/")))
            for line in lines
            if line and boot.is_within(line)
        )

    def entries(self, path: str) -> List[str]:
        """Return the ids of what the journal has of ``path``."""
        entries = lifecycle.list_deferred().get("entries", ())
        return [one["id"] for one in entries if one["operation"].get("path") == path]

    def _links(self, inside: Mapping[str, bytes]) -> Tuple[str, ...]:
        """Return the folders of ours that lead elsewhere."""
        folders = {self.root.path, self.root.versions}
        for path in inside:
            folder = os.path.dirname(path)
            while folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        return tuple(one for one in sorted(folders) if _leads_elsewhere(one))

    def _foreign(self) -> Dict[str, str]:
        """Return what other hosts find in this user folder and is ours -> the host's key."""
        found = {}
        for host in hosts.HOSTS.values():
            path = os.path.join(self.user, *host.files[-1].path.split("/"))
            if host.key != self.host.key and bootstraps.MARK.encode("ascii") in (
                _read(path) or b""
            ):
                found[path] = host.key
        return found

    def _users(self, stopped: bool) -> Dict[str, str]:
        """Return version -> who runs it: by the registry, by what starts hold, by what is loaded.

        Whatever has loaded a version goes on loading its modules when they are first needed.
        """
        found: Dict[str, str] = {}
        versions = self.root.versions
        installed = self.root.installed()
        if not installed:
            return found
        state = lifecycle.query_runtime_state(install_root=versions, include_dead=False)
        if not state["success"]:
            # It may be anybody's: what cannot be known is not removed.
            return dict.fromkeys(installed, "perhaps a host: {}".format(state["message"]))
        for name in installed:
            folder = self.root.folder_of(name)
            if leases.is_held(folder):
                found[name] = "a program that is still open"
            elif not stopped and leases.is_loaded_here(folder):
                found[name] = "this {}".format(self.host.title)
        for entry in state["entries"]:
            process = entry.get("parent_pid") or entry.get("runtime_pid")
            if process == os.getpid():
                continue
            for place in entry.get("install_roots") or ():
                used = _version_of(place, versions)
                if used is not None:
                    found[used] = "{} (process {})".format(
                        entry.get("dcc_type") or "a host", process
                    )
        return found

    def _staged(self) -> List[str]:
        """Return what was never finished, but for what the journal has still to put in place."""
        staged = self.root.staged()
        if not staged:
            return []
        entries = lifecycle.list_deferred().get("entries", ())
        wanted = [os.path.basename(str(one["operation"].get("source"))) for one in entries]
        return [name for name in staged if name not in wanted]


def _read(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as stream:
            return stream.read(_MOST)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _leads_elsewhere(path: str) -> bool:
    try:
        return is_link(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _version_of(place: Any, versions: str) -> Optional[str]:
    """Return which of ``versions`` a path belongs to, None if to none of them."""
    path, above = (
        os.path.normcase(os.path.realpath(str(place))),
        os.path.normcase(os.path.realpath(versions)),
    )
    if not path.startswith(above + os.sep):
        return None
    start = os.path.realpath(str(place))[len(above) + 1 :]
    return start.split(os.sep)[0]
