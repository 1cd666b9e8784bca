"""The command line of a sidecar, argument by argument, and what is told with it."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest

from dcc_mcp_embed.install_lifecycle import (
    build_sidecar_command,
    default_registry_dir,
    query_runtime_state,
)
from dcc_mcp_embed.install_lifecycle.programs import server_version

ID = "a1b2c3d4-0000-4000-8000-000000000001"
HERE = "dcc_mcp_embed.install_lifecycle"
KEYS = set(
    "success role dcc_type host_rpc discovery_mcp_url watch_pid registry_dir gateway_port command"
    " server_binary environment readiness_selector readiness_argv readiness_command"
    " dispatch_contract readiness_contract detached recommended_next_action".split()
)


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """Have nothing in the environment that a command is made of."""
    for name in list(os.environ):
        if name.startswith("DCC_MCP_") and name != "DCC_MCP_EMBED_REQUIRE_REAL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))


def build(**more):
    arguments = {"dcc_type": "maya", "host_rpc": "qtserver://127.0.0.1:7001", "watch_pid": 4711}
    arguments.update(more)
    result = build_sidecar_command(**arguments)
    assert json.loads(json.dumps(result)) == result
    return result


def options(**more):
    """Return what follows the six arguments that are always there."""
    command = build(**more)["command"]
    assert command[1] == "sidecar"
    return command[12:]


def program(folder, name="dcc-mcp-server", script="echo dcc-mcp-server 1.2.3; echo more"):
    path = folder / name
    path.write_text("#!/bin/sh\n{}\n".format(script))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_arguments_that_are_always_there(tmp_path):
    assert build()["command"] == [
        "dcc-mcp-server",
        "sidecar",
        "--dcc",
        "maya",
        "--host-rpc",
        "qtserver://127.0.0.1:7001",
        "--watch-pid",
        "4711",
        "--registry-dir",
        str(tmp_path / "registry"),
        "--gateway-port",
        "9765",
    ]


def test_every_optional_argument_in_its_order():
    assert options(
        extra_args=["--x", 5],
        legacy_gateway_election=True,
        no_ensure_gateway=True,
        connect_timeout_secs=2.0,
        gateway_remote_port=0,
        gateway_remote_host="remote",
        gateway_name="name",
        gateway_host="host",
        discovery_mcp_url="http://127.0.0.1:1/mcp",
        adapter_version="1.2.3",
        display_name="Maya-Anim",
        instance_id=ID.upper(),
    ) == (
        "--instance-id {} --display-name Maya-Anim --adapter-version 1.2.3 --discovery-mcp-url"
        " http://127.0.0.1:1/mcp --gateway-host host --gateway-name name --gateway-remote-host"
        " remote --gateway-remote-port 0 --connect-timeout-secs 2 --no-ensure-gateway"
        " --legacy-gateway-election --x 5".format(ID).split()
    )


def test_the_answer_has_every_key_and_says_how_to_go_on():
    result = build(instance_id=ID, discovery_mcp_url="http://127.0.0.1:1/mcp")
    assert set(result) == KEYS
    assert result["success"] is True and result["detached"] is True
    assert result["role"] == "per-dcc-sidecar"
    assert (result["dcc_type"], result["watch_pid"]) == ("maya", 4711)
    assert result["host_rpc"] == "qtserver://127.0.0.1:7001"
    assert result["discovery_mcp_url"] == "http://127.0.0.1:1/mcp"
    assert result["readiness_selector"] == {
        "dcc_type": "maya",
        "instance_id": ID,
        "host_rpc": "qtserver://127.0.0.1:7001",
    }
    assert result["readiness_argv"] == [
        *("sidecar-ready", "--dcc", "maya", "--host-rpc", "qtserver://127.0.0.1:7001"),
        *("--registry-dir", result["registry_dir"], "--instance-id", ID),
    ]
    assert result["readiness_command"] == [sys.executable, "-m", HERE, *result["readiness_argv"]]
    assert result["environment"] == {
        "set": {
            "DCC_MCP_REGISTRY_DIR": result["registry_dir"],
            "DCC_MCP_GATEWAY_PORT": "9765",
        }
    }
    assert result["dispatch_contract"]["status"] == "dispatch_capable"
    assert result["readiness_contract"]["direct_use_status"] == "requires_ready_verdict"
    assert result["readiness_contract"]["ready_on_launch"] is False


def test_nothing_is_run_unless_somebody_asks_for_the_version(tmp_path):
    mark = tmp_path / "was-run"
    path = program(tmp_path, script="touch {}; echo dcc-mcp-server 1.2.3; echo more".format(mark))
    binary = build(server_bin=path)["server_binary"]
    assert binary == {
        "command": path,
        "source": "explicit",
        "configured": path,
        "path": path,
        "version": None,
        "version_error": None,
        "version_checked": False,
    }
    assert not mark.exists()
    os.environ["PATH"] += os.pathsep + "/usr/bin" + os.pathsep + "/bin"
    binary = build(server_bin=path, check_server_version=True)["server_binary"]
    assert (binary["version"], binary["version_error"]) == ("dcc-mcp-server 1.2.3", None)
    assert binary["version_checked"] is True and mark.exists()


@pytest.mark.parametrize(
    ("script", "told"),
    [("echo no such flag >&2; exit 3", "ended with 3: no such flag"), ("true", "ended with 0")],
)
def test_a_program_that_does_not_say_its_version(tmp_path, script, told):
    path = program(tmp_path, script=script)
    binary = build(server_bin=path, check_server_version=True)["server_binary"]
    assert binary["version"] is None
    assert told in binary["version_error"]


def test_a_program_that_is_not_there_or_takes_too_long(tmp_path):
    binary = build(check_server_version=True)["server_binary"]
    assert binary["path"] is None and binary["command"] == "dcc-mcp-server"
    assert binary["version"] is None and "could not be run" in binary["version_error"]
    slow = program(tmp_path, script="exec /bin/sleep 600")
    version, error = server_version(slow, dict(os.environ), timeout=0.05)
    assert version is None and "timed out" in error


def test_the_program_comes_from_the_argument_the_environment_or_the_path(tmp_path):
    command = build()["server_binary"]
    assert (command["source"], command["command"]) == ("path", "dcc-mcp-server")
    found = program(tmp_path)
    result = build(env={"DCC_MCP_SERVER_BIN": ""})
    assert result["server_binary"]["path"] == result["command"][0] == found
    result = build(env={"DCC_MCP_SERVER_BIN": "/of/environment"})
    assert result["command"][0] == "/of/environment"
    assert result["server_binary"]["source"] == "env"
    assert result["server_binary"]["path"] is None
    result = build(server_bin=" ", env={"DCC_MCP_SERVER_BIN": "\t"})
    assert (result["command"][0], result["server_binary"]["source"]) == (found, "path")
    result = build(server_bin=" /given ", env={"DCC_MCP_SERVER_BIN": "/of/environment"})
    assert result["command"][0] == "/given"
    assert result["server_binary"]["configured"] == "/given"


def test_the_gateway_comes_from_the_argument_or_the_environment():
    env = {
        "DCC_MCP_GATEWAY_PORT": "1234",
        "DCC_MCP_GATEWAY_HOST": "there",
        "DCC_MCP_GATEWAY_NAME": "theirs",
    }
    result = build(env=env)
    assert result["gateway_port"] == 1234
    assert result["command"][11:] == "1234 --gateway-host there --gateway-name theirs".split()
    # Whoever is started has it from there as well.
    assert set(result["environment"]["set"]) == {"DCC_MCP_REGISTRY_DIR", "DCC_MCP_GATEWAY_PORT"}
    result = build(env=env, gateway_port=0, gateway_host="here", gateway_name="ours")
    assert result["command"][11:] == "0 --gateway-host here --gateway-name ours".split()
    assert result["environment"]["set"] == {
        "DCC_MCP_REGISTRY_DIR": result["registry_dir"],
        "DCC_MCP_GATEWAY_PORT": "0",
        "DCC_MCP_GATEWAY_HOST": "here",
        "DCC_MCP_GATEWAY_NAME": "ours",
    }


def test_the_registry_is_the_given_one_or_the_environments(tmp_path, monkeypatch):
    monkeypatch.chdir(str(tmp_path))
    real = str(tmp_path)
    assert build(registry_dir="rel")["registry_dir"] == os.path.join(os.getcwd(), "rel")
    assert build(registry_dir=tmp_path)["registry_dir"] == real
    other = {"DCC_MCP_REGISTRY_DIR": str(tmp_path / "other")}
    assert build(env=other)["registry_dir"] == os.path.join(real, "other")
    result = build(env=other, registry_dir=str(tmp_path / "mine"))
    assert result["environment"]["set"]["DCC_MCP_REGISTRY_DIR"] == result["registry_dir"]
    assert result["registry_dir"] == os.path.join(real, "mine")


def test_the_registry_is_where_installers_look_for_it(tmp_path, monkeypatch):
    """Spelled alike, links and all."""
    os.symlink(str(tmp_path), str(tmp_path / "link"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "link"))
    for named in (str(tmp_path / "link" / "x"), "~/x", "", " ", None):
        found = build(registry_dir=named)["registry_dir"]
        assert found == query_runtime_state(named)["registry_dir"]
    monkeypatch.delenv("DCC_MCP_REGISTRY_DIR")
    for named in ("", " ", None):
        found = build(registry_dir=named, env={"DCC_MCP_REGISTRY_DIR": " "})["registry_dir"]
        assert found == default_registry_dir() == str(tmp_path / "link" / "dcc-mcp-registry")


def test_a_registry_that_cannot_be_is_refused(tmp_path, monkeypatch):
    assert build(registry_dir="a\0b")["reason"] == "invalid_registry_dir"
    assert build(registry_dir="~\0b")["reason"] == "invalid_registry_dir"
    # Nobody would find the sidecar in a directory that is not to be trusted.
    monkeypatch.delenv("DCC_MCP_REGISTRY_DIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))
    for name in ("dcc-mcp-registry", "dcc-mcp-registry-{}".format(os.getuid()), "registry"):
        (tmp_path / name).write_text("a file")
    refused = build()
    assert (refused["success"], refused["reason"]) == (False, "registry_untrusted")
    assert refused["message"] == query_runtime_state()["message"]
    assert build(registry_dir=str(tmp_path / "mine"))["success"]


def test_the_python_of_the_readiness_command_can_be_named():
    result = build(env={"DCC_MCP_PYTHON_EXECUTABLE": "/host/mayapy"})
    assert result["readiness_command"][:3] == ["/host/mayapy", "-m", HERE]


def test_it_watches_this_process_unless_told_otherwise():
    assert build(watch_pid=None)["watch_pid"] == os.getpid()
    assert build(watch_pid="12")["watch_pid"] == 12


def test_blanks_around_what_selects_a_sidecar_are_dropped():
    result = build(dcc_type=" maya ", host_rpc=" ws://h ", instance_id=ID.replace("-", "") + " ")
    assert result["readiness_selector"] == {
        "dcc_type": "maya",
        "instance_id": ID,
        "host_rpc": "ws://h",
    }


def test_empty_texts_stand_for_nothing():
    empty = dict.fromkeys(
        "instance_id display_name adapter_version discovery_mcp_url gateway_port gateway_host"
        " gateway_name gateway_remote_host gateway_remote_port connect_timeout_secs".split(),
        "",
    )
    assert options(**empty) == []
    assert build(**empty)["discovery_mcp_url"] is None


def test_a_value_that_looks_like_a_flag_is_none():
    assert options(display_name="--version") == ["--display-name=--version"]


def test_a_text_is_one_extra_argument():
    assert options(extra_args="--allow-x") == ["--allow-x"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("dcc_type", None),
        ("dcc_type", "  "),
        ("host_rpc", None),
        ("host_rpc", "\n"),
        ("watch_pid", 0),
        ("watch_pid", -5),
        ("watch_pid", "me"),
        ("gateway_port", -1),
        ("gateway_port", 65536),
        ("gateway_port", "high"),
        ("gateway_port", float("inf")),
        ("gateway_remote_port", 65536),
        ("gateway_remote_port", []),
        ("instance_id", "abc"),
        ("instance_id", " "),
        ("connect_timeout_secs", 0),
        ("connect_timeout_secs", "soon"),
        ("connect_timeout_secs", 2.5),
        ("connect_timeout_secs", "2.5"),
        ("watch_pid", 77.5),
        ("gateway_port", 1.5),
        ("connect_timeout_secs", float("nan")),
        ("extra_args", 5),
    ],
)
def test_what_no_sidecar_would_take_is_refused(argument, value):
    result = build(**{argument: value})
    assert set(result) == {"success", "status", "requires_restart", "path", "reason", "message"}
    assert (result["success"], result["status"]) == (False, "failed")
    assert result["reason"] == "invalid_" + argument
    assert argument in result["message"]


def test_a_port_of_the_environment_is_looked_at_as_well():
    assert build(env={"DCC_MCP_GATEWAY_PORT": "bad"})["reason"] == "invalid_gateway_port"


def test_the_first_that_is_wrong_is_told_of():
    order = [
        ("dcc_type", "", "invalid_dcc_type"),
        ("host_rpc", "", "invalid_host_rpc"),
        ("watch_pid", 0, "invalid_watch_pid"),
        ("gateway_port", -1, "invalid_gateway_port"),
        ("gateway_remote_port", -1, "invalid_gateway_remote_port"),
        ("instance_id", "x", "invalid_instance_id"),
        ("connect_timeout_secs", 0, "invalid_connect_timeout_secs"),
    ]
    for first in range(len(order)):
        wrong = {name: value for name, value, _ in order[first:]}
        assert build(**wrong)["reason"] == order[first][2]


@pytest.mark.parametrize("host_rpc", ["stub://x", "http://h", "qtserver://h", "nothing"])
def test_an_address_by_which_no_call_arrives(host_rpc):
    result = build(host_rpc=host_rpc)
    assert result["success"] is True
    assert result["readiness_contract"]["dispatch_ready_capable"] is False
    assert result["readiness_contract"]["direct_use_status"] == "diagnostics_only"
    assert result["readiness_contract"]["ready_verdict"] is None
    refused = build(host_rpc=host_rpc, require_dispatch_capable=True)
    assert (refused["success"], refused["reason"]) == (False, "dispatch_not_capable")
    assert refused["dispatch_contract"] == result["dispatch_contract"]


def test_the_sample_of_the_guide(tmp_path):
    contract = build_sidecar_command(
        dcc_type="houdini",
        host_rpc="qtserver://127.0.0.1:7001",
        watch_pid=os.getpid(),
        registry_dir=str(tmp_path / "registry"),
        require_dispatch_capable=True,
    )
    assert contract["command"][1:4] == ["sidecar", "--dcc", "houdini"]
    assert contract["environment"]["set"]["DCC_MCP_GATEWAY_PORT"] == "9765"
