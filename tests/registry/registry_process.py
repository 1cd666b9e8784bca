"""A process with rows of its own, for tests that kill and fork: ``python … DIRECTORY CHECKOUT``.

Says one JSON line when its row is there, then does what each line on stdin names.
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, sys.argv[2])

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry


def say(**facts):
    print(json.dumps(facts), flush=True)


def fork_and_outlive():
    """Leave a child that inherits everything, and lives until its stdin ends."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, json.dumps(registry.own()).encode())
        os.close(writer)
        sys.stdin.read()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        say(child=child, own_in_child=json.loads(pipe.read()))


registry = open_registry(sys.argv[1], {}, SystemClock())
entry = registry.register("maya", "127.0.0.1", 1)
say(id=entry.instance_id, sentinel=entry.sentinel_path)
for line in sys.stdin:
    command = line.strip()
    if command == "fork":
        fork_and_outlive()
    elif command == "fall":
        os._exit(1)
    elif command == "end":
        break
    elif command == "raise":
        raise SystemExit(3)
