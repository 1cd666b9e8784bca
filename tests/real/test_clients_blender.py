"""Official clients against a real Blender, with a window and without, and what a stop leaves.

The script that runs inside is ``blender_conversation.py``. Blender's own data are asked by a tool
that the test brings along and by ``execute_python``, neither of which knows our scene tools.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional

import pytest

import helpers
from real.conversation import CLIENTS, NAME, Client, Host, converse, good
from real.processes import Display, Process

pytestmark = pytest.mark.heavy

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blender_conversation.py")
MODES = ("window", "background")
CYCLES = 10
#: After these, everything that is loaded once has been loaded.
WARM = 3
#: Debian's Blender allocates with jemalloc, which keeps for a while what was freed: 2.5 MB more or
#: less in such a test. So: back to the system at once, from one arena.
ALLOCATOR = {"MALLOC_CONF": "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0"}
#: Bytes after the warm cycles; measured: 0.1 MB, in a window 1.4 (undo steps and drawing).
RSS_SLACK = {"window": 4 * 1024 * 1024, "background": 1024 * 1024}


@contextlib.contextmanager
def blender(mode: str, folder: str, cycles: int = 1, stops: bool = True) -> Iterator[Process]:
    """Start Blender with the script in it; a window is on a display of its own."""
    program = shutil.which("blender")
    helpers.require(program, "Blender")
    assert program is not None
    runtime = os.path.join(folder, "run")
    os.mkdir(runtime, 0o700)
    environment = {
        "HOME": folder,
        # Where Blender leaves the scene when it quits.
        "TEMP": folder,
        "TMPDIR": folder,
        "XDG_RUNTIME_DIR": runtime,
        "DCC_MCP_EMBED_HOME": os.path.join(folder, "home"),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        **ALLOCATOR,
    }
    options = json.dumps({"root": helpers.ROOT, "cycles": cycles, "stops": stops})
    command = [program, "--factory-startup", "-noaudio", "--python-exit-code", "3"]
    command += ["-b"] if mode == "background" else ["--window-geometry", "0", "0", "640", "480"]
    command += ["--python", SCRIPT, "--", options]
    with contextlib.ExitStack() as stack:
        if mode == "window":
            helpers.require(shutil.which("Xvfb"), "Xvfb")
            environment.update(stack.enter_context(Display()).environment)
        yield stack.enter_context(Process(command, environment, cwd=folder, name="Blender"))


def next_line(process: Process, what: str) -> Dict[str, Any]:
    line: Dict[str, Any] = process.json_line()
    assert what in line, process.problem("said another line than {!r}".format(what))
    return line


@pytest.mark.parametrize("mode", MODES)
def test_an_agent_makes_a_cube_in_blender(tmp_path, mode):
    with blender(mode, str(tmp_path)) as process:
        before = next_line(process, "before")["before"]
        ready = next_line(process, "ready")["ready"]
        host = Host("blender", ready, undoes=mode == "window", names_steps=False)
        for number, kind in enumerate(CLIENTS):
            with Client(kind, ready, ("header", "path")[number % 2]) as client:
                converse(client, host, lambda: positions(client, host, mode))
                client.end()
        with Client("2.x auto", ready) as last:
            facts = good(last.call("bpy_facts"), host)
            assert NAME not in facts["positions"]
            assert good(last.call("end_of_test"), host) == {"when": "soon"}
            report = next_line(process, "stopped")
        nothing_left(before, report)
        changes = report["changes"]
        assert NAME in changes["names"], "Blender itself never noticed the cube"
        assert changes["count"] and not changes["off_main_thread"]
        assert process.wait() == 0, process.problem("did not end well")
        assert not [line for line in process.said if "Traceback" in line], process.said


def positions(client: Client, host: Host, mode: str) -> Dict[str, Any]:
    """Ask Blender itself in two ways, on its main thread, and return name -> position."""
    facts = good(client.call("bpy_facts"), host)
    assert facts["on_main_thread"] and facts["on_python_main_thread"], facts
    assert facts["background"] == (mode == "background")
    if NAME in facts["types"]:
        assert facts["types"][NAME] == "MESH"
    code = (
        "import bpy\nresult = {o.name: list(o.matrix_world.translation) for o in bpy.data.objects}"
    )
    asked = good(client.call("execute_python", code=code, undo=False), host)
    assert asked["result"] == facts["positions"]
    found: Dict[str, Any] = facts["positions"]
    return found


#: What must be as it was before the first start; the rest of the facts may grow once.
OURS_TO_CLEAN = (
    "threads",
    "descriptors",
    "timers",
    "handlers",
    "classes",
    "draw functions",
    "path",
    "excepthook",
)


def nothing_left(before: Dict[str, Any], report: Dict[str, Any]) -> None:
    """Check a report against the facts from before the first start."""
    for what in OURS_TO_CLEAN:
        assert report["stopped"][what] == before[what], what
    assert report["stopped"]["timers"] == []
    assert report["still_alive"] == []
    assert report["port_refuses"]


@pytest.mark.parametrize("mode", MODES)
def test_an_agent_goes_on_after_another_file_was_opened(tmp_path, mode):
    with blender(mode, str(tmp_path)) as process:
        before = next_line(process, "before")["before"]
        ready = next_line(process, "ready")["ready"]
        host = Host("blender", ready, undoes=mode == "window", names_steps=False)
        with Client("2.x auto", ready) as client:
            good(client.call("create_object", kind="cube", name="in_the_first_file"), host)
            for _ in range(3):
                code = "import bpy\nbpy.ops.wm.read_homefile(use_factory_startup=True)"
                good(client.call("execute_python", code=code, undo=False), host)
                facts = good(client.call("bpy_facts"), host)
                assert sorted(facts["positions"]) == ["Camera", "Cube", "Light"]
            converse(client, host, lambda: positions(client, host, mode))
            good(client.call("end_of_test"), host)
            nothing_left(before, next_line(process, "stopped"))
        assert process.wait() == 0, process.problem("did not end well")


@pytest.mark.parametrize("mode", MODES)
def test_blender_quits_well_with_the_server_running(tmp_path, mode):
    """The user closes Blender; a client is connected, and nobody has called stop()."""
    with blender(mode, str(tmp_path), stops=False) as process:
        next_line(process, "before")
        ready = next_line(process, "ready")["ready"]
        with contextlib.closing(connection(ready)) as link:
            made = call(link, ready, "create_object", {"kind": "cube"})
            assert made["structuredContent"]["ok"], made
            call(link, ready, "end_of_test", {})
            assert process.wait() == 0, process.problem("did not end well")
            assert link.sock is not None and link.sock.recv(1) == b""
        spoilt = [said for said in process.said if "Traceback" in said or "Fatal" in said]
        assert not spoilt, process.problem("complained")


@pytest.mark.parametrize("mode", MODES)
def test_ten_starts_and_stops_leak_nothing(tmp_path, mode):
    with blender(mode, str(tmp_path), CYCLES) as process:
        before = next_line(process, "before")["before"]
        reports: List[Dict[str, Any]] = []
        ports = set()
        for _ in range(CYCLES):
            ready = next_line(process, "ready")["ready"]
            ports.add(ready["port"])
            # Still open when the server stops.
            with contextlib.closing(connection(ready)) as link:
                made = call(link, ready, "create_object", {"kind": "cube", "name": NAME})
                assert made["structuredContent"]["ok"], made
                path = made["structuredContent"]["data"]["path"]
                moved = call(link, ready, "set_transform", {"path": path, "translate": [1, 2, 3]})
                assert moved["structuredContent"]["ok"], moved
                gone = call(link, ready, "delete_objects", {"paths": [path]})
                assert gone["structuredContent"]["ok"], gone
                call(link, ready, "end_of_test", {})
                report = next_line(process, "stopped")
            nothing_left(before, report)
            reports.append(report["stopped"])
        assert process.wait() == 0, process.problem("did not end well")
    warm, last = reports[WARM - 1], reports[-1]
    assert last["modules"] == warm["modules"]
    # What is left behind is so by most cycles; what is made once may be made by any.
    counts = [one["python objects"] for one in reports[WARM - 1 :]]
    grown = sorted(after - before for before, after in zip(counts, counts[1:]))
    assert grown[len(grown) // 2] <= 0, counts
    assert last["rss"] - warm["rss"] < RSS_SLACK[mode], [one["rss"] for one in reports]


def connection(ready: Dict[str, Any]) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", ready["port"], timeout=60)


def call(
    link: http.client.HTTPConnection,
    ready: Dict[str, Any],
    name: str,
    arguments: Optional[Dict[str, Any]] = None,
) -> Dict[str, Any]:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments or {}},
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Authorization": "Bearer " + ready["token"],
    }
    link.request("POST", "/mcp", json.dumps(body), headers)
    answer = link.getresponse()
    text = answer.read().decode("utf-8")
    assert answer.status == 200, text
    result: Dict[str, Any] = json.loads(text)["result"]
    return result
