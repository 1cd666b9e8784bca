"""Install dcc_mcp_embed: drop this on Maya's viewport, or run it with a host's own Python.

This very text is the front of each artefact; whoever makes one fills in the four lines below. It
proves the payload beside it by its checksum before anything of it runs, and installs it with its
own code, loaded under another name, so that a server which runs in this host goes on undisturbed.

Parsed by Python 2 too, where a host may still run it, so that it can say so.
"""

import os
import sys

#: Filled in by ``installers bundle``.
HOST = ""
ARCHIVE = ""
SHA256 = ""
DIGEST = ""

__all__ = ["install", "onMayaDroppedPythonFile"]


def onMayaDroppedPythonFile(*_):
    # type: (*object) -> bool
    """Install and start; called by Maya on its main thread. Return whether it was done."""
    try:
        return install()
    finally:
        # Maya imports a dropped file by its stem: the next one of this name must be read again.
        sys.modules.pop(__name__, None)


def install(target=None):
    # type: (object) -> bool
    """Install into the running host's user folder (or ``target``); return whether it was done.

    Says what was done, and what is to be changed where it could not be. Raises nothing.
    """
    if sys.version_info < (3, 7):  # noqa: UP036
        say("needs Python 3.7 or later; this host runs {}.{}".format(*sys.version_info[:2]))
        return False
    import shutil
    import tempfile

    scratch = None
    try:
        scratch = tempfile.mkdtemp("-dcc_mcp_embed")
        return _install(scratch, target)
    except Exception as error:
        say("was not installed: {}: {}".format(type(error).__name__, error))
        return False
    finally:
        _forget()
        if scratch is not None:
            shutil.rmtree(scratch, True)


def say(text):
    # type: (str) -> None
    """Write a line where the host shows what scripts write, with escapes for what it cannot."""
    line = "dcc_mcp_embed {}\n".format(text)
    try:
        try:
            sys.stdout.write(line)
        except UnicodeError:
            sys.stdout.write(line.encode("ascii", "backslashreplace").decode("ascii"))
    except Exception:
        # A host without a console may have no stream, or a closed one: there is nobody to tell.
        return


#: What the payload's own code is called while it installs itself.
NAME = "_dcc_mcp_embed_installing"


def _install(scratch, target):
    # type: (str, object) -> bool
    import hashlib
    import zipfile
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), ARCHIVE)
    if not os.path.isfile(archive):
        say("cannot be installed: {} must lie beside {}".format(ARCHIVE, __file__))
        return False
    with open(archive, "rb") as stream:
        data = stream.read()
    if hashlib.sha256(data).hexdigest() != SHA256:
        say("cannot be installed: {} is damaged or was changed; get it anew".format(archive))
        return False
    # Every byte of it is known from here on.
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(scratch)
    where = os.path.join(scratch, "dcc_mcp_embed")
    spec = spec_from_file_location(
        NAME, os.path.join(where, "__init__.py"), submodule_search_locations=[where]
    )
    if spec is None or spec.loader is None:
        return False
    module = module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    front = import_module(NAME + ".installers.fronting")
    return bool(front.install(HOST, archive, DIGEST, target, say))


def _forget():
    # type: () -> None
    # A server that starts loads modules on a thread meanwhile.
    for name in [one for one in list(sys.modules) if one.partition(".")[0] == NAME]:
        del sys.modules[name]


if __name__ == "__main__":
    sys.exit(0 if install(*sys.argv[1:2]) else 1)
