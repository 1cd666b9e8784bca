"""What both ends of an ipc connection hold themselves to."""

from __future__ import annotations

__all__ = ["MAX_DATA", "MAX_FRAME"]

#: Bytes of payload in one frame, after the hello.
MAX_FRAME = 16 * 1024 * 1024
#: Bytes of JSON in one message: what a frame leaves beside the id and a name of ordinary length.
MAX_DATA = MAX_FRAME - 4096
