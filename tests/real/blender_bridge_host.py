"""Runs inside Blender: starts the server with a test's tools, and serves until it is killed.

    blender -b --python blender_bridge_host.py -- '{"root": …, "tools": …}'

Prints one JSON line once it is there: port, pid, instance_id, and the host's own ``python``.
"""

from __future__ import annotations

import json
import os
import sys

OPTIONS = json.loads(sys.argv[sys.argv.index("--") + 1])
# The checkout is run where it lies, and tests leave nothing there.
sys.dont_write_bytecode = True
sys.path.insert(0, OPTIONS["root"])

import dcc_mcp_embed

server = dcc_mcp_embed.start("blender", port=0, tools=[OPTIONS["tools"]])
name = "python{}.{}".format(*sys.version_info)
facts = {
    "port": server.port,
    "pid": server.pid,
    "instance_id": server.instance_id,
    "python": os.path.join(sys.base_prefix, "bin", name),
}
sys.stdout.write("\n" + json.dumps(facts) + "\n")
sys.stdout.flush()
server.serve_forever()
