"""Run the tests of this folder in Windows' own Python, under Wine: ``python tests/windows``.

Options are those of pytest; what is tested is the package that this interpreter imports, with this
interpreter's pytest. It needs Linux, Wine and, the first time, the network: without them there is
one test, which is skipped, or fails where real things are demanded.
"""

from __future__ import annotations

import glob
import os
import signal
import sys
from typing import Dict, List, Optional, Sequence
from xml.sax.saxutils import quoteattr

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = os.path.dirname(HERE)

import helpers  # noqa: E402
from windows import pyside, wine  # noqa: E402

#: Seconds for all of it: it takes less than a minute, on a busy machine some.
PATIENCE = 600.0
#: Seconds for one test.
HANG = 120

REPORT = "--junitxml"
#: Tests of the hosts that are played that run here, too: those of 3ds Max.
PLAYED = ("test_conformance.py", "test_*max*.py")
EXPECT = "DCC_MCP_EMBED_EXPECT"
#: What of our environment the tests see: a home of their own is all that is theirs.
PASSED_ON = ("CI", EXPECT, helpers.REQUIRE_REAL)


def main(arguments: Sequence[str]) -> int:
    """Return pytest's exit status, as tests/run.py wants it."""
    try:
        executable = wine.python()
        qt = pyside.site()
    except wine.Missing as reason:
        return tell_missing(str(reason), report_of(arguments))
    with wine.home() as environ:
        environ.update(surroundings(executable, qt))
        status = wine.run([executable, "-m", "pytest", *options(arguments)], environ, PATIENCE)
    if status is None:
        print("Not done after {:g} s.".format(PATIENCE))
        return 1
    return status


def options(arguments: Sequence[str]) -> List[str]:
    """Return what pytest is told, in Windows' spelling."""
    folder = wine.windows_path(HERE)
    told = ["-c", wine.windows_path(os.path.join(helpers.ROOT, "setup.cfg"))]
    told += ["--rootdir", wine.windows_path(helpers.ROOT), "--confcutdir", folder]
    told += ["-p", "no:cacheprovider", "-o", "faulthandler_timeout={}".format(HANG), folder]
    # What every host passes, tried here in the one that is Windows' alone (conftest.py).
    for pattern in PLAYED:
        found = glob.glob(os.path.join(os.path.dirname(HERE), "hosts", pattern))
        # Those of artefacts start hosts in processes of their own, which Qt here is not made for.
        here = [path for path in sorted(found) if "test_installed" not in path]
        told += map(wine.windows_path, here)
    for argument in arguments:
        name, _, value = argument.partition("=")
        told.append("=".join((name, wine.windows_path(value))) if name == REPORT else argument)
    return told


def surroundings(executable: str, qt: str) -> Dict[str, str]:
    """Return the variables with which Windows' Python finds our package, pytest and helpers."""
    import pytest

    import dcc_mcp_embed

    folders = [
        os.path.dirname(os.path.dirname(os.path.abspath(module.__file__)))
        for module in (dcc_mcp_embed, pytest)
        if module.__file__
    ]
    folders.append(os.path.dirname(HERE))
    # The folder with our pytest may have a PySide for this system.
    folders.insert(0, qt)
    found = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    found["PYTHONPATH"] = ";".join(map(wine.windows_path, dict.fromkeys(folders)))
    # Not beside the sources, which are this system's.
    compiled = os.path.join(os.path.dirname(os.path.dirname(executable)), "compiled")
    found["PYTHONPYCACHEPREFIX"] = wine.windows_path(compiled)
    # They may have native parts, which are this system's.
    found["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return found


def report_of(arguments: Sequence[str]) -> Optional[str]:
    """Return where pytest's report is to go, None for nowhere."""
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == REPORT:
            return value
    return None


def tell_missing(reason: str, report: Optional[str]) -> int:
    """Say that nothing can be tried here, on the screen and in a report; return the status."""
    demanded = helpers.real_is_required()
    print("{} [1] tests/windows: {}".format("FAILED" if demanded else "SKIPPED", reason))
    if report is not None:
        with open(report, "w", encoding="utf-8") as file:
            file.write(
                "<testsuites><testsuite><testcase name={}><{} message={}/></testcase></testsuite>"
                "</testsuites>\n".format(
                    quoteattr("windows"),
                    "failure" if demanded else "skipped",
                    quoteattr(reason),
                )
            )
    return int(demanded)


if __name__ == "__main__":
    # Whoever is told to end takes Wine with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
