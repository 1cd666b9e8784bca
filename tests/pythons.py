"""Find the interpreters the package supports. Standard library only: tests/run.py uses it too.

A name on PATH proves nothing: a version manager puts a shim there for every version it knows, and
the shim fails when the version is not selected. So each candidate is run.
"""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

#: (major, minor) of every supported Python, oldest first.
SUPPORTED = tuple((3, minor) for minor in range(7, 14))

#: Executables to prefer, separated like PATH. tests/run.py sets it, so that the tests use the
#: very interpreters the summary names.
VARIABLE = "DCC_MCP_EMBED_TEST_PYTHONS"

#: An interpreter answers in a tenth of a second; a hanging shim must not hang us.
ANSWER_TIMEOUT = 20.0

_PROBE = (
    "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.implementation.name,"
    " int(sys.prefix == sys.base_prefix), sys.executable, sep='|')"
)

Version = Tuple[int, ...]


def probe(executable: str) -> Optional[Tuple[Version, str]]:
    """Return (version, real executable) of a CPython that runs and is no venv, else None."""
    # The shims of pyenv obey this variable; a caller's choice must not decide what exists.
    environ = {
        k: v for k, v in os.environ.items() if k not in ("PYENV_VERSION", "__PYVENV_LAUNCHER__")
    }
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ANSWER_TIMEOUT,
            env=environ,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    fields = answer.stdout.decode("utf-8", "replace").strip().split("|")
    if answer.returncode or len(fields) != 4 or fields[1] != "cpython" or fields[2] != "1":
        return None
    return tuple(int(part) for part in fields[0].split(".")), fields[3]


def _numbers(text: str) -> List[int]:
    """Return the numbers in a path, so that 3.11.10 sorts after 3.11.7."""
    digits = "".join(char if char.isdigit() else " " for char in text)
    return [int(part) for part in digits.split()]


def candidates(minor: Tuple[int, int], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield where the given Python may be, the likeliest first."""
    name = "python{}.{}".format(*minor)
    suffix = ".exe" if os.name == "nt" else ""
    for executable in environ.get(VARIABLE, "").split(os.pathsep):
        if os.path.basename(executable).startswith(name):
            yield executable
    roots = [environ.get("PYENV_ROOT", ""), os.path.expanduser(os.path.join("~", ".pyenv"))]
    for root in roots:
        if root:
            pattern = os.path.join(root, "versions", "{}.{}.*".format(*minor), "bin", name + suffix)
            yield from sorted(glob.glob(pattern), key=_numbers, reverse=True)
    for folder in environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name + suffix)
        if os.path.isfile(path):
            yield path
    for folder in ("/usr/local/bin", "/usr/bin", "/opt/python/bin"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            yield path
    if sys.version_info[:2] == minor:
        yield sys.executable


def find_pythons(environ: Optional[Mapping[str, str]] = None) -> Dict[Tuple[int, int], str]:
    """Return (major, minor) -> executable for every supported Python that is there and runs."""
    found: Dict[Tuple[int, int], str] = {}
    for minor in SUPPORTED:
        tried = set()
        for path in candidates(minor, os.environ if environ is None else environ):
            if path in tried:
                continue
            tried.add(path)
            answer = probe(path)
            if answer is not None and answer[0][:2] == minor:
                found[minor] = answer[1]
                break
    return found
