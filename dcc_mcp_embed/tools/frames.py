"""Say where an exception comes from, without reading source files and without loading anything."""

from __future__ import annotations

from types import TracebackType
from typing import List, Optional, Tuple

__all__ = ["frames_of"]

_MAX_FRAMES = 10

#: Parts of a file's path that are shown. The rest tells who the user is, not where the error is.
_SHOWN_PARTS = 3

_PACKAGE = __name__.partition(".")[0]
#: Modules of others that carry our name.
_FOREIGN = (_PACKAGE + "._loaded.", _PACKAGE + ".adapters.")


def frames_of(error: BaseException) -> List[str]:
    """Return the last frames of a traceback, innermost last: ``folder/file.py:12 in name``.

    The frames of this package that lead up to the tool are left out.
    """
    frames: List[Tuple[bool, str]] = []
    trace: Optional[TracebackType] = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        ours = module.startswith(_PACKAGE + ".") and not module.startswith(_FOREIGN)
        code = frame.f_code
        parts = code.co_filename.replace("\\", "/").split("/")
        file = "/".join(parts[-_SHOWN_PARTS:])
        frames.append((ours, "{}:{} in {}".format(file, trace.tb_lineno, code.co_name)))
        # A recursion without end has thousands; only its end is of use.
        if len(frames) > 2 * _MAX_FRAMES:
            del frames[0]
        trace = trace.tb_next
    lead = 0
    while lead < len(frames) and frames[lead][0]:
        lead += 1
    if lead == len(frames):
        lead = 0
    return [text for _, text in frames[lead:]][-_MAX_FRAMES:]
