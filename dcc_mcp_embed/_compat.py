"""What differs between the Pythons and file systems we run on, in one place.

The only importer of the vendored typing_extensions, and only where ``typing`` lacks something and
only when it is asked for: it costs several milliseconds.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing is not loaded for annotations only: installers come by here too
if TYPE_CHECKING:
    from typing import Any, Callable

    from typing_extensions import Annotated as Annotated
    from typing_extensions import Literal as Literal
    from typing_extensions import TypedDict as TypedDict
    from typing_extensions import get_args as get_args
    from typing_extensions import get_origin as get_origin
    from typing_extensions import get_type_hints as get_type_hints

__all__ = [
    "RETRY_DELAYS",
    "Annotated",
    "Literal",
    "TypedDict",
    "get_args",
    "get_origin",
    "get_type_hints",
    "replace",
]

#: All of them are complete in ``typing`` from here on. (3.8 has Literal, a TypedDict that forgets
#: which keys are required, and no Annotated; taking all from one place keeps them matching.)
_TYPING_IS_ENOUGH = (3, 9)
_TYPING_NAMES = ("Annotated", "Literal", "TypedDict", "get_args", "get_origin", "get_type_hints")

#: Seconds to wait between attempts, one second in all (pip waits as long at most). A virus scanner
#: or an indexer holds a new file for some tens of milliseconds.
RETRY_DELAYS = (0.01, 0.03, 0.1, 0.25, 0.6)


def __getattr__(name: str) -> Any:
    if name not in _TYPING_NAMES:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    if sys.version_info >= _TYPING_IS_ENOUGH:
        import typing

        value = getattr(typing, name)
    else:
        from ._vendor import typing_extensions

        value = getattr(typing_extensions, name)
    globals()[name] = value
    return value


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
