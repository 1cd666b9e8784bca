"""A process that embeds Python in C, as every host does: start under the import lock, stop at exit.

A small C program initialises the interpreter, imports a module that starts the server *during its
import* and is answered by it there, and finalises the interpreter with the server still running
(or a call still queued). It must end with its own status: no crash, no abort, no hang.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

import helpers

pytestmark = pytest.mark.heavy

DEADLINE = 60

PROGRAM = r"""
#include <Python.h>
#include <stdio.h>
int main(int argc, char **argv) {
    int failed, ended;
    Py_Initialize();
    failed = PyRun_SimpleString(argv[1]);
    ended = Py_FinalizeEx();
    printf("finalized %d\n", ended);
    fflush(stdout);
    return failed ? 10 : ended ? 11 : 0;
}
"""

FACTS = """
import json, sysconfig
v = sysconfig.get_config_var
version = v("LDVERSION") or v("VERSION")
print(json.dumps([sysconfig.get_paths()["include"], v("LIBDIR"), version, v("LIBS"), v("SYSLIBS")]))
"""

# What a host runs; {root} and {folder} come first on its path.
SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {folder!r}]
import starting_hook
"""

# Imported by the host: everything below happens under this module's import lock.
HOOK = """
import atexit, json, socket, sys, threading
import dcc_mcp_embed

imports = []
if hasattr(sys, "addaudithook"):
    def audit(event, args):
        if event == "import" and threading.current_thread().name == "dcc-mcp-embed":
            imports.append(args[0])
    sys.addaudithook(audit)

# Exit handlers run backwards: this one comes after the one that start() registers.
waiter = None

def after_the_stop():
    if waiter is not None:
        waiter.join(10)
    print("imports on the loop thread:", imports)

atexit.register(after_the_stop)
server = dcc_mcp_embed.start("standalone", port=0)
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                   "params": {"name": "get_status"}}).encode()
head = ("POST /mcp HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\n"
        "Authorization: Bearer %s\\r\\nContent-Length: %d\\r\\n\\r\\n" % (server.token, len(body)))
sock = socket.create_connection(("127.0.0.1", server.port), 20)
sock.sendall(head.encode() + body)
print("answered under the import lock:", sock.recv(65536).startswith(b"HTTP/1.1 200"))
# One that nobody will pump: at the end its caller is told that the host shuts down.
body = body.replace(b"get_status", b"get_scene_info")
head = head[:head.rindex("Content-Length")] + "Content-Length: %d\\r\\n\\r\\n" % len(body)
sock.sendall(head.encode() + body)

def wait_for_the_end():
    # Written by hand: at the end of the interpreter print's stream may be gone.
    import os
    data = b""
    while b"host_shutting_down" not in data:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    settled = b"host_shutting_down" in data
    os.write(1, b"queued call was settled: " + str(settled).encode() + b"\\n")

waiter = threading.Thread(target=wait_for_the_end, daemon=True)
waiter.start()
if {how!r} == "stop":
    server.stop()
"""


def build(python: str, folder: str) -> str:
    """Compile the program against ``python`` and return its path."""
    facts = json.loads(
        subprocess.check_output(
            [
                python,
                "-c",
                FACTS,
            ]
        )
    )
    include, libdir, version, libs, syslibs = facts
    source = os.path.join(folder, "host.c")
    with open(source, "w", encoding="ascii") as out:
        out.write(PROGRAM)
    program = os.path.join(folder, "host")
    subprocess.check_call(
        ["cc", source, "-o", program, "-I", include, "-L", libdir, "-Wl,-rpath," + libdir]
        + ["-lpython" + version]
        + (libs or "").split()
        + (syslibs or "").split()
        + ["-lm"]
    )
    return program


@pytest.mark.parametrize("how", ["stop", "exit"])
@pytest.mark.parametrize("version", ["3.7", "3.13"])
def test_a_host_in_c_starts_under_the_import_lock_and_ends_without_a_crash(tmp_path, version, how):
    helpers.require(shutil.which("cc"), "a C compiler")
    python = helpers.python(version)
    program = build(python, str(tmp_path))
    (tmp_path / "starting_hook.py").write_text(HOOK.replace("{how!r}", repr(how)))
    environment = dict(os.environ, DCC_MCP_EMBED_HOME=str(tmp_path / "home"))
    environment["PYTHONHOME"] = os.path.dirname(os.path.dirname(python))
    for run in range(5):
        done = subprocess.run(
            [program, SCRIPT.format(root=helpers.ROOT, folder=str(tmp_path))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=DEADLINE,
            env=environment,
        )
        said = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == 0, (run, said)
        assert "answered under the import lock: True" in said
        assert "queued call was settled: True" in said, said
        assert "imports on the loop thread: []" in said
        assert "finalized 0" in said
        assert "Traceback" not in said
        assert "Fatal" not in said


def test_the_program_would_notice_a_crash(tmp_path):
    """The program above is believed only because this one is not."""
    helpers.require(shutil.which("cc"), "a C compiler")
    program = build(helpers.python("3.7"), str(tmp_path))
    done = subprocess.run(
        [program, "import os; os.abort()"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONHOME=os.path.dirname(os.path.dirname(helpers.python("3.7")))),
    )
    assert done.returncode != 0
    assert sys.version_info >= (3, 7)
