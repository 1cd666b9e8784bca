"""Limits and settings: units, defaults, reasons. No other module reads the environment."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple, TypeVar

from .errors import ConfigError
from .records import NamedTuple

__all__ = [
    "EXEC_MODES",
    "HOSTLESS",
    "PREFERRED_PORTS",
    "PROFILES",
    "Limits",
    "Settings",
    "data_dir",
    "registry_lock_times",
    "settings_from",
    "temp_dir",
]

#: Origins without a host: of a sandboxed page, and of a file's in a program made with Electron.
HOSTLESS = ("null", "file://")
#: All others; a slash behind one is left out.
_ORIGIN = r"(?i)[a-z][a-z0-9+.-]*://[^\s/?#@*]+/*"

T = TypeVar("T")

#: Where each kind of host listens if it can. Below every system's ephemeral range (Linux starts
#: at 32768, Windows at 49152) and clear of the ports other DCC bridges are known to use (9876,
#: 8100-8115, 8765, 7001, 50007, 18811, 8080, 20228, 9765, 59765, 55557).
PREFERRED_PORTS = {
    "maya": 21340,
    "houdini": 21341,
    "3dsmax": 21342,
    "blender": 21343,
    "standalone": 21344,
}

EXEC_MODES = ("off", "confirm", "on")

#: Which tools `tools/list` shows.
PROFILES = ("core", "full")


class Limits(NamedTuple):
    """What one server allows. Sizes in bytes, times in seconds."""

    head_bytes: int = 16 * 1024
    body_bytes: int = 16 * 1024 * 1024
    #: Of all bodies together that have begun and not ended, not counting the first 64 KiB of each.
    bodies_in_flight: int = 64 * 1024 * 1024
    connections: int = 256
    #: Connections that have not shown a token yet; see ``connect_grace``.
    unauthenticated: int = 32
    #: How long a new connection counts as merely new: 64 clients may connect in one burst.
    connect_grace: float = 1.0
    #: A request head that has begun must be complete by then (slow-loris).
    head_timeout: float = 10.0
    #: The hello of a framed connection must be complete by then (DESIGN: two seconds).
    hello_timeout: float = 2.0
    #: A body must be complete by then; on loopback even the largest takes a fraction of a second.
    body_timeout: float = 60.0
    #: A silent keep-alive connection is closed after this.
    idle_timeout: float = 300.0
    #: A connection that we are closing may go on writing to us that long; it is dropped.
    linger: float = 2.0
    #: Unsent bytes at which a connection is no longer read, so that a peer that does not read its
    #: answers cannot make us hold more of them.
    high_water: int = 1024 * 1024
    #: Unsent bytes of all connections together; past this whoever is furthest behind is dropped.
    unsent: int = 64 * 1024 * 1024
    queued_jobs: int = 64
    #: Calls of one framed connection that are under way at once; more are told that it is busy.
    framed_calls: int = 64
    #: Main-thread seconds one pump may spend after its first job, so that the host's UI stays live.
    pump_budget: float = 0.008
    #: A tool call without a time of its own. Clients give up after 60 s (TypeScript SDK, Codex).
    call_timeout: float = 50.0
    #: How long a question to the user may stay open before the call is refused.
    ask_timeout: float = 45.0
    #: How long a tool that asks its client waits for each answer: a person may have to think.
    answer_timeout: float = 300.0
    #: Calls that wait for such answers at once.
    asking_calls: int = 32
    sessions: int = 1024
    log_lines: int = 2000


class Settings(NamedTuple):
    """What a user or an administrator decides."""

    data_dir: str
    port: Optional[int] = None
    auth: bool = True
    #: off | confirm | on; None: ``confirm`` where the host has a user interface, else ``off``.
    exec_mode: Optional[str] = None
    #: Whether whoever reaches a dcc-mcp gateway may call tools (none that runs code).
    gateway: bool = False
    #: The port for a dcc-mcp sidecar, 0 for any free one; None: there is none.
    qtserver: Optional[int] = None
    registry_dir: Optional[str] = None
    #: More origins that may call, besides loopback ones: ``scheme://host[:port]``, ``null``, ``file://``.
    origins: Tuple[str, ...] = ()
    limits: Limits = Limits()
    #: core | full: whether `tools/list` shows what most need, in few bytes, or everything.
    profile: str = "core"
    #: Answer MCP with a stream of events always: a session keeps it for whoever lost a connection.
    always_stream: bool = False


def data_dir(environ: Mapping[str, str], platform: str) -> str:
    """Return the per-user directory for the secret and the journal (not created here).

    ``DCC_MCP_EMBED_HOME`` names it outright; otherwise the platform's place for local user data.
    """
    given = environ.get("DCC_MCP_EMBED_HOME")
    if given:
        return os.path.abspath(os.path.expanduser(given))
    home = os.path.expanduser("~")
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(base, "dcc_mcp_embed")


#: What Python calls ``CS_DARWIN_USER_TEMP_DIR``, where it knows the name.
_DARWIN_TEMP = 65537


def homes(environ: Mapping[str, str]) -> List[str]:
    """Return the places of the user's home, as the system has it and as a host may have moved it.

    Maya on Windows has HOME be the folder for documents, which Python 3.7 takes for the home.
    """
    named = [environ.get(name) for name in ("HOME", "USERPROFILE")]
    found = {os.path.expanduser("~"), *filter(None, named)}
    return sorted(found | {os.path.realpath(one) for one in found})


def temp_dir(environ: Mapping[str, str], platform: str) -> str:
    """Return the directory for temporary files in which programs in Rust look for the registry.

    That is not always Python's: on POSIX they ask ``TMPDIR`` only, on Windows the system, which
    asks ``TMP``, ``TEMP`` and ``USERPROFILE`` (std::env::temp_dir, GetTempPath).
    """
    if platform == "win32":
        named = (environ.get(name) for name in ("TMP", "TEMP", "USERPROFILE"))
        return next(filter(None, named), environ.get("SystemRoot") or "C:\\Windows")
    fallback = "/tmp"
    if platform == "darwin" and not environ.get("TMPDIR"):
        try:
            fallback = os.confstr(_DARWIN_TEMP) or fallback
        except (OSError, ValueError):
            pass  # a system that does not know the number
    return environ.get("TMPDIR") or fallback


#: Milliseconds, as dcc-mcp-core has them: to wait for the registry's lock, and between attempts.
_REGISTRY_LOCK = (
    ("DCC_MCP_REGISTRY_LOCK_TIMEOUT_MS", 2000),
    ("DCC_MCP_REGISTRY_LOCK_BACKOFF_MS", 10),
)


def registry_lock_times(environ: Mapping[str, str]) -> Tuple[float, float]:
    """Return how long to wait for the registry's lock, and between two attempts. Seconds.

    Environment: ``DCC_MCP_REGISTRY_LOCK_TIMEOUT_MS``, ``DCC_MCP_REGISTRY_LOCK_BACKOFF_MS``. What
    is no positive number counts as absent, as it does for dcc-mcp-core.
    """
    found = []
    for name, default in _REGISTRY_LOCK:
        text = environ.get(name, "").strip()
        value = int(text) if text.isdecimal() and len(text) < 10 else 0
        found.append((value or default) / 1000)
    return found[0], found[1]


def _port(text: str, source: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise ConfigError(
            "{} is {!r}; it takes a port from 0 (any free one) to 65535".format(source, text)
        )
    return port


def _exec_mode(text: str, source: str) -> str:
    if text not in EXEC_MODES:
        raise ConfigError("{} is {!r}; it takes off, confirm or on".format(source, text))
    return text


def _profile(text: str, source: str) -> str:
    if text not in PROFILES:
        raise ConfigError("{} is {!r}; it takes core or full".format(source, text))
    return text


def _origins(given: Sequence[str]) -> Tuple[str, ...]:
    """Return the origins. A text is a sequence too: of characters, of which none is ever sent."""
    if isinstance(given, str):
        raise ConfigError("origins is {0!r}; it takes a list, such as [{0!r}]".format(given))
    origins = tuple(given)
    for one in origins:
        if one not in HOSTLESS and not (isinstance(one, str) and re.fullmatch(_ORIGIN, one)):
            raise ConfigError(
                "origins has {!r}; it takes what browsers send, scheme://host[:port]".format(one)
            )
    return origins


def _limits(given: Limits) -> Limits:
    if not isinstance(given, Limits):
        raise ConfigError("limits is {!r}; it takes Limits(...)".format(given))
    return given


def _chosen(
    given: Any, name: str, environ: Mapping[str, str], variable: str, read: Callable[[str, str], T]
) -> Optional[T]:
    """Return the argument ``name`` if it is given, else what stands in ``variable``, if anything.

    ``read(text, source)`` raises ConfigError for what cannot be used.
    """
    if given is not None:
        return read(str(given), name)
    text = environ.get(variable)
    return read(text, variable) if text else None


def settings_from(
    environ: Mapping[str, str],
    platform: str,
    port: Optional[int] = None,
    auth: bool = True,
    exec_mode: Optional[str] = None,
    gateway: bool = False,
    registry_dir: Optional[str] = None,
    origins: Sequence[str] = (),
    limits: Limits = Limits(),
    profile: Optional[str] = None,
    qtserver: Optional[int] = None,
    always_stream: bool = False,
) -> Settings:
    """Join arguments and environment into settings; an argument wins. Raises ConfigError.

    Environment: ``DCC_MCP_EMBED_HOME`` (directory), ``DCC_MCP_EMBED_PORT`` (number),
    ``DCC_MCP_EMBED_EXEC`` (off | confirm | on), ``DCC_MCP_EMBED_PROFILE`` (core | full),
    ``DCC_MCP_REGISTRY_DIR`` (directory).
    """
    return Settings(
        data_dir=data_dir(environ, platform),
        port=_chosen(port, "port", environ, "DCC_MCP_EMBED_PORT", _port),
        auth=auth,
        exec_mode=_chosen(exec_mode, "exec_mode", environ, "DCC_MCP_EMBED_EXEC", _exec_mode),
        gateway=gateway,
        qtserver=None if qtserver is None else _port(str(qtserver), "qtserver"),
        registry_dir=registry_dir or environ.get("DCC_MCP_REGISTRY_DIR") or None,
        origins=_origins(origins),
        limits=_limits(limits),
        profile=_chosen(profile, "profile", environ, "DCC_MCP_EMBED_PROFILE", _profile) or "core",
        always_stream=always_stream,
    )
