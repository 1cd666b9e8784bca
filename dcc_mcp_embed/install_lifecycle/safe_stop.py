"""Ask what is behind registry entries to stop, at the URLs that their rows publish for that."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

    Address = Tuple[str, int, str]

__all__ = ["LOOPBACK", "address_of", "ask"]

#: Hosts of addresses that mean this machine, wherever they stand.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
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
    if found is None or found[0] not in LOOPBACK or found[2] not in _PATHS:
        return None
    served = _split(entry["mcp_url"])
    ports = [entry["port"]] if entry["host"] in LOOPBACK else []
    if served is not None and served[0] in LOOPBACK:
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
    questions: List[Tuple[Mapping[str, Any], Address]], deadline: float, now: Callable[[], float]
) -> List[Optional[str]]:
    """Send to each (entry, address) what its row says; return why it refused, None if it did not.

    All are asked at once, so that one that hangs takes no time from the others. Blocks up to the
    deadline (of ``now``), whatever they send. No thread is started: this may be a host's process.
    """
    import selectors

    refusals: List[Optional[str]] = ["it did not answer in time"] * len(questions)
    said: Dict[socket.socket, bytes] = {}
    try:
        with selectors.DefaultSelector() as selector:
            for number, (entry, address) in enumerate(questions):
                # To connect takes no time, unless there is a queue for it.
                share = (deadline - now()) / (len(questions) - number)
                if share <= 0:
                    break
                try:
                    sock = _send(entry, address, share)
                except OSError as error:
                    refusals[number] = str(error)
                    continue
                said[sock] = b""
                selector.register(sock, selectors.EVENT_READ, number)
            while selector.get_map() and now() < deadline:
                for key, _ in selector.select(deadline - now()):
                    sock = key.fileobj  # type: ignore[assignment]
                    try:
                        more = sock.recv(_LIMIT)
                    except BlockingIOError:
                        continue
                    except OSError as error:
                        refusals[key.data] = str(error)
                    else:
                        said[sock] += more
                        if more and b"\n" not in said[sock] and len(said[sock]) < _LIMIT:
                            continue
                        refusals[key.data] = _refusal(said[sock])
                    selector.unregister(sock)
    finally:
        for sock in said:
            sock.close()
    return refusals


def _send(entry: Mapping[str, Any], address: Address, timeout: float) -> socket.socket:
    """Connect and send the request; return the socket, which blocks no more. Raises OSError."""
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
    sock = socket.create_connection((host, port), timeout)
    try:
        sock.sendall(head.encode("ascii") + content)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _refusal(said: bytes) -> Optional[str]:
    """Return why an answer's first line means no; None if it means yes."""
    words = said.split(b"\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3:
        return "it answers something else than HTTP"
    return None if words[1].startswith(b"2") else "HTTP status " + words[1].decode("latin-1")
