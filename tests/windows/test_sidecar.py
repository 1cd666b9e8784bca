"""A sidecar on Windows: launched apart from its host, seen, stopped.

The program is Python itself: told ``sidecar --dcc ...``, it runs the file of that name.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time

import pytest

from dcc_mcp_embed.install_lifecycle import (
    build_sidecar_command,
    launch_sidecar,
    processes,
    query_runtime_state,
    stop_runtime_entries,
)

HOST_RPC = "qtserver://127.0.0.1:7001"

#: Enters itself in the registry, and goes on until it is ended.
SIDECAR = """
import json, os, sys, threading, time
where, what = (sys.argv[sys.argv.index(name) + 1] for name in ("--registry-dir", "--host-rpc"))
row = {
    "dcc_type": "maya", "instance_id": "00112233-4455-6677-8899-aabbccddeeff",
    "host": "127.0.0.1", "port": 18812, "pid": os.getpid(), "status": "available",
    "registered_at": time.time(), "last_heartbeat": time.time(),
    "metadata": {
        "dcc_mcp_role": "per-dcc-sidecar", "sidecar_pid": str(os.getpid()),
        "host_rpc_uri": what, "dispatch_status": "ready",
    },
}
print("entered", flush=True)
with open(os.path.join(where, "new.json"), "w") as file:
    json.dump([row], file)
os.replace(os.path.join(where, "new.json"), os.path.join(where, "services.json"))
threading.Event().wait(600)
"""

#: Seconds for a Python to start.
DEADLINE = 60.0


@pytest.fixture
def options(fresh):
    place = fresh("sidecar")
    with open(os.path.join(place, "sidecar"), "w") as file:
        file.write(SIDECAR)
    return {
        "dcc_type": "maya",
        "host_rpc": HOST_RPC,
        "registry_dir": os.path.join(place, "registry"),
        "server_bin": sys.executable,
        "cwd": place,
        "wait_ready_timeout_secs": DEADLINE,
    }


@pytest.mark.parametrize("detached", [True, False])
def test_it_is_launched_seen_and_stopped(options, detached):
    directory = options["registry_dir"]
    launched = launch_sidecar(detached=detached, **options)
    assert (launched["status"], launched["ready"]) == ("started", True), launched
    pid = launched["pid"]
    assert processes.runs(pid)
    (entry,) = query_runtime_state(directory)["entries"]
    assert (entry["sidecar_pid"], entry["runtime_alive"]) == (pid, True)
    with open(launched["stdio"]["stdout_path"]) as log:
        assert log.read() == "entered\n"
    answer = stop_runtime_entries(directory, timeout_secs=DEADLINE)
    assert answer["success"], answer
    (stopped,) = answer["results"]
    assert (stopped["pid"], stopped["status"]) == (pid, "stopped")
    assert not processes.runs(pid)
    (again,) = stop_runtime_entries(directory, timeout_secs=DEADLINE)["results"]
    assert again["status"] == "already_stopped"


def test_it_inherits_nothing_of_its_host(options):
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        launched = launch_sidecar(**options)
        assert launched["ready"], launched
        os.close(writer)
        writer = -1
        # It ends at once, unless the sidecar has it too.
        ends = []
        waiting = threading.Thread(target=lambda: ends.append(os.read(reader, 1)), daemon=True)
        waiting.start()
        waiting.join(5.0)
        assert processes.runs(launched["pid"])
        assert ends == [b""]
    finally:
        stop_runtime_entries(options["registry_dir"], timeout_secs=DEADLINE)
        for handle in (reader, writer):
            if handle >= 0:
                os.close(handle)


def test_one_that_ends_at_once_is_told_with_its_last_words(options):
    for words in ("no bridge", "none yet"):
        with open(os.path.join(options["cwd"], "sidecar"), "w") as file:
            file.write("raise SystemExit({!r})".format(words))
        launched = launch_sidecar(**options)
        assert (launched["success"], launched["status"]) == (False, "exited")
        assert launched["early_exit"]["exit_code"] == 1
        assert launched["early_exit"]["stderr_tail"] == words
    with open(launched["stdio"]["stderr_path"]) as log:
        assert log.read() == "no bridge\nnone yet\n", "those of the first are still there"


@pytest.mark.parametrize("given", [None, "dcc-mcp-server", "dcc-mcp-server.exe"])
def test_no_program_is_taken_from_the_current_directory(options, monkeypatch, given):
    there, on_path = options["cwd"], os.path.join(options["cwd"], "bin")
    os.mkdir(on_path)
    for folder in (there, on_path):
        shutil.copy(sys.executable, os.path.join(folder, "dcc-mcp-server.exe"))
    monkeypatch.chdir(there)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", os.path.dirname(sys.executable)]))
    asked = {"dcc_type": "maya", "host_rpc": HOST_RPC, "server_bin": given}
    binary = build_sidecar_command(check_server_version=True, **asked)["server_binary"]
    assert binary["path"] is None and binary["version"] is None, binary
    answer = launch_sidecar(**dict(options, server_bin=given))
    assert (answer["success"], answer["reason"]) == (False, "spawn_failed"), answer
    monkeypatch.setenv("PATH", os.pathsep.join([".", on_path]))
    binary = build_sidecar_command(**asked)["server_binary"]
    found = os.path.join(on_path, "dcc-mcp-server.exe").lower()
    assert [binary[name].lower() for name in ("path", "command")] == [found, found]


def test_when_a_process_began_is_known(start):
    before = time.time()
    with start("-c", "import sys; print(1, flush=True); sys.stdin.read()") as child:
        child.line()
        process = processes.open_process(child.pid)
        try:
            assert process.runs()
            assert before - 1.0 <= process.started_at() <= time.time() + 1.0
            process.terminate()
            child.close()
            assert not process.runs()
        finally:
            process.close()
    assert not processes.runs(child.pid)
    assert processes.open_process(2**32) is None
