"""What the facade is given and tells: plain records, with the names of the code it was asked to be.

All of them may be made by anybody; times are of the machine's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Awaitable, Callable, Dict, List, Optional, Sequence, Union

from ..clock import SystemClock
from ..errors import EmbedError

__all__ = [
    "MCPError",
    "MCPPluginConfig",
    "PluginStatus",
    "SessionInfo",
    "StatusCallback",
    "ToolCacheEntry",
]

_wall = SystemClock().wall


class PluginStatus(str, Enum):
    """How it is with a plugin."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DEGRADED = "degraded"
    ERROR = "error"


#: Takes an event: user_id, plugin_name, old_status, new_status, reason, timestamp (ISO 8601).
StatusCallback = Union[
    Callable[[Dict[str, Any]], Awaitable[None]], Callable[[Dict[str, Any]], None]
]


class MCPError(EmbedError):
    """An operation has failed. ``code`` says how, ``result`` is all that a tool says that failed.

    Codes: not_registered, not_connected, timeout, unknown_outcome, session_expired, rpc_error,
    http_error, bad_config, bad_arguments, bad_answer, tool_error, closed.
    """

    def __init__(self, message: str = "", code: str = "bad_answer", result: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.result = result


@dataclass
class MCPPluginConfig:
    """A server, and what it is called by whom.

    ``plugin_type``: streamable_http (or http), sse (the transport of 2024-11-05), or stdio, which
    starts ``command`` with ``args`` and ``env`` and takes no ``url``. ``timeout`` in seconds, for
    connecting.
    """

    user_id: str
    plugin_name: str
    url: str = ""
    plugin_type: str = "streamable_http"
    headers: Optional[Dict[str, str]] = None
    env: Optional[Dict[str, str]] = None
    timeout: float = 60.0
    command: Optional[str] = None
    args: Optional[Sequence[str]] = None


@dataclass
class SessionInfo:
    """What is known of a registered plugin. ``session`` is the conversation with it."""

    session: Any
    url: str
    plugin_type: str = "streamable_http"
    created_at: float = field(default_factory=_wall)
    last_access: float = field(default_factory=_wall)
    request_count: int = 0
    error_count: int = 0
    status: str = "active"

    @property
    def error_rate(self) -> float:
        """Return which part of its requests has failed, 0 to 1."""
        return self.error_count / self.request_count if self.request_count else 0.0


@dataclass
class ToolCacheEntry:
    """A list of tools, and until when it holds."""

    tools: List[Dict[str, Any]]
    expire_time: datetime
    hit_count: int = 0
