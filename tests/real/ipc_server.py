"""A SocketServer in a process of its own, for test_ipc_faults.py: ``ipc_server.py SETTINGS``.

SETTINGS is JSON: ``server`` (arguments of SocketServer), ``limits`` (of the receipts), ``sync``
(plain functions on threads instead of coroutines) and ``journal``, the file in which each effect is
one line. So what was done is known whatever becomes of this process. It says its address in a line
of JSON, then answers lines on stdin: ``stats`` and ``stop``.

Requests: ``work`` {"key", "ms", "pad"} has an effect, takes a while and returns its key, a number
made from it and the pad; ``push`` sends a push to all.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import zlib

# The package is that of the tests, wherever this file is run from.
from dcc_mcp_embed.ipc import SocketServer
from dcc_mcp_embed.rpc.receipts import Limits


def right_answer(key, pad=""):
    """Return what ``work`` returns."""
    return {"key": key, "value": zlib.crc32(key.encode("utf-8")), "pad": pad}


class Journal:
    """A line for each effect, and one for its end, in one write each."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what, key):
        os.write(self._file, "{} {}\n".format(what, key).encode("utf-8"))


def journal_of(path):
    """Return (keys whose effect began, keys whose effect ended), each as often as it did."""
    begun, ended = [], []
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            what, key = line.split()
            (begun if what == "begin" else ended).append(key)
    return begun, ended


def say(**content):
    os.write(1, json.dumps(content).encode("ascii") + b"\n")


def main():
    settings = json.loads(sys.argv[1])
    journal = Journal(settings["journal"])
    server = SocketServer(limits=Limits(**settings.get("limits", {})), **settings["server"])

    def answer(data):
        journal.note("end", data["key"])
        return right_answer(data["key"], data.get("pad", ""))

    async def work(data):
        journal.note("begin", data["key"])
        await asyncio.sleep(data["ms"] / 1000.0)
        return answer(data)

    def work_sync(data):
        journal.note("begin", data["key"])
        time.sleep(data["ms"] / 1000.0)
        return answer(data)

    async def push(data):
        return await server.push("news", data)

    def push_sync(data):
        return server.push_sync("news", data)

    sync = settings.get("sync", False)
    server.register_handler("work", work_sync if sync else work)
    server.register_handler("push", push_sync if sync else push)

    def commands(stop):
        for line in sys.stdin:
            command = json.loads(line)["command"]
            if command == "stats":
                say(stats=server.get_stats())
            else:
                break
        stop()

    if sync:
        server.start_background_sync()
        say(address=str(server.address))
        commands(lambda: None)
        server.stop_sync()
        return

    async def serve():
        over = asyncio.Event()
        loop = asyncio.get_event_loop()
        await server.start_background()
        say(address=str(server.address))

        def stop():
            loop.call_soon_threadsafe(over.set)

        threading.Thread(target=commands, args=(stop,), daemon=True).start()
        await over.wait()
        await server.stop()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
