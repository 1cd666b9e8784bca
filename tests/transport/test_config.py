"""Configuration: the documented fields and defaults, checked once, an argument over the config."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta

import pytest

from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.transport.config import (
    LONGEST_WAIT,
    Default,
    PoolConfig,
    SessionConfig,
    TransportConfig,
    resolve,
)

#: Class -> field -> default, as the seed's tables have them; times in seconds.
DOCUMENTED = {
    PoolConfig: {
        "max_connections_per_type": 10,
        "max_idle_time": 300.0,
        "max_lifetime": 3600.0,
        "acquire_timeout": 30.0,
    },
    SessionConfig: {
        "idle_timeout": 300.0,
        "reconnect_max_retries": 3,
        "reconnect_backoff_base": 1.0,
        "max_session_lifetime": 3600.0,
        "heartbeat_interval": 5.0,
    },
    TransportConfig: {
        "pool": PoolConfig(),
        "session": SessionConfig(),
        "connect_timeout": 10.0,
        "heartbeat_interval": 5.0,
    },
}
FIELDS = [
    (kind, name, default) for kind, fields in DOCUMENTED.items() for name, default in fields.items()
]
TIMES = [(kind, name) for kind, name, default in FIELDS if isinstance(default, float)]
COUNTS = [(kind, name) for kind, name, default in FIELDS if isinstance(default, int)]
HUGE = pytest.param(10**400, id="no float")


@pytest.mark.parametrize(("kind", "name", "default"), FIELDS)
def test_field_has_its_documented_default(kind, name, default):
    assert getattr(kind(), name) == default
    assert type(getattr(kind(), name)) is type(default)


@pytest.mark.parametrize(("kind", "name"), TIMES)
def test_time_is_taken_as_seconds_or_timedelta(kind, name):
    assert getattr(kind(**{name: 7}), name) == 7.0
    assert getattr(kind(**{name: 0.25}), name) == 0.25
    assert getattr(kind(**{name: timedelta(minutes=1, milliseconds=500)}), name) == 60.5


@pytest.mark.parametrize(("kind", "name"), TIMES)
@pytest.mark.parametrize(
    "bad", [-1, -0.5, float("nan"), HUGE, "5", None, True, timedelta(seconds=-1)]
)
def test_what_is_no_time_is_refused_by_name(kind, name, bad):
    with pytest.raises(ConfigError, match=name + " is .* takes"):
        kind(**{name: bad})


@pytest.mark.parametrize(("kind", "name"), COUNTS)
@pytest.mark.parametrize("bad", [-1, 1.5, "5", None, True])
def test_what_is_no_count_is_refused_by_name(kind, name, bad):
    with pytest.raises(ConfigError, match=name + " is .* takes a whole number"):
        kind(**{name: bad})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("connect_timeout", 0),
        ("connect_timeout", float("inf")),
        ("connect_timeout", 1e10),
        ("heartbeat_interval", float("inf")),
        ("heartbeat_interval", 1e10),
    ],
)
def test_wait_that_no_system_can_wait_is_refused(name, bad):
    with pytest.raises(ConfigError, match=name):
        TransportConfig(**{name: bad})


def test_waiting_for_a_connection_may_be_forbidden_but_not_endless():
    assert PoolConfig(acquire_timeout=0).acquire_timeout == 0.0
    with pytest.raises(ConfigError, match="acquire_timeout"):
        PoolConfig(acquire_timeout=float("inf"))


def test_age_may_be_unlimited():
    assert PoolConfig(max_lifetime=float("inf")).max_lifetime == float("inf")


def test_jitter_is_a_share():
    assert SessionConfig(reconnect_backoff_jitter=1).reconnect_backoff_jitter == 1.0
    with pytest.raises(ConfigError, match="share from 0 to 1"):
        SessionConfig(reconnect_backoff_jitter=1.1)


@pytest.mark.parametrize(("name", "bad"), [("pool", SessionConfig()), ("session", {"a": 1})])
def test_part_of_another_kind_is_refused(name, bad):
    with pytest.raises(ConfigError, match="{} is .* takes a {}Config".format(name, name.title())):
        TransportConfig(**{name: bad})


def test_config_cannot_be_changed_after_the_check():
    config = PoolConfig()
    with pytest.raises(AttributeError, match="PoolConfig cannot be changed"):
        config.max_lifetime = -1
    with pytest.raises(AttributeError):
        del config.max_lifetime
    assert config == PoolConfig()


def test_config_is_a_value():
    one = TransportConfig(pool=PoolConfig(3), connect_timeout=2)
    assert one == TransportConfig(PoolConfig(3), None, 2.0)
    assert hash(one) == hash(TransportConfig(PoolConfig(3), None, 2.0))
    assert one != TransportConfig()
    assert one.pool != (3, 300.0, 3600.0, 30.0)
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert repr(one.pool) == (
        "PoolConfig(max_connections_per_type=3, max_idle_time=300.0, max_lifetime=3600.0, "
        "acquire_timeout=30.0)"
    )


def resolved(config=None, **given):
    arguments = {
        "max_connections_per_dcc": Default(10),
        "idle_timeout": Default(300),
        "heartbeat_interval": Default(5),
        "connect_timeout": Default(10),
        "reconnect_max_retries": Default(3),
    }
    return resolve(config, **dict(arguments, **given))


def test_without_arguments_the_config_stands():
    config = TransportConfig(
        PoolConfig(3), SessionConfig(idle_timeout=4, reconnect_max_retries=5), 6, 7
    )
    assert resolved(config) == config
    assert resolved() == TransportConfig()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("max_connections_per_dcc", lambda c: c.pool.max_connections_per_type),
        ("idle_timeout", lambda c: c.session.idle_timeout),
        ("heartbeat_interval", lambda c: c.heartbeat_interval),
        ("connect_timeout", lambda c: c.connect_timeout),
        ("reconnect_max_retries", lambda c: c.session.reconnect_max_retries),
    ],
)
def test_argument_wins_over_the_config_and_touches_nothing_else(name, read):
    config = TransportConfig(PoolConfig(30), SessionConfig(40, 50), 60, 70)
    changed = resolved(config, **{name: 2})
    assert read(changed) == 2
    assert read(config) != 2
    same = resolved(changed, **{name: read(config)})
    assert same == config
    with pytest.raises(ConfigError, match=name + " is -1"):
        resolved(config, **{name: -1})


def test_arguments_that_the_reference_takes_are_taken():
    config = TransportConfig(connect_timeout=6, heartbeat_interval=7)
    assert resolved(config, connect_timeout=0).connect_timeout == 6
    assert resolved(config, heartbeat_interval=0).heartbeat_interval == 0
    for name in ("connect_timeout", "heartbeat_interval"):
        for much in (10**9, 2**64 - 1, float("inf")):
            assert getattr(resolved(config, **{name: much}), name) == LONGEST_WAIT
    assert resolved(config, idle_timeout=2**64 - 1).session.idle_timeout == 2.0**64
    assert resolved(config, idle_timeout=0, max_connections_per_dcc=0).pool == PoolConfig(0)


def test_argument_that_equals_the_default_wins_too():
    assert resolved(TransportConfig(connect_timeout=2), connect_timeout=10).connect_timeout == 10.0


def test_config_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match="config is .* takes a TransportConfig"):
        resolved({"connect_timeout": 3})
