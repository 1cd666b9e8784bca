"""Ask what is behind a registry entry to stop, at the URL that its row publishes for that."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional, Tuple

    Address = Tuple[str, int, str]

__all__ = ["address_of", "ask"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Paths that the dcc-mcp gateway accepts too.
_PATHS = ("/safe-stop", "/stop")
#: Bytes of an answer in which its first line ends.
_LIMIT = 8192


def address_of(entry: Mapping[str, Any]) -> Optional[Address]:
    """Return (host, port, path) of a row's safe stop; None if it has none that can be used. Pure.

    A row is a claim: it must not have us send things to anything but the server that it names.
    """
    metadata = entry["metadata"]
    if str(metadata.get("safe_stop_method") or "POST").upper() != "POST":
        return None
    found = _split(metadata.get("safe_stop_url"))
    if found is None or found[0] not in _LOOPBACK or found[2] not in _PATHS:
        return None
    served = _split(entry["mcp_url"])
    ports = [entry["port"]]
    if served is not None and served[0] in _LOOPBACK:
        ports.append(served[1])
    return found if found[1] in ports else None


def _split(url: Any) -> Optional[Address]:
    from urllib.parse import urlsplit

    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return (host, port, parts.path) if host and port else None


def ask(
    entry: Mapping[str, Any], address: Address, deadline: float, now: Callable[[], float]
) -> Optional[str]:
    """Send what the row says; return why it was refused, None if it was not.

    Blocks up to the deadline (of ``now``), and 50 ms if that is over.
    """
    import socket

    host, port, path = address
    metadata = entry["metadata"]
    body: Dict[str, Any] = {name: entry[name] for name in ("instance_id", "dcc_type")}
    body.update((name, metadata.get(name)) for name in ("owner", "session"))
    content = json.dumps(body).encode("ascii")
    head = (
        "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\nConnection: close\r\n\r\n"
    ).format(path, "[::1]" if ":" in host else host, port, len(content))
    try:
        with socket.create_connection((host, port), max(0.05, deadline - now())) as sock:
            sock.sendall(head.encode("ascii") + content)
            status = _status(sock, deadline, now)
    except (OSError, ValueError) as error:
        return str(error)
    return None if 200 <= status < 300 else "HTTP status {}".format(status)


def _status(sock: Any, deadline: float, now: Callable[[], float]) -> int:
    """Return the status in an answer's first line. Raises OSError, ValueError."""
    said = b""
    while b"\n" not in said and len(said) < _LIMIT:
        sock.settimeout(max(0.05, deadline - now()))
        more = sock.recv(_LIMIT)
        if not more:
            break
        said += more
    words = said.split(b"\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise ValueError("it answers something else than HTTP")
    return int(words[1])
