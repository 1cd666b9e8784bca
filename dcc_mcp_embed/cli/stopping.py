"""``stop-instance``: ask a server to stop, in the way that its row tells."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any, Optional, Tuple
from urllib.parse import SplitResult, urlsplit

from ..clock import Clock, SystemClock
from ..errors import ConfigError, Unreachable, Unsupported
from ..net.reading import events
from ..registry.entry import ServiceEntry
from ..transport_errors import RegistryFile
from ..wire import http1
from .finding import LOOPBACK, PASS, find, find_by_url, short, the_registry
from .text import complain, say

__all__ = ["stop_instance"]

#: Paths that the dcc-mcp gateway accepts too.
_PATHS = ("/safe-stop", "/stop")
#: How long between two looks whether a row is gone, or between two attempts, seconds.
_PAUSE = 0.05
#: What is read of an answer, bytes, and shown of it, characters.
_MAX_HEAD, _MAX_BODY, _SHOWN = 16 * 1024, 64 * 1024, 1000


def stop_instance(options: Any) -> int:
    """Ask a server to stop, as its row says, and wait until the row is gone."""
    clock = SystemClock()
    deadline = clock.monotonic() + options.timeout
    if options.url is not None:
        row = find_by_url(options.url, options.registry_dir)
    else:
        row = find(options.dcc, options.instance, options.registry_dir)
    registry = the_registry(options.registry_dir)
    name = short(row)
    status, said = _ask(row, deadline, clock)
    while status == 503 and clock.monotonic() < deadline - _PAUSE:
        clock.sleep(_PAUSE)
        try:
            status, said = _ask(row, deadline, clock)
        except Unreachable:
            # With its time over, what it has said is what there is to tell.
            if clock.monotonic() < deadline:
                raise
            break
    if status != 200:
        complain("{} refused to stop ({}): {}".format(name, status, said))
        return 1
    while registry.get(row.dcc_type, row.instance_id) is not None:
        if clock.monotonic() >= deadline:
            complain(
                "{} was asked to stop and has not done so within {:g} s. It takes no new calls and "
                "stops once a tool that still runs there has ended.".format(name, options.timeout)
            )
            return 1
        clock.sleep(_PAUSE)
        # What cannot be swept now is looked at again; the stop is under way all the same.
        with suppress(RegistryFile):
            registry.sweep()
    say("{} has stopped.".format(name))
    return 0


def _ask(row: ServiceEntry, deadline: float, clock: Clock) -> Tuple[int, str]:
    """Send what the row says to where it says; return the HTTP status and what was answered.

    Raises Unsupported, ConfigError for a row that cannot be used, Unreachable.
    """
    metadata = row.metadata
    url = metadata.get("safe_stop_url")
    if not url or any(not metadata.get(name) for name in PASS):
        raise Unsupported(
            "{} does not say how it can be stopped.".format(short(row)),
            hint="End it in its own window, or through whoever started it.",
        )
    parts = _split(url)
    # A row is a claim: it must not have us send things to anywhere but the server that it names.
    if (
        parts is None
        or parts[0] not in LOOPBACK
        or row.host not in LOOPBACK
        or parts[1] != row.port
    ):
        raise ConfigError(
            "The row's safe_stop_url {!r} is not on the server that it names.".format(url[:200])
        )
    host, port, path = parts
    body = {"instance_id": row.instance_id, "dcc_type": row.dcc_type}
    body.update((name, metadata[name]) for name in PASS)
    request = http1.request(
        "POST",
        path,
        (
            ("Host", "{}:{}".format("[::1]" if ":" in host else host, port)),
            ("Content-Type", "application/json"),
            ("Connection", "close"),
        ),
        json.dumps(body).encode("ascii"),
    )
    try:
        return _exchange((host, port), request, deadline, clock)
    except OSError as error:
        raise Unreachable(
            "{} cannot be reached at {}: {}".format(short(row), url, error)
        ) from error


def _split(url: str) -> Optional[Tuple[str, int, str]]:
    """Return (host, port, path) of a URL for a safe stop, None for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    plain = SplitResult("http", parts.netloc, parts.path, "", "")
    if parts != plain or "@" in parts.netloc or parts.path not in _PATHS or not host or not port:
        return None
    return host, port, parts.path


def _exchange(
    address: Tuple[str, int], request: bytes, deadline: float, clock: Clock
) -> Tuple[int, str]:
    """Send a request and return the status and the body of its answer, by ``deadline``.

    Raises OSError, also for what is no answer in HTTP.
    """
    left = max(_PAUSE, deadline - clock.monotonic())
    with socket.create_connection(address, left) as sock:
        sock.sendall(request)
        parser = http1.ResponseParser(_MAX_HEAD, _MAX_BODY, "POST")
        status, body = 0, b""
        for event in events(sock, parser, deadline, clock):
            if isinstance(event, http1.ResponseHead):
                status = event.status
            elif isinstance(event, http1.Data):
                body += event.data
            elif isinstance(event, http1.End):
                break
            else:
                raise ConnectionError(getattr(event, "reason", "it answers something else"))
    return status, body.decode("utf-8", "replace")[:_SHOWN]
