"""Whatever earlier operations and strangers left at a path and beside it, nothing whole is lost.

A table: what is in the holders x what is at the path x operation, undisturbed, with a call that
fails once, with one that always fails, and with one that is the last of the process.
"""

from __future__ import annotations

import os

import pytest

from dcc_mcp_embed.install_lifecycle.guards import Surroundings
from dcc_mcp_embed.install_lifecycle.loaded import Loaded
from dcc_mcp_embed.install_lifecycle.trees import Trees
from fakes.trees import Crash, FaultyDisk, crash_at, nth, picture, plant, posix_error, windows_error

OLD = {"a": b"old", "b/c": b"old"}
NEW = {"a": b"new", "d/e": b"new"}
LATER = {"a": b"later"}
PAYLOAD = {"a": b"payload", "b/c": b"payload"}
HALF = {"d/e": b"ne"}
EMPTY = {}
STRANGERS = {"log": b"x"}

PAIR = {"new": NEW, "whole": EMPTY, "old": OLD}
#: Name -> the holders, the earliest first.
HOLDERS = {
    "none": [],
    "copying": [{"new": HALF}],
    "copied": [{"new": NEW, "whole": EMPTY}],
    "aside": [{"old": OLD}],
    "put in place": [{"old": OLD, "whole": EMPTY}],
    "gap": [PAIR],
    "rubbish before a gap": [{"old": OLD}, PAIR],
    "parted": [{"new": HALF, "old": OLD}],
    "parted otherwise": [{"new": NEW, "whole": EMPTY, "part": OLD}],
    "two gaps": [PAIR, {"new": LATER, "whole": EMPTY, "old": STRANGERS}],
}
PATHS = {"absent": None, "empty": EMPTY, "stranger's": STRANGERS, "old": OLD, "new": NEW}
KINDS = ["remove_tree", "replace_tree", "sweep_tree"]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def make(path, files):
    os.makedirs(path)
    plant(path, files)


def shown(files):
    """Return the picture of a tree with these files."""
    found = {}
    for name, content in (files or {}).items():
        folder, _, _ = name.rpartition("/")
        if folder:
            found[folder] = "folder"
        found[os.path.join(*name.split("/"))] = content
    return None if files is None else found


class Place:
    """A path with what is at it and beside it, in a folder of its own."""

    def __init__(self, root, holders, path, kind, exchanges):
        self.parent = os.path.join(root, "scripts")
        self.tree = os.path.join(self.parent, "tree")
        os.makedirs(self.parent)
        self.pairs = []
        for number, content in enumerate(HOLDERS[holders], 1):
            holder = os.path.join(self.parent, ".tree.dcc-mcp-embed-{}".format(number))
            for name, files in content.items():
                make(os.path.join(holder, name), files)
            if set(content) == set(PAIR):
                self.pairs.append((holder, content))
        if PATHS[path] is not None:
            make(self.tree, PATHS[path])
        self.before = picture(self.tree)
        self.operation = {"operation": kind, "path": self.tree}
        self._exchanges = exchanges
        source = os.path.join(root, "payload")
        if kind == "replace_tree":
            make(source, PAYLOAD)
            self.operation = {"operation": kind, "source": source, "destination": self.tree}
        vacant = self.pairs and not PATHS[path]
        #: What an operation that was cut off should have put there, if it is still to be.
        self.recovered = shown(self.pairs[-1][1]["new"]) if vacant else None
        #: A sweep cannot say to whom the path belongs.
        self.occupied = bool(self.pairs and not vacant)
        self.goal = {
            "remove_tree": None,
            "replace_tree": shown(PAYLOAD),
            "sweep_tree": self.recovered if vacant else self.before,
        }[kind]

    def run(self, fault=None, operation=None):
        self.disk = FaultyDisk(fault, self._exchanges)
        trees = Trees(
            self.disk,
            look=lambda root: Loaded([], [], []),
            sleep=lambda seconds: None,
            around=Surroundings("/nowhere/home", None, []),
        )
        return trees.perform(operation or self.operation)

    def beside(self):
        return sorted(set(os.listdir(self.parent)) - {"tree"})

    def intact(self, holder, content):
        return all(picture(os.path.join(holder, n)) == shown(f) for n, f in content.items())

    def check(self, result, where):
        """See that an answer is true, and that nothing that belongs somewhere is lost."""
        now, visible = picture(self.tree), result["visible"]
        if result["success"]:
            assert now == self.goal, where
        if visible == "old":
            assert now == self.before, where
        elif visible == "new":
            assert now in (self.goal, self.recovered), where
            assert result["success"] or now == self.recovered, where
        else:
            self.check_not_lost(where)
        if self.beside():
            assert result.get("deferred_operation"), where
        if not result["success"] and visible != "new":
            self.check_not_lost(where)

    def check_not_lost(self, where):
        """See that the path is as it was, or as it should be, or what belongs there is whole."""
        now = picture(self.tree)
        if now in (self.goal, self.recovered):
            return
        paired = bool(self.pairs) and self.intact(*self.pairs[-1])
        vacant = None if self.recovered else self.before
        if now in (self.before, vacant) and (paired or not self.pairs):
            return
        # The gap of this attempt: what was there, and its successor.
        aside = self.before if paired or not self.pairs else self.recovered
        holder = os.path.join(self.parent, self.beside()[-1])
        assert now is None, where
        assert picture(os.path.join(holder, "old")) == aside, where
        assert picture(os.path.join(holder, "new")) == self.goal, where
        assert picture(os.path.join(holder, "whole")) == {}, where

    def check_finished(self, where):
        """See that the same operation, undisturbed, comes to its end from here."""
        result = self.run()
        if not result["success"]:
            assert self.operation["operation"] == "sweep_tree", where
            assert self.occupied, where
            assert (result["reason"], result["visible"]) == ("occupied", "between"), where
            assert result["deferred_operation"] == self.operation, where
            assert picture(self.tree) == self.before, where
            return
        assert picture(self.tree) == self.goal, where
        assert self.beside() == [], where
        assert "deferred_operation" not in result, where


def always(number):
    """Return a fault: the call with that number fails, and the same again however often."""
    wanted = []

    def fault(count, name, arguments):
        if count == number:
            wanted.append((name, arguments))
        if (name, arguments) in wanted:
            raise windows_error(5, arguments[0])

    return fault


FAULTS = {
    "fails once": lambda number: nth(number, lambda path: windows_error(32, path)),
    "no space": lambda number: nth(number, lambda path: posix_error(28, path)),
    "always fails": always,
    "is the last": crash_at,
}


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def exchanges(request):
    return request.param


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holders", sorted(HOLDERS))
def test_what_was_left_is_finished(holders, kind, exchanges, tmp_path):
    for path in PATHS:
        place = Place(str(tmp_path / path), holders, path, kind, exchanges)
        result = place.run()
        place.check(result, (path, result))
        if place.occupied and kind == "sweep_tree":
            assert not result["success"], path
            assert place.intact(*place.pairs[-1]), path
        else:
            assert place.beside() == [], path
            if kind == "remove_tree":
                nothing = place.before is None and not place.pairs
                assert result["status"] == ("skipped" if nothing else "removed"), path
            elif kind == "sweep_tree":
                assert result["recovered"] == (place.recovered is not None)
        place.check_finished(path)


def disturbed(tmp_path, fault, holders, path, kind, exchanges):
    number = 0
    while True:
        number += 1
        place = Place(str(tmp_path / str(number)), holders, path, kind, exchanges)
        try:
            result = place.run(FAULTS[fault](number))
        except Crash:
            result = None
        where = (number, place.disk.calls, result)
        if result is None:
            place.check_not_lost(where)
        else:
            place.check(result, where)
        place.check_finished(where)
        if number > len(place.disk.calls):
            return


@pytest.mark.heavy
@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holders", sorted(HOLDERS))
def test_what_was_left_survives_any_call(holders, kind, path, fault, exchanges, tmp_path):
    disturbed(tmp_path, fault, holders, path, kind, exchanges)


@pytest.mark.parametrize("fault", ["always fails", "is the last"])
@pytest.mark.parametrize("path", ["absent", "stranger's"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_gap_survives_any_call(kind, path, fault, tmp_path):
    disturbed(tmp_path, fault, "gap", path, kind, False)
