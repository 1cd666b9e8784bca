"""The measuring process: one raw-socket client for every target, pinned to one CPU.

Reads a JSON order on stdin, prints a JSON result. It stands alone, so that it starts quickly and
nothing but the measurement lives in it. Linux only (epoll, /proc, CPU affinity).
"""

from __future__ import annotations

import base64
import gc
import json
import os
import re
import select
import socket
import struct
import sys
import time
from typing import Any, Callable, Dict, List, Tuple, TypeVar

Answer = TypeVar("Answer")

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)
_CHUNK = 1 << 18
#: Nothing here takes that long; a target that does is broken.
_PATIENCE = 20.0


class BadAnswer(Exception):
    """An answer that is no correct result; its text says what came."""


def complete(data: bytes) -> int:
    """Return the size of the whole HTTP response that ``data`` begins, 0 while unknown."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    found = _LENGTH.search(data, 0, end + 2)
    if found is None:
        raise BadAnswer("an answer without Content-Length: {!r}".format(data[:300]))
    return end + 4 + int(found.group(1))


def connect(port: int) -> socket.socket:
    """Return a connection to a server on this machine."""
    sock = socket.create_connection(("127.0.0.1", port), _PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # With a Python-level time-out each call would poll first. The kernel keeps the deadline.
    sock.settimeout(None)
    patience = struct.pack("ll", int(_PATIENCE), 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    return sock


def receive(sock: socket.socket) -> bytes:
    """Return one whole response."""
    data = sock.recv(_CHUNK)
    size = complete(data)
    if size and len(data) == size:
        return data
    parts, count = [data], len(data)
    while not size or count < size:
        more = sock.recv(_CHUNK)
        if not more:
            raise BadAnswer("the server closed the connection after {!r}".format(data[:300]))
        parts.append(more)
        count += len(more)
        if not size:
            data = b"".join(parts)
            size = complete(data)
    if count > size:
        raise BadAnswer("{} bytes more than one answer".format(count - size))
    return b"".join(parts)


def check(answer: bytes, text: bytes) -> None:
    """Raise BadAnswer unless it looks like a result; cheap, done for every answer."""
    good = answer.startswith(b"HTTP/1.1 200 ") and text in answer
    if not good or b'"isError":true' in answer:
        raise BadAnswer("not the result: {!r}".format(answer[:300]))


def checker(text: str) -> Callable[[bytes], None]:
    """Return ``check`` for one text."""
    wanted = text.encode("ascii")
    return lambda answer: check(answer, wanted)


def check_closely(answer: bytes, text: str) -> None:
    """Raise BadAnswer unless the body is the result of an echo tool."""
    message = json.loads(answer.partition(b"\r\n\r\n")[2])
    result = message.get("result") or {}
    content = result.get("content") or [{}]
    said = content[0].get("text")
    # dcc-mcp-core encodes what a handler returns as JSON.
    if message.get("id") != 1 or result.get("isError") or said not in (text, json.dumps(text)):
        raise BadAnswer("not the result: {!r}".format(answer[:600]))


def sequential(
    ask: Callable[[], Answer], verify: Callable[[Answer], None], seconds: float
) -> List[float]:
    """Return the seconds each call of ``ask`` took, one after the other for ``seconds``.

    ``verify`` gets each answer, off the clock; it raises BadAnswer.
    """
    clock = time.perf_counter
    times: List[float] = []
    end = clock() + seconds
    while True:
        before = clock()
        answer = ask()
        after = clock()
        times.append(after - before)
        verify(answer)
        if after > end:
            return times


def http_asker(sock: socket.socket, request: bytes, text: str) -> Callable[[], bytes]:
    """Return a function that sends ``request`` and reads the answer; the first is checked here."""
    send = sock.sendall
    send(request)
    check_closely(receive(sock), text)

    def ask() -> bytes:
        send(request)
        return receive(sock)

    return ask


def raw_asker(sock: socket.socket, asked: int, answered: int) -> Callable[[], bytes]:
    """Return a function that plays one ping-pong of the given sizes."""
    request = bytes(asked)
    received = bytearray(answered)
    sock.sendall(struct.pack(">II", asked, answered))

    def ask() -> bytes:
        sock.sendall(request)
        if sock.recv_into(received, answered, socket.MSG_WAITALL) != answered:
            raise BadAnswer("the floor answered less than it was asked for")
        return b""

    return ask


def unchecked(answer: bytes) -> None:
    """Accept what ``raw_asker`` returns: it has counted already, and there is no more to it."""


def many(port: int, requests: List[bytes], text: str, seconds: float) -> Tuple[List[float], float]:
    """Return (seconds of each call, seconds in all) of a closed loop, a connection per request."""
    wanted = text.encode("ascii")
    clock = time.perf_counter
    socks: Dict[int, socket.socket] = {}
    request_of: Dict[int, bytes] = {}
    started: Dict[int, float] = {}
    pending: Dict[int, bytes] = {}
    times: List[float] = []
    poll = select.epoll()
    try:
        for request in requests:
            sock = connect(port)
            socks[sock.fileno()] = sock
            request_of[sock.fileno()] = request
            http_asker(sock, request, text)
            sock.setblocking(False)
            poll.register(sock, select.EPOLLIN)
        begin = clock()
        end = begin + seconds
        for number, sock in socks.items():
            started[number] = clock()
            sock.sendall(request_of[number])
        open_calls = len(socks)
        while open_calls:
            ready = poll.poll(_PATIENCE)
            if not ready:
                raise BadAnswer("no answer for {} s on any connection".format(_PATIENCE))
            for number, _ in ready:
                sock = socks[number]
                data = sock.recv(_CHUNK)
                if not data:
                    raise BadAnswer("the server closed a connection")
                if number in pending:
                    data = pending.pop(number) + data
                size = complete(data)
                if not size or len(data) < size:
                    pending[number] = data
                    continue
                now = clock()
                times.append(now - started[number])
                check(data, wanted)
                if now < end:
                    started[number] = clock()
                    sock.sendall(request_of[number])
                else:
                    open_calls -= 1
        return times, clock() - begin
    finally:
        poll.close()
        for sock in socks.values():
            sock.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process so far."""
    total = 0
    folder = "/proc/{}/task".format(pid)
    for thread in os.listdir(folder):
        with open("{}/{}/schedstat".format(folder, thread), encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def quantile(values: List[float], part: float) -> float:
    """Return the value below which ``part`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def measure(order: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Fill ``result``: times in microseconds."""
    port, pid = order["port"], order["pid"]
    part = order["seconds"]
    raw = order["kind"] == "raw"
    small = [base64.b64decode(one) for one in order["small"]]
    large = base64.b64decode(order["large"])
    text, large_text = order["text"], order["large_text"]
    verify, verify_large = (unchecked if raw else checker(one) for one in (text, large_text))

    with connect(port) as sock:
        ask = raw_asker(sock, 520, 250) if raw else http_asker(sock, small[0], text)
        sequential(ask, verify, 0.05 + 0.03 * part)
        before = cpu_seconds(pid)
        times = sequential(ask, verify, 0.4 * part)
        used = cpu_seconds(pid) - before
    result["calls"] += len(times)
    result["p50"] = quantile(times, 0.5) * 1e6
    result["p99"] = quantile(times, 0.99) * 1e6
    result["cpu"] = used / len(times) * 1e6

    if not raw:
        before = cpu_seconds(pid)
        times, seconds = many(port, small, text, 0.4 * part)
        used = cpu_seconds(pid) - before
        result["calls"] += len(times)
        result["rate"] = len(times) / seconds
        result["p99_many"] = quantile(times, 0.99) * 1e6
        result["cpu_many"] = used / len(times) * 1e6

    with connect(port) as sock:
        ask = raw_asker(sock, 49152, 49152) if raw else http_asker(sock, large, large_text)
        sequential(ask, verify_large, 0.02)
        times = sequential(ask, verify_large, 0.15 * part)
    result["calls"] += len(times)
    result["large_p50"] = quantile(times, 0.5) * 1e6


def main() -> None:
    """Do one order. A bad answer ends it: it is part of the result, never a traceback."""
    order = json.load(sys.stdin)
    os.sched_setaffinity(0, {order["cpu"]})
    # Nothing here makes cycles, and a collection would be measured as the server's.
    gc.disable()
    result: Dict[str, Any] = {"calls": 0, "errors": 0}
    try:
        measure(order, result)
    except (BadAnswer, OSError, ValueError) as error:
        result["errors"] += 1
        result["error"] = str(error) or repr(error)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
