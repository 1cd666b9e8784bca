"""How a client behaves, by default and by the environment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.mcp import MCPClientFacade, MCPSettings
from dcc_mcp_embed.mcp.settings import checked, settings_from

PREFIX = "DCC_MCP_EMBED_CLIENT_"
#: As the issue has them: the seed's.
DEFAULTS = {
    "tool_cache_ttl_minutes": 10,
    "cleanup_interval_seconds": 300,
    "health_check_interval_seconds": 60,
    "client_ttl_seconds": 1800,
    "min_requests_for_health_check": 10,
    "error_rate_warning": 0.1,
    "error_rate_critical": 0.5,
    "tool_call_timeout_seconds": 60,
}
NAMES = sorted(DEFAULTS)
RATES = ["error_rate_critical", "error_rate_warning"]
#: One that each takes.
TAKEN = {name: 0.75 if name in RATES else 7 for name in NAMES}


def test_defaults():
    assert MCPSettings()._asdict() == DEFAULTS
    assert settings_from({}) == MCPSettings()


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_variable(name):
    value = TAKEN[name]
    found = settings_from({PREFIX + name.upper(): str(value), "DCC_MCP_EMBED_OTHER": "8"})
    assert found == MCPSettings()._replace(**{name: value})
    assert type(getattr(found, name)) is type(getattr(MCPSettings(), name))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_the_default(name):
    assert settings_from({PREFIX + name.upper(): ""}) == MCPSettings()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["often", "-1", "nan", "inf", "-inf", "1e300", "1,5", "0x10"])
def test_what_is_no_number_is_an_error_with_the_variable(name, text):
    with pytest.raises(ConfigError, match=PREFIX + name.upper()):
        settings_from({PREFIX + name.upper(): text})


@pytest.mark.parametrize("name", RATES)
def test_a_rate_is_no_percentage(name):
    """As such it would mean that it is never reached."""
    with pytest.raises(
        ConfigError, match="{}.* '10'; it takes a number from 0 to 1,".format(PREFIX)
    ):
        settings_from({PREFIX + name.upper(): "10"})
    with pytest.raises(ConfigError, match="a number from 0 to 1, such as 0."):
        checked(MCPSettings()._replace(**{name: 1.5}))
    assert checked(MCPSettings()._replace(**{name: 1}))


@pytest.mark.parametrize("text", ["1e300", "2000000000"])
def test_what_is_too_much_is_called_so(text):
    with pytest.raises(ConfigError, match=r"it takes a number from 0 to 1e\+09, such as 1800"):
        settings_from({PREFIX + "CLIENT_TTL_SECONDS": text})


def test_requests_are_counted_in_whole_numbers():
    with pytest.raises(ConfigError, match="MIN_REQUESTS.*a whole number from 0 to 1e"):
        settings_from({PREFIX + "MIN_REQUESTS_FOR_HEALTH_CHECK": "2.5"})


@given(st.floats(0, 1e9), st.sampled_from(NAMES))
def test_a_number_is_taken_as_it_is(value, name):
    if name.startswith("min_requests"):
        value = int(value)
    elif name in RATES:
        value /= 1e9
    assert getattr(settings_from({PREFIX + name.upper(): repr(value)}), name) == value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "5", None, True])
def test_a_record_is_held_to_it_too(name, value):
    with pytest.raises(ConfigError, match=name):
        checked(MCPSettings()._replace(**{name: value}))


def test_the_facade_takes_both(monkeypatch):
    monkeypatch.setenv(PREFIX + "TOOL_CACHE_TTL_MINUTES", "3")
    assert MCPClientFacade().settings.tool_cache_ttl_minutes == 3
    assert MCPClientFacade().get_cache_stats()["cache_ttl_minutes"] == 3
    given_ones = MCPSettings(client_ttl_seconds=5)
    assert MCPClientFacade(given_ones).settings is given_ones
    monkeypatch.setenv(PREFIX + "TOOL_CACHE_TTL_MINUTES", "three")
    with pytest.raises(ConfigError):
        MCPClientFacade()
    with pytest.raises(ConfigError):
        MCPClientFacade(MCPSettings(client_ttl_seconds=-5))


def test_the_longest_times_are_times():
    longest = MCPSettings(*(1 if name in RATES else 1e9 for name in DEFAULTS))
    assert MCPClientFacade(longest).get_cache_stats()["cache_ttl_minutes"] == 1e9
