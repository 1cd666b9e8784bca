"""One start of a host that has our files in its user folder: ``inside.py STAGE STORY JSON``.

It runs in a process of its own, in which our package is not loaded by the time the host starts,
whatever the fake host is made of. A story begins on the host's main thread before its loop runs,
and goes on, as a client of the server, on another. What it found is printed as ``RESULT`` and JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from importlib import import_module  # noqa: E402

DEADLINE = 30.0
PACKAGE = "dcc_mcp_embed"


class Nothing:
    """In place of an adapter: what is installed brings its own."""

    def __init__(self):
        self._closed = threading.Event()

    def serve_forever(self):
        """Keep the main thread of a host without a window until the story is over."""
        self._closed.wait(DEADLINE)

    def close(self):
        self._closed.set()


def forget():
    """Have nothing of ours loaded, nor to be found but where it was installed."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [one for one in sys.path if one not in given]
    for name in [one for one in sys.modules if one.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def server():
    """Return the running server, None without one."""
    place = sys.modules.get(PACKAGE + ".embed.place")
    # The main thread may be in the middle of loading it.
    return getattr(getattr(place, "PLACE", None), "server", None)


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)
    return condition()


def ask(url, method, params):
    """Return the result of one MCP request, as any client would have it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, json.dumps(body).encode("utf-8"), headers)
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return json.loads(answer.read().decode("utf-8"))["result"]


def served():
    """Wait for the server, call it, and return what is known of it."""
    running = wait_for(server, "no server was started")
    made = ask(running.url, "tools/call", {"name": "create_object", "arguments": {"kind": "cube"}})
    assert not made.get("isError"), made
    return {
        "kind": running.dcc_type,
        "version": sys.modules[PACKAGE].__version__,
        "file": sys.modules[PACKAGE].__file__,
        "path": made["content"][0]["text"],
    }


def main(stage_path, story_path, given):
    module, _, name = stage_path.partition(":")
    stage_class = getattr(import_module(module), name)
    stage_class._create = lambda self: Nothing()
    stories = import_module(story_path.partition(":")[0])
    story = getattr(stories, story_path.partition(":")[2])
    found = {}
    with stage_class(**given.pop("stage", {})) as stage:
        forget()
        before = list(sys.path)
        began = time.perf_counter()
        went_on = story(stage, found, **given)
        found["start_ms"] = (time.perf_counter() - began) * 1000.0
        found["sys_path"] = [one for one in sys.path if one not in before]
        try:
            stage.run(lambda: went_on(), 120.0)
        finally:
            if server() is not None:
                sys.modules[PACKAGE].stop()
    # A host that lives for longer than a story deletes what nobody runs any more.
    for thread in threading.enumerate():
        if thread.name == "dcc-mcp-embed loading":
            thread.join(DEADLINE)
    return found


if __name__ == "__main__":
    try:
        result = main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    except BaseException:
        result = {"error": traceback.format_exc()}
    print("RESULT " + json.dumps(result), flush=True)
    # Before Python 3.9 it keeps what is written to a pipe.
    sys.stderr.flush()
    # What is asked is what was found; how the fakes end is not.
    os._exit(0)
