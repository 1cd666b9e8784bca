"""A server at standard input and output that behaves as it is told: ``stdio_server.py KIND``.

It speaks 2025-11-25 and nothing newer. A process of its own; standard library only, any Python.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, Dict

KIND = sys.argv[1] if len(sys.argv) > 1 else "plain"
OUT = sys.stdout
#: The tools that have been called.
CALLS = []


def say(message: Dict[str, Any]) -> None:
    OUT.write(json.dumps(message) + "\n")
    OUT.flush()


def wait() -> None:
    threading.Event().wait(60)


def child(apart: bool = False) -> subprocess.Popen:
    """Start a program that holds our pipes and does nothing; ``apart``: in another session."""
    code = "import threading; threading.Event().wait(60)"
    return subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=apart)


def call(name: str, arguments: Dict[str, Any]) -> Any:
    CALLS.append(name)
    if name == "calls":
        return " ".join(CALLS)
    if name == "pid":
        return str(os.getpid())
    if name == "child":
        return str(child().pid)
    if name == "env":
        return json.dumps({name: os.environ.get(name) for name in arguments["names"]})
    if name == "length":
        return str(len(arguments["text"]))
    if name == "echo":
        return arguments["text"]
    if name == "die":
        sys.stderr.write("the disk is full\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "leave":
        # Somebody goes on who has our pipes.
        sys.stderr.write("{}\n".format(child().pid))
        sys.stderr.flush()
        os._exit(4)
    if name == "close":
        os.close(0)
        wait()
    if name == "hang":
        wait()
    if name == "endless":
        while True:
            os.write(1, b"x" * 65536)
    if name == "chatter":
        while True:
            os.write(1, b"1\n" * 30_000)
    raise KeyError(name)


def answer(message: Dict[str, Any]) -> Any:
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}}
        info = {"name": KIND, "version": "1"}
        version = "2025-11-25"
        return {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
    if method == "tools/call":
        text = call(params["name"], params.get("arguments") or {})
        return {"content": [{"type": "text", "text": text}]}
    return None


def main() -> None:
    if KIND == "broken":
        raise SystemExit("no licence found")
    if KIND == "banner":
        print("Welcome!\n{not json}\n[1, 2]\n7\n\n" + json.dumps({"level": "info"}))
        sys.stderr.write("a word aside\n")
    if KIND == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if KIND == "holder":
        say({"pid": child(apart=True).pid})
    if KIND == "silent":
        sys.stdin.read()
    if KIND in ("holder", "silent", "unread"):
        wait()
    first = True
    for line in sys.stdin:
        message = json.loads(line)
        if KIND == "strict" and first and message["method"] != "initialize":
            raise SystemExit("expected initialize")
        if KIND == "shy" and first and message["method"] != "initialize":
            # It passes over what comes too early.
            continue
        first = False
        if "id" not in message or "method" not in message:
            continue
        if KIND == "slow":
            threading.Event().wait(0.05)
        result = answer(message)
        if result is None:
            error = {"code": -32601, "message": "unknown"}
            say({"jsonrpc": "2.0", "id": message["id"], "error": error})
        else:
            say({"jsonrpc": "2.0", "id": message["id"], "result": result})
    if KIND in ("deaf", "stubborn"):
        wait()


main()
