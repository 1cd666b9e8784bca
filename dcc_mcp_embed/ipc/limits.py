"""What both ends of an ipc connection hold themselves to."""

from __future__ import annotations

__all__ = ["MAX_DATA", "MAX_FRAME", "MAX_UNDER_WAY"]

#: Bytes of payload in one frame, after the hello.
MAX_FRAME = 16 * 1024 * 1024
#: Bytes of JSON in one message: what a frame leaves beside the id and a name of ordinary length.
MAX_DATA = MAX_FRAME - 4096
#: Bytes of JSON of all requests of one connection that are under way. The client holds the next one
#: back, in order, and the server refuses it.
MAX_UNDER_WAY = 4 * MAX_FRAME
