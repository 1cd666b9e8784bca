"""Talk to MCP servers from inside a host: one object for all users, plugins and tools.

    from dcc_mcp_embed.mcp import mcp_client, MCPPluginConfig

    mcp_client.register_sync(MCPPluginConfig("me", "maya", "http://127.0.0.1:8000/mcp"))
    mcp_client.call_tool_sync("me", "maya", "create_object", {"kind": "cube"})

Each coroutine can be awaited on any asyncio loop, and has a twin that blocks (``*_sync``), for any
thread. The conversations run on a thread of their own, from the first to ``cleanup``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..clock import Clock, SystemClock
from ..errors import WouldDeadlock
from ..host import guard
from ..net.promises import awaited, waited
from . import results
from .answering import ELICITATION, ROOTS, SAMPLING
from .cache import ToolCache, copied
from .calling import running_loop
from .client import NO_ARGUMENTS, Call, Client, Lasting
from .engine import Do, Engine
from .events import About, Events
from .metrics import ToolMetrics
from .names import Names
from .plugins import Key, Plugin
from .records import MCPPluginConfig, StatusCallback
from .session import Progress
from .settings import MCPSettings, checked, settings_from
from .url import parse

__all__ = ["MCPClientFacade"]

_logger = logging.getLogger("dcc_mcp_embed.mcp")
#: For whom a host's main thread waits, as those are told who want it meanwhile.
_WHOM = "an MCP server"


class MCPClientFacade:
    """All that a program does with MCP servers. Any thread; each object stands for itself.

    ``settings``: by default those of the environment. Raises ConfigError for a bad one.
    """

    def __init__(
        self, settings: Optional[MCPSettings] = None, clock: Optional[Clock] = None
    ) -> None:
        self.settings = settings_from(os.environ) if settings is None else checked(settings)
        self._clock = clock or SystemClock()
        self._asyncio_loop: Any = None
        #: The asyncio loops, or None, of the threads that wait in a blocking call.
        self._held_up: List[Any] = []
        self._functions: Dict[str, Optional[Callable[..., Any]]] = {}
        self._events = Events(self._clock, _logger, self._have_told)
        self._names = Names()
        self._metrics: Dict[str, ToolMetrics] = {}
        self._lasting = Lasting(
            self.settings,
            self._clock,
            self._events,
            self._names,
            self._metrics,
            self._functions,
            self._asyncio_loop_now,
            _logger,
        )
        self._lock = threading.Lock()
        self._engine: Optional[Engine] = None

    # -- connecting ---------------------------------------------------------------------------

    async def register(self, config: MCPPluginConfig) -> bool:
        """Connect to a plugin, anew if it is there; return whether that has worked.

        Why it has not stands in the event, from inactive to error.
        """
        about = _key_of(config)
        return bool(await self._awaited(lambda client: client.plugins.register(config), about))

    def register_sync(self, config: MCPPluginConfig) -> bool:
        """Do what :meth:`register` does, and block."""
        about = _key_of(config)
        return bool(self._waited(lambda client: client.plugins.register(config), about))

    async def unregister(self, user_id: str, plugin_name: str) -> None:
        """End the conversation with a plugin; one that is not registered is fine."""
        key = (user_id, plugin_name)
        await self._awaited(lambda client: client.plugins.unregister(key), key)

    def unregister_sync(self, user_id: str, plugin_name: str) -> None:
        """Do what :meth:`unregister` does, and block."""
        key = (user_id, plugin_name)
        self._waited(lambda client: client.plugins.unregister(key), key)

    def is_registered(self, user_id: str, plugin_name: str) -> bool:
        """Return whether a plugin is registered, and not in error."""
        return self.get_session_status(user_id, plugin_name) not in (None, "error")

    def get_session_status(self, user_id: str, plugin_name: str) -> Optional[str]:
        """Return active, degraded or error; None if it is not registered."""
        plugin = self._find((user_id, plugin_name))
        return None if plugin is None else plugin.info.status

    async def ensure_registered(
        self,
        user_id: str,
        plugin_name: str,
        url: str,
        plugin_type: str = "streamable_http",
        headers: Optional[Dict[str, str]] = None,
    ) -> bool:
        """Register a plugin unless it is, just so, and not in error.

        What was registered so keeps its headers where none are given, and all else.
        """
        config = MCPPluginConfig(user_id, plugin_name, url, plugin_type, headers)
        about = _key_of(config)
        return bool(await self._awaited(lambda client: client.plugins.ensure(config), about))

    def ensure_registered_sync(
        self,
        user_id: str,
        plugin_name: str,
        url: str,
        plugin_type: str = "streamable_http",
        headers: Optional[Dict[str, str]] = None,
    ) -> bool:
        """Do what :meth:`ensure_registered` does, and block."""
        config = MCPPluginConfig(user_id, plugin_name, url, plugin_type, headers)
        about = _key_of(config)
        return bool(self._waited(lambda client: client.plugins.ensure(config), about))

    async def test_connection(self, user_id: str, plugin_name: str) -> Dict[str, Any]:
        """Ask a plugin for its tools, and tell what came of it.

        Keys: success, message, response_time_ms, and tools_count and tools, or error_type.
        """
        key = (user_id, plugin_name)
        found: Dict[str, Any] = await self._awaited(lambda client: client.test(key), key)
        return found

    def test_connection_sync(self, user_id: str, plugin_name: str) -> Dict[str, Any]:
        """Do what :meth:`test_connection` does, and block."""
        key = (user_id, plugin_name)
        found: Dict[str, Any] = self._waited(lambda client: client.test(key), key)
        return found

    # -- tools --------------------------------------------------------------------------------

    async def get_tools(
        self, user_id: str, plugin_name: str, use_cache: bool = True
    ) -> List[Dict[str, Any]]:
        """Return a plugin's tools: name, description and inputSchema of each. Raises MCPError."""
        key = (user_id, plugin_name)
        tools = self._cache().get(key) if use_cache else None
        if tools is None:
            tools = await self._awaited(lambda client: client.tools(key), key)
        return tools

    def get_tools_sync(
        self, user_id: str, plugin_name: str, use_cache: bool = True
    ) -> List[Dict[str, Any]]:
        """Do what :meth:`get_tools` does, and block."""
        key = (user_id, plugin_name)
        tools = self._cache().get(key) if use_cache else None
        if tools is None:
            tools = self._waited(lambda client: client.tools(key), key)
        return tools

    async def call_tool(
        self,
        user_id: str,
        plugin_name: str,
        tool_name: str,
        arguments: Optional[Dict[str, Any]] = None,
        timeout: Optional[float] = None,
        max_reconnect_attempts: int = 2,
        raise_on_error: bool = True,
        on_progress: Optional[Progress] = None,
    ) -> Any:
        """Call a tool and return what is in its result.

        One text: a ``str``; one image: a dict of type, data and mimeType; several parts: a list;
        none: the structured content. ``timeout`` in seconds is for all of it. ``on_progress`` is
        given the params of each notification of progress, on a thread of ours; a coroutine function
        on the loop that awaits this. Raises MCPError,
        also for a result that is a failure, unless ``raise_on_error`` is False; all that such a
        one says is the error's ``result``.
        """
        call = Call(
            (user_id, plugin_name),
            tool_name,
            _own(arguments),
            timeout,
            max_reconnect_attempts,
            raise_on_error,
            on_progress,
            asyncio_loop=running_loop(),
        )
        return await self._awaited(lambda client: client.call(call), call.key)

    def call_tool_sync(
        self,
        user_id: str,
        plugin_name: str,
        tool_name: str,
        arguments: Optional[Dict[str, Any]] = None,
        timeout: Optional[float] = None,
        max_reconnect_attempts: int = 2,
        raise_on_error: bool = True,
        on_progress: Optional[Progress] = None,
    ) -> Any:
        """Do what :meth:`call_tool` does, and block.

        Raises WouldDeadlock on the main thread of a host for a tool of it that needs that thread.
        """
        key = (user_id, plugin_name)
        call = Call(
            key,
            tool_name,
            _own(arguments),
            timeout,
            max_reconnect_attempts,
            raise_on_error,
            on_progress,
            _is_own(self._find(key)),
        )
        return self._waited(lambda client: client.call(call), key)

    async def batch_call_tools(
        self,
        user_id: str,
        tool_calls: List[Dict[str, Any]],
        max_concurrent: int = 2,
        timeout: Optional[float] = None,
    ) -> List[Dict[str, Any]]:
        """Run the ``tool_calls`` of a model's message; return a message for each, in their order.

        Keys: tool_call_id, role, name, content, success, and error of one that failed.
        ``timeout`` in seconds, for each. At most ``max_concurrent`` are under way at once.
        """
        calls = list(tool_calls or ())
        found: List[Dict[str, Any]] = await self._awaited(
            lambda client: client.batch(user_id, calls, max_concurrent, timeout), (user_id,)
        )
        return found

    def batch_call_tools_sync(
        self,
        user_id: str,
        tool_calls: List[Dict[str, Any]],
        max_concurrent: int = 2,
        timeout: Optional[float] = None,
    ) -> List[Dict[str, Any]]:
        """Do what :meth:`batch_call_tools` does, and block."""
        calls = list(tool_calls or ())
        own = frozenset(key for key, plugin in self._all() if _is_own(plugin))
        found: List[Dict[str, Any]] = self._waited(
            lambda client: client.batch(user_id, calls, max_concurrent, timeout, own), (user_id,)
        )
        return found

    # -- for models ---------------------------------------------------------------------------

    def format_tools_for_openai(
        self, tools: List[Dict[str, Any]], plugin_name: str
    ) -> List[Dict[str, Any]]:
        """Return tools as OpenAI takes them: each a function ``plugin_tool``.

        Where that is no name that OpenAI takes, or another tool's, it is made one;
        :meth:`parse_function_name` and :meth:`batch_call_tools` know what it means.
        """
        given = list(tools)
        with self._lock:
            names = [self._names.give(plugin_name, tool["name"]) for tool in given]
        return [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": tool.get("description") or "",
                    "parameters": copied(tool.get("inputSchema") or NO_ARGUMENTS),
                },
            }
            for name, tool in zip(names, given)
        ]

    def parse_function_name(self, function_name: str) -> Tuple[str, str]:
        """Return (plugin, tool) of a function's name. Raises ValueError."""
        engine = self._engine
        if engine is None:
            return self._names.parse(function_name)
        return engine.client.parse(function_name)

    def build_tool_context(
        self, tool_results: List[Dict[str, Any]], format: str = "markdown"
    ) -> str:
        """Return what :meth:`batch_call_tools` returned as a text: markdown, json or plain."""
        return results.build_context(tool_results, format)

    # -- what is known ------------------------------------------------------------------------

    def clear_cache(self, user_id: Optional[str] = None, plugin_name: Optional[str] = None) -> None:
        """Forget the tools of one plugin, of all of a user's, or all of them."""
        cache = self._cache()
        if user_id and plugin_name:
            cache.drop((user_id, plugin_name))
        else:
            cache.clear(user_id or None)

    def get_metrics(self, tool_name: Optional[str] = None) -> Dict[str, Any]:
        """Return how calls went, by ``plugin.tool``; of one of them if there is such a one."""
        known = dict(self._metrics)
        if tool_name and tool_name in known:
            known = {tool_name: known[tool_name]}
        return {name: one.to_dict() for name, one in known.items()}

    def get_cache_stats(self) -> Dict[str, Any]:
        """Return what is in the cache of tools."""
        return self._cache().stats()

    def get_session_stats(self) -> Dict[str, Any]:
        """Return the registered plugins, and how it is with them."""
        sessions = [
            {
                "key": "{}:{}".format(*key),
                "url": info.url,
                "status": info.status,
                "request_count": info.request_count,
                "error_count": info.error_count,
                "error_rate": round(info.error_rate, 3),
                "created_at": datetime.fromtimestamp(info.created_at).isoformat(),
                "last_access": datetime.fromtimestamp(info.last_access).isoformat(),
            }
            for key, info in ((key, plugin.info) for key, plugin in self._all())
        ]
        return {"total_sessions": len(sessions), "sessions": sessions}

    # -- callbacks ----------------------------------------------------------------------------

    def register_status_callback(self, callback: StatusCallback) -> None:
        """Tell ``callback(event)`` of each change of status: a function, or a coroutine function.

        Keys of an event: user_id, plugin_name, old_status, new_status, reason, timestamp. One
        change after the other; what comes of a call before that returns, and where it was made if
        nothing is being told elsewhere; what comes of a callback's own call after that of which it
        is told; the rest on your asyncio loop, if it runs, else on a thread of ours. What it
        raises is logged, and goes no further.
        """
        self._events.add(callback)

    def unregister_status_callback(self, callback: StatusCallback) -> None:
        """Tell it no more."""
        self._events.remove(callback)

    def set_sampling_callback(self, callback: Optional[Callable[..., Any]]) -> None:
        """Have ``callback(params)`` think for servers: it returns a text, or the whole result.

        For plugins that are registered from now on, as the next two. None: nobody thinks for them.
        """
        self._functions[SAMPLING] = callback

    def set_elicitation_callback(self, callback: Optional[Callable[..., Any]]) -> None:
        """Have ``callback(params)`` fill in forms: it returns the values, or None to decline.

        What is left out has the form's default. It may also return an answer with its ``action``.
        """
        self._functions[ELICITATION] = callback

    def set_roots_callback(self, callback: Optional[Callable[..., Any]]) -> None:
        """Have ``callback()`` say which folders servers may work in: URIs, or roots with a name."""
        self._functions[ROOTS] = callback

    # -- the end ------------------------------------------------------------------------------

    async def cleanup(self) -> None:
        """Cut short what is under way, end all conversations and our thread.

        What is cut short raises MCPError, also where it returns its failures otherwise. What is
        registered afterwards begins anew.
        """
        engine = self._taken()
        if engine is None:
            return
        try:
            await awaited(engine.close())
        finally:
            engine.stop()
            await self._events.tell_here(())

    def cleanup_sync(self) -> None:
        """Do what :meth:`cleanup` does, and block."""
        engine = self._taken()
        if engine is None:
            return
        try:
            with self._waiting():
                waited(engine.close())
        finally:
            engine.stop()
            self._events.tell(())

    def _taken(self) -> Optional[Engine]:
        """Return the engine, which is nobody's any more. Raises WouldDeadlock on its thread."""
        with self._lock:
            engine = self._engine
            if engine is not None:
                _demand_another_thread(engine)
            self._engine = None
        return engine

    # -- inside -------------------------------------------------------------------------------

    async def _awaited(self, do: Do, about: About) -> Any:
        import asyncio

        self._asyncio_loop = asyncio.get_running_loop()
        future = self._running().run(do)
        try:
            return await awaited(future)
        finally:
            gone = future.cancelled()
            # It may hold the error that holds this frame.
            del future
            if not gone:
                await self._events.tell_here(about)

    def _waited(self, do: Do, about: About) -> Any:
        engine = self._running()
        _demand_another_thread(engine)
        gone = True
        try:
            # Before anything is sent: what needs this thread must not be let in just before.
            with self._waiting():
                future: Future[Any] = Future()
                try:
                    return waited(engine.run(do, future))
                except BaseException:
                    # Ctrl-C may come as early as when it has just begun.
                    future.cancel()
                    raise
                finally:
                    gone = future.cancelled()
                    del future
        finally:
            if not gone:
                self._events.tell(about)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Have nobody want this thread, which waits: neither the host's nor an asyncio loop's."""
        loop = running_loop()
        self._held_up.append(loop)
        try:
            with guard.waiting(_WHOM):
                yield
        finally:
            self._held_up.remove(loop)

    def _asyncio_loop_now(self) -> Any:
        """Return the asyncio loop where coroutine functions run, None for a thread. Any thread."""
        loop = self._asyncio_loop
        return None if loop in self._held_up else loop

    def _running(self) -> Engine:
        with self._lock:
            engine = self._engine
            if engine is None or not engine.alive:
                if engine is not None:
                    # Ctrl-C came before it ran.
                    engine.give_up()
                engine = self._engine = self._new_engine()
                engine.start()
            return engine

    def _new_engine(self) -> Engine:
        return Engine(self._clock, lambda loop: Client(loop, self._lasting), self._disown)

    def _disown(self) -> None:
        """Begin anew, in a forked child: another thread may have been at it."""
        self._lock = threading.Lock()
        self._engine = None
        self._events.disown()

    def _have_told(self) -> None:
        """Have told what has happened, as whoever told it has gone. Any thread."""
        engine = self._engine
        if engine is not None:
            engine.loop.call_soon(engine.client.tell)

    def _all(self) -> List[Tuple[Key, Plugin]]:
        engine = self._engine
        return [] if engine is None else engine.client.plugins.all()

    def _find(self, key: Key) -> Optional[Plugin]:
        engine = self._engine
        return None if engine is None else engine.client.plugins.find(key)

    def _cache(self) -> ToolCache:
        engine = self._engine
        if engine is None:
            return ToolCache(self.settings.tool_cache_ttl_minutes, self._clock)
        return engine.client.cache


def _key_of(config: MCPPluginConfig) -> Key:
    if not isinstance(config, MCPPluginConfig):
        raise TypeError("register() takes an MCPPluginConfig, not {!r}".format(config))
    return config.user_id, config.plugin_name


def _own(arguments: Any) -> Any:
    """Return a copy of a caller's arguments; what is none is found out later."""
    if arguments is None:
        return {}
    return dict(arguments) if isinstance(arguments, Mapping) else arguments


def _is_own(plugin: Optional[Plugin]) -> bool:
    """Return whether a plugin is the very host whose main thread this is."""
    if plugin is None or plugin.config.plugin_type == "stdio":
        return False
    url = parse(plugin.config.url)
    return guard.is_own_main_thread((url.host, url.port))


def _demand_another_thread(engine: Engine) -> None:
    if engine.is_current():
        raise WouldDeadlock(
            "This is the thread that the answer would come on.",
            hint="Call from another thread, or not from within a callback of this client.",
        )
