"""A whole run of a server and its command line: no secret, key or token is where it must not be."""

from __future__ import annotations

import json
import os
from functools import partial

import pytest

from fakes.framed import FramedWire
from fakes.hidden import Hidden, files_below, process_facts
from fakes.served import Served, inside


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="an argv is read from /proc")
def test_nothing_is_told_by_logs_rows_argvs_errors_or_the_registrys_files(
    tmp_path, monkeypatch, capsys
):
    home = str(tmp_path)
    run = partial(inside, monkeypatch, capsys)
    hidden = Hidden()
    said = hidden.said
    with Served(home) as served:
        secret = hidden.hide_users(home, served.port)
        token = served.facts["token"]
        assert token == secret.token("standalone", served.port)
        ident, plain = served.facts["instance_id"], served.facts["plain_url"]
        hidden.note_all(process_facts(served.process.pid))
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
        hidden.note_all(files_below(os.path.join(home, "registry")))
        done = run(home, "stop-instance", "--instance", ident)
        assert done.returncode == 0, done
        said["stop"] = (done.stdout + done.stderr).encode()
        served.end(None)
        said["stderr"] = served.stderr.encode()
        # The one line of facts is for whoever started it, and has the token.
        assert token in served.stdout
        said["stdout but for the token"] = served.stdout.replace(token, "").encode()
    assert hidden.found() == []
    argv = "cmdline of {}".format(served.process.pid)
    for name in (argv, "file services.json", "get_log", "refused hello", "stderr"):
        assert len(said[name]) > 20, "what was searched was there"
