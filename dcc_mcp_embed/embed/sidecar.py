"""The second port, for a dcc-mcp sidecar. Loaded only where one is wanted."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Tuple

from ..errors import StartError
from ..host.identity import Instance
from ..logbook import LogBook
from ..net.listener import bind
from ..net.loop import Loop
from ..server.calls import Calls
from ..server.qtserver import QtServer
from ..tools.table import ToolTable

__all__ = ["open_sidecars"]


def open_sidecars(
    port: int,
    undo: ExitStack,
    loop: Loop,
    table: ToolTable,
    calls: Calls,
    instance: Instance,
    logbook: LogBook,
) -> Tuple[str, QtServer]:
    """Listen on ``port`` (0: any free one); return its URI and what serves it, not yet open.

    What is to be closed if the start fails goes to ``undo``. Raises StartError.
    """
    try:
        sock = bind("127.0.0.1", port)
    except OSError as error:
        raise StartError(
            "Port {} cannot be used for qtserver: {}.".format(port, error.strerror)
        ) from error
    undo.callback(sock.close)
    uri = "qtserver://127.0.0.1:{}".format(sock.getsockname()[1])

    def log(level: str, text: str) -> None:
        logbook.add(level, "qtserver", text)

    return uri, QtServer(loop, sock, table, calls, instance, log)
