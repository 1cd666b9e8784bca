#!/usr/bin/env python3
"""Set everything up and run every test but the long runs: ``python3 tests/run.py``.

Makes a private environment in .venv-tests/, finds the installed Pythons, builds the wheel once and
runs tox in it: lint, types, the fast suite on each Python from the wheel and (a part of it on some)
from the checkout, its part for hosts with Qt on the Pythons that such hosts have, the heavy suite
(real hosts, peers) and that of Windows (under Wine) once. Needs
Python 3.8 or later to drive, and the network the first time. Everything it makes is below
.venv-tests/, .cache-tests/ and .tox/.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pythons import SUPPORTED, VARIABLE, find_pythons

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DRIVER = os.path.join(ROOT, ".venv-tests")
REPORTS = os.path.join(ROOT, ".cache-tests", "reports")

#: tox and virtualenv: the last pair that can make environments for Python 3.7. setuptools: the
#: last for Python 3.8, which may be what drives.
DRIVER_REQUIREMENTS = (
    "tox==4.23.2",
    "virtualenv==20.26.6",
    "setuptools==75.3.2",
    "wheel==0.45.1",
)
DRIVER_MINIMUM = (3, 8)

#: (major, minor) that the static checks and the heavy suite run on, the preferred one first; the
#: same order as in setup.cfg.
MODERN = ((3, 11), (3, 12), (3, 13), (3, 10))

#: (major, minor) that hosts with Qt have and that are run without being asked for by name;
#: setup.cfg has one more.
WITH_QT = ((3, 7), (3, 11), (3, 13))

#: What the wheels of PySide leave to the system, whether or not anything is ever shown.
_QT = (
    ("libGL.so.1", "libgl1"),
    ("libEGL.so.1", "libegl1"),
    ("libX11.so.6", "libx11-6"),
    ("libXext.so.6", "libxext6"),
    ("libxkbcommon.so.0", "libxkbcommon0"),
    ("libdbus-1.so.3", "libdbus-1-3"),
    ("libfontconfig.so.1", "libfontconfig1"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
)
#: Environment -> (command or library that must be there, Debian package that has it), for each that
#: it needs. xvfb-run is useless without xauth.
SYSTEM = {
    "heavy": (("blender", "blender"), ("Xvfb", "xvfb"), ("xvfb-run", "xvfb"), ("xauth", "xauth")),
    "windows": (("wine", "wine"), ("wineserver", "wine")),
    **{"qt{}{}".format(*minor): _QT for minor in WITH_QT},
}

#: Where Linux keeps files in memory, and the bytes that have to be free there; for real hosts and
#: peers, which write more.
IN_MEMORY = "/dev/shm"
ROOM = 1 << 30
ROOM_OF_HEAVY = 6 << 30

#: What a wheel is built from.
SOURCES = ("dcc_mcp_embed", "adapters", "installers", "vendor")
BUILD_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


class Outcome(NamedTuple):
    """What one environment did. Counts are of tests; a static check counts as one."""

    name: str
    ok: bool
    seconds: float
    passed: int
    failed: int
    skipped: int
    output: str

    @property
    def ending(self) -> str:
        """What its output says of what failed; all of it, if it never got to that.

        The list of what was run before is longer than what CI keeps of an output.
        """
        found = re.search(r"^=+ (ERRORS|FAILURES) =+\r?$", self.output, re.MULTILINE)
        return self.output[found.start() :] if found else self.output

    @property
    def failures(self) -> List[str]:
        """One line for each test that failed, as pytest sums them up; not all of a long one."""
        # Before that, a line may be anything that a test has printed or logged.
        lines = self.output.rpartition("short test summary info")[2].splitlines()
        return [line[:200] for line in lines if line.startswith(("FAILED ", "ERROR "))]


def say(text: str) -> None:
    print(text, flush=True)


def tag(minor: Tuple[int, int]) -> str:
    return "{}{}".format(*minor)


# What there is and what there is to do.


def parse(arguments: Sequence[str]) -> Tuple[argparse.Namespace, List[str]]:
    """Split our options from what goes on to pytest (everything after ``--``)."""
    own, rest = list(arguments), []
    if "--" in own:
        cut = own.index("--")
        own, rest = own[:cut], own[cut + 1 :]
    parser = argparse.ArgumentParser(
        prog="tests/run.py",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Options for pytest come last, after --, for example: -e py311 -- -k layers",
    )
    parser.add_argument("--fast", action="store_true", help="only the fast suite")
    parser.add_argument(
        "--heavy", action="store_true", help="only the heavy suite and that of Windows"
    )
    parser.add_argument(
        "-e", dest="envs", action="append", metavar="ENV", help="only this tox environment (repeat)"
    )
    parser.add_argument(
        "--require-real",
        action="store_true",
        help="a missing host or peer fails the heavy tests that need it, instead of skipping them",
    )
    parser.add_argument(
        "--install-system",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="install with apt what is missing of blender, xvfb, xauth, wine and what Qt needs (on "
        "by itself with CI)",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=3,
        help="environments at a time (default: 3; the tests wait for half of their time)",
    )
    return parser.parse_args(own), rest


def environments(
    options: argparse.Namespace, found: Dict[Tuple[int, int], str]
) -> Tuple[List[str], List[str]]:
    """Return (environments to run, environments left out for want of a Python)."""
    fast, absent = [], []
    for kind, minors in (("py", SUPPORTED), ("checkout", SUPPORTED), ("qt", WITH_QT)):
        for minor in minors:
            (fast if minor in found else absent).append(kind + tag(minor))
    modern = any(minor in found for minor in MODERN)
    static, heavy = ["lint", "types"], ["heavy", "windows"]
    if options.envs:
        wanted = list(options.envs)
        return [e for e in wanted if e not in absent], [e for e in wanted if e in absent]
    if options.fast:
        return fast, absent
    needs_modern = heavy if options.heavy else static + heavy
    chosen, missing = ([], []) if options.heavy else (fast, absent)
    if not modern:
        return chosen, missing + needs_modern
    if options.heavy:
        return heavy, missing
    # The longest one first, so that it does not run alone at the end.
    return heavy + static + chosen, missing


# Setting up.


def missing_system(names: Sequence[str]) -> List[Tuple[str, str]]:
    """Return (command, package) of what these environments need and this machine does not have."""
    wanted = dict.fromkeys(pair for name in names for pair in SYSTEM.get(name, ()))
    return [(command, package) for command, package in wanted if not is_there(command)]


def is_there(name: str) -> bool:
    """Return whether this machine has a command, or a library of that name for Linux."""
    if ".so." not in name:
        return shutil.which(name) is not None
    try:
        return not sys.platform.startswith("linux") or bool(ctypes.CDLL(name))
    except OSError:
        return False


def install_system(names: Sequence[str]) -> None:
    """Install what real hosts need for these environments, where that is possible."""
    packages = sorted({package for _, package in missing_system(names)})
    if packages and shutil.which("apt-get") and os.name == "posix" and os.geteuid() == 0:
        say("Installing {} with apt".format(", ".join(packages)))
        environ = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
        for command in (["apt-get", "update"], install):
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environ,
            )
            if done.returncode:
                text = done.stdout.decode("utf-8", "replace")
                say("{} failed:\n{}".format(" ".join(command), text[-2000:]))


def driver_python(found: Dict[Tuple[int, int], str]) -> Optional[str]:
    """Return an interpreter that can drive tox and make environments."""
    mine = sys.version_info[:2]
    candidates = [sys.executable] if mine >= DRIVER_MINIMUM else []
    candidates += [found[minor] for minor in MODERN if minor in found]
    candidates += [path for minor, path in sorted(found.items()) if minor >= DRIVER_MINIMUM]
    for path in candidates:
        # Debian ships Python without ensurepip unless python3-venv is installed.
        if subprocess.call([path, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL) == 0:
            return path
    return None


def make_driver(base: str) -> str:
    """Return the Python of the private environment, made or renewed if its pins have changed."""
    wanted = "\n".join((base, *DRIVER_REQUIREMENTS))
    stamp = os.path.join(DRIVER, "requirements.txt")
    where = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    python = os.path.join(DRIVER, *where)
    if os.path.isfile(stamp):
        with open(stamp, encoding="utf-8") as stream:
            if stream.read() == wanted and os.path.exists(python):
                return python
    say("Making {}".format(os.path.relpath(DRIVER, ROOT)))
    shutil.rmtree(DRIVER, ignore_errors=True)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", DRIVER], [*pip, *DRIVER_REQUIREMENTS]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise SystemExit(done.stdout.decode("utf-8", "replace"))
    with open(stamp, "w", encoding="utf-8") as stream:
        stream.write(wanted)
    return python


def build_wheel(python: str) -> str:
    """Build the wheel from a copy of the tree, so that no build/ of before gets into it."""
    target = os.path.join(ROOT, ".cache-tests", "wheel")
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, "source")
        os.mkdir(source)
        ignore = shutil.ignore_patterns("__pycache__")
        for folder in SOURCES:
            if os.path.isdir(os.path.join(ROOT, folder)):
                shutil.copytree(
                    os.path.join(ROOT, folder), os.path.join(source, folder), ignore=ignore
                )
        for name in BUILD_FILES:
            shutil.copy(os.path.join(ROOT, name), os.path.join(source, name))
        command = [python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        command += ["--disable-pip-version-check", "--wheel-dir", target, source]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise SystemExit("No wheel:\n" + done.stdout.decode("utf-8", "replace"))
    (name,) = os.listdir(target)
    return os.path.join(target, name)


def make_scratch(where: str = IN_MEMORY, room: int = ROOM) -> str:
    """Return a new folder for what tests write, in memory if there is a place for it.

    What must be on the disk before anything goes on is most of what ours do: thousands of tests
    would wait for it.
    """
    parent = None
    if os.path.isdir(where) and os.access(where, os.W_OK):
        # Some tests run what they have written. Only Linux says whether that goes.
        linux = hasattr(os, "ST_NOEXEC")
        runs = not (linux and os.statvfs(where).f_flag & os.ST_NOEXEC)
        parent = where if runs and shutil.disk_usage(where).free >= room else None
    scratch = tempfile.mkdtemp(prefix="dcc", dir=parent)
    # Some tests become another user, who has to find the way.
    os.chmod(scratch, 0o711)
    return scratch


# Running.


def count(report: str) -> Optional[Tuple[int, int, int]]:
    """Return (passed, failed, skipped) of a pytest report; None without a complete one."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    passed = failed = skipped = 0
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        # A test whose teardown fails too has two cases; it is counted once for each.
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def run_environment(
    name: str, python: str, wheel: str, environ: Dict[str, str], pytest_options: Sequence[str]
) -> Outcome:
    """Run one tox environment and read what it did."""
    report = os.path.join(REPORTS, name + ".xml")
    static = name in ("lint", "types")
    command = [python, "-m", "tox", "run", "-c", os.path.join(ROOT, "setup.cfg"), "-e", name]
    if name.startswith(("py", "qt")) or name in ("heavy", "windows"):
        command += ["--installpkg", wheel]
    # tox looks there first, so that a shim on PATH does not matter.
    command += ["--discover", *environ[VARIABLE].split(os.pathsep)]
    command += ["--skip-missing-interpreters", "false"]
    if not static:
        command += ["--", "--junitxml=" + report, *pytest_options]
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    seconds = time.monotonic() - began
    output = done.stdout.decode("utf-8", "replace")
    ok = done.returncode == 0
    counts = (int(ok), int(not ok), 0) if static else count(report)
    if counts is None:  # it never got to running tests
        return Outcome(name, False, seconds, 0, 1, 0, output)
    passed, failed, skipped = counts
    if not ok and not failed:
        failed = 1  # ended by a signal, or by a check outside a test
    return Outcome(name, ok, seconds, passed, failed, skipped, output)


def run_all(
    names: Sequence[str],
    python: str,
    wheel: str,
    environ: Dict[str, str],
    jobs: int,
    pytest_options: Sequence[str],
) -> List[Outcome]:
    """Run the environments, some at a time; print each one's output in one piece as it ends."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    os.makedirs(REPORTS)
    lock = threading.Lock()
    scratch, large = make_scratch(), make_scratch(room=ROOM_OF_HEAVY)

    def one(name: str) -> Outcome:
        where = dict(environ, TMPDIR=large if name == "heavy" else scratch)
        outcome = run_environment(name, python, wheel, where, pytest_options)
        with lock:
            say(
                "\n{} {} ({:.0f} s)".format(name, "ok" if outcome.ok else "FAILED", outcome.seconds)
            )
            if not outcome.ok:
                say(outcome.ending)
            else:
                for line in outcome.output.splitlines():
                    if line.startswith("SKIPPED"):
                        say("  " + line)
        return outcome

    try:
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            return list(pool.map(one, names))
    finally:
        for folder in (scratch, large):
            shutil.rmtree(folder, ignore_errors=True)


def summary(outcomes: Sequence[Outcome], absent: Sequence[str]) -> str:
    """Return the closing table and its last line."""
    lines = [
        "",
        "{:14} {:>8} {:>8} {:>8} {:>8}  {}".format(
            "environment", "passed", "failed", "skipped", "seconds", "result"
        ),
    ]
    for o in outcomes:
        row = "{:14} {:>8} {:>8} {:>8} {:>8.0f}  {}"
        verdict = "ok" if o.ok else "FAILED"
        lines.append(row.format(o.name, o.passed, o.failed, o.skipped, o.seconds, verdict))
    for name in absent:
        lines.append("{:14} not run: that Python was not found on this machine".format(name))
    failures = [
        "{:14} {}".format(o.name, line) for o in outcomes if not o.ok for line in o.failures
    ]
    if failures:
        lines += ["", *failures]
    totals = [sum(getattr(o, key) for o in outcomes) for key in ("passed", "failed", "skipped")]
    lines.append("")
    lines.append("{} passed, {} failed, {} skipped".format(*totals))
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Do it all; return 0 if everything that was to run ran and passed."""
    options, pytest_options = parse(arguments)
    found = find_pythons()
    for minor in SUPPORTED:
        say("Python {}.{}: {}".format(*minor, found.get(minor, "not found")))
    base = driver_python(found)
    if base is None:
        say("Python 3.8 or later with the venv module is needed to drive the tests.")
        return 2
    names, absent = environments(options, found)
    if options.install_system:
        install_system(names)
    missing = missing_system(names)
    if missing:
        say(
            "Missing for real hosts: {}. {} (Debian: run as root with --install-system, or "
            "apt-get install {})".format(
                ", ".join(command for command, _ in missing),
                "Their tests will fail." if options.require_real else "Their tests are skipped.",
                " ".join(sorted({package for _, package in missing})),
            )
        )
    if not names:
        say(summary([], absent))
        return 1
    python = make_driver(base)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("TOX_", "VIRTUALENV_"))}
    environ[VARIABLE] = os.pathsep.join(found.values())
    for key in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYENV_VERSION"):
        environ.pop(key, None)
    if options.require_real:
        environ["DCC_MCP_EMBED_REQUIRE_REAL"] = "1"
    # In the background of a shell this process ignores Ctrl-C, and what it starts would do so too;
    # some tests are about Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wheel = build_wheel(python)
    outcomes = run_all(names, python, wheel, environ, options.jobs, pytest_options)
    say(summary(outcomes, absent))
    complete = len(outcomes) == len(names) and all(outcome.ok for outcome in outcomes)
    return 0 if complete and not (options.envs and absent) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
