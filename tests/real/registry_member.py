"""A process that registers, beats and leaves, for the test with the real gateway.

``python registry_member.py DIRECTORY CHECKOUT NUMBER SECONDS``: says one JSON line once its lasting
row is there, another when the time is over, and then does what each line on stdin asks for.
"""

from __future__ import annotations

import http.server
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, sys.argv[2])

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.registry.heartbeat import Heartbeat

#: Seconds between beats; a real one is 5, which would make for little traffic in 30 s.
INTERVAL = 0.25

READY = json.dumps({"process": True, "dcc": True, "dispatcher": True}).encode("ascii")


class Ready(http.server.BaseHTTPRequestHandler):
    """Answers the gateway's question for readiness, and nothing else."""

    def do_GET(self):
        self.answer(200 if self.path == "/v1/readyz" else 404)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(404)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(READY)))
        self.end_headers()
        self.wfile.write(READY)

    def log_message(self, *_):
        pass


def say(**facts):
    print(json.dumps(facts), flush=True)


class Member:
    """One lasting row, and visitors that come and go."""

    def __init__(self, directory, number):
        self.random = random.Random(number)
        self.logged = []
        clock = SystemClock()
        self.registry = open_registry(directory, {}, clock, self.log)
        self.heartbeat = Heartbeat(self.registry, INTERVAL, clock, self.log)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.lasting = self.join("maya")
        self.heartbeat.start()
        self.present = {self.lasting}
        self.left, self.lost, self.resurrected = set(), [], []
        self.looks = 0

    def log(self, level, text):
        self.logged.append((level, text))

    def join(self, kind):
        port = self.server.server_address[1]
        return self.registry.register(kind, "127.0.0.1", port, metadata={"by": "test"}).instance_id

    def look(self):
        """Note whose rows are missing, and whose are there that have left."""
        ids = {one.instance_id for one in self.registry.entries()}
        self.looks += 1
        self.lost.extend(self.present - ids)
        self.resurrected.extend(self.left & ids)

    def go_round(self):
        visitor = self.join("visitor")
        self.present.add(visitor)
        for _ in range(self.random.randrange(1, 6)):
            self.look()
            self.registry.heartbeat("visitor", visitor)
            time.sleep(self.random.random() * 0.1)
        if not self.registry.deregister("visitor", visitor):
            self.lost.append(visitor)
        self.present.discard(visitor)
        self.left.add(visitor)
        self.look()

    def fork(self):
        """Leave a child behind that inherits everything and lives until it is killed."""
        child = os.fork()
        if not child:
            while True:
                time.sleep(60.0)
        return child


def main():
    member = Member(sys.argv[1], int(sys.argv[3]))
    say(lasting=member.lasting)
    end = time.monotonic() + float(sys.argv[4])
    while time.monotonic() < end:
        member.go_round()
    say(
        rounds=len(member.left),
        looks=member.looks,
        lost=member.lost,
        resurrected=member.resurrected,
        left=sorted(member.left),
        logged=member.logged,
    )
    for line in sys.stdin:
        command = json.loads(line)["do"]
        if command == "fork":
            say(child=member.fork())
        elif command == "leave":
            member.heartbeat.stop()
            say(closed=member.registry.close())


main()
