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
from datetime import datetime, timedelta
from typing import Any, Callable, Coroutine, Dict, FrozenSet, List, Optional, Tuple

from ..clock import Clock, SystemClock
from ..errors import WouldDeadlock
from ..host import guard
from ..net.loop import Loop
from ..net.promises import awaited, waited
from ..net.tasks import Group, sleep
from . import batches, results
from .answering import ELICITATION, ROOTS, SAMPLING
from .cache import ToolCache
from .calling import Telling, called
from .engine import Engine
from .events import Events
from .metrics import ToolMetrics
from .names import Names
from .plugins import Key, Plugins
from .records import MCPError, MCPPluginConfig, StatusCallback
from .session import Progress
from .settings import MCPSettings, settings_from
from .url import parse

__all__ = ["MCPClientFacade"]

_logger = logging.getLogger("dcc_mcp_embed.mcp")
_NO_SCHEMA: Dict[str, Any] = {"type": "object", "properties": {}, "required": []}

Make = Callable[[Loop], Coroutine[Any, Any, Any]]


class MCPClientFacade:
    """All that a program does with MCP servers. Any thread; each object stands for itself.

    ``settings``: by default those of the environment. Raises ConfigError for a bad one.
    """

    def __init__(
        self, settings: Optional[MCPSettings] = None, clock: Optional[Clock] = None
    ) -> None:
        self.settings = settings_from(os.environ) if settings is None else settings
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._engine: Optional[Engine] = None
        self._background: Optional[Group] = None
        self._asyncio_loop: Any = None
        self._functions: Dict[str, Optional[Callable[..., Any]]] = {}
        self._events = Events(_logger)
        self._names = Names()
        self._metrics: Dict[str, ToolMetrics] = {}
        self._cache = ToolCache(
            timedelta(minutes=self.settings.tool_cache_ttl_minutes), datetime.now
        )
        self._plugins = Plugins(
            self.settings,
            self._clock,
            self._functions,
            lambda: self._asyncio_loop,
            self._events.happened,
            self._cache.drop,
            _logger,
        )

    # -- connecting ---------------------------------------------------------------------------

    async def register(self, config: MCPPluginConfig) -> bool:
        """Connect to a plugin, anew if it is there; return whether that has worked.

        Why it has not stands in the event, from inactive to error.
        """
        return bool(await self._awaited(self._registering(config)))

    def register_sync(self, config: MCPPluginConfig) -> bool:
        """Do what :meth:`register` does, and block."""
        return bool(self._waited(self._registering(config)))

    def _registering(self, config: MCPPluginConfig) -> Make:
        if not isinstance(config, MCPPluginConfig):
            raise TypeError("register() takes an MCPPluginConfig, not {!r}".format(config))
        return lambda loop: self._plugins.register(loop, config)

    async def unregister(self, user_id: str, plugin_name: str) -> None:
        """End the conversation with a plugin; one that is not registered is fine."""
        await self._awaited(lambda loop: self._plugins.unregister(loop, (user_id, plugin_name)))

    def unregister_sync(self, user_id: str, plugin_name: str) -> None:
        """Do what :meth:`unregister` does, and block."""
        self._waited(lambda loop: self._plugins.unregister(loop, (user_id, plugin_name)))

    def is_registered(self, user_id: str, plugin_name: str) -> bool:
        """Return whether a plugin is registered, and not in error."""
        return self.get_session_status(user_id, plugin_name) not in (None, "error")

    def get_session_status(self, user_id: str, plugin_name: str) -> Optional[str]:
        """Return active, degraded or error; None if it is not registered."""
        plugin = self._plugins.find((user_id, plugin_name))
        return None if plugin is None else plugin.info.status

    async def ensure_registered(
        self,
        user_id: str,
        plugin_name: str,
        url: str,
        plugin_type: str = "streamable_http",
        headers: Optional[Dict[str, str]] = None,
    ) -> bool:
        """Register a plugin unless it is, just so, and not in error."""
        config = MCPPluginConfig(user_id, plugin_name, url, plugin_type, headers)
        return self._is_as(config) or await self.register(config)

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
        return self._is_as(config) or self.register_sync(config)

    def _is_as(self, config: MCPPluginConfig) -> bool:
        plugin = self._plugins.find((config.user_id, config.plugin_name))
        if plugin is None or plugin.info.status == "error":
            return False
        have = plugin.config
        # Headers that are not given may be any: they are those of the registration.
        same = config.headers is None or config.headers == have.headers
        return same and (have.url, have.plugin_type) == (config.url, config.plugin_type)

    async def test_connection(self, user_id: str, plugin_name: str) -> Dict[str, Any]:
        """Ask a plugin for its tools, and tell what came of it.

        Keys: success, message, response_time_ms, and tools_count and tools, or error_type.
        """
        found: Dict[str, Any] = await self._awaited(self._testing((user_id, plugin_name)))
        return found

    def test_connection_sync(self, user_id: str, plugin_name: str) -> Dict[str, Any]:
        """Do what :meth:`test_connection` does, and block."""
        found: Dict[str, Any] = self._waited(self._testing((user_id, plugin_name)))
        return found

    def _testing(self, key: Key) -> Make:
        async def test(loop: Loop) -> Dict[str, Any]:
            began = self._clock.monotonic()
            try:
                tools = await self._plugins.list_tools(loop, key)
            except MCPError as error:
                return {
                    "success": False,
                    "message": str(error),
                    "response_time_ms": self._since(began),
                    "error_type": type(error).__name__,
                }
            shown = [
                {"name": one["name"], "description": one.get("description") or ""} for one in tools
            ]
            return {
                "success": True,
                "message": "connected",
                "response_time_ms": self._since(began),
                "tools_count": len(shown),
                "tools": shown,
            }

        return test

    # -- tools --------------------------------------------------------------------------------

    async def get_tools(
        self, user_id: str, plugin_name: str, use_cache: bool = True
    ) -> List[Dict[str, Any]]:
        """Return a plugin's tools: name, description and inputSchema of each. Raises MCPError."""
        tools = self._cache.get((user_id, plugin_name)) if use_cache else None
        if tools is None:
            tools = await self._awaited(self._getting((user_id, plugin_name)))
        return tools

    def get_tools_sync(
        self, user_id: str, plugin_name: str, use_cache: bool = True
    ) -> List[Dict[str, Any]]:
        """Do what :meth:`get_tools` does, and block."""
        tools = self._cache.get((user_id, plugin_name)) if use_cache else None
        if tools is None:
            tools = self._waited(self._getting((user_id, plugin_name)))
        return tools

    def _getting(self, key: Key) -> Make:
        async def get(loop: Loop) -> List[Dict[str, Any]]:
            version = self._cache.version(key)
            tools = [
                {
                    "name": one["name"],
                    "description": one.get("description") or "",
                    "inputSchema": one.get("inputSchema") or _NO_SCHEMA,
                }
                for one in await self._plugins.list_tools(loop, key)
            ]
            self._cache.put(key, tools, version)
            return [dict(one) for one in tools]

        return get

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
        given the params of each notification of progress, on a thread of ours. Raises MCPError,
        also for a result that is a failure, unless ``raise_on_error`` is False: then the whole
        result is returned.
        """
        return await self._awaited(
            self._calling(
                (user_id, plugin_name),
                tool_name,
                arguments,
                timeout,
                max_reconnect_attempts,
                raise_on_error,
                on_progress,
            )
        )

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
        return self._waited(
            self._calling(
                key,
                tool_name,
                arguments,
                timeout,
                max_reconnect_attempts,
                raise_on_error,
                on_progress,
                self._is_own(key),
            )
        )

    def _calling(
        self,
        key: Key,
        tool: str,
        arguments: Optional[Dict[str, Any]],
        timeout: Optional[float],
        attempts: int,
        raise_on_error: bool,
        on_progress: Optional[Progress],
        is_own: bool = False,
    ) -> Make:
        async def call(loop: Loop) -> Any:
            began = self._clock.monotonic()
            metrics = self._metrics.setdefault("{}.{}".format(key[1], tool), ToolMetrics())
            telling = None if on_progress is None else self._telling(loop, on_progress)
            try:
                result = await self._plugins.call_tool(
                    loop,
                    key,
                    tool,
                    dict(arguments or {}),
                    timeout or self.settings.tool_call_timeout_seconds,
                    attempts,
                    None if telling is None else telling.take,
                )
                if telling is not None:
                    await telling.all_told()
                failed = result.get("isError") is True
                if failed and is_own:
                    _see_deadlock(result)
                if failed and raise_on_error:
                    raise MCPError(results.failure_in(result), "tool_error", result)
            except BaseException:
                # Cut, too: it has not succeeded.
                metrics.record_failure((self._clock.monotonic() - began) * 1000)
                raise
            finally:
                if telling is not None:
                    telling.end()
            record = metrics.record_failure if failed else metrics.record_success
            record((self._clock.monotonic() - began) * 1000)
            return result if failed else results.extracted(result)

        return call

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
        make = self._batching(user_id, tool_calls, max_concurrent, timeout)
        found: List[Dict[str, Any]] = await self._awaited(make)
        return found

    def batch_call_tools_sync(
        self,
        user_id: str,
        tool_calls: List[Dict[str, Any]],
        max_concurrent: int = 2,
        timeout: Optional[float] = None,
    ) -> List[Dict[str, Any]]:
        """Do what :meth:`batch_call_tools` does, and block."""
        own = frozenset(key for key, _ in self._plugins.all() if self._is_own(key))
        make = self._batching(user_id, tool_calls, max_concurrent, timeout, own)
        found: List[Dict[str, Any]] = self._waited(make)
        return found

    def _batching(
        self,
        user_id: str,
        tool_calls: List[Dict[str, Any]],
        max_concurrent: int,
        timeout: Optional[float],
        own: FrozenSet[Key] = frozenset(),
    ) -> Make:
        async def batch(loop: Loop) -> List[Dict[str, Any]]:
            async def call(name: str, arguments: Dict[str, Any]) -> Any:
                plugin, tool = self.parse_function_name(name)
                key = (user_id, plugin)
                make = self._calling(key, tool, arguments, timeout, 2, True, None, key in own)
                return await make(loop)

            return await batches.run(loop, list(tool_calls), max_concurrent, call)

        return batch

    # -- for models ---------------------------------------------------------------------------

    def format_tools_for_openai(
        self, tools: List[Dict[str, Any]], plugin_name: str
    ) -> List[Dict[str, Any]]:
        """Return tools as OpenAI takes them: each a function ``plugin_tool``.

        Where that is no name that OpenAI takes, it is made one; :meth:`parse_function_name` and
        :meth:`batch_call_tools` know what it means.
        """
        with self._lock:
            named = [(self._names.give(plugin_name, tool["name"]), tool) for tool in tools]
        return [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": tool.get("description", ""),
                    "parameters": tool.get("inputSchema", _NO_SCHEMA),
                },
            }
            for name, tool in named
        ]

    def parse_function_name(self, function_name: str) -> Tuple[str, str]:
        """Return (plugin, tool) of a function's name. Raises ValueError."""
        plugins = [key[1] for key, _ in self._plugins.all()]
        with self._lock:
            return self._names.parse(function_name, plugins, self._cache.pairs())

    def build_tool_context(
        self, tool_results: List[Dict[str, Any]], format: str = "markdown"
    ) -> str:
        """Return what :meth:`batch_call_tools` returned as a text: markdown, json or plain."""
        return results.build_context(tool_results, format)

    # -- what is known ------------------------------------------------------------------------

    def clear_cache(self, user_id: Optional[str] = None, plugin_name: Optional[str] = None) -> None:
        """Forget the tools of one plugin, of all of a user's, or all of them."""
        if user_id and plugin_name:
            self._cache.drop((user_id, plugin_name))
        else:
            self._cache.clear(user_id or None)

    def get_metrics(self, tool_name: Optional[str] = None) -> Dict[str, Any]:
        """Return how calls went, by ``plugin.tool``; of one of them if there is such a one."""
        known = dict(self._metrics)
        if tool_name and tool_name in known:
            known = {tool_name: known[tool_name]}
        return {name: one.to_dict() for name, one in known.items()}

    def get_cache_stats(self) -> Dict[str, Any]:
        """Return what is in the cache of tools."""
        return self._cache.stats()

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
            for key, info in ((key, plugin.info) for key, plugin in self._plugins.all())
        ]
        return {"total_sessions": len(sessions), "sessions": sessions}

    # -- callbacks ----------------------------------------------------------------------------

    def register_status_callback(self, callback: StatusCallback) -> None:
        """Tell ``callback(event)`` of each change of status: a function, or a coroutine function.

        Keys of an event: user_id, plugin_name, old_status, new_status, reason, timestamp. What
        comes of a call is told before that returns, where it was made; the rest on your asyncio
        loop, if it runs, else on a thread of ours. What it raises is logged, and goes no further.
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
        """End all conversations and our thread. What is registered afterwards begins anew."""
        if self._engine is not None:
            await self._awaited(self._plugins.close)
        self._end()

    def cleanup_sync(self) -> None:
        """Do what :meth:`cleanup` does, and block."""
        if self._engine is not None:
            self._waited(self._plugins.close)
        self._end()

    def _end(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
            background, self._background = self._background, None
        if engine is not None:
            if background is not None:
                engine.loop.call_soon(background.cancel)
            engine.stop()
        self._cache.clear()

    # -- inside -------------------------------------------------------------------------------

    async def _awaited(self, make: Make) -> Any:
        import asyncio

        self._asyncio_loop = asyncio.get_running_loop()
        engine = self._running()
        try:
            return await awaited(engine.run(make))
        finally:
            await self._events.tell_here()

    def _waited(self, make: Make) -> Any:
        engine = self._running()
        if engine.is_current():
            raise WouldDeadlock(
                "This is the thread that the answer would come on.",
                hint="Call from another thread, or not from within a callback of this client.",
            )
        try:
            with guard.waiting("an MCP server"):
                return waited(engine.run(make))
        finally:
            self._events.tell()

    def _running(self) -> Engine:
        with self._lock:
            engine = self._engine
            if engine is None or not engine.alive:
                engine = self._engine = Engine(self._clock, _defect, self._disown)
                self._background = Group(engine.loop, lambda error: _defect("background", error))
                engine.loop.call_soon(self._begin, engine.loop, self._background)
            return engine

    def _disown(self) -> None:
        """Begin anew in a forked child, where another thread may have had the lock."""
        self._lock = threading.Lock()
        self._plugins.disown()

    def _begin(self, loop: Loop, group: Group) -> None:
        """Begin what goes on beside. Loop thread."""
        settings = self.settings

        async def every(seconds: float, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
            while True:
                await sleep(loop, seconds)
                await do()
                await tell()

        async def look() -> None:
            self._plugins.look()

        async def tell() -> None:
            for callback, event in self._events.take():
                try:
                    await called(loop, callback, (event,), self._asyncio_loop)
                except Exception as error:
                    self._events.broke(error)

        if settings.cleanup_interval_seconds:
            group.spawn(
                every(settings.cleanup_interval_seconds, lambda: self._plugins.expire(loop))
            )
        if settings.health_check_interval_seconds:
            group.spawn(every(settings.health_check_interval_seconds, look))

    def _telling(self, loop: Loop, function: Progress) -> Telling:
        return Telling(loop, function, self._asyncio_loop, self._events.broke)

    def _is_own(self, key: Key) -> bool:
        """Return whether a plugin is the very host whose main thread this is."""
        plugin = self._plugins.find(key)
        if plugin is None or not plugin.config.url:
            return False
        url = parse(plugin.config.url)
        return guard.is_own_main_thread((url.host, url.port))

    def _since(self, began: float) -> float:
        return round((self._clock.monotonic() - began) * 1000, 2)


def _defect(name: str, error: BaseException) -> None:
    _logger.error("%s failed: %r", name, error, exc_info=error)


def _see_deadlock(result: Dict[str, Any]) -> None:
    """Raise WouldDeadlock if the host has refused for want of the very thread that waits for it."""
    content = result.get("structuredContent")
    error = content.get("error") if type(content) is dict else None
    if type(error) is dict and error.get("code") == "host_busy":
        raise WouldDeadlock(
            "This is the host's main thread, and the server is this same host: the call would wait "
            "for the thread that waits.",
            hint="Call the tool's function directly, or call from another thread.",
        )
