"""A whole run of a server and its command line: no secret, key or token is where it must not be."""

from __future__ import annotations

import base64
import json
import os
from functools import partial

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.secret import open_secret
from fakes.framed import FramedWire
from fakes.served import Served, inside


def spellings(value):
    """Return how some bytes may stand in a text."""
    yield value
    yield value.hex().encode("ascii")
    yield value.hex().upper().encode("ascii")
    yield base64.b64encode(value).rstrip(b"=")
    yield base64.urlsafe_b64encode(value).rstrip(b"=")
    yield repr(value)[2:-1].encode("ascii")
    yield json.dumps(list(value)).encode("ascii")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="an argv is read from /proc")
def test_nothing_is_told_by_logs_rows_argvs_errors_or_the_registrys_files(
    tmp_path, monkeypatch, capsys
):
    home = str(tmp_path)
    run = partial(inside, monkeypatch, capsys)
    said = {}
    with Served(home) as served:
        secret = open_secret(home, SystemClock())
        token = served.facts["token"]
        ident, plain = served.facts["instance_id"], served.facts["plain_url"]
        with open("/proc/{}/cmdline".format(served.process.pid), "rb") as file:
            said["argv"] = file.read()
        with open("/proc/{}/environ".format(served.process.pid), "rb") as file:
            said["environment"] = file.read()
        for number, command in enumerate(
            [
                ["instances"],
                ["instances", "--json"],
                ["tools", "--instance", ident],
                ["call", "--instance", ident, "get_log", "--args", '{"level": "debug"}'],
                ["call", "--instance", ident, "nope"],
                ["call", "--instance", ident, "get_object", "--args", '{"path": "/x"}'],
                ["status", "--dcc", "standalone"],
                ["status", plain],
                ["call", plain, "get_scene_info"],
                ["tools", "http://127.0.0.1:1/mcp"],
                ["stop-instance", "--dcc", "maya"],
            ]
        ):
            done = run(home, *command)
            said["command {} {}".format(number, command[0])] = (done.stdout + done.stderr).encode()
        # What goes wrong: wrong keys, wrong tokens, garbage.
        with FramedWire(served.port, b"k" * 32) as wire:
            wire.flush()
            said["refused hello"] = repr(wire.until_end()).encode()
        with FramedWire(served.port, secret.wire_key(), "another") as wire:
            wire.flush()
            said["another instance"] = repr(wire.until_end()).encode()
        with served.connect() as http:
            for headers in ({"Authorization": "Bearer " + token[:-1] + "x"}, {"Host": "evil"}):
                with served.connect() as wire:
                    answer = wire.rpc("ping", headers=headers)
                    said["refused " + str(answer.status)] = repr(
                        (answer.headers, answer.body)
                    ).encode()
            for path in ("/", "/v1/readyz", "/health", "/nope"):
                answer = http.request("GET", path, {"Authorization": None})
                said["GET " + path] = repr((answer.headers, answer.body)).encode()
            for tool in ("get_status", "get_log"):
                said[tool] = json.dumps(http.tool(tool)).encode()
        for folder, _, names in os.walk(os.path.join(home, "registry")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    said["registry file " + name] = file.read()
        done = run(home, "stop-instance", "--instance", ident)
        assert done.returncode == 0, done
        said["stop"] = (done.stdout + done.stderr).encode()
        served.end(None)
        said["stderr"] = served.stderr.encode()
        # The one line of facts is for whoever started it, and has the token.
        assert token in served.stdout
        said["stdout but for the token"] = served.stdout.replace(token, "").encode()
    with open(os.path.join(home, "secret"), "rb") as file:
        value = file.read()
    hidden = [*spellings(value), *spellings(secret.wire_key()), token.encode("ascii")]
    for kind in ("maya", "houdini", "3dsmax", "blender", ""):
        hidden.append(secret.token(kind, served.port).encode("ascii"))
    found = [(name, one) for name, text in said.items() for one in hidden if one in text]
    assert found == []
    for name in ("argv", "registry file services.json", "get_log", "refused hello", "stderr"):
        assert len(said[name]) > 20, "what was searched was there"
