"""Starts of a host whose installation is damaged: ``starting_damaged.py ROOT JSON``.

Each of the files that JSON lists is damaged in each way in turn, then a host starts in this very
process, with nothing of ours loaded. Prints one JSON object: file and harm -> what was said, and
what was raised into the host, if anything.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import sys
import traceback

HARMS = {
    "gone": None,
    "empty": b"",
    "cut": "cut",
    "garbage": b"\x00\xff\xfe(((",
    "raises": b"raise RuntimeError('spoilt')\n",
    "exits": b"import sys; sys.exit('spoilt')\n",
}


def forget():
    package = sys.modules.get("dcc_mcp_embed")
    if package is not None:
        with contextlib.suppress(BaseException):
            package.stop()
    for name in [one for one in sys.modules if one.partition(".")[0] == "dcc_mcp_embed"]:
        del sys.modules[name]


def started(entry):
    """Run what the host finds; return what was said and raised."""
    said, raised = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            scope = runpy.run_path(entry)
            if "register" in scope:
                scope["register"]()
    except BaseException:
        raised = traceback.format_exc()
    finally:
        forget()
    return {"said": said.getvalue().strip().splitlines(), "raised": raised}


def damage(path, harm, whole):
    if harm is None:
        os.unlink(path)
        return
    with open(path, "wb") as stream:
        stream.write(whole[: len(whole) // 2] if harm == "cut" else harm)


def main(entry, files, harms):
    found = {}
    for path in files:
        with open(path, "rb") as stream:
            whole = stream.read()
        for name in harms:
            damage(path, HARMS[name], whole)
            found[path + " " + name] = started(entry)
            with open(path, "wb") as stream:
                stream.write(whole)
    found["whole"] = started(entry)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].split(","))
