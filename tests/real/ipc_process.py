"""The SocketServer of ipc_server.py as the tests see it: started, asked, ended."""

from __future__ import annotations

import json
import os
import sys

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.secret import open_secret
from fakes.served import environment
from real.processes import Process

HERE = os.path.dirname(os.path.abspath(__file__))


class Server(Process):
    """The server; ``secret`` is its user's, ``begun`` and ``ended`` are what it has done so far."""

    def __init__(self, home, kind="unix", port=0, sync=False, **limits):
        where = (
            {"socket_path": os.path.join(home, "s.sock")}
            if kind == "unix"
            else {"host": "127.0.0.1", "port": port}
        )
        self.journal = os.path.join(home, "journal")
        settings = {
            "server": dict(where, account_id="server"),
            "limits": limits,
            "sync": sync,
            "journal": self.journal,
        }
        self.secret = open_secret(home, SystemClock())
        super().__init__(
            [sys.executable, "-W", "error", os.path.join(HERE, "ipc_server.py")]
            + [json.dumps(settings)],
            dict(environment(home), PYTHONFAULTHANDLER="1"),
            home,
            "server",
        )
        try:
            self.address = TransportAddress.parse(self.json_line()["address"])
        except BaseException:
            self.close()
            raise

    def stats(self):
        return self.ask({"command": "stats"})["stats"]

    def stop(self):
        """End it in order, and with nothing on its stderr."""
        self._child.stdin.write(b'{"command": "stop"}\n')
        self._child.stdin.flush()
        assert self.wait() == 0, self.problem("has failed")
