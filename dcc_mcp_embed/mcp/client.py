"""What a facade does on its thread: conversations, what is kept of them, and what goes on beside.

From the first call to the clean-up; what outlives that is :class:`Lasting`.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Coroutine, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from ..clock import Clock
from ..errors import WouldDeadlock
from ..net.dialing import apart
from ..net.loop import Loop
from ..net.tasks import Group, TimedOut, sleep, within
from ..wire import jsonrpc
from . import batches, results
from .cache import ToolCache, copied
from .calling import Telling
from .events import Events
from .failures import explained
from .metrics import ToolMetrics
from .names import Names
from .plugins import Key, Plugins
from .records import MCPError
from .session import Progress, Tools
from .settings import MCPSettings

__all__ = ["NO_ARGUMENTS", "Call", "Client", "Lasting"]

#: The schema of a tool that says nothing of its arguments.
NO_ARGUMENTS: Dict[str, Any] = {"type": "object", "properties": {}, "required": []}
#: How often a call of a batch is tried again.
_AGAIN = 2


class Lasting(NamedTuple):
    """What a facade keeps from one client to the next. ``functions``: see Answering."""

    settings: MCPSettings
    clock: Clock
    events: Events
    names: Names
    metrics: Dict[str, ToolMetrics]
    functions: Dict[str, Optional[Callable[..., Any]]]
    asyncio_loop: Callable[[], Any]
    logger: logging.Logger


class Call(NamedTuple):
    """A call of a tool. ``timeout``: None for that of the settings; ``again``: attempts after one.

    ``is_own``: it is made by the main thread of the very host that it is made to. ``asyncio_loop``:
    where it is awaited.
    """

    key: Key
    tool: str
    arguments: Dict[str, Any]
    timeout: Optional[float] = None
    again: int = _AGAIN
    raise_on_error: bool = True
    on_progress: Optional[Progress] = None
    is_own: bool = False
    asyncio_loop: Any = None


#: Field of a call, what it may be, and what is said of anything else.
_KINDS: Tuple[Tuple[str, Any, str], ...] = (
    ("arguments", dict, "the arguments are {}, not an object"),
    ("timeout", (int, float, type(None)), "timeout is {}, not a number"),
    ("again", int, "max_reconnect_attempts is {}, not a number"),
)


class Client:
    """See the module. Made on any thread; ``plugins`` and ``cache`` say what is for any."""

    def __init__(self, loop: Loop, lasting: Lasting) -> None:
        self._loop = loop
        self._lasting = lasting
        self._settings, self._clock = lasting.settings, lasting.clock
        self.cache = ToolCache(self._settings.tool_cache_ttl_minutes, self._clock)
        self.plugins = Plugins(
            loop,
            self._settings,
            self._clock,
            lasting.functions,
            lasting.asyncio_loop,
            lasting.events.happened,
            self.cache.drop,
            self._failed,
        )
        # Of what is logged nothing more can be told.
        self._beside = Group(loop, lambda error: None)

    # -- its beginning and end ----------------------------------------------------------------

    def begin(self) -> None:
        """Begin what goes on beside."""
        settings = self._settings
        for seconds, do in (
            (settings.cleanup_interval_seconds, self.plugins.expire),
            (settings.health_check_interval_seconds, self._look),
        ):
            if seconds:
                self._beside.spawn(self._every(seconds, do))

    async def close(self) -> None:
        """End all conversations, in good order."""
        await self.plugins.close()

    def shut(self) -> None:
        """Let go now of whatever is open."""
        self._beside.cancel()
        self.plugins.shut()

    def tell(self) -> None:
        """Have told what has happened, as nobody waits for that."""
        self._beside.spawn(self._tell())

    async def _every(self, seconds: float, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await sleep(self._loop, seconds)
            try:
                await do()
                await self._tell()
            except Exception as error:
                # No reason not to do it the next time.
                self.defect("what goes on beside", error)

    async def _look(self) -> None:
        self.plugins.look()

    async def _tell(self) -> None:
        asyncio_loop = self._lasting.asyncio_loop()
        await self._lasting.events.tell_aside(self._loop, asyncio_loop, self._broke)

    def defect(self, name: str, error: BaseException) -> None:
        """Log what should not have happened."""
        self._log("%s failed: %r", name, error, exc_info=error)

    def _failed(self, error: BaseException) -> None:
        """Log what has gone wrong in a conversation, where nobody waits for it."""
        self._log("a conversation with a server: %s", explained(error), level=logging.WARNING)

    def _broke(self, error: BaseException) -> None:
        """Log what a user's function has raised."""
        self._log("a callback failed: %r", error, exc_info=error)

    def _log(self, text: str, *args: Any, level: int = logging.ERROR, **named: Any) -> None:
        # On a thread for it: a handler may be the host's, and wait for its main thread.
        def log() -> None:
            self._lasting.logger.log(level, text, *args, **named)

        self._beside.spawn(apart(self._loop, log))

    # -- what is asked of it ------------------------------------------------------------------

    async def test(self, key: Key) -> Dict[str, Any]:
        """Ask a plugin for its tools, and tell what came of it."""
        began = self._clock.monotonic()
        try:
            tools = await self.plugins.list_tools(key)
        except MCPError as error:
            return {
                "success": False,
                "message": str(error),
                "response_time_ms": round(self._ms_since(began), 2),
                "error_type": type(error).__name__,
            }
        return {
            "success": True,
            "message": "connected",
            "response_time_ms": round(self._ms_since(began), 2),
            "tools_count": len(tools),
            "tools": [
                {"name": one["name"], "description": one.get("description") or ""} for one in tools
            ],
        }

    async def tools(self, key: Key) -> Tools:
        """Ask a plugin for its tools, and keep them in the cache."""
        version = self.cache.version(key)
        tools = [
            {
                "name": one["name"],
                "description": one.get("description") or "",
                "inputSchema": one.get("inputSchema") or copied(NO_ARGUMENTS),
            }
            for one in await self.plugins.list_tools(key)
        ]
        self.cache.put(key, tools, version)
        return tools

    async def call(self, call: Call) -> Any:
        """Call a tool, and return what is in its result."""
        began = self._clock.monotonic()
        metrics = self._lasting.metrics.setdefault(
            "{}.{}".format(call.key[1], call.tool), ToolMetrics()
        )
        try:
            result = await self._result(call)
            failed = result.get("isError") is True
            if failed and call.is_own:
                _see_deadlock(result)
            if failed and call.raise_on_error:
                raise MCPError(results.failure_in(result), "tool_error", result)
        except BaseException:
            # Cut, too: it has not succeeded.
            metrics.record_failure(self._ms_since(began))
            raise
        record = metrics.record_failure if failed else metrics.record_success
        record(self._ms_since(began))
        return results.extracted(result)

    async def _result(self, call: Call) -> Dict[str, Any]:
        # What is of the caller's making judges no plugin.
        for name, kinds, text in _KINDS:
            value = getattr(call, name)
            if not isinstance(value, kinds):
                raise MCPError(text.format(type(value).__name__), "bad_arguments")
        try:
            jsonrpc.encode(call.arguments)
        except (TypeError, ValueError, RecursionError) as error:
            raise MCPError("the arguments are no JSON: {}".format(error), "bad_arguments") from None
        telling, take = None, None
        if call.on_progress is not None:
            asyncio_loop = call.asyncio_loop or self._lasting.asyncio_loop()
            telling = Telling(self._loop, call.on_progress, asyncio_loop, self._broke)
            take = telling.take
        timeout = call.timeout or self._settings.tool_call_timeout_seconds
        began = self._clock.monotonic()
        try:
            result = await self.plugins.call_tool(
                call.key, call.tool, call.arguments, timeout, call.again, take
            )
            if telling is not None:
                left = timeout - (self._clock.monotonic() - began)
                await self._have_told(telling, left)
        finally:
            if telling is not None:
                telling.end()
        return result

    async def _have_told(self, telling: Telling, seconds: float) -> None:
        try:
            with within(self._loop, seconds):
                await telling.all_told()
        except TimedOut:
            # The result is there, and no reason to keep it back.
            self._broke(RuntimeError("what hears of progress takes too long"))

    async def batch(
        self,
        user_id: str,
        tool_calls: List[Dict[str, Any]],
        most: int,
        timeout: Optional[float],
        own: FrozenSet[Key] = frozenset(),
    ) -> List[Dict[str, Any]]:
        """Run what a model wants called; ``own``: plugins that are the host that waits for it."""

        async def call(name: str, arguments: Dict[str, Any]) -> Any:
            plugin, tool = self.parse(name, user_id)
            key = (user_id, plugin)
            return await self.call(Call(key, tool, arguments, timeout, is_own=key in own))

        return await batches.run(self._loop, tool_calls, most, call)

    def parse(self, name: str, user_id: Optional[str] = None) -> Tuple[str, str]:
        """Return (plugin, tool) of a function's name. Any thread. Raises ValueError."""
        plugins = [key[1] for key, _ in self.plugins.all() if user_id in (None, key[0])]
        return self._lasting.names.parse(name, plugins, self.cache.pairs)

    def _ms_since(self, began: float) -> float:
        return (self._clock.monotonic() - began) * 1000


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
