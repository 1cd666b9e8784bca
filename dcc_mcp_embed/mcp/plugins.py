"""The registered plugins: connecting them, calling them, and how it is with them.

The coroutines run on the loop's thread, which owns the table; what else is read, any thread reads.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Callable, Dict, List, Optional, Tuple

from .. import __version__
from ..clock import Clock
from ..errors import ConfigError, EmbedError
from ..net.loop import Loop
from ..net.tasks import Lock, TimedOut, gather, sleep, within
from ..wire import http1
from .answering import Answering
from .connection import Broken
from .failures import NotRegistered, explained
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
    """A registered plugin. ``info``: what is told of it."""

    def __init__(self, config: MCPPluginConfig, session: Session, info: SessionInfo) -> None:
        self.config = config
        self.session = session
        self.info = info


class Plugins:
    """See the module. ``functions``: method -> the user's function, see Answering.

    ``asyncio_loop()``: where coroutine functions run; ``happened``: told of each change of status;
    ``changed(key)``: the tools of a plugin have changed.
    """

    def __init__(
        self,
        settings: MCPSettings,
        clock: Clock,
        functions: Dict[str, Optional[Callable[..., Any]]],
        asyncio_loop: Callable[[], Any],
        happened: Happened,
        changed: Callable[[Key], None],
        logger: logging.Logger,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._functions = functions
        self._asyncio_loop = asyncio_loop
        self._happened = happened
        self._changed = changed
        self._logger = logger
        self._table: Dict[Key, Plugin] = {}
        self._locks: Dict[Key, Lock] = {}
        self._context: Any = None

    # -- any thread ---------------------------------------------------------------------------

    def find(self, key: Key) -> Optional[Plugin]:
        """Return a registered plugin."""
        return self._table.get(key)

    def all(self) -> List[Tuple[Key, Plugin]]:
        """Return all of them."""
        return list(self._table.items())

    def disown(self) -> None:
        """Forget all of them and close this process's copies, in a forked child."""
        table, self._table, self._locks = self._table, {}, {}
        for plugin in table.values():
            plugin.session.disown()

    # -- connecting: loop thread --------------------------------------------------------------

    async def register(self, loop: Loop, config: MCPPluginConfig) -> bool:
        """Connect to a plugin, anew if it is there."""
        key = (config.user_id, config.plugin_name)
        async with self._lock(key):
            await self._drop(key)
            try:
                session = await self._open(loop, key, config)
            except Exception as error:
                # Of whatever kind: why it has failed is told by the event.
                self._happened(key, "inactive", "error", str(explained(error)))
                return False
            now = self._clock.wall()
            url = config.url or str(config.command)
            info = SessionInfo(session, url, config.plugin_type, now, now)
            self._table[key] = Plugin(config, session, info)
            self._happened(key, "inactive", "active", "connected")
            return True

    async def unregister(self, loop: Loop, key: Key, reason: str = "unregistered") -> None:
        """End the conversation with a plugin, if there is one."""
        async with self._lock(key):
            status = await self._drop(key)
        if status is not None:
            self._happened(key, status, "inactive", reason)

    async def close(self, loop: Loop) -> None:
        """End all conversations."""
        reason = "the client is closed"
        await gather(loop, [self.unregister(loop, key, reason) for key in list(self._table)])

    def _lock(self, key: Key) -> Lock:
        return self._locks.setdefault(key, Lock())

    async def _drop(self, key: Key) -> Optional[str]:
        plugin = self._table.pop(key, None)
        if plugin is None:
            return None
        self._changed(key)
        await plugin.session.leave()
        return plugin.info.status

    async def _open(self, loop: Loop, key: Key, config: MCPPluginConfig) -> Session:
        """Return a conversation that has begun. Raises whatever keeps it from that."""
        wire, probe = self._wire(loop, config)
        session = Session(
            loop,
            wire,
            Answering(loop, self._functions, self._asyncio_loop),
            _CLIENT,
            lambda: self._changed(key),
            self._failed,
            probe,
        )
        try:
            with within(loop, config.timeout):
                await session.open()
        except BaseException:
            # Cut, too.
            session.close()
            raise
        return session

    def _wire(self, loop: Loop, config: MCPPluginConfig) -> Tuple[Wire, bool]:
        """Return the way to a server, and whether it may be of the stateless era."""
        kind = config.plugin_type
        if kind == "stdio":
            if not config.command:
                raise ConfigError("plugin_type is 'stdio': give the command that starts the server")
            env = environment(config.env, os.environ)
            return Stdio(loop, config.command, config.args or (), env), True
        if kind not in ("streamable_http", "http", "sse"):
            raise ConfigError(
                "plugin_type is {!r}; it is one of streamable_http, http, sse, stdio".format(kind)
            )
        make = LegacySse if kind == "sse" else Streamable
        wire = make(loop, parse(config.url), _fields(config), self._tls, self._failed)
        return wire, kind != "sse"

    def _tls(self) -> Any:
        if self._context is None:
            from .tls import make_context

            self._context = make_context()
        return self._context

    def _failed(self, error: BaseException) -> None:
        self._logger.warning("a conversation with a server: %s", explained(error))

    # -- calling: loop thread -----------------------------------------------------------------

    async def list_tools(self, loop: Loop, key: Key) -> Tools:
        """Return a plugin's tools. Raises MCPError."""
        tools: Tools = await self._do(
            loop,
            key,
            self._settings.tool_call_timeout_seconds,
            1,
            lambda session: session.list_tools(),
            lambda session: True,
        )
        return tools

    async def call_tool(
        self,
        loop: Loop,
        key: Key,
        name: str,
        arguments: Dict[str, Any],
        timeout: float,
        attempts: int,
        progress: Optional[Progress],
    ) -> Dict[str, Any]:
        """Return the CallToolResult of a call. Raises MCPError."""
        found: Dict[str, Any] = await self._do(
            loop,
            key,
            timeout,
            attempts,
            lambda session: session.call_tool(name, arguments, progress),
            lambda session: session.is_harmless(name),
        )
        return found

    async def _do(
        self,
        loop: Loop,
        key: Key,
        timeout: float,
        attempts: int,
        do: Callable[[Session], Any],
        is_harmless: Callable[[Session], bool],
    ) -> Any:
        """Do something in a conversation, opening another one where that is lost.

        It is done again only if the server has not got it, or may well get it twice.
        """
        plugin = self._table.get(key)
        if plugin is None:
            text = "{!r} is not registered for {!r}; register it first"
            raise NotRegistered(text.format(key[1], key[0]), "not_registered")
        info = plugin.info
        info.last_access = self._clock.wall()
        info.request_count += 1
        error: Exception
        try:
            with within(loop, timeout):
                value = await self._attempts(loop, key, plugin, attempts, do, is_harmless)
        except TimedOut:
            error = MCPError("no answer within {:g} s".format(timeout), "timeout")
        except Exception as problem:
            # Of whatever kind: the caller is told in the same form.
            error = explained(problem)
        else:
            self._look(key, plugin)
            return value
        info.error_count += 1
        self._look(key, plugin)
        try:
            raise error
        finally:
            # It holds this frame.
            del error

    async def _attempts(
        self,
        loop: Loop,
        key: Key,
        plugin: Plugin,
        attempts: int,
        do: Callable[[Session], Any],
        is_harmless: Callable[[Session], bool],
    ) -> Any:
        wait = _AGAIN
        for left in range(attempts, -1, -1):
            session = plugin.session
            try:
                if session.lost:
                    session = await self._reopen(loop, key, plugin, session)
                return await do(session)
            except Expired:
                if not left:
                    raise
                await self._reopen(loop, key, plugin, session)
            except Broken as broken:
                if broken.sent and not is_harmless(session):
                    text = "{}; whether the call has run is not known, so it is not sent again"
                    raise MCPError(text.format(broken.reason), "unknown_outcome") from None
                if not left:
                    raise
            await sleep(loop, wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    async def _reopen(self, loop: Loop, key: Key, plugin: Plugin, lost: Session) -> Session:
        async with self._lock(key):
            if plugin.session is lost:
                lost.close()
                session = await self._open(loop, key, plugin.config)
                if not session.stateless:
                    # What is said to be harmless is so still.
                    session.tools = lost.tools
                plugin.session = plugin.info.session = session
                self._changed(key)
        return plugin.session

    # -- how it is with them: loop thread -----------------------------------------------------

    def look(self) -> None:
        """Judge all of them by their failures."""
        for key, plugin in self.all():
            self._look(key, plugin)

    def _look(self, key: Key, plugin: Plugin) -> None:
        info = plugin.info
        if self._table.get(key) is not plugin:
            return
        status, reason = judged(info.status, info.request_count, info.error_count, self._settings)
        old, info.status = info.status, status
        if old != status:
            self._happened(key, old, status, reason)

    async def expire(self, loop: Loop) -> None:
        """End the conversations that nobody has used for long."""
        before = self._clock.wall() - self._settings.client_ttl_seconds
        for key, plugin in self.all():
            if plugin.info.last_access < before and self._table.get(key) is plugin:
                await self.unregister(loop, key, "nobody has used it")


def _fields(config: MCPPluginConfig) -> Fields:
    """Return a user's headers. Raises ConfigError."""
    fields = tuple((config.headers or {}).items())
    try:
        http1.encode_headers(fields)
    except (EmbedError, TypeError) as error:
        raise ConfigError("headers: {}".format(error)) from None
    return fields
