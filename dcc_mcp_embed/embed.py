"""Start and stop: the whole public entry. One server per process, one loop thread.

:func:`start` and :func:`stop` belong to the host's main thread. Everything the loop thread will
call is imported here, before it runs; whatever :func:`start` has opened is closed again when a
later step fails.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Union

from . import __version__, collector
from .clock import Clock, SystemClock
from .config import Limits, Settings, settings_from
from .errors import ConfigError, StartError, ToolError
from .host import guard
from .host.adapter import HostAdapter
from .host.detecting import load_adapter
from .host.dispatch import Dispatcher
from .host.identity import Instance
from .host.job import Job
from .host.worker import Worker
from .logbook import LogBook
from .net.listener import bind
from .net.loop import Loop
from .net.thread import LoopThread
from .secret import open_secret
from .server.gateway import make_token
from .server.ports import listen_as
from .server.readiness import State
from .server.registration import Registrar, Registration
from .server.row import About
from .server.safe_stop import make_pass
from .server.server import Server
from .server.sharing import SharedTransport
from .tools import code, control, loader, scene
from .tools.instances import instances_in
from .tools.table import ToolTable

if TYPE_CHECKING:
    from .registry.file_registry import FileRegistry
    from .server.qtserver import QtServer
    from .transport.manager import TransportManager

__all__ = ["EmbeddedServer", "start", "stop"]

#: Below the user's data directory: every Python file in it is loaded at start.
TOOLS_FOLDER = "tools"
#: How long the calling thread waits for the loop thread at the end, seconds (DESIGN: 300 ms).
_GRACE = 0.3

#: How long the worker waits for an idle main thread to collect, seconds.
_CATCH_UP = 0.05

_ELSEWHERE = "The server of this host runs in the process that this one was forked from."

_running: Optional[EmbeddedServer] = None
_lock = threading.RLock()


def start(
    adapter: Union[None, str, HostAdapter] = None,
    port: Optional[int] = None,
    auth: bool = True,
    exec_mode: Optional[str] = None,
    gateway: bool = False,
    registry_dir: Optional[str] = None,
    tools: Sequence[Any] = (),
    origins: Sequence[str] = (),
    limits: Limits = Limits(),
    clock: Optional[Clock] = None,
    launch_command: Optional[str] = None,
    profile: Optional[str] = None,
    qtserver: Optional[int] = None,
    always_stream: bool = False,
) -> EmbeddedServer:
    """Start the server in this host and return it; the running one if there is one already.

    Call on the host's main thread. A running server keeps its settings; ``tools`` are added to it.
    ``adapter``: an adapter's name or object; None detects the
    host. ``port``: fixed; None takes the preferred port of this kind of host, or any free one.
    ``auth=False`` lets every local process in. ``exec_mode``: off, confirm or on; None confirms
    where somebody can be asked and is off elsewhere. ``gateway=True`` lets whoever reaches a
    dcc-mcp gateway on this machine call tools, but none that runs code. ``tools``: modules, module
    names or files whose tools are added. ``registry_dir``: the service registry in which the server
    is entered; None takes the one that all dcc-mcp programs share. ``launch_command``: what to give
    a shell to start such a host again, told there. ``profile``: core or full, which tools are
    listed; all can be called; None is core. ``qtserver``: a second port, without a token, for a
    dcc-mcp sidecar, 0 for any free one; None opens none. ``always_stream=True`` answers MCP with
    streams of events always, which a client whose connection broke can take up again; else only
    where there is something to say before the answer. Raises ConfigError for unusable settings,
    StartError when the port is taken or the host cannot be used.
    """
    global _running
    with _lock:
        if _running is not None:
            _running.add_tools(tools)
            return _running
        settings = settings_from(
            os.environ,
            sys.platform,
            port=port,
            auth=auth,
            exec_mode=exec_mode,
            gateway=gateway,
            registry_dir=registry_dir,
            origins=tuple(origins),
            limits=limits,
            profile=profile,
            qtserver=qtserver,
            always_stream=always_stream,
        )
        host = adapter if isinstance(adapter, HostAdapter) else load_adapter(adapter)
        server = EmbeddedServer(host, settings, clock or SystemClock(), tools, launch_command)
        _running = server
        return server


def stop() -> None:
    """Stop the running server, if any. Main thread; at the host's exit it happens by itself."""
    with _lock:
        if _running is not None:
            _running.stop()


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
            self._stopped = False
            self._table = ToolTable(settings.profile)
            self._scene = adapter.scene_backend()
            self._collect(tools)
            self._open(undo)
            undo.pop_all()

    def _collect(self, tools: Sequence[Any]) -> None:
        table = self._table
        modules: List[Any] = [control, scene, code] + list(self.adapter.tool_modules())
        for module in modules:
            table.add_module(module)
        table.add(instances_in(self._registry, self.instance_id))
        self.add_tools(tools)
        folder = os.path.join(self.settings.data_dir, TOOLS_FOLDER)
        if not os.path.isdir(folder):
            return
        found, problems = loader.load_folder(folder)
        for problem in problems:
            # Somebody's broken file must not keep the host from starting.
            self.logbook.error("tools", str(problem))
        for module in found:
            try:
                self.register_tools(module)
            except ConfigError as error:
                # No tool in it, or one whose name is taken.
                self.logbook.error("tools", "{}: {}".format(module.__file__, error))

    def _open(self, undo: ExitStack) -> None:
        settings, clock = self.settings, self._clock
        secret = open_secret(settings.data_dir, clock)
        bound = listen_as(
            self.dcc_type,
            settings,
            secret,
            clock,
            lambda text: self.logbook.warning("server", text),
        )
        undo.callback(bound.sock.close)
        self.port = bound.port
        self.token = secret.token(self.dcc_type, self.port) if settings.auth else None
        self.plain_url = "http://127.0.0.1:{}/mcp".format(self.port)
        self.url = (
            "http://127.0.0.1:{}/{}/mcp".format(self.port, self.token)
            if self.token is not None
            else self.plain_url
        )
        interactive = self.adapter.is_interactive()
        self._loop = Loop(clock, self._loop_error)
        undo.callback(self._loop.close)
        self._worker = Worker(
            self._collect_on_main,
            log=lambda level, text: self.logbook.add(level, "worker", text),
        )
        lanes: Dict[str, Dispatcher] = {
            "main": self._lane(self.adapter, self._main_turned),
            "worker": self._lane(self._worker),
        }
        self._lanes = lanes
        self._server = Server(
            self._loop,
            clock,
            settings,
            bound.sock,
            secret,
            self.token,
            self._instance,
            self.adapter,
            interactive,
            self._scene,
            self._table,
            lanes,
            self.logbook,
            __version__,
            self._stop_pass,
            self.stop,
            self._state_changed,
            self._guest_token,
        )
        self._sidecars = self._open_qtserver(undo)
        self._instance.scene = self.adapter.scene_path()
        self._thread = LoopThread(self._loop)
        self._address = ("127.0.0.1", self.port)
        self._thread.on_fork(self._server.disown)
        self._thread.on_fork(self._disown)
        self._loop.call_soon(self._server.open)
        if self._sidecars is not None:
            self._thread.on_fork(self._sidecars.disown)
            self._loop.call_soon(self._sidecars.open)
        self._thread.start()
        # From here on there is a thread to end: whatever fails now is undone by a whole stop.
        undo.callback(self.stop)
        guard.publish(self._address, self.adapter, lanes["main"])
        atexit.register(self.stop)
        self.adapter.on_exit(self.stop)
        self.adapter.on_scene_change(self._server.scene_changed)
        self.logbook.info("server", "listening on {}".format(self.plain_url))
        if settings.gateway:
            self.logbook.info("server", "whoever reaches a dcc-mcp gateway here may call tools")
        if self.host_rpc is not None:
            text = "whatever runs on this machine may call tools at {}".format(self.host_rpc)
            self.logbook.info("server", text)
        # Last: from here on another thread loads and writes, while the host goes on.
        self._register()

    def _open_qtserver(self, undo: ExitStack) -> Optional[QtServer]:
        """Return what serves the sidecar, None if nothing does. Raises StartError."""
        #: At which URI a sidecar reaches the host; None if it does not.
        self.host_rpc: Optional[str] = None
        if self.settings.qtserver is None:
            return None
        # Not for all who never have a sidecar.
        from .server.qtserver import QtServer

        try:
            sock = bind("127.0.0.1", self.settings.qtserver)
        except OSError as error:
            raise StartError(
                "Port {} cannot be used for qtserver: {}.".format(
                    self.settings.qtserver, error.strerror
                )
            ) from error
        undo.callback(sock.close)
        self.host_rpc = "qtserver://127.0.0.1:{}".format(sock.getsockname()[1])
        return QtServer(
            self._loop,
            sock,
            self._table,
            self._server.calls,
            self._instance,
            lambda level, text: self.logbook.add(level, "qtserver", text),
        )

    def _register(self) -> None:
        """Have this server entered in the service registry; without one it serves all the same."""
        server = self._server
        package = os.path.dirname(os.path.abspath(__file__))
        self._registration = Registration(
            self._manage,
            self._instance,
            About(
                self.port,
                __version__,
                package,
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

    def _manage(self, interval: float) -> Registrar:
        """Make the manager that registers this server, away from the main thread."""
        from .transport.manager import TransportManager

        manager = TransportManager(
            self.settings.registry_dir,
            heartbeat_interval=interval,
            clock=self._clock,
            log=self._note,
        )
        assert manager.heart is not None
        return Registrar(
            manager.registry, manager.heart, manager.register_service, manager.shutdown
        )

    def _note(self, level: str, text: str) -> None:
        self.logbook.add(level, "registry", text)

    def _lane(self, executor: Any, turned: Callable[[], None] = lambda: None) -> Dispatcher:
        limits = self.settings.limits
        return Dispatcher(
            executor,
            self._clock,
            self._later,
            lambda level, text: self.logbook.add(level, "dispatch", text),
            limits.queued_jobs,
            limits.pump_budget,
            turned,
        )

    def _main_turned(self) -> None:
        self._loop.call_soon(self._server.readiness.look)

    def _later(self, delay: float, function: Any, *args: Any) -> None:
        self._loop.call_soon(self._loop.call_later, delay, function, *args)

    def _collect_on_main(self) -> None:
        """Have the host's main thread collect what a worker tool has left. Worker thread.

        An idle host does so at once; a busy one allocates, and so collects, by itself.
        """
        main = self._lanes["main"]
        if main.holder() is not None:
            return
        over = threading.Event()
        job = Job(
            self._clock.token_bytes(8).hex(),
            "collect",
            collector.catch_up,
            lambda value, error, report: value,
            lambda job, answer, error: over.set(),
            writes=False,
        )
        try:
            main.submit(job)
        except ToolError:
            # Busy, stalled or closing: a later call finds it still due.
            return
        over.wait(_CATCH_UP)

    def _state_changed(self, state: State) -> None:
        if state.failure_reason is not None:
            self.logbook.warning("server", state.failure_reason)
        else:
            self.logbook.info("server", "dispatch is {}".format(state.status))
        if self._registration is not None:
            self._registration.changed()

    def _loop_error(self, where: str, error: BaseException) -> None:
        self.logbook.error("loop", "{}: {!r}".format(where, error))

    # -- for whoever started it ---------------------------------------------------------------

    def wait_registered(self, timeout: float = 1.0) -> bool:
        """Wait until others can find this server in the registry; return whether they can.

        Any thread; a host's main one has better things to do: :func:`start` does not wait for it.
        """
        return self._registration is not None and self._registration.wait(timeout)

    @property
    def transport(self) -> Optional[TransportManager]:
        """Return the manager with which code in this host finds and calls other hosts. Any thread.

        It is made when it is first asked for and ends with the server, whose registry and heartbeat
        it shares; the server's own row is not its. Whoever shuts it down gets a new one the next
        time. None when there is no registry that can be used, and after :meth:`stop`.
        """
        registrar = None if self._registration is None else self._registration.registrar
        return None if registrar is None else self._sharing.get(registrar)

    def _registry(self) -> Optional[FileRegistry]:
        """Return the registry, None without one; waits until that is known. Not the main thread."""
        registrar = None if self._registration is None else self._registration.registrar
        return None if registrar is None else registrar.registry

    def _share(self, registrar: Registrar) -> TransportManager:
        from .transport.manager import TransportManager

        return TransportManager(
            registry=registrar.registry,
            heartbeat=registrar.heart,
            clock=self._clock,
            log=self._note,
        )

    @property
    def dispatch_status(self) -> str:
        """Return whether calls reach the host's main thread. Any thread.

        ``booting`` until it has run a first job, then ``ready``; ``unavailable`` while it does not
        answer.
        """
        return self._server.readiness.state.status

    def add_tools(self, tools: Sequence[Any]) -> None:
        """Add the tools of modules, module names or files. Main thread. Raises ConfigError."""
        for wanted in tools:
            self.register_tools(loader.load(wanted) if isinstance(wanted, str) else wanted)

    def register_tools(self, module: Any) -> int:
        """Add the tools declared in ``module``; return how many. Any thread. Raises ConfigError."""
        count = self._table.add_module(module)
        if not count:
            raise ConfigError(
                "{} declares no tool; mark its functions with @dcc_mcp_embed.tool".format(
                    getattr(module, "__name__", module)
                )
            )
        return count

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

    def serve_forever(self) -> None:
        """Run the host's pump on this main thread until :meth:`stop`; for hosts without a loop."""
        self.adapter.serve_forever()

    def stop(self) -> None:
        """Stop: settle every caller, close every connection, give the port back. Twice is fine.

        Main thread, or the exit handler; not in a signal handler, which may have interrupted the
        very thing that is to be stopped. Takes some milliseconds; every wait on the way (for the
        registry, twice if code in the host has rows of its own, and for the threads) has an end.
        """
        global _running
        with _lock:
            if self._stopped:
                return
            self._stopped = True
            if _running is self:
                _running = None
        atexit.unregister(self.stop)
        guard.withdraw(self._address)
        # All of it, whatever one step raises: there is no second time. The last one comes first.
        with ExitStack() as steps:
            steps.callback(self.adapter.close)
            steps.callback(self._worker.stop, 0.05)
            steps.callback(self._end_loop)
            for lane in self._lanes.values():
                steps.callback(lane.shutdown, "The server in this host was stopped.")
            if self._registration is not None:
                steps.callback(self._registration.leave)
            steps.callback(self._sharing.end)

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
        global _lock, _running
        # What its sink needs belongs to a thread that does not exist here.
        self.logbook.forward(None)
        _lock = threading.RLock()
        if _running is self:
            _running = None
        self._stopped = True
        self._sharing.disown()
        atexit.unregister(self.stop)
        guard.withdraw(self._address)
        for lane in self._lanes.values():
            lane.disown(_ELSEWHERE)
        if self._registration is not None:
            self._registration.disown()

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "running"
        return "<EmbeddedServer {} {} {}>".format(self.dcc_type, self.plain_url, state)
