"""One call of one tool through a sidecar, as the proof that calls arrive.

Straight to the address: neither a proxy from the environment nor a redirect is followed. A sidecar
that sends a byte now and then gets no more time than one that is silent.
"""

from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, cast

if TYPE_CHECKING:
    import http.client
    import socket

__all__ = ["judge_reply", "probe_sidecar_tool", "request_of"]

#: Bytes of an answer; a probe tool says a sentence.
MAX_REPLY = 4 * 1024 * 1024
#: Seconds. No socket can be given a time without end.
_LEAST_TIMEOUT, _MOST_TIMEOUT = 0.1, 86400.0
_CHUNK = 64 * 1024


class _Reply(NamedTuple):
    status: int
    body: bytes


def probe_sidecar_tool(
    mcp_url: Any,
    tool_name: Any,
    arguments: Optional[Mapping[str, Any]] = None,
    *,
    timeout_secs: float = 3.0,
) -> Dict[str, Any]:
    """Call ``tool_name`` at a sidecar's ``mcp_url`` once and say whether it worked.

    Blocks up to ``timeout_secs`` (0.1 to a day) for the whole exchange, besides the look-up of a
    name and all addresses of it but one. ``{success, status, message}`` and, where there are any,
    ``mcp_url, tool_name, request_id, http_status, response, error, result``. ``status`` is
    ``probe_ok``, ``probe_failed`` (the tool or the sidecar says so, ``message`` has its words),
    ``probe_bad_response`` (no JSON-RPC answer to this request), ``probe_http_error``,
    ``probe_unreachable`` (``error`` says why, also of arguments that are no JSON),
    ``probe_missing_url`` or ``probe_missing_tool``. ``error`` is a text, in ``probe_failed`` an
    object. Raises nothing.
    """
    url = str(mcp_url or "").strip()
    tool = str(tool_name or "").strip()
    known = {"mcp_url": url or None, "tool_name": tool or None}
    if not url:
        return _result("probe_missing_url", "The sidecar's entry has no mcp_url.", **known)
    if not tool:
        return _result("probe_missing_tool", "No tool was named to probe with.", **known)
    ident = "sidecar-ready-probe-" + os.urandom(16).hex()
    known["request_id"] = ident
    try:
        reply = _post(url, request_of(tool, arguments, ident), float(timeout_secs))
    except _errors() as error:
        message = "The sidecar's address could not be reached, or did not answer in time."
        return _result("probe_unreachable", message, error=_told(error), **known)
    return dict(judge_reply(reply.status, reply.body, ident), **known)


def request_of(tool: str, arguments: Optional[Mapping[str, Any]], ident: str) -> bytes:
    """Return the request that calls the tool. Raises TypeError, ValueError, RecursionError."""
    import json

    request = {
        "jsonrpc": "2.0",
        "id": ident,
        "method": "tools/call",
        "params": {"name": tool, "arguments": dict(arguments or {})},
    }
    return json.dumps(request, allow_nan=False).encode("utf-8")


def judge_reply(status: int, body: bytes, request_id: str) -> Dict[str, Any]:
    """Return what an answer to the request ``request_id`` proves. Pure."""
    import json

    text = body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not 200 <= status < 300:
        said = answer if answer is not None else text[:4096]
        message = "The sidecar refused the probe, HTTP status {}.".format(status)
        return _result("probe_http_error", message, http_status=status, response=said)
    if not isinstance(answer, dict):
        message = "The sidecar's answer is not a JSON object."
        return _result(
            "probe_bad_response", message, http_status=status, response=answer or text[:4096]
        )
    if answer.get("id", request_id) not in (request_id, None):
        message = "The sidecar answered another request."
        return _result("probe_bad_response", message, http_status=status, response=answer)
    error = answer.get("error")
    if error:  # an empty one is none
        error = error if isinstance(error, dict) else {"message": error}
        message = _words(error.get("message"), "The sidecar answered with an error.")
        return _result("probe_failed", message, http_status=status, error=error)
    if "result" not in answer:
        message = "The sidecar's answer is none: it has neither a result nor an error."
        return _result("probe_bad_response", message, http_status=status, response=answer)
    result = answer["result"]
    if isinstance(result, dict) and (
        result.get("isError") is True or result.get("success") is False
    ):
        said = result.get("message") or result.get("error")
        message = _words(said, "The tool says that it failed.")
        return _result("probe_failed", message, http_status=status, result=result)
    return _result(
        "probe_ok", "The tool was called and answered.", http_status=status, result=result
    )


def _words(said: Any, otherwise: str) -> str:
    return str(said) if said else otherwise


def _result(status: str, message: str, **more: Any) -> Dict[str, Any]:
    known = {name: value for name, value in more.items() if value is not None}
    return dict(known, success=status == "probe_ok", status=status, message=message)


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _errors() -> Any:
    import http.client

    # The other three: of arguments that are no JSON, and of a time that is no number.
    wrong = (TypeError, OverflowError, RecursionError)
    return (OSError, ValueError, http.client.HTTPException, *wrong)


class _Incoming(io.RawIOBase):
    """What arrives on a socket, all of it before ``until`` (monotonic seconds)."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        super().__init__()
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_remaining(self._until))
        return self._sock.recv_into(buffer)


class _Wire:
    """As much of a socket as ``http.client`` uses once it is connected."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def sendall(self, octets: Any) -> None:
        self._sock.settimeout(_remaining(self._until))
        self._sock.sendall(octets)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._until))

    def close(self) -> None:
        self._sock.close()


def _remaining(until: float) -> float:
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("it took too long")
    return remaining


def _post(url: str, body: bytes, timeout: float) -> _Reply:
    """Send one POST and return its answer. Raises OSError, ValueError, HTTPException."""
    import http.client
    from urllib.parse import urlsplit

    until = time.monotonic() + min(_MOST_TIMEOUT, max(_LEAST_TIMEOUT, timeout))
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not the address of a sidecar: {!r}".format(url))
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=_remaining(until))
    try:
        connection.connect()
        connection.sock = cast(Any, _Wire(connection.sock, until))
        connection.request(
            "POST",
            (parts.path or "/") + ("?" + parts.query if parts.query else ""),
            body,
            {
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Connection": "close",
            },
        )
        response = connection.getresponse()
        try:
            return _Reply(response.status, _read(response))
        finally:
            response.close()
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse) -> bytes:
    pieces: List[bytes] = []
    size = 0
    while True:
        piece = response.read(_CHUNK)
        if not piece:
            if response.length:  # what is missing of the announced length
                raise ValueError("the answer was cut off")
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > MAX_REPLY:
            raise ValueError("the answer is longer than {} bytes".format(MAX_REPLY))
