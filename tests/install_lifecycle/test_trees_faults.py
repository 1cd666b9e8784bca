"""Every call of a removal or a replacement fails once, in every way; or is the last one ever."""

from __future__ import annotations

import errno
import os

import pytest

from dcc_mcp_embed.install_lifecycle.guards import Surroundings
from dcc_mcp_embed.install_lifecycle.loaded import Loaded
from dcc_mcp_embed.install_lifecycle.trees import Trees
from fakes.trees import (
    Crash,
    FaultyDisk,
    crash_at,
    nth,
    picture,
    plant,
    posix_error,
    windows_error,
)

pytestmark = pytest.mark.edges

OLD = {"__init__.py": b"old", "a/x.pyd": b"old x", "a/gone.py": b"gone"}
NEW = {"__init__.py": b"new!", "a/x.pyd": b"new x", "b/more.py": b"more"}
ERRORS = [(windows_error, code) for code in (5, 32, 33, 145, 303, 1224)]
ERRORS += [(posix_error, code) for code in (errno.ENOSPC, errno.EPERM, errno.EIO)]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Case:
    """One operation in a folder of its own."""

    def __init__(self, tmp_path, operation, exchanges):
        self._top = tmp_path
        self._count = 0
        self._kind = operation
        self._exchanges = exchanges

    def start(self):
        self._count += 1
        place = self._top / str(self._count)
        self.parent = str(place / "scripts")
        self.tree = os.path.join(self.parent, "tree")
        self.source = str(place / "payload")
        os.makedirs(self.parent)
        if self._kind != "install":
            plant(self.tree, OLD)
        self.old = picture(self.tree)
        self.new = None
        if self._kind == "remove":
            self.operation = {"operation": "remove_tree", "path": self.tree}
        else:
            plant(self.source, NEW)
            self.new = picture(self.source)
            self.operation = {
                "operation": "replace_tree",
                "source": self.source,
                "destination": self.tree,
            }

    def run(self, fault=None, operation=None, slept=None):
        self.disk = FaultyDisk(fault, self._exchanges)
        trees = Trees(
            disk=self.disk,
            look=lambda root: Loaded([], [], []),
            sleep=(slept if slept is not None else []).append,
            around=Surroundings("/nowhere/home", None, []),
        )
        return trees.perform(operation or self.operation)

    def steps(self):
        """Return how many calls an undisturbed run makes."""
        self.start()
        assert self.run()["success"]
        self.check_finished()
        return len(self.disk.calls)

    def beside(self):
        return sorted(set(os.listdir(self.parent)) - {"tree"})

    def check_finished(self):
        assert picture(self.tree) == self.new
        assert self.beside() == []

    def check_whole(self, visible):
        """See that what is said to be at the path is there, from a glance at the disk."""
        seen = picture(self.tree)
        if visible == "between":
            return
        assert seen == (self.old if visible == "old" else self.new), (visible, seen)

    def check_between(self):
        """See that nothing is at the path and both trees are whole beside it."""
        assert picture(self.tree) is None
        (holder,) = self.beside()
        assert picture(os.path.join(self.parent, holder, "old")) in (self.old, self.new)
        assert picture(os.path.join(self.parent, holder, "new")) == self.new
        assert picture(os.path.join(self.parent, holder, "whole")) == {}


@pytest.fixture(params=["remove", "replace", "install"])
def kind(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def case(request, tmp_path, kind):
    return Case(tmp_path, kind, request.param)


@pytest.mark.parametrize(
    "share", [5, pytest.param(1, marks=pytest.mark.heavy)], ids=["some errors", "every error"]
)
def test_any_call_may_fail_once(case, share):
    steps = case.steps()
    assert steps > 5
    names = [call[0] for call in case.disk.calls]
    for number in range(1, steps + 1):
        decisive = names[number - 1] in ("rename", "exchange")
        for make, code in ERRORS if decisive else ERRORS[number % share :: share]:
            case.start()
            result = case.run(nth(number, lambda path, m=make, c=code: m(c, path)))
            where = (number, code, case.disk.calls[number - 1], result)
            assert result["visible"] in ("old", "new"), where
            assert result["success"] == (result["visible"] == "new"), where
            case.check_whole(result["visible"])
            # Rubbish is never left without being owed.
            assert not case.beside() or "deferred_operation" in result, where
            if "deferred_operation" in result:
                assert case.run(operation=result["deferred_operation"])["success"], where
            if result["visible"] == "old" and "tree" in os.listdir(case.parent):
                case.check_whole("new" if result["status"] == "requires_restart" else "old")
            assert case.beside() == [], where
            assert case.run()["success"], where
            case.check_finished()


def test_any_call_may_be_the_last(case):
    steps = case.steps()
    seen = []
    for number in range(1, steps + 1):
        case.start()
        with pytest.raises(Crash):
            case.run(crash_at(number))
        now = picture(case.tree)
        if now not in (case.old, case.new):
            case.check_between()
            seen.append("between")
        else:
            seen.append("old" if now == case.old else "new")
        result = case.run()
        assert result["success"], (number, case.disk.calls, result)
        case.check_finished()
    assert "old" in seen and "new" in seen
    # The gap of those who cannot exchange is one call wide.
    wide = 1 if case._kind == "replace" and not case._exchanges else 0
    assert seen.count("between") == wide
    assert seen == sorted(seen, key=["old", "between", "new"].index)


@pytest.mark.parametrize("kind", ["remove", "replace"], indirect=True)
@pytest.mark.parametrize("share", [5, pytest.param(2, marks=pytest.mark.heavy)])
def test_the_run_after_a_crash_may_crash_too(case, share):
    """And the third one finishes."""
    steps = case.steps()
    for first in range(1 + steps % share, steps + 1, share):
        second = -(first % share)
        while True:
            second += share
            case.start()
            with pytest.raises(Crash):
                case.run(crash_at(first))
            try:
                case.run(crash_at(second))
            except Crash:
                if picture(case.tree) not in (case.old, case.new):
                    case.check_between()
            else:
                case.check_finished()
                break
            assert case.run()["success"], (first, second)
            case.check_finished()


def test_a_sweep_finishes_after_a_crash_without_the_source(case):
    steps = case.steps()
    for number in range(1, steps + 1):
        case.start()
        with pytest.raises(Crash):
            case.run(crash_at(number))
        before = picture(case.tree)
        result = case.run(operation={"operation": "sweep_tree", "path": case.tree})
        assert result["status"] == "swept"
        assert case.beside() == []
        whole = (case.old, case.new)
        assert picture(case.tree) == (before if before in whole else case.new), number
        if before not in whole:
            assert result["recovered"]


def refuse_folder(tree):
    """Return a fault: the folder cannot be moved, as on NTFS while a file below is open."""

    def fault(_count, name, arguments):
        if name in ("rename", "exchange") and tree in arguments and os.path.isdir(tree):
            raise windows_error(5, tree)

    return fault


@pytest.mark.parametrize("kind", ["remove", "replace"], indirect=True)
def test_a_folder_that_cannot_be_moved_stays_whole_and_is_owed(case):
    case.start()
    slept = []
    result = case.run(refuse_folder(case.tree), slept=slept)
    assert result["status"] == "requires_restart"
    assert result["reason"] == "windows_file_lock"
    assert result["locked_path"] == case.tree
    assert result["deferred_operation"] == case.operation
    case.check_whole("old")
    assert case.beside() == []
    assert 0.5 < sum(slept) <= 2
    assert case.run(operation=result["deferred_operation"])["success"]
    case.check_finished()


@pytest.mark.parametrize("kind", ["remove", "replace"], indirect=True)
def test_any_call_may_be_the_last_where_a_folder_cannot_be_moved(case):
    case.start()
    case.run(refuse_folder(case.tree))
    for number in range(1, len(case.disk.calls) + 1):
        case.start()
        crash, refuse = crash_at(number), refuse_folder(case.tree)

        def fault(*call, crash=crash, refuse=refuse):
            crash(*call)
            refuse(*call)

        with pytest.raises(Crash):
            case.run(fault)
        case.check_whole("old")
        assert case.run()["success"]
        case.check_finished()


def test_what_is_held_for_a_moment_is_waited_for(case):
    steps = case.steps()
    waits = []
    for number in range(1, steps + 1):
        case.start()

        def fault(count, name, arguments, number=number):
            if number <= count < number + 3 and name in ("rename", "exchange", "remove", "rmdir"):
                raise windows_error(32, arguments[0])

        slept = []
        result = case.run(fault, slept=slept)
        assert result["success"], (number, case.disk.calls[number - 1], result)
        waits.append(bool(slept))
        case.check_finished()
    assert any(waits)


def no_way_in(case, times):
    """Return a fault: that many times nothing can be renamed to the path, and then it can."""
    refused = []

    def fault(_count, name, arguments):
        if name == "rename" and arguments[1] == case.tree and len(refused) < times:
            refused.append(arguments)
            raise windows_error(5, arguments[0])

    return fault


@pytest.mark.parametrize("kind", ["replace"], indirect=True)
def test_in_the_gap_there_is_more_patience_than_before_it(tmp_path, kind):
    """Also when moving the old tree aside has cost all there was."""
    case = Case(tmp_path, kind, exchanges=False)
    for aside, back, status in ((5, 7, "replaced"), (5, 8, "old"), (6, 0, "old"), (0, 16, "gap")):
        case.start()
        into, left, slept = no_way_in(case, back), [None] * aside, []

        def fault(count, name, arguments, into=into, left=left):
            into(count, name, arguments)
            if name == "rename" and arguments[0] == case.tree and left:
                left.pop()
                raise windows_error(32, arguments[0])

        result = case.run(fault, slept=slept)
        assert sum(slept) < 8
        if status == "replaced":
            assert result["status"] == "replaced"
        else:
            assert result["status"] == "requires_restart"
            assert result["visible"] == ("between" if status == "gap" else "old")
            assert result["deferred_operation"] == case.operation
            if status == "gap":
                case.check_between()
            else:
                case.check_whole("old")
                assert case.beside() == []
        assert case.run()["success"]
        case.check_finished()


@pytest.mark.parametrize("kind", ["replace"], indirect=True)
@pytest.mark.parametrize("times", [8, 99], ids=["way back", "no way back"])
def test_any_call_may_be_the_last_where_the_new_tree_cannot_be_put_in_place(tmp_path, kind, times):
    case = Case(tmp_path, kind, exchanges=False)
    case.start()
    case.run(no_way_in(case, times))
    for number in range(1, len(case.disk.calls) + 1):
        case.start()
        crash, refuse = crash_at(number), no_way_in(case, times)

        def fault(*call, crash=crash, refuse=refuse):
            crash(*call)
            refuse(*call)

        with pytest.raises(Crash):
            case.run(fault)
        if picture(case.tree) != case.old:
            case.check_between()
        swept = case.run(operation={"operation": "sweep_tree", "path": case.tree})
        assert swept["status"] == "swept"
        assert picture(case.tree) in (case.old, case.new)
        assert case.run()["success"]
        case.check_finished()


@pytest.mark.parametrize("kind", ["remove", "replace"], indirect=True)
def test_nothing_is_deleted_before_its_successor_is_on_disk(case):
    case.steps()
    calls = case.disk.calls
    names = [call[0] for call in calls]
    moves = [i for i, c in enumerate(calls) if c[0] in ("rename", "exchange") and case.tree in c]
    synced = calls.index(("fsync_folder", case.parent))
    first = min(i for i, name in enumerate(names) if name in ("remove", "rmdir"))
    assert moves[-1] < synced < first
    if case.new is not None:
        holder = os.path.join(case.parent, ".tree.dcc-mcp-embed-1")
        whole = calls.index(("mkdir", os.path.join(holder, "whole")))
        made = {c[1] for c in calls[:whole] if c[0] == "mkdir"}
        assert made - {holder} == {c[1] for c in calls[:whole] if c[0] == "fsync_folder"}
        assert calls[whole + 1] == ("fsync_folder", holder)
        copied = {c[2] for c in calls if c[0] == "copy_file"}
        assert copied == {c[1] for c in calls[:whole] if c[0] == "fsync_file"}
        # All at once, when everything is copied.
        assert names.index("fsync_file") > max(i for i, n in enumerate(names) if n == "copy_file")
        assert whole < moves[0]


@pytest.mark.parametrize("kind", ["replace"], indirect=True)
@pytest.mark.parametrize("make", [windows_error, posix_error])
def test_where_there_is_no_way_back_both_trees_stay_and_that_is_said(tmp_path, kind, make):
    """Whatever the error, the answer owes the operation, and nothing whole is deleted."""
    case = Case(tmp_path, kind, exchanges=False)
    case.start()

    def fault(_count, name, arguments):
        if name == "rename" and arguments[1] == case.tree:
            raise make(5, arguments[0])

    result = case.run(fault)
    assert not result["success"]
    assert result["visible"] == "between"
    assert result["requires_restart"] == (make is windows_error)
    assert result["deferred_operation"] == case.operation
    case.check_between()
    # Also to whom cannot put it in place either.
    again = case.run(fault)
    assert (again["visible"], again["deferred_operation"]) == ("between", case.operation)
    case.check_between()
    assert case.run(operation=result["deferred_operation"])["success"]
    case.check_finished()


@pytest.mark.parametrize("kind", ["replace", "install"], indirect=True)
def test_an_answer_that_is_lost_on_the_way_from_a_server(case):
    """NFS has renamed, asks once more, and is told that there is nothing."""

    class Forgetful(FaultyDisk):
        def rename(self, source, target):
            super().rename(source, target)
            raise posix_error(errno.ENOENT, source)

    case.start()
    trees = Trees(
        Forgetful(exchanges=False),
        look=lambda root: Loaded([], [], []),
        around=Surroundings("/nowhere/home", None, []),
    )
    assert trees.perform(case.operation)["status"] == "replaced"
    case.check_finished()


class Windows(FaultyDisk):
    """Renames nothing to what is there, an empty folder included."""

    def rename(self, source, target):
        if os.path.lexists(target):
            raise windows_error(183, target)
        super().rename(source, target)


@pytest.mark.parametrize("kind", ["replace"], indirect=True)
@pytest.mark.parametrize("made", [{}, {"logs/x.log": b"x"}], ids=["empty", "with something"])
@pytest.mark.parametrize("times", [1, 8], ids=["forth", "back"])
def test_what_a_host_makes_in_the_gap(tmp_path, kind, made, times):
    """Empty folders are taken away; with anything else there both trees stay until it is gone."""
    case = Case(tmp_path, kind, exchanges=False)
    case.start()

    def make(_seconds):
        if not os.path.lexists(case.tree):
            plant(case.tree, made) if made else os.mkdir(case.tree)

    trees = Trees(
        Windows(no_way_in(case, times), exchanges=False),
        look=lambda root: Loaded([], [], []),
        sleep=make,
        around=Surroundings("/nowhere/home", None, []),
    )
    result = trees.perform(case.operation)
    if made:
        assert (result["success"], result["visible"]) == (False, "between")
        assert result["deferred_operation"] == case.operation
        assert picture(case.tree) == {"logs": "folder", os.path.join("logs", "x.log"): b"x"}
        (holder,) = case.beside()
        assert picture(os.path.join(case.parent, holder, "old")) == case.old
        assert picture(os.path.join(case.parent, holder, "new")) == case.new
    elif times == 1:
        case.check_finished()
    else:
        assert (result["success"], result["visible"]) == (False, "old")
        case.check_whole("old")
    assert case.run()["success"]
    case.check_finished()
