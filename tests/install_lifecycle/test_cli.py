"""The command line: what each command passes on, and that there is JSON whatever happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from dcc_mcp_embed import install_lifecycle
from dcc_mcp_embed.install_lifecycle import main

SIDECAR = {
    "dcc_type": "maya",
    "host_rpc": "commandport://127.0.0.1:6000",
    "watch_pid": 12345,
    "registry_dir": None,
    "server_bin": None,
    "instance_id": None,
    "display_name": None,
    "adapter_version": None,
    "discovery_mcp_url": None,
    "gateway_port": None,
    "gateway_host": None,
    "gateway_name": None,
    "gateway_remote_host": None,
    "gateway_remote_port": None,
    "connect_timeout_secs": None,
    "no_ensure_gateway": False,
    "legacy_gateway_election": False,
    "require_dispatch_capable": False,
    "check_server_version": False,
    "extra_args": [],
}
SIDECAR_ARGV = "--dcc maya --host-rpc commandport://127.0.0.1:6000 --watch-pid 12345".split()
PROBE = {
    "poll_interval_secs": 0.25,
    "probe_tool": None,
    "probe_arguments": None,
    "probe_timeout_secs": 3.0,
}
NO_PROBE = {key: PROBE[key] for key in PROBE if key != "poll_interval_secs"}
LAUNCH = dict(
    SIDECAR,
    detached=True,
    wait_ready_timeout_secs=None,
    stdio_log_dir=None,
    capture_stdio=True,
    liveness_check_secs=1.0,
    **PROBE,
)
ROWS = {"dcc_type": None, "role": None}
STOP = {
    "dcc_type": None,
    "role": "per-dcc-sidecar",
    "install_root": None,
    "timeout_secs": 5.0,
    "include_host_processes": False,
    "kill": False,
}
READY = dict(NO_PROBE, dcc_type=None, instance_id=None, host_rpc=None)
LAYOUT = {"packages": None, "adapter_package": None}
RUN = {"budget_secs": float("inf")}

#: Command line -> function, positional arguments, keywords. The first ones are the seed's.
CALLS = [
    (["inspect", "C:\\path"], "inspect_install_root", ["C:\\path"], {}),
    (
        ["stop", "--dcc-type", "3dsmax"],
        "stop_runtime_entries",
        [None],
        dict(STOP, dcc_type="3dsmax"),
    ),
    (
        ["layout", "--cache-root", "G:\\_thm", "--adapter-package", "dcc_mcp_maya"],
        "resolve_deployment_layout",
        ["G:\\_thm"],
        dict(LAYOUT, adapter_package="dcc_mcp_maya"),
    ),
    (["sidecar-command", *SIDECAR_ARGV], "build_sidecar_command", [], SIDECAR),
    (["launch-sidecar", *SIDECAR_ARGV], "launch_sidecar", [], LAUNCH),
    (
        "plan-update --target-version core=0.17.21 --target-version server=0.17.21".split(),
        "plan_runtime_updates",
        [],
        dict(ROWS, registry_dir=None, target_versions={"core": "0.17.21", "server": "0.17.21"}),
    ),
    (["remove", "C:\\path"], "safe_remove_tree", ["C:\\path"], {}),
    (["replace", "a", "b"], "safe_replace_tree", ["a", "b"], {}),
    (["query"], "query_runtime_state", [None], dict(ROWS, install_root=None, include_dead=False)),
    (
        "query --registry-dir r --dcc-type maya --role x --install-root i --include-dead".split(),
        "query_runtime_state",
        ["r"],
        {"dcc_type": "maya", "role": "x", "install_root": "i", "include_dead": True},
    ),
    (
        "stop --registry-dir r --role x --install-root i --timeout-secs 2.5"
        " --include-host-processes --kill".split(),
        "stop_runtime_entries",
        ["r"],
        {
            "dcc_type": None,
            "role": "x",
            "install_root": "i",
            "timeout_secs": 2.5,
            "include_host_processes": True,
            "kill": True,
        },
    ),
    (
        ["layout", "--package", "a", "--package", "b"],
        "resolve_deployment_layout",
        [None],
        dict(LAYOUT, packages=["a", "b"]),
    ),
    (
        "sidecar-command --dcc-type maya --host-rpc u --watch-pid 1 --registry-dir r --server-bin b"
        " --instance-id i --display-name d --adapter-version v --discovery-mcp-url m"
        " --gateway-port 9 --gateway-host h --gateway-name n --gateway-remote-host o"
        " --gateway-remote-port 8 --connect-timeout-secs 2 --no-ensure-gateway"
        " --legacy-gateway-election --require-dispatch-capable --check-server-version"
        " --extra-sidecar-arg=--flag --extra-sidecar-arg word".split(),
        "build_sidecar_command",
        [],
        {
            "dcc_type": "maya",
            "host_rpc": "u",
            "watch_pid": 1,
            "registry_dir": "r",
            "server_bin": "b",
            "instance_id": "i",
            "display_name": "d",
            "adapter_version": "v",
            "discovery_mcp_url": "m",
            "gateway_port": 9,
            "gateway_host": "h",
            "gateway_name": "n",
            "gateway_remote_host": "o",
            "gateway_remote_port": 8,
            "connect_timeout_secs": 2,
            "no_ensure_gateway": True,
            "legacy_gateway_election": True,
            "require_dispatch_capable": True,
            "check_server_version": True,
            "extra_args": ["--flag", "word"],
        },
    ),
    (
        [
            "launch-sidecar",
            *SIDECAR_ARGV,
            *"--foreground --poll-interval-secs 1 --probe-tool t --probe-timeout-secs 2".split(),
            *["--probe-args-json", '{"a": [1]}', "--wait-ready-timeout-secs", "5"],
            *"--stdio-log-dir logs --no-stdio-log --liveness-check-secs 0".split(),
        ],
        "launch_sidecar",
        [],
        dict(
            LAUNCH,
            detached=False,
            poll_interval_secs=1.0,
            probe_tool="t",
            probe_timeout_secs=2.0,
            probe_arguments={"a": [1]},
            wait_ready_timeout_secs=5.0,
            stdio_log_dir="logs",
            capture_stdio=False,
            liveness_check_secs=0.0,
        ),
    ),
    (["sidecar-ready"], "sidecar_readiness_status", [None], READY),
    (
        "sidecar-ready --registry-dir r --dcc maya --instance-id i --host-rpc u --timeout-secs 3"
        " --poll-interval-secs 0.5 --probe-tool t".split(),
        "wait_for_sidecar_ready",
        ["r"],
        dict(
            READY,
            dcc_type="maya",
            instance_id="i",
            host_rpc="u",
            timeout_secs=3.0,
            poll_interval_secs=0.5,
            probe_tool="t",
        ),
    ),
    (["deferred", "list"], "list_deferred", [], {}),
    (["deferred", "run"], "run_deferred_cleanup", [], dict(RUN, given_up=False)),
    (["deferred", "run", "--given-up"], "run_deferred_cleanup", [], dict(RUN, given_up=True)),
    (["deferred", "drop", "0a1b"], "drop_deferred", ["0a1b"], {}),
]


@pytest.fixture
def stand_in(monkeypatch):
    """Put a function in the place of a public one; the list that is returned gets its calls."""

    def put(name, result):
        calls = []

        def function(*args, **keywords):
            calls.append((list(args), keywords))
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setitem(vars(install_lifecycle), name, function)
        return calls

    return put


def run(capsys, argv):
    status = main(argv)
    out, err = capsys.readouterr()
    return status, json.loads(out), err


@pytest.mark.parametrize(("argv", "name", "args", "keywords"), CALLS)
def test_command_calls_its_function(stand_in, capsys, argv, name, args, keywords) -> None:
    calls = stand_in(name, {"success": True, "status": "done"})
    assert run(capsys, argv) == (0, {"success": True, "status": "done"}, "")
    assert calls == [(args, keywords)]


def test_every_command_is_tried_above() -> None:
    from dcc_mcp_embed.install_lifecycle import cli

    assert {name for name, _, _, _ in cli._COMMANDS} == {argv[0] for argv, _, _, _ in CALLS}


def test_output_is_ascii_indented_and_sorted(stand_in, capsys) -> None:
    stand_in("list_deferred", {"success": True, "b": "é", "a": 1})
    assert main(["deferred", "list"]) == 0
    assert capsys.readouterr().out == ('{\n  "a": 1,\n  "b": "\\u00e9",\n  "success": true\n}\n')


def test_failure_is_status_1(stand_in, capsys) -> None:
    stand_in("safe_remove_tree", {"success": False, "status": "requires_restart"})
    assert run(capsys, ["remove", "x"])[0] == 1


def test_inspection_succeeds_also_when_a_restart_is_needed(stand_in, capsys) -> None:
    stand_in("inspect_install_root", {"success": True, "status": "requires_restart"})
    assert run(capsys, ["inspect", "x"])[0] == 0


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["colour"],
        ["deferred"],
        ["deferred", "colour"],
        ["inspect"],
        ["replace", "a"],
        ["sidecar-command", "--dcc", "maya", "--host-rpc", "u"],
        ["sidecar-command", "--dcc", "maya", "--host-rpc", "u", "--watch-pid", "x"],
        ["query", "--colour"],
        ["deferred", "drop"],
        ["stop", "--timeout-secs", "nan"],
        ["sidecar-ready", "--timeout-secs", "inf"],
        ["launch-sidecar", *SIDECAR_ARGV, "--connect-timeout-secs", "2.5"],
    ],
)
def test_what_cannot_be_understood_is_status_2_with_json_and_usage(capsys, argv) -> None:
    status, result, err = run(capsys, argv)
    assert (status, result["reason"]) == (2, "invalid_arguments")
    assert result["success"] is False
    assert result["message"]
    assert err.startswith("usage: python3 -m dcc_mcp_embed.install_lifecycle")


@pytest.mark.parametrize("text", ["core", "=1.0", "core=", " = "])
def test_target_version_without_its_parts_is_refused(capsys, text) -> None:
    status, result, _ = run(capsys, ["plan-update", "--target-version", text])
    assert (status, result["status"], result["reason"]) == (1, "failed", "invalid_target_version")


def test_last_target_version_of_a_component_counts(stand_in, capsys) -> None:
    calls = stand_in("plan_runtime_updates", {"success": True})
    run(capsys, ["plan-update", "--target-version", "core=1", "--target-version", " core = 2=3"])
    assert calls[0][1]["target_versions"] == {"core": "2=3"}


@pytest.mark.parametrize("text", ["{", "[]", "1", "[" * 100000])
@pytest.mark.parametrize("command", [["sidecar-ready"], ["launch-sidecar", *SIDECAR_ARGV]])
def test_probe_arguments_that_are_no_object_are_refused(capsys, command, text) -> None:
    status, result, _ = run(capsys, [*command, "--probe-args-json", text])
    assert (status, result["status"], result["reason"]) == (1, "failed", "invalid_probe_args")


def test_whatever_is_raised_is_told_in_json(stand_in, capsys) -> None:
    stand_in("query_runtime_state", RuntimeError("a surprise"))
    status, result, err = run(capsys, ["query"])
    assert (status, result["reason"], err) == (1, "unexpected_error", "")
    assert result["message"] == "RuntimeError: a surprise"


def test_interruption_is_told_in_json(stand_in, capsys) -> None:
    stand_in("wait_for_sidecar_ready", KeyboardInterrupt())
    status, result, _ = run(capsys, ["sidecar-ready", "--timeout-secs", "9"])
    assert (status, result["reason"]) == (130, "interrupted")


def test_interruption_while_the_result_is_printed_ends_it(stand_in, monkeypatch) -> None:
    class Interrupted:
        def write(self, text):
            raise KeyboardInterrupt

    stand_in("list_deferred", {"success": True})
    monkeypatch.setattr(sys, "stdout", Interrupted())
    assert main(["deferred", "list"]) == 130


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1: "one", "two": 2}])
def test_result_that_is_no_json_is_told_in_json(stand_in, capsys, value) -> None:
    stand_in("query_runtime_state", {"success": True, "value": value})
    status, result, _ = run(capsys, ["query"])
    assert (status, result["success"], result["reason"]) == (1, False, "unexpected_error")


def test_nobody_needs_a_console(stand_in, monkeypatch) -> None:
    stand_in("list_deferred", {"success": True})
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["deferred", "list"]) == 0


def test_usage_that_nobody_can_be_told_is_in_nobodys_way(capsys, monkeypatch) -> None:
    class Full:
        def write(self, text):
            raise OSError(28, "no space")

        def fileno(self):
            raise OSError(0, "no file")

    for stream in (None, Full()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["query", "--colour"]) == 2
        assert json.loads(capsys.readouterr().out)["reason"] == "invalid_arguments"


def test_reader_that_has_seen_enough_is_no_error() -> None:
    code = "import sys, dcc_mcp_embed.install_lifecycle as lifecycle\n"
    code += "lifecycle.list_deferred = lambda: {'success': True, 'entries': ['x' * 99] * 9999}\n"
    code += "sys.exit(lifecycle.main(['deferred', 'list']))"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.read(1) == b"{"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_help_names_every_command(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for argv, _, _, _ in CALLS:
        assert re.search(r"^ +{}\b".format(argv[0]), text, re.MULTILINE), argv[0]


def test_program_on_its_own(tmp_path) -> None:
    env = dict(os.environ, DCC_MCP_EMBED_HOME=str(tmp_path / "home"))
    command = [sys.executable, "-W", "error", "-m", "dcc_mcp_embed.install_lifecycle"]
    pipe = subprocess.PIPE
    done = subprocess.run([*command, "deferred", "list"], stdout=pipe, stderr=pipe, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("ascii"))["entries"] == []
    assert not (tmp_path / "home").exists()
    done = subprocess.run([*command, "query", "--colour"], stdout=pipe, stderr=pipe, env=env)
    assert done.returncode == 2
    assert json.loads(done.stdout.decode("ascii"))["reason"] == "invalid_arguments"


#: The seed's commands: what they end with where nothing runs and nothing is installed, some keys.
REAL = [
    ("inspect {}/adapter", 0, {"status": "ok", "requires_restart": False, "locked_path": None}),
    ("stop --dcc-type 3dsmax", 0, {"total": 0, "results": []}),
    ("layout --cache-root {} --adapter-package dcc_mcp_maya", 0, {"mode": "unknown"}),
    (
        "sidecar-command --dcc maya --host-rpc commandport://127.0.0.1:6000 --watch-pid 12345",
        0,
        {"dcc_type": "maya", "watch_pid": 12345, "role": "per-dcc-sidecar"},
    ),
    (
        "launch-sidecar --server-bin {}/no --dcc maya --host-rpc qtserver://[::1]:1 --watch-pid 1",
        1,
        {"status": "failed", "reason": "spawn_failed"},
    ),
    (
        "plan-update --target-version core=0.17.21 --target-version server=0.17.21",
        0,
        {"plans": [], "target_versions": {"core": "0.17.21", "server": "0.17.21"}},
    ),
    ("remove {}/adapter", 0, {"status": "skipped", "requires_restart": False}),
    ("replace {0}/staged {0}/adapter", 1, {"status": "failed", "reason": "missing_source"}),
    ("query", 0, {"total": 0, "entries": []}),
    ("sidecar-ready --dcc maya", 1, {"status": "missing", "ready": False}),
    ("deferred list", 0, {"entries": []}),
    ("deferred run", 0, {"status": "nothing_owed"}),
    ("deferred drop 0a1b", 1, {"status": "failed", "reason": "unknown_id"}),
]


@pytest.mark.parametrize(("line", "status", "keys"), REAL, ids=[r[0].split(" {")[0] for r in REAL])
def test_commands_of_the_seed_where_nothing_is_installed(
    line, status, keys, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    found, result, err = run(capsys, line.format(tmp_path).split())
    assert (found, err) == (status, "")
    assert {key: result.get(key) for key in keys} == keys
    assert result["success"] is (status == 0)


def test_readiness_command_is_one_of_this_module(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DCC_MCP_PYTHON_EXECUTABLE", sys.executable)
    _, contract, _ = run(capsys, ["sidecar-command", *SIDECAR_ARGV])
    command = contract["readiness_command"]
    assert command[1:3] == ["-m", "dcc_mcp_embed.install_lifecycle"]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    assert done.returncode == 1
    assert json.loads(done.stdout.decode("ascii"))["status"] == "missing"
