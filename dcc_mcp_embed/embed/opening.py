"""Make the parts of a server and take its ports; nothing runs yet. Host's main thread."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from .. import __version__
from ..clock import Clock
from ..config import Settings
from ..host.adapter import HostAdapter
from ..host.dispatch import Dispatcher
from ..host.identity import Instance
from ..host.worker import Worker
from ..logbook import LogBook
from ..net.loop import Loop
from ..records import NamedTuple
from ..secret import open_secret
from ..server.ports import listen_as
from ..server.readiness import State
from ..server.safe_stop import Pass
from ..server.server import Server
from ..tools.table import ToolTable
from .lanes import make_lanes

if TYPE_CHECKING:
    from ..server.qtserver import QtServer

__all__ = ["Parts", "open_parts"]


class Parts(NamedTuple):
    """What a server is made of. ``token``: None where nobody has to show one."""

    port: int
    token: Optional[str]
    loop: Loop
    lanes: Dict[str, Dispatcher]
    worker: Worker
    server: Server
    sidecars: Optional[QtServer]
    #: At which URI a sidecar reaches the host; None if it does not.
    host_rpc: Optional[str]


def open_parts(
    undo: ExitStack,
    adapter: HostAdapter,
    backend: Any,
    settings: Settings,
    clock: Clock,
    logbook: LogBook,
    instance: Instance,
    table: ToolTable,
    stop_pass: Pass,
    guest_token: Optional[str],
    stop: Callable[[], None],
    state_changed: Callable[[State], None],
) -> Parts:
    """Return the parts; what is to be closed if the start fails goes to ``undo``.

    ``stop()`` and ``state_changed(state)``: see Server. Raises ConfigError, StartError.
    """

    def loop_error(where: str, error: BaseException) -> None:
        logbook.error("loop", "{}: {!r}".format(where, error))

    def later(delay: float, function: Any, *args: Any) -> None:
        loop.call_soon(loop.call_later, delay, function, *args)

    def main_turned() -> None:
        loop.call_soon(server.readiness.look)

    secret = open_secret(settings.data_dir, clock)
    bound = listen_as(
        adapter.dcc_type, settings, secret, clock, lambda text: logbook.warning("server", text)
    )
    undo.callback(bound.sock.close)
    token = secret.token(adapter.dcc_type, bound.port) if settings.auth else None
    interactive = adapter.is_interactive()
    loop = Loop(clock, loop_error)
    undo.callback(loop.close)
    lanes, worker = make_lanes(adapter, clock, settings.limits, later, logbook, main_turned)
    server = Server(
        loop,
        clock,
        settings,
        bound.sock,
        secret,
        token,
        instance,
        adapter,
        interactive,
        backend,
        table,
        lanes,
        logbook,
        __version__,
        stop_pass,
        stop,
        state_changed,
        guest_token,
    )
    sidecars: Optional[QtServer] = None
    host_rpc: Optional[str] = None
    if settings.qtserver is not None:
        # Not for all who never have a sidecar.
        from .sidecar import open_sidecars

        host_rpc, sidecars = open_sidecars(
            settings.qtserver, undo, loop, table, server.calls, instance, logbook
        )
    instance.scene = adapter.scene_path()
    return Parts(bound.port, token, loop, lanes, worker, server, sidecars, host_rpc)
