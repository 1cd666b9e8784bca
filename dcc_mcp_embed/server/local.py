"""Calls from this very process, by code of the host's user: no wire, the same queue."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..clock import Clock
from ..host.dispatch import Dispatcher
from ..host.job import DETACHED, Job, Report
from ..tools.context import ToolContext
from ..tools.entries import Tool
from ..tools.jobs import Later
from ..tools.results import Outcome
from ..tools.steps import read_step
from ..tools.table import ToolTable

__all__ = ["LocalCalls"]


class LocalCalls:
    """Call tools and return their values. Any thread but the one that a tool needs.

    ``lanes`` maps a tool's ``thread`` to its dispatcher; ``control`` is for tools of the loop.
    """

    def __init__(
        self,
        table: ToolTable,
        lanes: Dict[str, Dispatcher],
        host: Any,
        scene: Any,
        control: Any,
        clock: Clock,
    ) -> None:
        self._table = table
        self._lanes = lanes
        self._host = host
        self._scene = scene
        self._control = control
        self._clock = clock

    def call(self, name: str, arguments: Optional[Dict[str, Any]], timeout: float) -> Any:
        """Run a tool and return its value; waits at most ``timeout`` seconds.

        Raises the call's ToolError; WouldDeadlock on the thread that the tool needs.
        """
        tool = self._table.get(name)
        while tool.redirect is not None:
            tool, arguments = tool.redirect(self._control, tool.bind(arguments))
        return self._run(tool, arguments, timeout)

    def read(self, uri: str, timeout: float) -> Any:
        """Read a resource and return its value, as its function returns it; else as :meth:`call`.

        Raises NotFound for one that there is not.
        """
        entry, values = self._table.resource(uri)
        return self._run(entry.reading(uri), values, timeout)

    def _run(self, tool: Tool, arguments: Optional[Dict[str, Any]], timeout: float) -> Any:
        kwargs = tool.bind(arguments)
        on_main = tool.thread == "main"
        context = ToolContext(
            host=self._host if on_main else None,
            scene=self._scene if on_main else None,
            client="local",
            control=self._control,
        )
        if tool.thread == "loop":
            found = tool.invoke(context, kwargs)
            # Waiting is for clients; whoever is here asks again.
            return found.give_up() if type(found) is Later else found

        def finish(value: Any, error: Optional[BaseException], report: Report) -> Any:
            # Too late nobody can ask for it, and what is the host's is let go of on its thread.
            return (value, error) if job.state != DETACHED else None

        job = Job(
            self._clock.uuid(),
            tool.name,
            lambda: tool.invoke(context, kwargs),
            finish,
            lambda job, answer, error: None,
            client="local",
            writes=not tool.read_only,
            undo_label="MCP: " + tool.name if _is_step(tool) else None,
            read=read_step,
        )
        context.cancelled = job.cancelled
        value, error = self._lanes[tool.thread].call(job, timeout)
        if error is not None:
            try:
                raise error
            finally:
                # Its traceback holds this frame, which must not hold it.
                error = None
        return value.data if type(value) is Outcome else value


def _is_step(tool: Tool) -> bool:
    """Return whether a call of the tool is an undo step; undo itself is none."""
    return tool.thread == "main" and not tool.read_only and "undo" not in tool.capabilities
