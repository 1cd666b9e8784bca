"""Every file-system call of the journal fails once, or is the last of its process.

After each the journal is whole, what it says is true, and the next run finishes.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import time
from contextlib import contextmanager

import pytest

from dcc_mcp_embed.install_lifecycle import (
    list_deferred,
    owing,
    run_deferred_cleanup,
    schedule_deferred_cleanup,
)

#: What the journal asks of the system.
CALLS = "open write fsync fstat lstat unlink replace mkdir chmod listdir".split()


class Killed(BaseException):
    """The process ends here: nothing catches it."""


def windows(code, kind=OSError, number=errno.EINVAL):
    def make(path):
        error = kind(number, "fails", path)
        error.winerror = code
        return error

    return make


FAULTS = {
    "access denied": windows(5, PermissionError, errno.EACCES),
    "sharing": windows(32, PermissionError, errno.EACCES),
    "lock": windows(33, PermissionError, errno.EACCES),
    "not empty": windows(145, OSError, errno.ENOTEMPTY),
    "delete pending": windows(303),
    "mapped": windows(1224),
    "no space": lambda path: OSError(errno.ENOSPC, "fails", path),
    "not permitted": lambda path: PermissionError(errno.EPERM, "fails", path),
    "killed": lambda path: Killed(),
}


class Faults:
    """Lets the n-th call below ``home`` fail; of a killed process all later ones fail too."""

    def __init__(self, monkeypatch, home):
        self._monkeypatch = monkeypatch
        self._home = str(home)
        self.count = 0
        self.names = []

    @contextmanager
    def at(self, number, make, for_good=False):
        """``number``: None for a run without a fault, which is counted."""
        self.count, self.names = 0, []
        with self._monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._wrapped(name, number, make, for_good))
            yield

    def _wrapped(self, name, number, make, for_good):
        real = getattr(os, name)

        def call(*args, **keywords):
            where = args[0]
            if not isinstance(where, int) and not str(where).startswith(self._home):
                return real(*args, **keywords)
            self.count += 1
            self.names.append(name)
            error = None
            if number is not None and self.count >= number:
                error = make(None if isinstance(where, int) else where)
            if error is not None and (
                self.count == number or for_good or isinstance(error, Killed)
            ):
                raise error
            return real(*args, **keywords)

        return call


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    # What is on disk after a power cut is not tried here, and costs time.
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class World:
    """A home of its own, two trees, and something that removes them."""

    def __init__(self, root, monkeypatch):
        self.home = root / "home"
        self.trees = []
        for name in ("one", "two"):
            (root / name).mkdir()
            self.trees.append(str(root / name))
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(self.home))
        self.results = {}
        monkeypatch.setattr(owing, "_performer", lambda: self.perform)

    def perform(self, operation, still_meant):
        if operation["path"] in self.results:
            return self.results[operation["path"]]
        if not os.path.isdir(operation["path"]):
            return {"success": True, "status": "skipped"}
        os.rmdir(operation["path"])
        return {"success": True, "status": "removed"}

    def schedule(self, number):
        return schedule_deferred_cleanup({"operation": "remove_tree", "path": self.trees[number]})

    def owed(self):
        listed = list_deferred()
        assert listed["success"] is True
        assert listed["damage"] is None
        return [entry["operation"]["path"] for entry in listed["entries"]]

    def still_there(self):
        return [path for path in self.trees if os.path.isdir(path)]

    def finish(self):
        """What the next start does; nothing is left of what was owed, and nothing piles up."""
        self.results = {}
        owed = [entry["operation"]["path"] for entry in list_deferred()["entries"]]
        assert run_deferred_cleanup()["success"] is True
        assert self.owed() == []
        assert not set(owed) & set(self.still_there())
        if self.home.exists():
            kept = {name for name in os.listdir(str(self.home)) if "damaged" not in name}
            # The half of a killed writer is replaced by the next one.
            assert kept <= {"journal.lock", "cleanup.lock", "journal.json.new"}


LOCKED = {"success": False, "status": "requires_restart", "reason": "windows_file_lock"}


def schedules_first(world):
    return lambda: world.schedule(0)


def schedules_another(world):
    world.schedule(0)
    return lambda: world.schedule(1)


def finishes(world):
    world.schedule(0)
    world.schedule(1)
    return run_deferred_cleanup


def finishes_one(world):
    world.schedule(0)
    world.schedule(1)
    world.results[world.trees[0]] = LOCKED
    return run_deferred_cleanup


def meets_damage(world):
    world.schedule(0)
    path = str(world.home / "journal.json")
    with open(path, encoding="ascii") as stream:
        content = json.load(stream)
    content["entries"].append("what is this")
    with open(path, "w", encoding="ascii") as stream:
        json.dump(content, stream)
    return lambda: world.schedule(1)


WORK = [schedules_first, schedules_another, finishes, finishes_one, meets_damage]


#: Enough each time; the others come with the heavy ones.
SOME = [(work, "killed") for work in (schedules_another, finishes_one, meets_damage)]


@pytest.mark.parametrize(
    ("work", "fault"),
    [
        pytest.param(
            work,
            fault,
            marks=() if (work, fault) in SOME else pytest.mark.heavy,
            id="{}-{}".format(work.__name__, fault),
        )
        for work in WORK
        for fault in FAULTS
    ],
)
def test_journal_is_whole_and_true_whichever_call_fails(work, fault, tmp_path, monkeypatch) -> None:
    make = FAULTS[fault]
    for number in itertools.count():
        root = tmp_path / str(number)
        root.mkdir()
        world = World(root, monkeypatch)
        action = work(world)
        before = list_deferred()
        faults = Faults(monkeypatch, world.home)
        answer = None
        try:
            with faults.at(number or None, make):
                answer = action()
        except Killed:
            assert fault == "killed"
        check(work, world, before, answer)
        world.finish()
        if number > faults.count:
            assert answer["status"] == "owed" if work is finishes_one else answer["success"]
            assert number > 10, faults.names
            break


def check(work, world, before, answer):
    listed = list_deferred()
    assert listed["success"] is True
    if listed["damage"] is not None:
        # It was not got to; then it is all as it was, and the next one gets to it.
        assert work is meets_damage
        assert listed["entries"] == before["entries"]
        assert not (answer and answer["success"])
        return
    owed = [entry["operation"]["path"] for entry in listed["entries"]]
    earlier = [entry["operation"]["path"] for entry in before["entries"]]
    if work in (finishes, finishes_one):
        # What is gone may be owed still, but nothing is forgotten.
        assert set(world.still_there()) <= set(owed) <= set(earlier)
        if answer is not None and answer["status"] != "failed":
            assert {i["operation"]["path"] for i in answer["results"] if i["owed"]} == set(owed)
        return
    wish = world.trees[0 if work is schedules_first else 1]
    assert set(earlier) <= set(owed) <= {*earlier, wish}
    if answer is not None:
        assert answer["success"] == (wish in owed)
    if work is meets_damage:
        (kept,) = listed["damaged"]
        with open(kept, encoding="ascii") as stream:
            assert "what is this" in stream.read()


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_file_system_that_refuses_everything_stops_nobody(work, tmp_path, monkeypatch) -> None:
    world = World(tmp_path, monkeypatch)
    action = work(world)
    with Faults(monkeypatch, world.home).at(1, FAULTS["not permitted"], for_good=True):
        answer = action()
    assert (answer["success"], answer["status"]) == (False, "failed")
    assert answer["reason"] == "journal_unusable"
