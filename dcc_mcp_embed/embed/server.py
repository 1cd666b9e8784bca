"""The server of this process: when its parts are made, run and ended, and what one asks of it.

Whatever a start has opened is closed again when a later step fails; a stop takes every step,
whatever one of them raises.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

from .. import __version__, collector
from ..clock import Clock
from ..config import Settings
from ..errors import StartError
from ..host import guard
from ..host.adapter import HostAdapter
from ..host.identity import Instance
from ..logbook import LogBook
from ..net.thread import LoopThread
from ..server.gateway import make_token
from ..server.readiness import State
from ..server.registration import Registrar, Registration
from ..server.row import About
from ..server.safe_stop import make_pass
from ..server.sharing import SharedTransport
from ..tools.instances import instances_in
from ..tools.table import ToolTable
from . import copies, tooling
from .opening import open_parts
from .place import PLACE
from .selftesting import about, selftest_in

if TYPE_CHECKING:
    from ..host.selftest import World
    from ..registry.file_registry import FileRegistry
    from ..transport.manager import TransportManager

__all__ = ["EmbeddedServer"]

#: How long the calling thread waits for the loop thread at the end, seconds (DESIGN: 300 ms).
_GRACE = 0.3

_ELSEWHERE = "The server of this host runs in the process that this one was forked from."


class EmbeddedServer:
    """A running server and everything it holds in this process.

    Attributes: ``url`` (usable by any MCP client, token included unless ``auth=False``),
    ``plain_url`` (without it), ``port``, ``token``, ``instance_id``, ``dcc_type``, ``adapter``,
    ``logbook``, ``host_rpc`` (for a sidecar, None without ``qtserver``).
    """

    def __init__(
        self,
        adapter: HostAdapter,
        settings: Settings,
        clock: Clock,
        tools: Sequence[Any],
        launch_command: Optional[str] = None,
    ) -> None:
        if not adapter.is_main_thread():
            raise StartError("start() must be called on the host's main thread")
        collector.hold()
        with ExitStack() as undo:
            undo.callback(adapter.close)
            self.adapter = adapter
            self.settings = settings
            self._clock = clock
            self.logbook = LogBook(clock, settings.limits.log_lines)
            self.instance_id = clock.uuid()
            self.pid = os.getpid()
            self.dcc_type = adapter.dcc_type
            self._instance = Instance(
                self.instance_id, self.dcc_type, adapter.version(), os.getpid()
            )
            self._stop_pass = make_pass(clock)
            self._guest_token = make_token(clock) if settings.gateway else None
            self._launch_command = launch_command
            self._registration: Optional[Registration] = None
            self._sharing = SharedTransport(self._share)
            self._stopped = self._leaving = False
            #: What has to be done on the main thread before a stop is over.
            self._owed: List[Callable[[], None]] = []
            self._table = ToolTable(settings.profile)
            backend = adapter.scene_backend()
            tooling.add_own(self._table, adapter, backend)
            self._table.add(instances_in(self._registry, self.instance_id))
            self._table.add(selftest_in(self.selftest_world))
            tooling.add(self._table, tools)
            tooling.add_found(
                self._table, settings.data_dir, lambda text: self.logbook.error("tools", text)
            )
            parts = open_parts(
                undo,
                adapter,
                backend,
                settings,
                clock,
                self.logbook,
                self._instance,
                self._table,
                self._stop_pass,
                self._guest_token,
                self.stop,
                self._state_changed,
            )
            self.port = parts.port
            self.token = parts.token
            self.host_rpc = parts.host_rpc
            self.plain_url = "http://127.0.0.1:{}/mcp".format(self.port)
            self.url = self.plain_url
            if self.token is not None:
                self.url = "http://127.0.0.1:{}/{}/mcp".format(self.port, self.token)
            self._claim = copies.claim(__version__, self.plain_url)
            undo.callback(copies.release, self._claim)
            self._loop = parts.loop
            self._lanes = parts.lanes
            self._worker = parts.worker
            self._server = parts.server
            self._sidecars = parts.sidecars
            self._run(undo)
            undo.pop_all()

    # -- starting: host's main thread ---------------------------------------------------------

    def _run(self, undo: ExitStack) -> None:
        """Open what was made, on the loop thread, and let the host and others know of it."""
        self._thread = LoopThread(self._loop)
        self._address = ("127.0.0.1", self.port)
        self._thread.on_fork(self._server.disown)
        self._thread.on_fork(self._disown)
        self._loop.at_end(self._server.abort)
        self._loop.call_soon(self._server.open)
        if self._sidecars is not None:
            self._loop.at_end(self._sidecars.close)
            self._thread.on_fork(self._sidecars.disown)
            self._loop.call_soon(self._sidecars.open)
        self._thread.start()
        # From here on there is a thread to end: whatever fails now is undone by a whole stop.
        undo.callback(self.stop)
        guard.publish(self._address, self.adapter, self._lanes["main"])
        atexit.register(self._leave)
        self.adapter.on_exit(self._leave)
        self.adapter.on_scene_change(self._server.scene_changed)
        self.logbook.info("server", "listening on {}".format(self.plain_url))
        others = copies.neighbours()
        if others:
            text = "{} is loaded in this host, too; it serves for itself".format(", ".join(others))
            self.logbook.info("server", text)
        if self.settings.gateway:
            self.logbook.info("server", "whoever reaches a dcc-mcp gateway here may call tools")
        if self.host_rpc is not None:
            text = "whatever runs on this machine may call tools at {}".format(self.host_rpc)
            self.logbook.info("server", text)
        # Last: from here on another thread loads and writes, while the host goes on.
        self._register()

    def _register(self) -> None:
        """Have this server entered in the service registry; without one it serves all the same."""
        server = self._server
        self._registration = Registration(
            self._manage,
            self._instance,
            About(
                self.port,
                __version__,
                copies.package_path(),
                self._stop_pass,
                self._launch_command,
                self._guest_token,
                self.host_rpc,
            ),
            lambda: server.readiness.state,
            server.load_framed,
            self._note,
        )
        self._instance.scene_changed = self._registration.changed
        self._registration.enter()

    # -- what the parts ask of each other: any thread -----------------------------------------

    def _manage(self, interval: float) -> Registrar:
        from .managers import own_manager

        return own_manager(self.settings.registry_dir, interval, self._clock, self._note)

    def _registry(self) -> Optional[FileRegistry]:
        """Return the registry, None without one; waits until that is known. Not the main thread."""
        registrar = None if self._registration is None else self._registration.registrar
        return None if registrar is None else registrar.registry

    def _share(self, registrar: Registrar) -> TransportManager:
        from .managers import shared_manager

        return shared_manager(registrar, self._clock, self._note)

    def _note(self, level: str, text: str) -> None:
        self.logbook.add(level, "registry", text)

    def _state_changed(self, state: State) -> None:
        if state.failure_reason is not None:
            self.logbook.warning("server", state.failure_reason)
        else:
            self.logbook.info("server", "dispatch is {}".format(state.status))
        if self._registration is not None:
            self._registration.changed()

    # -- for whoever started it ---------------------------------------------------------------

    def wait_registered(
        self, timeout: float = 1.0, wanted: Callable[[], bool] = lambda: True
    ) -> bool:
        """Wait until others can find this server in the registry; return whether they can.

        No longer than ``wanted()``, which is asked ten times a second: a signal interrupts no wait.
        Any thread; a host's main one has better things to do: :func:`start` does not wait for it.
        """
        return self._registration is not None and self._registration.wait(timeout, wanted)

    @property
    def transport(self) -> Optional[TransportManager]:
        """Return the manager with which code in this host finds and calls other hosts. Any thread.

        It is made when it is first asked for and ends with the server, whose registry and heartbeat
        it shares; the server's own row is not its. Whoever shuts it down gets a new one the next
        time. None when there is no registry that can be used, and after :meth:`stop`.
        """
        registrar = None if self._registration is None else self._registration.registrar
        return None if registrar is None else self._sharing.get(registrar)

    @property
    def dispatch_status(self) -> str:
        """Return whether calls reach the host's main thread. Any thread.

        ``booting`` until it has run a first job, then ``ready``; ``unavailable`` while it does not
        answer.
        """
        return self._server.readiness.state.status

    def add_tools(self, tools: Sequence[Any]) -> None:
        """Add the tools of modules, module names or files. Main thread. Raises ConfigError."""
        tooling.add(self._table, tools)

    def register_tools(self, module: Any) -> int:
        """Add the tools declared in ``module``; return how many. Any thread. Raises ConfigError."""
        return tooling.add_module(self._table, module)

    def resource_updated(self, uri: str) -> None:
        """Tell clients that watch the resource ``uri`` that it reads differently now. Any thread.

        Those of the scene are told of by the server itself.
        """
        self._server.subscriptions.updated(uri)

    def call(
        self, name: str, arguments: Optional[Dict[str, Any]] = None, timeout: float = 30.0
    ) -> Any:
        """Call a tool of this host and return its value. Any thread but the main one.

        Raises the call's ToolError; WouldDeadlock on the host's main thread for a tool that needs
        that thread.
        """
        return self._server.local.call(name, arguments, timeout)

    def selftest_world(self, stage: Any = None) -> World:
        """Return what the conformance suite checks, see ``host.selftest``. Any thread."""
        from ..host.selftest import World

        return World(
            self.adapter,
            self._lanes["main"],
            self._server.calls.scene,
            self._server.local.call,
            self._server.local.read,
            self._clock,
            about(self.dcc_type, self._instance.version),
            stage,
            [self.token, self._guest_token, *self._stop_pass],
            self._owed,
        )

    def serve_forever(self) -> None:
        """Run the host's pump on this main thread until :meth:`stop`; for hosts without a loop."""
        self.adapter.serve_forever()

    def stop(self) -> None:
        """Stop: settle every caller, close every connection, give the port back. Twice is fine.

        Main thread, or the exit handler; not in a signal handler, which may have interrupted the
        very thing that is to be stopped. Takes some milliseconds; every wait on the way (for the
        registry, twice if code in the host has rows of its own, and for the threads) has an end.
        """
        with PLACE.lock:
            if self._stopped:
                return
            self._stopped = True
            PLACE.leave(self)
        atexit.unregister(self._leave)
        guard.withdraw(self._address)
        # All of it, whatever one step raises: there is no second time. The last one comes first.
        with ExitStack() as steps:
            # Another copy of us may serve once nothing of this one pumps any more.
            steps.callback(copies.release, self._claim)
            steps.callback(self.adapter.close)
            steps.callback(self._worker.stop, 0.05)
            steps.callback(self._end_loop)
            steps.callback(self._settle_debts)
            for lane in self._lanes.values():
                steps.callback(lane.shutdown, "The server in this host was stopped.")
            if self._registration is not None:
                steps.callback(self._registration.leave)
            steps.callback(self._sharing.end)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "running"
        return "<EmbeddedServer {} {} {}>".format(self.dcc_type, self.plain_url, state)

    # -- ending -------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Stop because the host or the interpreter is at its end."""
        self._leaving = True
        self.stop()

    def _settle_debts(self) -> None:
        """Do what is owed, where the host goes on: have the user's scene be open again."""
        if self._leaving or not self.adapter.is_main_thread():
            return
        for one in list(self._owed):
            try:
                one()
            except Exception as error:  # whatever a host raises, the stop goes on
                self.logbook.error("server", "the scene is not as it was: {!r}".format(error))

    def _end_loop(self) -> None:
        if self._sidecars is not None:
            self._loop.call_soon(self._sidecars.close)
        self._loop.call_soon(self._server.wind_down, self._loop.stop)
        if not self._thread.finish(_GRACE):
            self.logbook.warning("server", "the loop thread did not end in time")

    def _disown(self) -> None:
        """Be stopped in a forked child, where the server is its parent's. The child's only thread.

        Nothing is told or given back: all of that is still in use. Locks that another thread may
        have held are made anew; whoever wants a server here starts one.
        """
        # What its sink needs belongs to a thread that does not exist here.
        self.logbook.forward(None)
        PLACE.disown(self)
        self._stopped = True
        self._sharing.disown()
        atexit.unregister(self._leave)
        guard.withdraw(self._address)
        for lane in self._lanes.values():
            lane.disown(_ELSEWHERE)
        if self._registration is not None:
            self._registration.disown()
