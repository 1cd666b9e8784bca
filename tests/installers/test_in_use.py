"""Versions that processes run while another installs: what runs keeps working to its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from dcc_mcp_embed.installers import alone, api, hosts, payload, plan
from dcc_mcp_embed.installers.acting import Installation
from dcc_mcp_embed.installers.sources import Source

import helpers
from dcc_mcp_embed import install_lifecycle as lifecycle
from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.install_lifecycle.exclusive import Exclusive

pytestmark = pytest.mark.edges

PROGRAM = os.path.join(helpers.TESTS, "installers", "running.py")
DEADLINE = 60
#: Loaded by no start of a server, so it is read from the disk when it is asked for.
LATER = "bridge.fleet"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))


class Running:
    """A process that runs what is current in a root."""

    def __init__(self, ours, what):
        command = [sys.executable, "-B", PROGRAM, ours.root.path, what]
        environ = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._watchdog = threading.Timer(DEADLINE, self._process.kill)
        self._watchdog.start()
        self.version = os.path.basename(self._line().partition(" ")[2])

    def _line(self):
        line = self._process.stdout.readline().strip()
        assert line, "the process has ended: {}".format(self._process.poll())
        return line

    def told(self, word):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._line()

    def end(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._watchdog.cancel()
        return self._process.returncode

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self.end()


@pytest.fixture
def run():
    running = []

    def start(ours, what="serve"):
        running.append(Running(ours, what))
        return running[-1]

    yield start
    for one in running:
        if one._process.poll() is None:
            one.kill()


def installation(tmp_path):
    return Installation(hosts.find("maya"), str(tmp_path / "user"), lambda _: None)


def source(version):
    """Return this very code as a version of that number."""
    files = payload.own_files()
    listed = payload.describe(files, version)
    return Source(listed, lambda folder: payload.write(files, folder, version))


@pytest.fixture
def small(tmp_path):
    """Return what makes a version with little in it."""

    def make(version):
        files = {}
        for path in ("dcc_mcp_embed/__init__.py", "dcc_mcp_embed/later.py"):
            file = tmp_path / "source" / version / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
            files[path] = str(file)
        listed = payload.describe(files, version)
        return Source(listed, lambda folder: payload.write(files, folder, version))

    return make


def install(ours, new):
    return ours.carry_out(plan.plan_install(ours.facts(), ours.wish(new.payload.name)), new)


def uninstall(ours):
    facts = ours.facts(stopped=True)
    return ours.carry_out(plan.plan_uninstall(facts, ours.texts()[1], ours.made()), None)


def sweep(ours):
    return ours.carry_out(plan.plan_sweep(ours.facts(thorough=False)), None)


def test_two_servers_run_while_one_upgrades_and_one_version_is_left(tmp_path, run):
    ours, old, new = installation(tmp_path), source("1.0"), source("2.0")
    install(ours, old)
    first, second = run(ours), run(ours)
    assert first.version == second.version == old.payload.name
    kept = [one for one in install(ours, new) if one.status == "kept"]
    assert "standalone (process " in str(kept[0].operation)
    third = run(ours)
    assert third.version == new.payload.name, "what starts now is the new one"
    for one in (first, second):
        assert old.payload.name in one.told(LATER), "it is read from the version that runs"
    assert first.end() == 0
    sweep(ours)
    assert old.payload.name in second.told("bridge.main"), "the other one still runs it"
    assert second.end() == third.end() == 0
    assert {one.status for one in sweep(ours)} == {"done"}
    assert ours.root.installed() == [new.payload.name]
    assert payload.verify(ours.root.folder_of(new.payload.name)) == []


def test_what_is_in_no_registry_keeps_its_version_too(tmp_path, run, small):
    ours, old, new = installation(tmp_path), small("1.0"), small("2.0")
    install(ours, old)
    bridge = run(ours, "load")
    install(ours, new)
    assert sorted(ours.root.installed()) == [old.payload.name, new.payload.name]
    assert old.payload.name in bridge.told("later")
    bridge.kill()
    sweep(ours)
    assert ours.root.installed() == [new.payload.name], "a killed process keeps nothing"


@pytest.mark.parametrize("harm", ["changed", "gone", "more", "a folder", "another's folder"])
def test_what_was_repaired_while_it_ran_keeps_its_version_too(tmp_path, run, small, harm):
    ours, old, new = installation(tmp_path), small("1.0"), small("2.0")
    install(ours, old)
    bridge = run(ours, "load")
    package = os.path.join(ours.root.folder_of(old.payload.name), "dcc_mcp_embed")
    first = os.path.join(package, "__init__.py")
    if harm == "changed":
        with open(first, "w") as stream:
            stream.write("x = 1\n")
    elif harm == "more":
        shutil.copyfile(first, os.path.join(package, "more.py"))
    elif harm == "another's folder":
        os.rename(package, str(tmp_path / "elsewhere"))
        os.symlink(str(tmp_path / "elsewhere"), package)
    else:
        os.unlink(first)
    if harm == "a folder":
        os.mkdir(first)
    install(ours, old)
    assert ours.root.damaged() == [] and ours.root.staged() == []
    install(ours, new)
    if harm != "a folder":
        assert old.payload.name in ours.root.installed()
        assert old.payload.name in bridge.told("later")
    bridge.end()
    sweep(ours)
    assert ours.root.installed() == [new.payload.name]


def test_an_uninstall_waits_for_what_runs_and_the_next_one_ends_clean(tmp_path, run, small):
    ours = installation(tmp_path)
    install(ours, small("1.0"))
    bridge = run(ours, "load")
    assert "kept" in {one.status for one in uninstall(ours)}
    assert "1.0+" in bridge.told("later")
    bridge.end()
    uninstall(ours)
    assert not os.path.exists(ours.user)


def test_a_version_that_is_started_after_all_is_not_removed(tmp_path, run, small):
    ours, old, new = installation(tmp_path), small("1.0"), small("2.0")
    install(ours, old)
    facts = ours.facts(stopped=True)
    planned = plan.plan_uninstall(facts, ours.texts()[1], ours.made())
    host = run(ours, "load")
    done = ours.carry_out(planned, None)
    assert [one.status for one in done if one.operation.kind in ("owe", "unlink")] == ["owed"] * 2
    assert all(os.path.exists(path) for path in ours.texts()[1]), "the next start goes on"
    assert "1.0+" in host.told("later")
    host.end()
    planned = plan.plan_install(ours.facts(), ours.wish(new.payload.name))
    host = run(ours, "load")
    ours.carry_out(planned, new)
    assert "1.0+" in host.told("later"), "somebody began to run it while the new one was put there"


def test_what_an_upgrade_leaves_is_not_removed_once_it_is_current_again(tmp_path, run, small):
    ours, old, new = installation(tmp_path), small("1.0"), small("2.0")
    install(ours, old)
    host = run(ours, "load")
    install(ours, new)
    install(ours, old)
    host.end()
    assert run(ours, "load").version == old.payload.name
    sweep(ours)
    assert ours.root.installed() == [old.payload.name]


@pytest.mark.parametrize("harm", [b'[{"dcc_type": ', b'{"version": 9}', None])
def test_with_a_registry_that_cannot_be_read_nothing_is_removed(tmp_path, harm, small):
    ours, old, new = installation(tmp_path), small("1.0"), small("2.0")
    install(ours, old)
    file = tmp_path / "registry" / "services.json"
    file.parent.mkdir(exist_ok=True)
    if harm is None:
        file.mkdir()
    else:
        file.write_bytes(harm)
    install(ours, new)
    assert len(ours.root.installed()) == 2
    assert "kept" in {one.status for one in uninstall(ours)}
    assert len(ours.root.installed()) == 2
    file.rmdir() if harm is None else file.unlink()
    uninstall(ours)
    assert not os.path.exists(ours.user)


def test_two_hosts_that_start_after_an_upgrade_clean_up_once(tmp_path, run):
    ours, old, new = installation(tmp_path), source("1.0"), source("2.0")
    install(ours, old)
    host = run(ours, "load")
    install(ours, new)
    first, second = run(ours, "load"), run(ours, "load")
    host.end()
    said = []
    threads = [
        threading.Thread(target=lambda one=one: said.append(one.told("boot")))
        for one in (first, second)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    # There is no Maya in there, so this is all that is said.
    assert len(said) == 2 and all(line.count("dcc_mcp_embed ") == 1 for line in said), said
    assert ours.root.installed() == [new.payload.name]


def test_two_installers_at_once_both_succeed(tmp_path):
    target = str(tmp_path / "user")
    failed = []

    def act():
        try:
            api.install("maya", target=target)
        except ConfigError as error:
            failed.append(error)

    threads = [threading.Thread(target=act) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []
    assert api.verify("maya", target=target)["success"]


def test_who_makes_the_folder_of_the_lock_first_is_not_passed_by(tmp_path, monkeypatch):
    real = os.makedirs
    other = Exclusive(str(tmp_path / "home" / "installing.lock"), vanishing=True)

    def second(path, *arguments, **named):
        if not os.path.isdir(path):
            real(path)
            assert other.acquire(0.0, lambda: 0.0, None)
        real(path, *arguments, **named)

    monkeypatch.setattr(os, "makedirs", second)
    with alone.alone(0.0) as nobody_else:
        other.release()
        assert not nobody_else


def test_a_folder_of_the_lock_that_is_taken_away_is_made_again(tmp_path, monkeypatch):
    real, todo = os.makedirs, [os.rmdir]

    def vanishing(path, *arguments, **named):
        real(path, *arguments, **named)
        if todo:
            # Whoever had it alone until now has made it as well.
            todo.pop()(path)

    monkeypatch.setattr(os, "makedirs", vanishing)
    with alone.alone(0.0) as nobody_else, alone.alone(0.0) as another:
        assert (nobody_else, another) == (True, False)


def test_whoever_starts_does_not_sweep_what_is_being_installed(tmp_path, run):
    ours, old = installation(tmp_path), source("1.0")
    install(ours, old)
    begun = os.path.join(ours.root.versions, ".staging-1")
    os.mkdir(begun)
    host = run(ours, "load")
    with alone.alone(0.0) as nobody_else:
        assert nobody_else
        host.told("boot")
        assert os.path.isdir(begun)
    host.told("boot")
    assert not os.path.exists(begun)


def test_every_start_finishes_what_is_owed_elsewhere(tmp_path, run, small):
    ours = installation(tmp_path)
    install(ours, source("1.0"))
    owed = tmp_path / "another" / "dcc_mcp_embed"
    owed.mkdir(parents=True)
    noted = lifecycle.schedule_deferred_cleanup(lifecycle.inspect_install_root(str(owed)))
    assert noted["status"] == "scheduled"
    run(ours, "load").told("boot")
    assert not owed.exists() and lifecycle.list_deferred()["total"] == 0


def test_whoever_starts_does_not_join_in_an_uninstall_that_goes_on(tmp_path, run):
    ours = installation(tmp_path)
    install(ours, source("1.0"))
    host = run(ours, "load")
    uninstall(ours)
    with alone.alone(0.0) as nobody_else:
        assert nobody_else
        assert host.told("boot") == "dcc_mcp_embed is being uninstalled just now"
        assert len(ours.root.installed()) == 1
    assert "was uninstalled; nothing is left of it" in host.told("boot")
    assert not os.path.exists(ours.user)


def test_nothing_is_left_of_the_lock(tmp_path):
    with alone.alone(0.0):
        assert os.listdir(str(tmp_path / "home"))
    assert not os.path.exists(str(tmp_path / "home"))


def test_a_copy_of_a_root_does_not_keep_the_original(tmp_path, run):
    ours, old, new = installation(tmp_path), source("1.0"), source("2.0")
    install(ours, old)
    copy = Installation(ours.host, str(tmp_path / "copy"))
    shutil.copytree(ours.user, copy.user)
    host = run(copy)
    install(ours, new)
    assert ours.root.installed() == [new.payload.name]
    assert old.payload.name in host.told(LATER)
