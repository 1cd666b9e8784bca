"""How a client behaves, by default and by the environment."""

from __future__ import annotations

import math
from typing import Mapping, NamedTuple

from ..errors import ConfigError

__all__ = ["MCPSettings", "settings_from"]

_PREFIX = "DCC_MCP_EMBED_CLIENT_"


class MCPSettings(NamedTuple):
    """Times in seconds, but for the cache's; rates from 0 to 1.

    Each can be set by a variable ``DCC_MCP_EMBED_CLIENT_<NAME>``, its name in capitals.
    """

    #: For how long a list of tools is good, minutes.
    tool_cache_ttl_minutes: float = 10.0
    #: How often sessions are looked through for those that nobody uses.
    cleanup_interval_seconds: float = 300.0
    #: How often it is looked at how many of a plugin's requests fail.
    health_check_interval_seconds: float = 60.0
    #: How long a session is kept that nobody uses.
    client_ttl_seconds: float = 1800.0
    #: From so many requests on their failures are judged.
    min_requests_for_health_check: int = 10
    #: A plugin is degraded above the first, and in error above the second.
    error_rate_warning: float = 0.1
    error_rate_critical: float = 0.5
    #: How long a call may take whose caller does not say.
    tool_call_timeout_seconds: float = 60.0


def settings_from(environ: Mapping[str, str]) -> MCPSettings:
    """Return the settings that an environment asks for. Raises ConfigError, naming the variable."""
    found = {}
    for name, default in MCPSettings()._asdict().items():
        text = environ.get(_PREFIX + name.upper())
        if not text:
            continue
        try:
            value = type(default)(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise ConfigError(
                "{}{} is {!r}; it takes a number from 0 on, such as {}".format(
                    _PREFIX, name.upper(), text, default
                )
            )
        found[name] = value
    return MCPSettings(**found)
