"""How a client behaves, by default and by the environment."""

from __future__ import annotations

import math
from typing import Mapping, NamedTuple

from ..errors import ConfigError

__all__ = ["MCPSettings", "checked", "settings_from"]

_PREFIX = "DCC_MCP_EMBED_CLIENT_"
#: Of whatever unit: a calendar that far still has years, and this is longer than any host runs.
_MOST = 1e9


class MCPSettings(NamedTuple):
    """Times in seconds, but for the cache's; rates from 0 to 1.

    Each can be set by a variable ``DCC_MCP_EMBED_CLIENT_<NAME>``, its name in capitals.
    """

    #: For how long a list of tools is good, minutes.
    tool_cache_ttl_minutes: float = 10.0
    #: How often sessions are looked through for those that nobody uses; 0: never.
    cleanup_interval_seconds: float = 300.0
    #: How often it is looked at how many of a plugin's requests fail; 0: after each request only.
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


def checked(settings: MCPSettings) -> MCPSettings:
    """Return settings that can be used: these. Raises ConfigError, naming the one that cannot."""
    for name, value in settings._asdict().items():
        if type(value) not in (int, float) or not 0 <= value <= _most(name):
            raise ConfigError(_text(name, name, value))
    return settings


def settings_from(environ: Mapping[str, str]) -> MCPSettings:
    """Return the settings that an environment asks for. Raises ConfigError, naming the variable."""
    found = {}
    for name, default in MCPSettings()._asdict().items():
        variable = _PREFIX + name.upper()
        text = environ.get(variable)
        if not text:
            continue
        try:
            value = type(default)(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= _most(name):
            raise ConfigError(_text(variable, name, text))
        found[name] = value
    return MCPSettings(**found)


def _most(name: str) -> float:
    return 1.0 if name.startswith("error_rate") else _MOST


def _text(called: str, name: str, value: object) -> str:
    default = getattr(MCPSettings(), name)
    kind = "whole number" if type(default) is int else "number"
    text = "{} is {!r}; it takes a {} from 0 to {:g}, such as {}"
    return text.format(called, value, kind, _most(name), default)
