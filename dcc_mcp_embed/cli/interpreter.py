"""Which Python an MCP client is given to start us with, and whether it finds this package."""

from __future__ import annotations

import json
import ntpath
import os
import re
import shutil
import subprocess
import sys
from typing import Any, Dict, NamedTuple, Optional

from ..errors import ConfigError

__all__ = ["ALONE", "Interpreter", "choose", "environment", "look_at", "refusal"]

#: Programs with a window, by how their names begin, and the Python that comes with each.
_HOSTS = (
    ("maya", "mayapy, in the same folder"),
    ("houdini", "hython, in the same folder"),
    ("hindie", "hython, in the same folder"),
    ("happrentice", "hython, in the same folder"),
    ("hmaster", "hython, in the same folder"),
    ("3dsmax", "Python\\python.exe in the folder of 3ds Max"),
    ("blender", "python/bin/python3.x in the folder named after Blender's version"),
    ("motionbuilder", "mobupy, in the same folder"),
    ("nuke", "python, in the same folder"),
    ("unreal", "Engine/Binaries/ThirdParty/Python3/<platform>/python"),
    ("pythonw", "python.exe, in the same folder: pythonw has no standard streams"),
)
_PYTHON = re.compile(r"(?:python|pypy|mayapy|hython|mobupy)(?!w)[\d.]*(?:[-_].*)?")
_OLDEST = (3, 7)
#: A client may start us in the folder of somebody else's project; what lies there must not be taken
#: for a module (3.11 and newer).
ALONE = {"PYTHONSAFEPATH": "1"}
#: A host's own Python may ask a licence server first, seconds.
_PATIENCE = 60.0
#: Says what a client's start would find: the folder that we happen to be in does not count.
_LOOK = """
import importlib.util, json, sys
sys.path[:] = [entry for entry in sys.path if entry]
spec = importlib.util.find_spec("dcc_mcp_embed")
where = list(spec.submodule_search_locations or [None])[0] if spec and spec.origin else None
print(json.dumps({"version": list(sys.version_info[:2]), "package": where}))
"""


class Interpreter(NamedTuple):
    """A Python that runs. ``package``: the folder of the dcc_mcp_embed that it has, if any."""

    program: str
    package: Optional[str]


def refusal(program: str, sure: bool) -> Optional[str]:
    """Return why a client must not be given that program, None if it may.

    ``sure``: somebody has named it as a Python; else it must also be called like one.
    """
    name = ntpath.basename(program.replace("/", "\\")).lower()
    stem = name[:-4] if name.endswith(".exe") else name
    if _PYTHON.fullmatch(stem):
        return None
    for prefix, python in _HOSTS:
        if stem.startswith(prefix):
            return "{} would open a window for each client; give --python {}".format(
                program, python
            )
    if sure:
        return None
    return "{} is not called like a Python; say which one with --python".format(
        program or "The program that runs this"
    )


def choose(given: Optional[str]) -> str:
    """Return the absolute path of the Python to write. Raises ConfigError."""
    if given is None:
        program = sys.executable or ""
    elif os.path.dirname(given):
        program = os.path.abspath(os.path.expanduser(given))
    else:
        found = shutil.which(given)
        if found is None:
            raise ConfigError("There is no program {!r} on the PATH".format(given))
        program = os.path.abspath(found)
    problem = refusal(program, given is not None)
    if problem is not None:
        raise ConfigError(problem)
    return program


def look_at(program: str) -> Interpreter:
    """Run a Python and return what a client's start would find. Blocks. Raises ConfigError.

    Clients start programs in folders and with environments of their own, so neither ours counts.
    """
    environ = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [program, "-c", _LOOK],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
        )
        lines = done.stdout.decode("utf-8", "replace").split("\n")
        # A host's Python may say something of its own before.
        found: Any = json.loads(next((line for line in lines if line.startswith("{")), "null"))
        version = tuple(found["version"])
        package = found["package"]
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError("{} does not run: {}".format(program, error)) from error
    except (ValueError, TypeError, KeyError):
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise ConfigError("{} does not run as a Python: {}".format(program, said)) from None
    if version < _OLDEST:
        raise ConfigError(
            "{} is Python {}.{}; 3.7 is the oldest that will do".format(program, *version)
        )
    return Interpreter(program, package)


def environment(python: Interpreter, root: str) -> Dict[str, str]:
    """Return the variables with which ``python`` finds the package below ``root``.

    Raises ConfigError if ``root`` holds the packages of another Python, which must not be mixed.
    """
    variables = dict(ALONE)
    if python.package is None:
        if os.path.basename(root) in ("site-packages", "dist-packages"):
            raise ConfigError(
                "{} has no dcc_mcp_embed, and this one lies among the packages of another Python; "
                "install it there too, or run this from a clone".format(python.program)
            )
        variables["PYTHONPATH"] = root
    return variables
