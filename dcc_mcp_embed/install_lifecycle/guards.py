"""Which folders no tree operation touches, and why. Rules over facts that are passed in.

Not refused: the folder this package runs from. What an operation needs of it is loaded before
anything is moved, no file of it is held, and an adapter must be able to take itself away.
"""

from __future__ import annotations

import os
import stat

from .disk import extended, plain, real
from .results import is_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Tuple

    from .disk import Disk

    #: The word for programs, the sentence for people.
    Refusal = Tuple[str, str]

__all__ = [
    "Surroundings",
    "inside",
    "look_around",
    "parse_mountinfo",
    "refuse_pair",
    "refuse_root",
    "refuse_volumes",
    "survey",
]

DRIVE_ROOT = "drive_root"
HOME = "home"
CURRENT_DIRECTORY = "current_directory"
INTERPRETER = "interpreter"
SITE_PACKAGES = "site_packages"
LINK = "link"
MOUNT_POINT = "mount_point"
MOUNT_INSIDE = "mount_inside"
NOT_A_FOLDER = "not_a_directory"
SAME = "same"
SOURCE_INSIDE = "source_inside_destination"
DESTINATION_INSIDE = "destination_inside_source"
LINK_INSIDE = "link_inside"
SPECIAL_INSIDE = "special_file_inside"
UNREADABLE = "unreadable"

#: How the kernel writes what would end a name, the backslash last.
_ESCAPED = ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\"))


class Surroundings:
    """What must survive: paths with links resolved; ``current`` is None if it was deleted.

    ``mounts``: where volumes are mounted, None where the system does not tell.
    """

    __slots__ = ("current", "home", "interpreter", "mounts")

    def __init__(
        self,
        home: str,
        current: Optional[str],
        interpreter: List[str],
        mounts: Optional[List[str]] = None,
    ) -> None:
        self.home = home
        self.current = current
        self.interpreter = interpreter
        self.mounts = mounts


def look_around() -> Surroundings:
    """Return the surroundings of this process. Raises nothing."""
    import sys

    try:
        current: Optional[str] = real(os.getcwd())
    except OSError:
        current = None  # it was deleted
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.__file__)]
    places.append(os.path.dirname(sys.executable or ""))
    home = os.path.expanduser("~")
    return Surroundings(
        real(home) if os.path.isabs(home) else "",
        current,
        [real(place) for place in places if os.path.isabs(place)],
        _mounts(),
    )


def _mounts() -> Optional[List[str]]:
    try:
        with open("/proc/self/mountinfo", "rb") as stream:
            return parse_mountinfo(stream.read())
    except OSError:
        return None


def parse_mountinfo(content: bytes) -> List[str]:
    """Return where something is mounted by the text of a Linux ``mountinfo`` file."""
    found = []
    for line in content.splitlines():
        parts = line.split(b" ")
        if len(parts) > 4:
            place = parts[4]
            for written, meant in _ESCAPED:
                place = place.replace(written, meant)
            found.append(os.fsdecode(place))
    return found


def inside(path: str, root: str) -> bool:
    """Say whether ``path`` is ``root`` or below it, by their letters."""
    path, root = os.path.normcase(path), os.path.normcase(root)
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def refuse_root(
    path: str,
    facts: Optional[os.stat_result],
    around: Surroundings,
    is_mount: Callable[[str], bool] = os.path.ismount,
) -> Optional[Refusal]:
    """Return why ``path`` (as of ``to_path``) is not to be removed or replaced, else None.

    ``facts``: its lstat, None if there is nothing.
    """
    if os.path.dirname(path) == path:
        return DRIVE_ROOT, "It is the root of a drive."
    if facts is not None and is_link(facts):
        return LINK, "It is a link or a junction: what it leads to is not touched."
    place = real(path)
    if _holds(place, around.home):
        return HOME, "The home directory is there or inside."
    if around.current is not None and _holds(place, around.current):
        return CURRENT_DIRECTORY, "The current directory is there or inside."
    if any(_holds(place, other) for other in around.interpreter):
        return INTERPRETER, "Python itself is there or inside."
    if os.path.basename(place).lower() in ("site-packages", "dist-packages"):
        return SITE_PACKAGES, "It has the packages of a whole Python."
    if facts is not None and not stat.S_ISDIR(facts.st_mode):
        return NOT_A_FOLDER, "It is not a folder."
    mounts = around.mounts or []
    if facts is not None and (place in mounts or is_mount(path)):
        return MOUNT_POINT, "Another volume is mounted there."
    if any(inside(mount, place) for mount in mounts):
        return MOUNT_INSIDE, "Another volume is mounted inside."
    return None


def refuse_volumes(disk: Disk, tree: str) -> Optional[Refusal]:
    """Return why a folder with other volumes below is not to be removed or replaced, else None.

    By a look at each folder, for systems that do not tell what is mounted. What is mounted on the
    same volume is not seen. On Windows a mounted volume is a junction, and no way leads into it.
    """
    if os.name == "nt":
        return None
    volume, pending = None, [tree]
    while pending:
        folder = pending.pop()
        try:
            facts = disk.lstat(folder)
            if is_link(facts) or not stat.S_ISDIR(facts.st_mode):
                continue
            volume = facts.st_dev if volume is None else volume
            if facts.st_dev != volume:
                return MOUNT_INSIDE, "Another volume is mounted inside."
            pending += [os.path.join(folder, name) for name in disk.listdir(folder)]
        except OSError:
            continue  # nobody deletes what cannot be looked at, either
    return None


def refuse_pair(source: str, facts: os.stat_result, destination: str) -> Optional[Refusal]:
    """Return why ``source`` (``facts``: its lstat) is not to be copied to ``destination``."""
    if is_link(facts):
        return LINK, "The source is a link or a junction; name the folder it leads to."
    if not stat.S_ISDIR(facts.st_mode):
        return NOT_A_FOLDER, "The source is not a folder."
    from_, to = real(source), real(destination)
    source_inside, destination_inside = _holds(to, from_), _holds(from_, to)
    if source_inside and destination_inside:
        return SAME, "Source and destination are the same folder."
    if source_inside:
        return SOURCE_INSIDE, "The source is inside the destination."
    if destination_inside:
        return DESTINATION_INSIDE, "The destination is inside the source."
    return None


def _holds(root: str, path: str) -> bool:
    """Say whether ``path`` is ``root`` or below it, by their letters or by what they are.

    A folder can have a second name: another drive's, or one in other letters on a Mac.
    """
    return inside(path, root) or _same(path, root) or _above(path, root)


def _same(one: str, other: str) -> bool:
    """Say whether two names are one folder, also where only the system knows."""
    try:
        return os.path.samefile(extended(one), extended(other))
    except OSError:
        return False


def _above(path: str, root: str) -> bool:
    """Say whether a folder above ``path`` is ``root``, by whatever name."""
    if not os.path.exists(extended(root)):
        return False
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        if _same(path, root):
            return True
    return False


def survey(disk: Disk, source: str) -> Optional[Refusal]:
    """Return why what is in ``source`` cannot be copied whole, else None. Changes nothing.

    A relative link that stays inside is copied as a link. Any other would lead elsewhere from its
    new place, or bring in what is not part of the tree.
    """
    root = real(source)
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            names = disk.listdir(os.path.join(source, folder) if folder else source)
        except OSError as error:
            return UNREADABLE, "It cannot be read: {}".format(error)
        for name in names:
            below = os.path.join(folder, name) if folder else name
            path = os.path.join(source, below)
            try:
                facts = disk.lstat(path)
            except OSError as error:
                return UNREADABLE, "It cannot be read: {}".format(error)
            if is_link(facts):
                if not _stays(root, folder, path, facts):
                    return LINK_INSIDE, "It has a link that leads out of it: {}".format(below)
            elif stat.S_ISDIR(facts.st_mode):
                pending.append(below)
            elif not stat.S_ISREG(facts.st_mode):
                return SPECIAL_INSIDE, "It has a file of a special kind: {}".format(below)
    return None


def _stays(root: str, folder: str, path: str, facts: os.stat_result) -> bool:
    if not stat.S_ISLNK(facts.st_mode):
        return False  # a junction names its target in full
    try:
        target = plain(os.readlink(extended(path)))
    except OSError:
        return False
    if os.path.isabs(target) or os.path.splitdrive(target)[0]:
        return False
    return inside(real(os.path.join(root, folder, target)), root)
