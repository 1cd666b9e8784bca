"""``serve``: one JSON line on stdout once ready, logs on stderr, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
from typing import Any, Dict, Optional

from .. import __version__, embed
from ..logbook import Line, LogBook

__all__ = ["StderrLog", "describe", "end_on_signals", "run"]


class StderrLog:
    """Print log lines to stderr from a thread of its own: the loop must not wait for a pipe."""

    def __init__(self, logbook: LogBook) -> None:
        self._lines: queue.Queue[Optional[Line]] = queue.Queue()
        for line in logbook.read(1000):
            self._lines.put(line)
        self._logbook = logbook
        self._thread = threading.Thread(target=self._run, name="dcc-mcp-embed log", daemon=True)
        self._thread.start()
        logbook.forward(self._lines.put)

    def close(self) -> None:
        """Print what is left and end the thread."""
        self._logbook.forward(None)
        self._lines.put(None)
        self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            if line is None:
                return
            moment = time.strftime("%H:%M:%S", time.localtime(line.wall))
            text = "{} {:7} {}: {}\n".format(moment, line.level, line.source, line.text)
            try:
                sys.stderr.write(text)
                sys.stderr.flush()
            except (OSError, ValueError):
                # Nobody reads it any more.
                return


def describe(server: embed.EmbeddedServer) -> Dict[str, Any]:
    """Return what ``serve`` prints: how to reach the server."""
    return {
        "url": server.url,
        "plain_url": server.plain_url,
        "port": server.port,
        "pid": server.pid,
        "instance_id": server.instance_id,
        "token": server.token,
        "dcc_type": server.dcc_type,
        "version": __version__,
    }


def end_on_signals(server: embed.EmbeddedServer) -> None:
    """Let SIGTERM and Ctrl-C end ``serve_forever``. Main thread of a process that is ours."""

    def end(number: int, frame: Any) -> None:
        server.adapter.close()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def run(options: Any) -> int:
    """Run a server until a signal ends it."""
    names = [name for group in options.tools for name in group]
    server = embed.start(
        adapter=options.adapter,
        port=options.port,
        auth=not options.no_auth,
        exec_mode=options.exec_mode,
        gateway=options.gateway,
        registry_dir=options.registry_dir,
        tools=names,
    )
    log = StderrLog(server.logbook)
    try:
        end_on_signals(server)
        if options.gateway or options.registry_dir:
            server.logbook.warning(
                "serve", "--gateway and --registry-dir have no effect in this version"
            )
        print(json.dumps(describe(server)), flush=True)
        server.serve_forever()
        server.logbook.info("serve", "stopping")
    finally:
        server.stop()
        log.close()
    return 0
