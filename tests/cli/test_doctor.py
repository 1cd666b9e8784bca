"""``doctor``: what is there, and the self-test of a running host or of this very interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from functools import partial

import pytest
from dcc_mcp_embed.adapters.standalone import create

from dcc_mcp_embed.cli import doctor
from dcc_mcp_embed.cli.arguments import make_parser
from dcc_mcp_embed.embed import copies
from dcc_mcp_embed.errors import NotFound
from fakes import served
from fakes.live import starting
from fakes.served import Served, run

DEADLINE = 60.0


@pytest.fixture
def home(tmp_path):
    return str(tmp_path)


@pytest.fixture
def here(home, monkeypatch, capsys):
    return partial(served.inside, monkeypatch, capsys, home)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    home = str(tmp_path_factory.mktemp("home"))
    with Served(home) as one:
        one.home = home
        yield one


# What is there.


def test_it_says_what_is_there(shared, monkeypatch, capsys):
    done = served.inside(monkeypatch, capsys, shared.home, "doctor")
    assert done.returncode == 0
    assert "Service registry: {}".format(os.path.join(shared.home, "registry")) in done.stdout
    assert "only you can write it" in done.stdout
    assert shared.facts["instance_id"][:8] in done.stdout
    assert shared.facts["token"] not in done.stdout
    assert "doctor --in-host" in done.stdout


def test_it_says_so_as_json(shared, monkeypatch, capsys):
    done = served.inside(monkeypatch, capsys, shared.home, "doctor", "--json")
    found = json.loads(done.stdout)
    assert found["registry_trusted"] is True
    assert found["hosts"] == [
        {"dcc_type": "standalone", "instance_id": shared.facts["instance_id"]}
    ]


def test_nobody_runs(here):
    done = here("doctor")
    assert done.returncode == 0
    assert "No host is running" in done.stdout


# A host that runs.


@pytest.mark.parametrize("how", [[], ["--dcc", "standalone"], ["--instance", ...]], ids=str)
def test_a_running_host_checks_itself(shared, how):
    named = [shared.facts["instance_id"][:10] if one is ... else one for one in how]
    done = run(shared.home, "doctor", "--in-host", *named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Self-test of dcc_mcp_embed\n")
    assert "passed    scene: restored" in done.stdout
    assert ", 0 failed, 4 left out" in done.stdout
    assert shared.facts["token"] not in done.stdout


def test_the_report_as_json(shared):
    done = run(shared.home, "doctor", "--in-host", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] is True
    assert report["counts"]["failed"] == 0
    assert {"name", "verdict", "seconds", "text"} == set(report["results"][0])


def test_a_check_that_fails_is_exit_status_1(home, monkeypatch, here):
    with starting(home, monkeypatch) as start:
        live = start()
        monkeypatch.setattr(live.adapter, "undo_chunk", lambda label: 1 / 0)
        done = here("doctor", "--in-host", "--dcc", "standalone")
    assert done.returncode == 1
    assert "failed    undo: one call, one step" in done.stdout
    assert "ZeroDivisionError" in done.stdout


def test_nobody_to_ask(here):
    done = here("doctor", "--in-host")
    assert done.returncode == 3
    assert "No host is registered" in done.stderr
    assert here("doctor", "--in-host", "--dcc", "maya").returncode == 3


def test_a_host_that_has_no_self_test_says_so(home, monkeypatch, here):
    with starting(home, monkeypatch) as start:
        live = start()
        get = live.server._table.get

        def older(name):
            if name == doctor.TOOL:
                raise NotFound("There is no tool '{}'.".format(name))
            return get(name)

        monkeypatch.setattr(live.server._table, "get", older)
        done = here("doctor", "--in-host", "--dcc", "standalone")
    assert done.returncode == 2
    assert "There is no tool 'run_selftest'" in done.stderr


def test_an_answer_that_is_no_report_is_refused(home, monkeypatch, here):
    with starting(home, monkeypatch) as start:
        start()
        monkeypatch.setattr(doctor, "TOOL", "get_status")
        done = here("doctor", "--in-host", "--dcc", "standalone")
    assert done.returncode == 1
    assert "no report of a self-test" in done.stderr


# This interpreter.

#: What makes this interpreter pass for that of a host: an adapter that is found by itself.
HOST = """
    from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter
    from dcc_mcp_embed.host import detecting
    from dcc_mcp_embed.cli import doctor
    from dcc_mcp_embed.__main__ import main
    import sys, threading

    class Headless(StandaloneAdapter):
        dcc_type = "headless"

    doctor.load_adapter = lambda name: Headless()
    status = main(sys.argv[1:])
    left = [one.name for one in threading.enumerate() if one.name.startswith("dcc-mcp-embed")]
    assert left == [], left
    assert {key!r} not in sys.modules
    sys.exit(status)
"""


def _headless(home, *arguments):
    lines = HOST.format(key=copies.KEY).splitlines()
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(line[4:] for line in lines), *arguments],
        env=served.environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
    )


def test_a_host_without_a_user_interface_runs_it_in_its_own_process(home):
    done = _headless(home, "doctor", "--in-host")
    assert done.returncode == 0, done.stderr
    assert "host: headless 1.0" in done.stdout
    assert ", 0 failed, 4 left out" in done.stdout
    assert json.loads(run(home, "instances", "--json").stdout) == []


def test_whoever_is_named_is_asked_all_the_same(home):
    with Served(home) as one:
        done = _headless(home, "doctor", "--in-host", "--instance", one.facts["instance_id"])
    assert done.returncode == 0, done.stderr
    assert "host: standalone 1.0" in done.stdout


def test_the_main_thread_of_a_host_with_a_window_is_left_free(here, monkeypatch):
    made = []

    def load(name):
        adapter = create()
        adapter.dcc_type = "windowed"
        adapter.is_interactive = lambda: True
        made.append(adapter)
        return adapter

    monkeypatch.setattr(doctor, "load_adapter", load)
    done = here("doctor", "--in-host")
    assert done.returncode == 2
    assert "doctor --in-host --dcc windowed" in done.stderr
    assert made[0]._waiter._closed


def test_a_server_that_runs_in_this_process_is_not_run_twice(home, monkeypatch, here):
    made = []
    monkeypatch.setattr(doctor, "load_adapter", made.append)
    with starting(home, monkeypatch) as start:
        live = start()
        done = here("doctor", "--in-host")
        assert done.returncode == 2
        assert "--instance " + live.server.instance_id[:8] in done.stderr
    assert made == []


def test_an_adapter_whose_start_is_refused_is_closed(here, monkeypatch):
    other = types.ModuleType(copies.KEY)
    other.pid = os.getpid()
    monkeypatch.setitem(sys.modules, copies.KEY, other)
    made = []

    def load(name):
        made.append(create())
        made[0].dcc_type = "headless"
        return made[0]

    monkeypatch.setattr(doctor, "load_adapter", load)
    done = here("doctor", "--in-host")
    assert done.returncode == 1
    assert "Another copy of dcc_mcp_embed" in done.stderr
    assert made[0]._waiter._closed


@pytest.mark.parametrize("name", ["mayapy", "mayapy.exe", "HYTHON", "3dsmaxbatch.exe", "by place"])
def test_a_hosts_interpreter_is_made_the_host_first(here, monkeypatch, name):
    told = []

    class Module:
        def initialize(self):
            told.append("initialize")

    def load(module):
        told.append(module)
        return Module()

    monkeypatch.delenv("MAYA_LOCATION", raising=False)
    if name == "by place":
        monkeypatch.setenv("MAYA_LOCATION", sys.prefix)
    else:
        monkeypatch.setattr(sys, "executable", os.path.join("opt", "bin", name))
    monkeypatch.setattr(doctor, "import_module", load)
    assert here("doctor", "--in-host").returncode == 3
    maya = ["maya.standalone", "initialize"]
    expected = {"mayapy": maya, "by place": maya, "hython": ["hou"], "3dsmaxbatch": ["pymxs"]}
    assert told == expected[name.lower().partition(".")[0]]


def test_it_takes_no_url():
    with pytest.raises(SystemExit):
        make_parser().parse_args(["doctor", "http://127.0.0.1:1/mcp"])
