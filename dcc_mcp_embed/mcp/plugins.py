"""The registered plugins: connecting them, asking them, and how it is with them.

The coroutines run on the loop's thread, which owns the table; :meth:`Plugins.find` and
:meth:`Plugins.all` are for any thread.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .. import __version__
from ..clock import Clock
from ..errors import ConfigError, EmbedError
from ..net.loop import Loop
from ..net.tasks import Lock, TimedOut, gather, sleep, within
from ..wire import http1
from .answering import Answering
from .configs import own
from .connection import Broken
from .failures import explained, not_registered
from .health import judged
from .legacy_sse import LegacySse
from .records import MCPError, MCPPluginConfig, SessionInfo
from .session import Progress, Session, Tools
from .settings import MCPSettings
from .stdio import Stdio, environment
from .streamable import Streamable
from .url import parse
from .wire import Expired, Fields, Wire

__all__ = ["Key", "Plugin", "Plugins"]

Key = Tuple[str, str]
#: (key, old status, new status, reason)
Happened = Callable[[Key, str, str, str], None]

_CLIENT = {"name": "dcc_mcp_embed", "version": __version__}
#: Seconds before something is tried again, then twice as many each time.
_AGAIN = 0.1


class Plugin:
    """A registered plugin. ``info``: what is told of it; ``busy``: requests under way."""

    def __init__(self, config: MCPPluginConfig, session: Session, info: SessionInfo) -> None:
        self.config = config
        self.session = session
        self.info = info
        self.busy = 0

    def is_as(self, config: MCPPluginConfig) -> bool:
        """Return whether this is the server that is meant.

        Headers that are not given may be any: they are those of the registration.
        """
        have = self.config
        same = config.headers is None or config.headers == have.headers
        return same and (have.url, have.plugin_type) == (config.url, config.plugin_type)


class Plugins:
    """See the module. ``functions``: method -> the user's function, see Answering.

    ``asyncio_loop()``: where coroutine functions run; ``happened``: told of each change of status;
    ``changed(key)``: the tools of a plugin have changed; ``failed(error)``: told of what goes wrong
    where nobody waits.
    """

    def __init__(
        self,
        loop: Loop,
        settings: MCPSettings,
        clock: Clock,
        functions: Dict[str, Optional[Callable[..., Any]]],
        asyncio_loop: Callable[[], Any],
        happened: Happened,
        changed: Callable[[Key], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._clock = clock
        self._functions = functions
        self._asyncio_loop = asyncio_loop
        self._happened = happened
        self._changed = changed
        self._failed = failed
        self._table: Dict[Key, Plugin] = {}
        self._locks: Dict[Key, Lock] = {}
        #: Those that are open, also while they begin and end.
        self._sessions: Set[Session] = set()
        #: Those that are closed, and of which something may be left.
        self._going: Set[Session] = set()
        self._context: Any = None

    # -- any thread ---------------------------------------------------------------------------

    def find(self, key: Key) -> Optional[Plugin]:
        """Return a registered plugin."""
        return self._table.get(key)

    def all(self) -> List[Tuple[Key, Plugin]]:
        """Return all of them."""
        return list(self._table.items())

    def disown(self) -> None:
        """Close this process's copies of what is open, in a forked child."""
        for session in list(self._sessions):
            session.disown()

    # -- connecting ---------------------------------------------------------------------------

    async def register(self, config: MCPPluginConfig) -> bool:
        """Connect to a plugin, anew if it is there."""
        key = (config.user_id, config.plugin_name)
        async with self._lock(key):
            return await self._register(key, config)

    async def ensure(self, config: MCPPluginConfig) -> bool:
        """Connect to a plugin unless it is there, just so, and not in error."""
        key = (config.user_id, config.plugin_name)
        async with self._lock(key):
            plugin = self._table.get(key)
            if plugin is not None and plugin.is_as(config):
                if plugin.info.status != "error":
                    return True
                # With all that it was registered with.
                config = plugin.config
            return await self._register(key, config)

    async def _register(self, key: Key, config: MCPPluginConfig) -> bool:
        await self._drop(key)
        try:
            # It is opened again by what it says now.
            config = own(config)
            session = await self._open(key, config)
        except Exception as error:
            # Of whatever kind: why it has failed is told by the event.
            self._happened(key, "inactive", "error", str(explained(error)))
            return False
        except BaseException:
            self._happened(key, "inactive", "error", "given up")
            raise
        now = self._clock.wall()
        url = config.url or str(config.command)
        info = SessionInfo(session, url, config.plugin_type, now, now)
        self._table[key] = Plugin(config, session, info)
        self._happened(key, "inactive", "active", "connected")
        return True

    async def unregister(self, key: Key, reason: str = "unregistered") -> None:
        """End the conversation with a plugin, if there is one."""
        async with self._lock(key):
            plugin = self._table.get(key)
            if plugin is not None:
                self._happened(key, plugin.info.status, "inactive", reason)
                await self._drop(key)

    async def close(self) -> None:
        """End all conversations, in good order."""
        reason = "the client is closed"
        await gather(self._loop, [self.unregister(key, reason) for key in list(self._table)])
        await gather(self._loop, [session.gone() for session in self._going])

    def shut(self) -> None:
        """Let go now of whatever is open."""
        self._table = {}
        for session in list(self._sessions):
            self._end(session)

    def _lock(self, key: Key) -> Lock:
        return self._locks.setdefault(key, Lock())

    async def _drop(self, key: Key) -> None:
        plugin = self._table.pop(key, None)
        if plugin is None:
            return
        self._changed(key)
        try:
            await plugin.session.leave()
        finally:
            self._end(plugin.session)

    def _end(self, session: Session) -> None:
        self._sessions.discard(session)
        session.close()
        self._going = {one for one in (*self._going, session) if one.going}

    async def _open(self, key: Key, config: MCPPluginConfig) -> Session:
        """Return a conversation that has begun. Raises whatever keeps it from that."""
        wire, probe = self._wire(config)
        session = Session(
            self._loop,
            wire,
            Answering(self._loop, self._functions, self._asyncio_loop),
            _CLIENT,
            lambda: self._changed(key),
            self._failed,
            probe,
        )
        self._sessions.add(session)
        try:
            with within(self._loop, config.timeout):
                await session.open(config.timeout)
        except BaseException:
            # Cut, too.
            self._end(session)
            raise
        return session

    def _wire(self, config: MCPPluginConfig) -> Tuple[Wire, bool]:
        """Return the way to a server, and whether it may be of the stateless era."""
        kind = config.plugin_type
        if kind == "stdio":
            if not config.command:
                raise ConfigError("plugin_type is 'stdio': give the command that starts the server")
            env = environment(config.env, os.environ)
            return Stdio(self._loop, config.command, config.args or (), env), True
        if kind not in ("streamable_http", "http", "sse"):
            raise ConfigError(
                "plugin_type is {!r}; it is one of streamable_http, http, sse, stdio".format(kind)
            )
        make = LegacySse if kind == "sse" else Streamable
        wire = make(self._loop, parse(config.url), _fields(config), self._tls, self._failed)
        return wire, kind != "sse"

    def _tls(self) -> Any:
        if self._context is None:
            from .tls import make_context

            self._context = make_context()
        return self._context

    # -- asking -------------------------------------------------------------------------------

    async def list_tools(self, key: Key) -> Tools:
        """Return a plugin's tools. Raises MCPError."""
        tools: Tools = await self._do(
            key,
            self._settings.tool_call_timeout_seconds,
            1,
            lambda session: session.list_tools(),
            lambda session: True,
        )
        return tools

    async def call_tool(
        self,
        key: Key,
        name: str,
        arguments: Dict[str, Any],
        timeout: float,
        attempts: int,
        progress: Optional[Progress],
    ) -> Dict[str, Any]:
        """Return the CallToolResult of a call. Raises MCPError."""
        found: Dict[str, Any] = await self._do(
            key,
            timeout,
            attempts,
            lambda session: session.call_tool(name, arguments, progress),
            lambda session: session.is_harmless(name),
        )
        return found

    async def _do(
        self,
        key: Key,
        timeout: float,
        attempts: int,
        do: Callable[[Session], Any],
        is_harmless: Callable[[Session], bool],
    ) -> Any:
        """Do something in a conversation, and take note of how that went. Raises MCPError."""
        plugin = self._registered(key)
        info = plugin.info
        info.request_count += 1
        info.last_access = self._clock.wall()
        plugin.busy += 1
        error: BaseException
        try:
            with within(self._loop, timeout):
                return await self._attempts(key, attempts, do, is_harmless)
        except TimedOut:
            info.error_count += 1
            error = MCPError("no answer within {:g} s".format(timeout), "timeout")
        except Exception as problem:
            # Of whatever kind: the caller is told in the same form.
            info.error_count += 1
            error = explained(problem)
        finally:
            plugin.busy -= 1
            info.last_access = self._clock.wall()
            self._look(key, plugin)
        try:
            raise error
        finally:
            # It holds this frame.
            del error

    def _registered(self, key: Key) -> Plugin:
        plugin = self._table.get(key)
        if plugin is None:
            raise not_registered(*key)
        return plugin

    async def _attempts(
        self,
        key: Key,
        attempts: int,
        do: Callable[[Session], Any],
        is_harmless: Callable[[Session], bool],
    ) -> Any:
        """Do it, and again only if the server has not got it, or may well get it twice."""
        wait = _AGAIN
        expired: Optional[Session] = None
        left = attempts
        while True:
            # Somebody may have registered it anew meanwhile.
            plugin = self._registered(key)
            session = plugin.session
            try:
                if session.lost or session is expired:
                    session = await self._reopened(key, plugin, session)
                return await do(session)
            except Expired:
                # It has not been done. The first time that costs no attempt: a server that has just
                # begun anew is one that could not be reached until now.
                if left <= 0 and (expired is not None or attempts <= 0):
                    raise
                left -= expired is not None
                expired = session
                continue
            except Broken as broken:
                if broken.sent and not is_harmless(session):
                    text = "{}; whether the call has run is not known, so it is not sent again"
                    raise MCPError(text.format(broken.reason), "unknown_outcome") from None
                if left <= 0:
                    raise
            left -= 1
            await sleep(self._loop, wait)
            wait *= 2

    async def _reopened(self, key: Key, plugin: Plugin, lost: Session) -> Session:
        """Return another conversation in the place of one that is lost, with the same settings.

        Raises Broken where it cannot be had: nothing of what is to be done has been sent.
        """
        async with self._lock(key):
            if self._registered(key) is plugin and plugin.session is lost:
                self._end(lost)
                try:
                    session = await self._open(key, plugin.config)
                except (Broken, TimedOut) as error:
                    raise Broken(str(explained(error)), False) from None
                if not session.stateless:
                    # What is said to be harmless is so still.
                    session.tools = lost.tools
                plugin.session = plugin.info.session = session
                self._changed(key)
            return self._registered(key).session

    # -- how it is with them ------------------------------------------------------------------

    def look(self) -> None:
        """Judge all of them by their failures."""
        for key, plugin in self.all():
            self._look(key, plugin)

    def _look(self, key: Key, plugin: Plugin) -> None:
        if self._table.get(key) is not plugin:
            return
        info = plugin.info
        old = info.status
        info.status, reason = judged(old, info.request_count, info.error_count, self._settings)
        self._happened(key, old, info.status, reason)

    async def expire(self) -> None:
        """End the conversations that nobody has used for long."""
        before = self._clock.wall() - self._settings.client_ttl_seconds
        for key, plugin in self.all():
            unused = not plugin.busy and plugin.info.last_access < before
            if unused and self._table.get(key) is plugin:
                await self.unregister(key, "nobody has used it")


def _fields(config: MCPPluginConfig) -> Fields:
    """Return a user's headers. Raises ConfigError."""
    fields = tuple((config.headers or {}).items())
    try:
        http1.encode_headers(fields)
    except (EmbedError, TypeError) as error:
        raise ConfigError("headers: {}".format(error)) from None
    return fields
