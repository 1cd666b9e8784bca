"""``serve``: one JSON line on stdout once ready, logs on stderr, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, Dict, Optional

from .. import __version__, embed
from ..errors import ConfigError, EmbedError
from ..logbook import Line, LogBook
from ..tools import loader

__all__ = ["StderrLog", "describe", "end_on_signals", "run"]


class StderrLog:
    """Print log lines to stderr from a thread of its own: the loop must not wait for a pipe.

    Lines that come while too many wait already are dropped; ``get_log`` still has them.
    """

    #: How many lines wait for a reader at most.
    WAITING = 2000

    def __init__(self, logbook: LogBook) -> None:
        self._lines: queue.Queue[Optional[Line]] = queue.Queue(self.WAITING)
        for line in logbook.read(self.WAITING // 2):
            self._put(line)
        self._logbook = logbook
        self._thread = threading.Thread(target=self._run, name="dcc-mcp-embed log", daemon=True)
        self._thread.start()
        logbook.forward(self._put)

    def _put(self, line: Optional[Line]) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            pass

    def close(self) -> None:
        """Print what is left, waiting at most a second for a reader, and end the thread."""
        self._logbook.forward(None)
        self._put(None)
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


def _load(name: str) -> Any:
    """Return the module with tools that ``name`` names. Raises ConfigError for a broken one too."""
    try:
        return loader.load(name)
    except EmbedError:
        raise
    except Exception as error:
        what = traceback.format_exception_only(type(error), error)
        place = traceback.extract_tb(error.__traceback__)[-1]
        if not isinstance(error, SyntaxError):
            what.insert(0, "{}:{}: ".format(place.filename, place.lineno))
        raise ConfigError(
            "The tools of {} cannot be loaded:\n{}".format(name, "".join(what).rstrip())
        ) from error


def run(options: Any) -> int:
    """Run a server until a signal ends it."""
    modules = [_load(name) for group in options.tools for name in group]
    server = embed.start(
        adapter=options.adapter,
        port=options.port,
        auth=not options.no_auth,
        exec_mode=options.exec_mode,
        gateway=options.gateway,
        registry_dir=options.registry_dir,
        tools=modules,
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
