"""Launching: what the child gets and does not get, what is told of it, and that nothing stays.

The children are scripts in place of the real program, which ``tests/real`` launches.
"""

from __future__ import annotations

import _thread
import gc
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.install_lifecycle import launch_sidecar, launching, processes
from fakes.answering import foreign_row
from fakes.waiting import until

pytestmark = [pytest.mark.edges, pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")]

HOST_RPC = "qtserver://127.0.0.1:7001"
STAY = "exec sleep 600"
CONTRACT = set(
    "success role dcc_type host_rpc discovery_mcp_url watch_pid registry_dir gateway_port command"
    " server_binary environment readiness_selector readiness_argv readiness_command"
    " dispatch_contract readiness_contract detached recommended_next_action".split()
)
LAUNCHED = CONTRACT | set("status pid ready readiness_checked readiness stdio liveness".split())
FAILED = {"success", "status", "requires_restart", "path", "reason", "message"}


class Launcher:
    """Launches scripts, and ends those that still run."""

    def __init__(self, folder):
        self.folder = folder
        self.registry = os.path.realpath(str(folder / "registry"))
        self.pids = []

    def program(self, script):
        path = self.folder / "dcc-mcp-server"
        path.write_text("#!/bin/sh\n{}\n".format(script))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def __call__(self, script=STAY, **more):
        arguments = {
            "dcc_type": "maya",
            "host_rpc": HOST_RPC,
            "registry_dir": self.registry,
            "server_bin": self.program(script),
        }
        arguments.update(more)
        result = launch_sidecar(**arguments)
        if "pid" in result:
            self.pids.append(result["pid"])
        json.dumps({name: value for name, value in result.items() if name != "process"})
        return result

    def close(self):
        for pid in self.pids:
            # A process that is about to become another program shows nothing for a moment.
            shown = until(lambda one=pid: environment(one) or not processes.runs(one))
            if shown is not True and shown.get("DCC_MCP_REGISTRY_DIR") == self.registry:
                os.kill(pid, signal.SIGKILL)
                # A child of the test is waited for; of others, the system has the end.
                until(lambda one=pid: not processes.runs(one), "it has ended")

    def log(self, result, stream="stdout"):
        with open(result["stdio"][stream + "_path"]) as file:
            return file.read()


@pytest.fixture
def launch(tmp_path, monkeypatch):
    for name in ("DCC_MCP_SERVER_BIN", "DCC_MCP_GATEWAY_PORT", "DCC_MCP_REGISTRY_DIR"):
        monkeypatch.delenv(name, raising=False)
    launcher = Launcher(tmp_path)
    yield launcher
    launcher.close()


def exists(pid):
    """Return whether a process is there, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def environment(pid):
    try:
        with open("/proc/{}/environ".format(pid), "rb") as file:
            pairs = file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def system_threads():
    return set(os.listdir("/proc/self/task"))


# What is told.


def test_it_starts_and_says_what_it_did(launch):
    result = launch(watch_pid=os.getpid(), instance_id="a1b2c3d4-0000-4000-8000-000000000001")
    assert set(result) == LAUNCHED
    assert (result["success"], result["status"], result["detached"]) == (True, "started", True)
    assert (result["ready"], result["readiness_checked"]) == (False, False)
    assert result["readiness"] == {
        "success": False,
        "status": "not_checked",
        "ready": False,
        "checked": False,
        "selector": result["readiness_selector"],
        "message": result["readiness_contract"]["message"],
        "recommended_next_action": result["recommended_next_action"],
    }
    assert result["liveness"]["checked"] is False and result["liveness"]["alive"] is None
    assert exists(result["pid"])
    until(lambda: environment(result["pid"]), "it runs")


def test_without_hope_of_calls_it_starts_all_the_same(launch):
    result = launch(host_rpc="stub://x")
    assert (result["status"], result["readiness"]["status"]) == ("started", "dispatch_not_capable")
    refused = launch(host_rpc="stub://x", require_dispatch_capable=True)
    assert (refused["success"], refused["reason"]) == (False, "dispatch_not_capable")
    assert "pid" not in refused


def test_a_program_that_is_not_there(launch):
    result = launch(server_bin=str(launch.folder / "nothing"))
    assert set(result) == FAILED | {"command", "server_binary", "registry_dir", "stdio"}
    assert (result["status"], result["reason"]) == ("failed", "spawn_failed")
    assert result["command"][0].endswith("nothing")


@pytest.mark.parametrize("more", [{"display_name": "a\0b"}, {"env": {"A": 5}}, {"cwd": "/nowhere"}])
def test_what_no_process_can_be_given(launch, more):
    assert launch(**more)["reason"] == "spawn_failed"


@pytest.mark.parametrize(
    "name",
    ["wait_ready_timeout_secs", "poll_interval_secs", "probe_timeout_secs", "liveness_check_secs"],
)
def test_seconds_that_are_no_number_are_seen_before_anything_starts(launch, name):
    script = "touch {}".format(launch.folder / "started")
    for seconds in ("soon", float("inf"), float("-inf"), float("nan")):
        with pytest.raises(ValueError):
            launch(script, **{name: seconds})
    with pytest.raises(TypeError):
        launch(script, **{name: [1]})
    assert not (launch.folder / "started").exists() and launch.pids == []


@pytest.mark.parametrize("arguments", [{"a": object()}, [1], {"a": float("nan")}])
def test_what_no_probe_can_send_is_seen_before_anything_starts(launch, arguments):
    result = launch(probe_tool="ping", probe_arguments=arguments, wait_ready_timeout_secs=60.0)
    assert set(result) == FAILED
    assert (result["status"], result["reason"]) == ("failed", "invalid_probe_args")
    assert launch.pids == [] and not os.path.exists(launch.registry)


@pytest.mark.parametrize("seconds", [None, 0, -5.0])
def test_no_time_is_not_waited_for(launch, seconds):
    liveness = launch(liveness_check_secs=seconds)["liveness"]
    assert (liveness["checked"], liveness["timeout_secs"]) == (False, 0.0)


# What the child gets.


def test_its_environment_is_ours_with_what_was_given_and_the_contracts(launch):
    os.environ["LAUNCH_TEST"] = "inherited"
    try:
        result = launch(
            'echo "$LAUNCH_TEST $MORE $DCC_MCP_GATEWAY_PORT $DCC_MCP_REGISTRY_DIR"; pwd; echo "$@"',
            env={"MORE": "given", "DCC_MCP_GATEWAY_PORT": "1"},
            gateway_port=2,
            gateway_name="name of it",
            cwd=str(launch.folder),
            liveness_check_secs=60.0,
        )
    finally:
        del os.environ["LAUNCH_TEST"]
    said = launch.log(result).split("\n")
    assert said[0] == "inherited given 2 " + result["registry_dir"]
    assert said[1] == os.path.realpath(str(launch.folder))
    assert said[2] == " ".join(result["command"][1:])


def test_it_has_a_session_and_a_group_of_its_own(launch):
    result = launch()
    assert os.getsid(result["pid"]) == os.getpgid(result["pid"]) == result["pid"]
    result = launch(detached=False)
    assert result["detached"] is False
    assert os.getsid(result["pid"]) == os.getsid(0)


def test_it_hears_the_signal_that_asks_it_to_end_whoever_launches_it(launch):
    """A thread of a host may have signals blocked, and a child takes that over."""
    blocked = [signal.SIGTERM, signal.SIGUSR1]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        result = launch()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {*mask, *blocked}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.kill(result["pid"], signal.SIGTERM)
    until(lambda: not exists(result["pid"]), "it has ended")


def test_it_inherits_no_descriptor_and_reads_nothing(launch):
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.set_inheritable(writer, True)
    try:
        result = launch("ls -l /proc/$$/fd; cat", liveness_check_secs=60.0)
    finally:
        os.close(reader)
        os.close(writer)
    assert result["liveness"]["alive"] is False
    listed = launch.log(result)
    assert "pipe:" not in listed
    assert "0 -> /dev/null" in listed
    assert "1 -> {}".format(os.path.realpath(result["stdio"]["stdout_path"])) in listed


def test_on_windows_it_has_no_console_and_no_handle_but_its_own():
    assert launching.popen_options(True, True) == {
        "close_fds": True,
        "creationflags": 0x08000208,
    }
    assert launching.popen_options(True, False) == {"close_fds": True}
    assert launching.popen_options(False, True) == {"close_fds": True, "start_new_session": True}
    assert launching.popen_options(False, False) == {"close_fds": True}


# Where its output goes.


def test_its_output_is_appended_to_files(launch):
    first = launch("echo one; echo two >&2", liveness_check_secs=60.0, watch_pid=77)
    stdio = first["stdio"]
    where = os.path.join(first["registry_dir"], "logs")
    assert set(stdio) == {"captured", "log_dir", "message"} | {
        stream + end for stream in ("stdout", "stderr") for end in ("_path", "_start_offset")
    }
    assert (stdio["captured"], stdio["log_dir"]) == (True, where)
    assert stdio["stdout_path"] == os.path.join(where, "sidecar-maya-77.stdout.log")
    assert stdio["stderr_path"] == os.path.join(where, "sidecar-maya-77.stderr.log")
    assert (stdio["stdout_start_offset"], stdio["stderr_start_offset"]) == (0, 0)
    second = launch("echo three", liveness_check_secs=60.0, watch_pid=77)
    assert second["stdio"]["stdout_start_offset"] == 4
    assert (launch.log(second), launch.log(second, "stderr")) == ("one\nthree\n", "two\n")
    # Of a file that had more in it before, only what this child said is told.
    assert first["early_exit"]["stdout_tail"] == "one"
    assert second["early_exit"]["stdout_tail"] == "three"
    assert second["early_exit"]["stderr_tail"] is None
    for path in (first["registry_dir"], where):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(stdio["stdout_path"]).st_mode) == 0o600


def test_its_files_are_named_after_it_and_are_where_they_are_wanted(launch):
    ident = "a1b2c3d4-0000-4000-8000-000000000001"
    where = launch.folder / "a" / "b"
    result = launch(dcc_type="../X y", instance_id=ident, stdio_log_dir=str(where))
    assert sorted(os.listdir(str(where))) == [
        "sidecar-x-y-{}.{}.log".format(ident, stream) for stream in ("stderr", "stdout")
    ]
    assert result["stdio"]["log_dir"] == os.path.realpath(str(where))
    result = launch(dcc_type="..", instance_id=ident)
    assert "sidecar-unknown-" in result["stdio"]["stdout_path"]


def test_its_output_may_be_dropped(launch):
    result = launch("echo lost", capture_stdio=False, liveness_check_secs=60.0)
    stdio = dict(result["stdio"])
    assert stdio.pop("captured") is False and stdio.pop("message")
    assert set(stdio.values()) == {None}
    assert os.listdir(result["registry_dir"]) == []
    assert result["early_exit"]["stdio_captured"] is False
    assert result["early_exit"]["stdout_tail"] is None


@pytest.mark.parametrize("more", [{}, {"capture_stdio": False}, {"stdio_log_dir": "elsewhere"}])
def test_its_registry_is_the_users_alone_from_the_first_moment(launch, monkeypatch, more):
    """Where a user's umask is for a group, as in many studios."""
    monkeypatch.chdir(str(launch.folder))
    mask = os.umask(0o002)
    try:
        result = launch('mkdir -p "$DCC_MCP_REGISTRY_DIR"', liveness_check_secs=60.0, **more)
    finally:
        os.umask(mask)
    assert result["early_exit"]["exit_code"] == 0
    assert stat.S_IMODE(os.stat(result["registry_dir"]).st_mode) == 0o700


def test_the_usual_registry_is_the_one_that_servers_take(launch, monkeypatch):
    os.chmod(str(launch.folder), 0o700)
    monkeypatch.setenv("TMPDIR", str(launch.folder))
    usual = launch.folder / "dcc-mcp-registry"
    usual.mkdir()
    os.chmod(str(usual), 0o775)
    result = launch("exit 3", registry_dir=None, liveness_check_secs=60.0)
    assert result["registry_dir"] == str(usual)
    assert stat.S_IMODE(usual.stat().st_mode) == 0o700


def test_a_registry_that_cannot_be_made_is_the_sidecars_to_tell(launch):
    (launch.folder / "registry").write_text("a file")
    result = launch("exit 3", liveness_check_secs=60.0, capture_stdio=False)
    assert result["early_exit"]["exit_code"] == 3
    assert launch("exit 3")["reason"] == "stdio_log_failed"


def test_no_output_goes_where_somebody_else_wants_it(launch):
    logs = os.path.join(launch.registry, "logs")
    os.makedirs(logs)
    path = os.path.join(logs, "sidecar-maya-77.stderr.log")
    victim = launch.folder / "victim"
    victim.write_text("mine")
    for plant in (lambda: os.symlink(str(victim), path), lambda: os.mkfifo(path)):
        plant()
        result = launch(watch_pid=77)
        assert (result["status"], result["reason"]) == ("failed", "stdio_log_failed")
        os.unlink(path)
    assert victim.read_text() == "mine"
    os.mkdir(path)
    result = launch(watch_pid=77)
    assert set(result) == FAILED | {"command", "server_binary", "registry_dir"}
    assert (result["reason"], result["path"]) == ("stdio_log_failed", path)
    assert launch(stdio_log_dir=str(victim))["reason"] == "stdio_log_failed"
    assert launch.pids == []


# An early end.


def test_an_early_end_is_told_if_somebody_asks(launch):
    result = launch("echo why >&2; exit 3", liveness_check_secs=60.0, display_name="secret")
    assert set(result) == LAUNCHED | {"early_exit", "reason", "message"}
    assert (result["success"], result["status"]) == (False, "exited")
    assert result["reason"] == "sidecar_exited_during_startup"
    liveness = dict(result["liveness"])
    assert 0 <= liveness.pop("elapsed_secs") < 60.0 and liveness.pop("message")
    assert liveness == {"checked": True, "alive": False, "timeout_secs": 60.0, "exit_code": 3}
    told = dict(result["early_exit"])
    assert told.pop("argv_metadata") == {
        "program": "dcc-mcp-server",
        "subcommand": "sidecar",
        "flags": [
            *("--dcc", "--host-rpc", "--watch-pid", "--registry-dir", "--gateway-port"),
            "--display-name",
        ],
    }
    for stream in ("stdout", "stderr"):
        for end in ("_path", "_start_offset"):
            assert told.pop(stream + end) == result["stdio"][stream + end]
    assert told == {
        "exit_code": 3,
        "reason": "sidecar_exited_during_startup",
        "stdio_captured": True,
        "tail_bytes": 4096,
        "tail_errors": {},
        "stdout_tail": None,
        "stderr_tail": "why",
    }
    assert not exists(result["pid"])


def test_one_that_stays_is_alive(launch):
    result = launch(liveness_check_secs=0.2)
    assert (result["success"], result["status"]) == (True, "started")
    assert (result["liveness"]["checked"], result["liveness"]["alive"]) == (True, True)
    assert result["liveness"]["exit_code"] is None


def test_a_signal_is_an_end_too(launch):
    assert launch("kill -9 $$", liveness_check_secs=60.0)["early_exit"]["exit_code"] == -9


def test_of_long_output_the_end_is_told(launch):
    script = "i=0; while [ $i -lt 300 ]; do echo line number $i of many; i=$((i+1)); done"
    tail = launch(script, liveness_check_secs=60.0)["early_exit"]["stdout_tail"]
    assert 4000 < len(tail) < 4096 and tail.endswith("line number 299 of many")


def test_a_log_that_cannot_be_read_is_no_reason_to_fail(launch):
    script = "rm {}/logs/*.stderr.log; exit 1".format(launch.registry)
    told = launch(script, liveness_check_secs=60.0)["early_exit"]
    assert told["stderr_tail"] is None and list(told["tail_errors"]) == ["stderr"]


def test_values_are_nobodys_business():
    command = ["C:\\x\\dcc-mcp-server.exe", "sidecar", "--dcc", "maya", "--display-name=--x", "y"]
    assert launching.argv_metadata(command) == {
        "program": "dcc-mcp-server.exe",
        "subcommand": "sidecar",
        "flags": ["--dcc", "--display-name"],
    }


# Readiness.


def sidecar_row(pid, status, **changes):
    metadata = {
        "dcc_mcp_role": "per-dcc-sidecar",
        "dispatch_status": status,
        "host_rpc_uri": HOST_RPC,
        "sidecar_pid": str(pid),
    }
    return foreign_row(metadata=metadata, **changes)


def entering(pid, **changes):
    """Return a line of a script that enters a row as a sidecar does; "PID" is its own."""
    return """
echo '{}' | sed s/PID/$$/ > "$DCC_MCP_REGISTRY_DIR"/services.new
mv "$DCC_MCP_REGISTRY_DIR"/services.new "$DCC_MCP_REGISTRY_DIR"/services.json
""".format(json.dumps([sidecar_row(pid, "ready", registered_at=4e9, **changes)]))


def test_it_waits_for_readiness_if_somebody_asks(launch):
    result = launch(entering("PID") + STAY, wait_ready_timeout_secs=60.0, poll_interval_secs=0.0)
    assert set(result) == LAUNCHED
    assert (result["success"], result["status"]) == (True, "started")
    assert result["ready"] is result["readiness_checked"] is True
    assert result["readiness"]["status"] == "ready"
    assert result["readiness"]["entry"]["sidecar_pid"] == result["pid"]


def test_no_time_to_wait_is_one_look(launch):
    result = launch(wait_ready_timeout_secs=0)
    assert (result["success"], result["ready"], result["readiness_checked"]) == (True, False, True)
    assert result["readiness"]["status"] == "missing"
    assert result["readiness"]["selector"] == result["readiness_selector"]


def test_the_time_may_run_out(launch):
    result = launch(wait_ready_timeout_secs=0.1)
    assert (result["success"], result["ready"]) == (True, False)
    assert result["readiness"]["status"] == "timeout"
    assert result["readiness"]["last_status"] == "missing"


def test_it_does_not_wait_for_who_has_failed(launch):
    began = time.monotonic()
    result = launch("exit 4", wait_ready_timeout_secs=600.0)
    assert time.monotonic() - began < 60.0
    assert (result["success"], result["status"], result["ready"]) == (False, "exited", False)
    assert result["early_exit"]["exit_code"] == 4
    assert result["readiness"]["status"] == "missing"
    # Who was seen to end is not looked for.
    result = launch("exit 4", liveness_check_secs=60.0, wait_ready_timeout_secs=600.0)
    assert result["readiness_checked"] is False


@pytest.mark.parametrize("seconds", [600.0, 0.0])
@pytest.mark.parametrize("age", [60.0, 0.0, -60.0])
def test_another_that_is_ready_is_not_taken_for_it(launch, age, seconds):
    """One that was there before, for the same host. The new one ends with 0, as the real one does
    whose host is gone."""
    os.makedirs(launch.registry)
    older = sidecar_row(os.getpid(), "ready", registered_at=time.time() - age)
    with open(os.path.join(launch.registry, "services.json"), "w") as file:
        json.dump([older], file)
    result = launch("exit 0", wait_ready_timeout_secs=seconds)
    assert (result["ready"], result["readiness"]["status"]) == (False, "missing")
    if seconds > 0.0:
        assert (result["success"], result["status"]) == (False, "exited")
        assert result["early_exit"]["exit_code"] == 0


def test_another_that_enters_itself_anew_is_not_taken_for_it(launch):
    """As the real one does when its host's bridge has come."""
    ident = "a1b2c3d4-0000-4000-8000-000000000001"
    os.makedirs(launch.registry)
    other = sidecar_row(os.getpid(), "unavailable", instance_id=ident)
    with open(os.path.join(launch.registry, "services.json"), "w") as file:
        json.dump([other], file)
    script = entering(os.getpid(), instance_id=ident) + "exit 0"
    result = launch(script, wait_ready_timeout_secs=600.0)
    assert (result["ready"], result["readiness"]["status"]) == (False, "missing")


def test_the_sample_of_the_guide(launch):
    result = launch_sidecar(
        dcc_type="maya",
        host_rpc="commandport://127.0.0.1:6000",
        watch_pid=os.getpid(),
        display_name="Maya-Anim",
        adapter_version="1.2.3",
        registry_dir=launch.registry,
        server_bin=launch.program(STAY),
    )
    launch.pids.append(result["pid"])
    assert (result["success"], result["ready"]) == (True, False)
    result = launch_sidecar(
        dcc_type="maya",
        host_rpc="commandport://127.0.0.1:6000",
        watch_pid=os.getpid(),
        wait_ready_timeout_secs=0.05,
        probe_tool="maya_diagnostics__ping",
        registry_dir=launch.registry,
        server_bin=launch.program(STAY),
    )
    launch.pids.append(result["pid"])
    ready = result.get("readiness", {})
    assert (ready["status"], ready["ready"]) == ("timeout", False)


# Nothing stays.


@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_its_end_leaves_no_zombie_and_no_thread(launch, number):
    before, known = system_threads(), threading.enumerate()
    result = launch("exit 1" if number is None else STAY)
    assert threading.enumerate() == known
    if number is not None:
        os.kill(result["pid"], number)
    until(lambda: not exists(result["pid"]), "it was waited for")
    until(lambda: system_threads() <= before, "the thread that did has ended")


def test_who_waits_takes_no_signal_from_the_host(launch):
    before = system_threads()
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR2])
    try:
        result = launch()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR2}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    (thread,) = system_threads() - before

    def status():
        with open("/proc/self/task/{}/status".format(thread)) as file:
            return file.read()

    # Until it waits, the C library may have blocked signals of its own accord.
    until(lambda: "State:\tS" in status(), "it waits")
    blocked = int(status().split("SigBlk:")[1].split()[0], 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGPROF, signal.SIGALRM):
        assert blocked & 1 << (number - 1)
    os.kill(result["pid"], signal.SIGKILL)
    until(lambda: not exists(result["pid"]), "it was waited for")


def test_somebody_else_may_wait_for_it(launch):
    result = launch()
    os.kill(result["pid"], signal.SIGKILL)
    try:
        os.waitpid(result["pid"], 0)
    except ChildProcessError:
        pass
    assert not exists(result["pid"])


def test_the_caller_may_have_the_process(launch):
    before = system_threads()
    result = launch("read line; exit 5", return_process=True)
    process = result["process"]
    assert isinstance(process, subprocess.Popen) and process.pid == result["pid"]
    assert process.wait(60.0) == 5
    process = launch(return_process=True)["process"]
    try:
        # Those of other tests may just be ending.
        assert system_threads() <= before
    finally:
        process.kill()
        assert process.wait(60.0) == -signal.SIGKILL


def test_python_keeps_no_child_that_nobody_has_asked_for(launch):
    """It would look at each of them whenever the host starts a process, and warn at the end."""
    before = list(getattr(subprocess, "_active", []))
    launch()
    gc.collect()
    assert list(getattr(subprocess, "_active", [])) == before


def test_without_a_thread_it_is_waited_for_when_somebody_looks(launch, monkeypatch):
    import _thread

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    pid = launch("exit 1")["pid"]
    until(lambda: not processes.runs(pid), "it has ended")
    until(lambda: processes.reap() or not exists(pid), "it was waited for")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no zombies")
def test_who_waits_for_it_has_begun():
    """A thread that has not when the interpreter ends crashes the process (CPython 3.9)."""
    with subprocess.Popen(["sleep", "60"]) as child:
        before = _thread._count()
        try:
            assert launching._wait_aside(child.pid)
            assert _thread._count() == before + 1
        finally:
            child.kill()
        until(lambda: _thread._count() == before, "the thread has ended")
        assert not exists(child.pid)


LAUNCH_AND_END = """
import atexit, sys
from dcc_mcp_embed.install_lifecycle import launch_sidecar

def start():
    result = launch_sidecar(
        dcc_type="maya", host_rpc="qtserver://h:1", registry_dir={!r}, server_bin={!r}
    )
    print(result["pid"], flush=True)

if {}:
    atexit.register(start)
else:
    start()
"""


@pytest.mark.parametrize("late", [False, True])
def test_the_host_may_end_before_it(launch, late):
    code = LAUNCH_AND_END.format(launch.registry, launch.program(STAY), late)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        env=dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(dcc_mcp_embed.__file__))),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=100.0,
    )
    assert (done.returncode, done.stderr.decode("utf-8")) == (0, "")
    launch.pids.append(int(done.stdout))
    assert exists(launch.pids[-1])
