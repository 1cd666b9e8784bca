"""What differs between the Pythons and file systems we run on, in one place.

The only importer of the vendored typing_extensions, and only where ``typing`` lacks something and
only when it is asked for: it costs several milliseconds.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import typing
from typing import TYPE_CHECKING, Any, Callable, List

__all__ = [
    "Annotated",
    "Literal",
    "TypedDict",
    "get_args",
    "get_origin",
    "get_type_hints",
    "replace",
    "rmtree",
]

if TYPE_CHECKING:
    from typing_extensions import Annotated as Annotated
    from typing_extensions import Literal as Literal
    from typing_extensions import TypedDict as TypedDict
    from typing_extensions import get_args as get_args
    from typing_extensions import get_origin as get_origin
    from typing_extensions import get_type_hints as get_type_hints

#: All of them are complete in ``typing`` from here on. (3.8 has Literal, a TypedDict that forgets
#: which keys are required, and no Annotated; taking all from one place keeps them matching.)
_TYPING_IS_ENOUGH = (3, 9)
_TYPING_NAMES = ("Annotated", "Literal", "TypedDict", "get_args", "get_origin", "get_type_hints")

#: Seconds to wait between attempts. A virus scanner or an indexer holds a new file for some tens
#: of milliseconds; pip waits up to one second in all for the same reason.
RETRY_DELAYS = (0.01, 0.03, 0.1, 0.25, 0.6)


def __getattr__(name: str) -> Any:
    if name not in _TYPING_NAMES:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    if sys.version_info >= _TYPING_IS_ENOUGH:
        value = getattr(typing, name)
    else:
        from ._vendor import typing_extensions

        value = getattr(typing_extensions, name)
    globals()[name] = value
    return value


def rmtree(path: str) -> None:
    """Delete a directory tree, also what is read-only in it.

    Deletes all it can, then raises the first OSError of what stays. An absent tree is fine. Links
    are deleted, not followed.
    """
    import shutil  # for installers only: it loads every compression there is

    kept: List[OSError] = []

    def retry_writable(function: Callable[[str], Any], failed: str, _error: Any) -> None:
        try:
            # A read-only file cannot be deleted on Windows, and nothing can out of a read-only
            # directory elsewhere.
            for target in (os.path.dirname(failed), failed):
                if os.path.exists(target) and not os.path.islink(target):
                    os.chmod(target, stat.S_IMODE(os.stat(target).st_mode) | stat.S_IRWXU)
            # Opening or listing a folder failed: that is done anew from the top. So is a removal
            # whose folder could not be emptied before.
            if function in (os.unlink, os.rmdir, os.remove):
                function(failed)
            elif os.path.isdir(failed):
                shutil.rmtree(failed)
        except OSError as error:
            kept.append(error)

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=retry_writable)  # novermin
    else:
        shutil.rmtree(path, onerror=retry_writable)
    if os.path.lexists(path):
        raise kept[0] if kept else OSError(errno.ENOTEMPTY, "could not be deleted", path)


def replace(source: str, target: str, sleep: Callable[[float], None]) -> None:
    """Do ``os.replace`` and try again while somebody holds one of the files for a moment.

    ``sleep`` takes seconds. Only PermissionError (Windows: access denied, sharing violation) is
    retried, once per delay; after that, and for any other OSError, it is raised.
    """
    for delay in RETRY_DELAYS:
        try:
            os.replace(source, target)
        except PermissionError:
            sleep(delay)
        else:
            return
    os.replace(source, target)
