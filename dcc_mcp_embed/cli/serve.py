"""``serve``: one JSON line on stdout once ready, logs on stderr, until Ctrl-C or SIGTERM.

The line tells of the row in the registry too, so it waits for that to be written, ten seconds at
most; until then nothing that is called runs on the main thread.

It ends, with status 0, when somebody asks for it by the safe stop that its registry row tells
of (``stop-instance``). That breaks nothing off: calls that were accepted come to their end first.

A signal is quicker: it waits for what has the main thread at that moment, and breaks off what is
between two steps or on the worker thread. A second one breaks off the former too; one SIGTERM alone
ends the process after three seconds all the same (see ``signals``).
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import sys
import threading
import time
from typing import Any, Dict, Optional

from .. import __version__, embed
from ..errors import ConfigError, EmbedError
from ..logbook import Line, LogBook
from ..tools import loader
from .signals import ends_on_signals
from .text import printable

__all__ = ["StderrLog", "describe", "launch_command", "run"]

#: How long the line waits for the row in the registry, seconds. Where a machine was busy, a second
#: was too little, and whoever had read the line found nobody.
_REGISTERED_WITHIN = 10.0


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
            # Dropped, see the class: nobody waits for whoever reads it.
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
            text = "{} {:7} {}: {}".format(moment, line.level, line.source, line.text)
            text = printable(text, "\n") + "\n"
            try:
                self._write(text.encode("utf-8", "backslashreplace"))
            except (OSError, ValueError, AttributeError):
                # Nobody reads it any more, or there is no stderr at all.
                return

    @staticmethod
    def _write(data: bytes) -> None:
        # Not through sys.stderr: a thread that waits inside its buffer for a reader would make
        # the interpreter wait for that buffer at its end.
        descriptor = sys.stderr.fileno()
        while data:
            data = data[os.write(descriptor, data) :]


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
        "host_rpc": server.host_rpc,
    }


def _load(name: str) -> Any:
    """Return the module with tools that ``name`` names. Raises ConfigError for a broken one too."""
    try:
        return loader.load(name)
    except EmbedError:
        raise
    except Exception as error:
        # What the user's own module raises while it is loaded: shown to its author, with the place.
        import traceback  # for broken files only: it reads and tokenizes source

        what = traceback.format_exception_only(type(error), error)
        place = traceback.extract_tb(error.__traceback__)[-1]
        if not isinstance(error, SyntaxError):
            what.insert(0, "{}:{}: ".format(place.filename, place.lineno))
        raise ConfigError(
            "The tools of {} cannot be loaded:\n{}".format(name, "".join(what).rstrip())
        ) from error


def launch_command(options: Any) -> str:
    """Return what a shell can be given to start such a server, from any directory.

    It stands in the registry row. A token is never part of it.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = "import sys; sys.path.insert(0, {!r}); from dcc_mcp_embed.__main__ import main; "
    code += "sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code.format(root), "serve"]
    directory = options.registry_dir and os.path.abspath(options.registry_dir)
    for flag, value in (
        ("--adapter", options.adapter),
        ("--port", options.port),
        ("--exec", options.exec_mode),
        ("--registry-dir", directory),
        ("--profile", options.profile),
        ("--qtserver", options.qtserver),
    ):
        if value is not None:
            words += [flag, str(value)]
    for flag, wanted in (
        ("--no-auth", options.no_auth),
        ("--gateway", options.gateway),
        ("--always-stream", options.always_stream),
    ):
        if wanted:
            words.append(flag)
    for name in [name for group in options.tools for name in group]:
        words += ["--tools", os.path.abspath(name) if os.path.exists(name) else name]
    if os.name == "nt":
        import subprocess  # of no use elsewhere

        return subprocess.list2cmdline(words)
    return " ".join(shlex.quote(word) for word in words)


def run(options: Any) -> int:
    """Run a server until a signal, or somebody who may stop it, ends it.

    Raises KeyboardInterrupt if it took two signals.
    """
    modules = [_load(name) for group in options.tools for name in group]
    server = embed.start(
        adapter=options.adapter,
        port=options.port,
        auth=not options.no_auth,
        exec_mode=options.exec_mode,
        gateway=options.gateway,
        registry_dir=options.registry_dir,
        tools=modules,
        launch_command=launch_command(options),
        profile=options.profile,
        qtserver=options.qtserver,
        always_stream=options.always_stream,
    )
    log = StderrLog(server.logbook)
    try:
        with ends_on_signals(server, log.close) as ending:
            # Whoever has read the line may look for us in the registry at once.
            server.wait_registered(_REGISTERED_WITHIN, lambda: not ending.is_set())
            print(json.dumps(describe(server)), flush=True)
            server.serve_forever()
        server.logbook.info("serve", "stopping")
    except KeyboardInterrupt:
        server.logbook.warning("serve", "stopping; what was running was broken off")
        raise
    finally:
        server.stop()
        log.close()
    return 0
