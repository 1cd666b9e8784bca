"""Which program a sidecar is, where it lies, and which version it says it has."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

__all__ = ["Program", "check", "described", "find", "program_of", "server_version"]

_PROGRAM = "dcc-mcp-server"
_PROGRAM_ENV = "DCC_MCP_SERVER_BIN"
#: Seconds a program has to say its version, for those who ask for it.
_VERSION_TIMEOUT = 3.0
#: What Windows adds to the names of programs, where the environment does not say it.
_EXTENSIONS = ".COM;.EXE;.BAT;.CMD"


class Program(NamedTuple):
    """What is run. ``source`` is ``explicit``, ``env`` or ``path``."""

    command: str
    source: str
    configured: Optional[str]
    path: Optional[str]


def program_of(server_bin: Any, environ: Mapping[str, str]) -> Program:
    """Return which program to run: the one given, the environment's, or what the PATH has."""
    where = environ.get("PATH", os.defpath)
    for source, value in (("explicit", server_bin), ("env", environ.get(_PROGRAM_ENV))):
        configured = str(value).strip() if value is not None else ""
        if configured:
            found = find(configured, where)
            command = found if found and os.name == "nt" else configured
            return Program(command, source, configured, found)
    found = find(_PROGRAM, where)
    return Program(found or _PROGRAM, "path", None, found)


def find(name: str, where: str) -> Optional[str]:
    """Return the file of the program ``name``, looked for in the folders of ``where``, or None.

    A name without a folder is never looked for in the current directory, where Windows would begin:
    that may be a project's, with programs of whoever made it.
    """
    if os.name != "nt" or os.path.dirname(name):
        import shutil

        return shutil.which(name, path=where)
    known = os.environ.get("PATHEXT", _EXTENSIONS).lower().split(os.pathsep)
    complete = os.path.splitext(name)[1].lower() in known
    for folder in where.split(os.pathsep):
        if os.path.isabs(folder):
            for extension in [""] if complete else known:
                path = os.path.join(folder, name + extension)
                if os.path.isfile(path):
                    return path
    return None


def check(command: str) -> None:
    """Raise FileNotFoundError for what Windows would look for by itself, the same way."""
    if os.name == "nt" and not os.path.dirname(command):
        raise FileNotFoundError("there is no {} on the PATH".format(command))


def server_version(
    command: str, environ: Mapping[str, str], timeout: float = _VERSION_TIMEOUT
) -> Tuple[Optional[str], Optional[str]]:
    """Run ``command --version``; return its first line and None, or None and what went wrong.

    Blocks up to ``timeout`` seconds. On Windows also until whatever the program has started (a
    ``.bat`` does) has ended or has closed its output.
    """
    import subprocess

    try:
        check(command)
        done = subprocess.run(
            [command, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            env=dict(environ),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
        return None, "{} --version could not be run: {}".format(command, error)
    said = [_first_line(stream) for stream in (done.stdout, done.stderr)]
    if done.returncode == 0 and said[0]:
        return said[0], None
    about = "{} --version ended with {}".format(command, done.returncode)
    return None, ": ".join([about, *[line for line in (said[1] or said[0],) if line]])


def _first_line(stream: bytes) -> str:
    return stream.decode("utf-8", "replace").strip().partition("\n")[0].strip()


def described(program: Program, environ: Mapping[str, str], check_version: bool) -> Dict[str, Any]:
    version, error = server_version(program.command, environ) if check_version else (None, None)
    return {
        "command": program.command,
        "source": program.source,
        "configured": program.configured,
        "path": program.path,
        "version": version,
        "version_error": error,
        "version_checked": check_version,
    }
