"""What a TransportManager allows and how long it waits: the reference's fields, units, defaults.

Fields and defaults are those of the dcc-mcp-core 0.12 documentation (``TransportConfig``,
``PoolConfig``, ``SessionConfig``), of which its Python never let anybody set more than four. Times
are seconds; anything with ``total_seconds()`` (a ``timedelta``) is taken as well.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, Optional, Tuple, Type, TypeVar, Union

from ..errors import ConfigError

__all__ = [
    "Default",
    "PoolConfig",
    "Seconds",
    "SessionConfig",
    "TransportConfig",
    "resolve",
    "wait_time",
]

#: A number, or whatever has ``total_seconds()``.
Seconds = Union[float, Any]

#: The longest any system lets a socket wait: milliseconds in 31 bits.
LONGEST_WAIT = 2147483.0

T = TypeVar("T")
C = TypeVar("C", bound="_Config")


class Default(int):
    """A documented default that nobody asked for: shows as its number, yields to the ``config``."""


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError("{} is {!r}; it takes a whole number, 0 or more".format(name, value))
    return int(value)


def _seconds(name: str, value: Seconds) -> float:
    total = getattr(value, "total_seconds", None)
    number = total() if total is not None else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number >= 0:
        raise ConfigError("{} is {!r}; it takes seconds, 0 or more".format(name, value))
    try:
        return float(number)
    except OverflowError:
        raise ConfigError("{} is too large; it takes seconds as a float".format(name)) from None


def wait_time(name: str, value: Seconds, zero: bool = False) -> float:
    """Return a time to wait in seconds. Raises ConfigError for what no system can wait."""
    seconds = _seconds(name, value)
    if seconds > LONGEST_WAIT or not (seconds or zero):
        raise ConfigError(
            "{} is {!r}; it takes seconds {} 0 and at most {:.0f}".format(
                name, value, "from" if zero else "over", LONGEST_WAIT
            )
        )
    return seconds


def _any_wait(name: str, value: Seconds) -> float:
    return min(_seconds(name, value), LONGEST_WAIT)


def _kind(name: str, value: Optional[T], kind: Type[T], default: T) -> T:
    if value is None:
        return default
    if not isinstance(value, kind):
        raise ConfigError("{} is {!r}; it takes a {}".format(name, value, kind.__name__))
    return value


class _Config:
    """Values that are checked once and then stand: managers may share them, on any thread."""

    __slots__: Tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("{} cannot be changed; make a new one".format(type(self).__name__))

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def _set(self, *values: Any) -> None:
        for name, value in zip(self.__slots__, values):
            object.__setattr__(self, name, value)

    def _values(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self.__slots__)

    def replace(self: C, **changes: Any) -> C:
        """Return a copy with some fields changed and checked."""
        return type(self)(**dict(zip(self.__slots__, self._values()), **changes))

    def __reduce__(self) -> Any:
        return type(self), tuple(self._values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Config) or type(other) is not type(self):
            return NotImplemented
        return tuple(self._values()) == tuple(other._values())

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def __repr__(self) -> str:
        pairs = zip(self.__slots__, self._values())
        return "{}({})".format(type(self).__name__, ", ".join("{}={!r}".format(*p) for p in pairs))


class PoolConfig(_Config):
    """How many connections there are and how long they are kept. Raises ConfigError.

    ``max_connections_per_type``: to all instances of one kind of host together. A connection
    nobody has borrowed goes when it has been idle longer than ``max_idle_time`` or is older than
    ``max_lifetime``. A borrower waits ``acquire_timeout`` for one; 0: no waiting.
    """

    __slots__ = ("max_connections_per_type", "max_idle_time", "max_lifetime", "acquire_timeout")

    max_connections_per_type: int
    max_idle_time: float
    max_lifetime: float
    acquire_timeout: float

    def __init__(
        self,
        max_connections_per_type: int = 10,
        max_idle_time: Seconds = 300.0,
        max_lifetime: Seconds = 3600.0,
        acquire_timeout: Seconds = 30.0,
    ) -> None:
        self._set(
            _count("max_connections_per_type", max_connections_per_type),
            _seconds("max_idle_time", max_idle_time),
            _seconds("max_lifetime", max_lifetime),
            wait_time("acquire_timeout", acquire_timeout, zero=True),
        )


class SessionConfig(_Config):
    """When sessions change by themselves, and how reconnecting is paced. Raises ConfigError.

    A session unused for longer than ``idle_timeout`` becomes idle; one older than
    ``max_session_lifetime`` is closed. The n-th of at most ``reconnect_max_retries`` attempts is to
    wait ``reconnect_backoff_base`` · 2ⁿ⁻¹, at most ``reconnect_backoff_cap``, less a random share
    up to ``reconnect_backoff_jitter`` (0 to 1). A connection idle for longer than
    ``heartbeat_interval`` is looked at by ``cleanup()``, and before it is lent again its peer, if
    it is one of us, proves with a ping that it still answers.
    """

    __slots__ = (
        "idle_timeout",
        "reconnect_max_retries",
        "reconnect_backoff_base",
        "max_session_lifetime",
        "heartbeat_interval",
        "reconnect_backoff_cap",
        "reconnect_backoff_jitter",
    )

    idle_timeout: float
    reconnect_max_retries: int
    reconnect_backoff_base: float
    max_session_lifetime: float
    heartbeat_interval: float
    reconnect_backoff_cap: float
    reconnect_backoff_jitter: float

    def __init__(
        self,
        idle_timeout: Seconds = 300.0,
        reconnect_max_retries: int = 3,
        reconnect_backoff_base: Seconds = 1.0,
        max_session_lifetime: Seconds = 3600.0,
        heartbeat_interval: Seconds = 5.0,
        reconnect_backoff_cap: Seconds = float("inf"),
        reconnect_backoff_jitter: float = 0.0,
    ) -> None:
        jitter = _seconds("reconnect_backoff_jitter", reconnect_backoff_jitter)
        if jitter > 1.0:
            raise ConfigError(
                "reconnect_backoff_jitter is {!r}; it takes a share from 0 to 1".format(jitter)
            )
        self._set(
            _seconds("idle_timeout", idle_timeout),
            _count("reconnect_max_retries", reconnect_max_retries),
            wait_time("reconnect_backoff_base", reconnect_backoff_base, zero=True),
            _seconds("max_session_lifetime", max_session_lifetime),
            _seconds("heartbeat_interval", heartbeat_interval),
            _seconds("reconnect_backoff_cap", reconnect_backoff_cap),
            jitter,
        )


class TransportConfig(_Config):
    """Everything a TransportManager can be told. Raises ConfigError.

    Making a connection takes at most ``connect_timeout``. The rows a manager has registered are
    refreshed every ``heartbeat_interval`` (0: by nobody); a row not refreshed for three of them is
    stale.
    """

    __slots__ = ("pool", "session", "connect_timeout", "heartbeat_interval")

    pool: PoolConfig
    session: SessionConfig
    connect_timeout: float
    heartbeat_interval: float

    def __init__(
        self,
        pool: Optional[PoolConfig] = None,
        session: Optional[SessionConfig] = None,
        connect_timeout: Seconds = 10.0,
        heartbeat_interval: Seconds = 5.0,
    ) -> None:
        self._set(
            _kind("pool", pool, PoolConfig, PoolConfig()),
            _kind("session", session, SessionConfig, SessionConfig()),
            wait_time("connect_timeout", connect_timeout),
            wait_time("heartbeat_interval", heartbeat_interval, zero=True),
        )


def resolve(
    config: Optional[TransportConfig],
    max_connections_per_dcc: int,
    idle_timeout: Seconds,
    heartbeat_interval: Seconds,
    connect_timeout: Seconds,
    reconnect_max_retries: int,
) -> TransportConfig:
    """Join a manager's arguments and its ``config``; an argument that was given wins.

    The reference takes any number and never looks at some, so these times are not refused: what is
    longer than a system can wait becomes that long, and a ``connect_timeout`` of 0 counts as not
    given. Raises ConfigError that names the argument.
    """
    base = _kind("config", config, TransportConfig, TransportConfig())
    pool, session = base.pool, base.session

    def pick(name: str, check: Callable[[str, Any], Any], value: Any, otherwise: Any) -> Any:
        return otherwise if isinstance(value, Default) else check(name, value)

    return TransportConfig(
        pool.replace(
            max_connections_per_type=pick(
                "max_connections_per_dcc",
                _count,
                max_connections_per_dcc,
                pool.max_connections_per_type,
            )
        ),
        session.replace(
            idle_timeout=pick("idle_timeout", _seconds, idle_timeout, session.idle_timeout),
            reconnect_max_retries=pick(
                "reconnect_max_retries",
                _count,
                reconnect_max_retries,
                session.reconnect_max_retries,
            ),
        ),
        pick("connect_timeout", _any_wait, connect_timeout, 0.0) or base.connect_timeout,
        pick("heartbeat_interval", _any_wait, heartbeat_interval, base.heartbeat_interval),
    )
