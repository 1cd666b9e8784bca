"""What tests of every kind need: demands on the machine, environments for peers, traces left.

Importable without pytest, because the guest check runs it inside a bare interpreter.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import itertools
import locale
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from pythons import find_pythons

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
CACHE = os.path.join(ROOT, ".cache-tests")

#: Set (to anything but 0) where a missing host or peer is a failure: ``--require-real``, CI.
REQUIRE_REAL = "DCC_MCP_EMBED_REQUIRE_REAL"


def real_is_required() -> bool:
    """Return whether whatever a heavy test needs has to be there."""
    return os.environ.get(REQUIRE_REAL, "0") not in ("", "0")


def require(condition: object, reason: str) -> None:
    """Skip the running test unless ``condition`` holds; fail it where real things are demanded."""
    import pytest

    if condition:
        return
    if real_is_required():
        pytest.fail("required here: " + reason, pytrace=False)
    pytest.skip(reason)


def has_ipv6() -> bool:
    """Return whether this machine has the IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@functools.lru_cache(maxsize=None)
def _pythons() -> Dict[Tuple[int, int], str]:
    return find_pythons()


def python(version: str) -> str:
    """Return the executable of ``version`` ("3.7"), no venv; skip or fail the test without one."""
    major, minor = version.split(".")
    path = _pythons().get((int(major), int(minor)))
    require(path, "Python {} is not on this machine".format(version))
    assert path is not None
    return path


def peer_venv(name: str, requirements: Sequence[str], base: Optional[str] = None) -> str:
    """Return the Python of an environment with ``requirements`` ("mcp==2.3.0") installed.

    Made once and kept below .cache-tests/, under a name made from the requirements and the base
    interpreter (``base``, default: the running one), so a changed pin makes a new one. Skips, or
    where real things are demanded fails, the test if pip cannot provide it.
    """
    base = base or getattr(sys, "_base_executable", None) or sys.executable
    wanted = "\n".join([base, *requirements])
    key = hashlib.sha256(wanted.encode("utf-8")).hexdigest()[:12]
    folder = os.path.join(CACHE, "peers", "{}-{}".format(name, key))
    where = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    executable = os.path.join(folder, *where)
    # Written last: an installation that was cut off does not count.
    complete = os.path.join(folder, "complete.txt")
    if os.path.isfile(complete):
        return executable
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [base, "-m", "venv", folder],
        [executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements],
    ):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output = done.stdout.decode("utf-8", "replace")
        require(
            done.returncode == 0,
            "an environment with {} ({})".format(", ".join(requirements), output[-2000:]),
        )
    with open(complete, "w", encoding="utf-8") as marker:
        marker.write(wanted)
    return executable


# What a guest must leave alone, and what a test must not leave behind.

#: pytest and coverage keep their own books in the environment.
_OWN_VARIABLES = re.compile(r"PYTEST_|COV_|COVERAGE_")


def _is_hypothesis(callback: object) -> bool:
    """Return whether hypothesis has put it there: it times the collector from its first test on."""
    return str(getattr(callback, "__module__", None)).startswith("hypothesis")


def _collector_is_on() -> bool:
    """Return the lasting setting: a server that a wider fixture keeps running pauses it briefly."""
    for _ in range(200):
        if gc.isenabled() or threading.active_count() == 1:
            break
        threading.Event().wait(0.001)
    return gc.isenabled()


def host_state() -> Dict[str, Any]:
    """Return everything of the process that belongs to the host, in comparable form. Any thread."""
    root = logging.getLogger()
    return {
        "sys.path": list(sys.path),
        "sys.meta_path": list(sys.meta_path),
        "sys.path_hooks": list(sys.path_hooks),
        "sys.excepthook": sys.excepthook,
        "thread switch interval": sys.getswitchinterval(),
        "working directory": os.getcwd(),
        "environment": {k: v for k, v in os.environ.items() if not _OWN_VARIABLES.match(k)},
        "root logger": (root.level, root.disabled, list(root.handlers), list(root.filters)),
        "logging.disable": root.manager.disable,
        "logger class": logging.getLoggerClass(),
        "socket default timeout": socket.getdefaulttimeout(),
        "locale": locale.setlocale(locale.LC_ALL, None),
        "signal handlers": {
            int(number): signal.getsignal(number)
            for number in getattr(signal, "valid_signals", lambda: range(1, 23))()
        },
        "garbage collector": (_collector_is_on(), gc.get_threshold(), gc.get_debug()),
        "gc callbacks": [one for one in gc.callbacks if not _is_hypothesis(one)],
    }


def open_descriptors() -> Dict[int, str]:
    """Return descriptor -> what it is, of this process; empty where the system does not tell."""
    found: Dict[int, str] = {}
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except OSError:  # the one that listed the folder
            continue
    return found


#: The names of modules that have been looked at: to look at all again for each test takes a while.
_looked_at: Set[str] = set()
_strays: Dict[str, str] = {}


def _checkout_modules() -> Dict[str, str]:
    """Return modules made of our files under a name that is not ours, with their file.

    ``import adapters.x`` from a checkout does that, and would shadow somebody else's ``adapters``.
    """
    ours = tuple(
        os.path.join(ROOT, folder) + os.sep
        for folder in ("dcc_mcp_embed", "adapters", "installers", "vendor")
    )
    for name in set(sys.modules) - _looked_at:
        path = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(path, str) and path.startswith(ours) and "dcc_mcp_embed" not in name:
            _strays[name] = path
        _looked_at.add(name)
    return dict(_strays)


class Traces:
    """What there was at one moment, to tell later what is new.

    ``new()`` waits up to ``grace`` seconds for threads and descriptors that are on their way out:
    a thread told to end needs a moment, and that moment is no leak.
    """

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._descriptors = open_descriptors()
        self._modules = _checkout_modules()
        self._state = host_state()

    def new(self, grace: float = 20.0) -> List[str]:
        """Return one line for each thing that is different now; empty if all is as it was."""
        return [*self._new_threads(grace), *self._new_descriptors(grace), *self._changes()]

    def _new_threads(self, grace: float) -> List[str]:
        fresh = [t for t in threading.enumerate() if t not in self._threads]
        for thread in fresh:
            # One that is only about to begin cannot be joined yet.
            for _ in _looks(grace):
                if thread.ident is not None:
                    break
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(grace)
        return [
            "a thread still runs: {!r} (daemon: {})".format(thread.name, thread.daemon)
            for thread in fresh
            if thread.is_alive()
        ]

    def _new_descriptors(self, grace: float) -> List[str]:
        for attempt in _looks(grace):
            fresh = {
                number: target
                for number, target in open_descriptors().items()
                if self._descriptors.get(number) != target and _counts(target)
            }
            if not fresh:
                break
            if attempt == 0:
                gc.collect()  # one that waits for the collector says so itself: ResourceWarning
                gc.freeze()  # and the next collection need not look at all the rest again
        return [
            "a descriptor is still open: {} -> {}".format(number, target)
            for number, target in sorted(fresh.items())
        ]

    def _changes(self) -> List[str]:
        now = host_state()
        lines = [
            "{} changed from {!r} to {!r}".format(name, before, now[name])
            for name, before in self._state.items()
            if now[name] != before
        ]
        for name, path in _checkout_modules().items():
            if name not in self._modules:
                lines.append("our file {} was imported as {!r}".format(path, name))
        return lines


def _looks(grace: float) -> Iterator[int]:
    """Count the looks at something, until ``grace`` seconds are over: two at least."""
    end = time.monotonic() + grace
    for number in itertools.count():
        yield number
        if number and time.monotonic() >= end:
            return
        if number:
            threading.Event().wait(0.01)


def _counts(target: str) -> bool:
    """Tell what somebody must close from what libraries open once and keep."""
    return not target.startswith(("/dev/urandom", "/dev/null", "/proc/"))
