"""The rules of what is owed: what a result means, whose wish counts, what an attempt leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcc_mcp_embed.install_lifecycle import entries

REMOVE = {"operation": "remove_tree", "path": "/a/tree"}
REPLACE = {"operation": "replace_tree", "source": "/a/new", "destination": "/a/tree"}
SWEEP = {"operation": "sweep_tree", "path": "/a/tree"}
IDENTITY = {"inode": 2, "latest": 3}


def added(*operations, machine="here"):
    found = []
    for number, operation in enumerate(operations):
        name = "id{}".format(number)
        found, _, _ = entries.add(found, operation, IDENTITY, machine, name, number)
    return found


def never(path):
    raise AssertionError("looked for " + path)


@pytest.mark.parametrize(
    ("result", "operation"),
    [
        # The seed's: what inspect says, and what a removal says that met a lock.
        (
            {
                "success": True,
                "status": "requires_restart",
                "requires_restart": True,
                "install_root": "/a/tree",
                "locked_path": "/a/tree/_core.pyd",
                "loaded_native_artifacts": [],
            },
            REMOVE,
        ),
        ({"success": False, "status": "requires_restart", "deferred_operation": REMOVE}, REMOVE),
        ({"success": False, "status": "failed", "deferred_operation": REPLACE}, REPLACE),
        # What is done but for something that could not be deleted.
        ({"success": True, "status": "removed", "deferred_operation": SWEEP}, SWEEP),
        (REPLACE, REPLACE),
        ({"operation": "remove_tree", "path": Path("/a/tree")}, REMOVE),
        ({"success": True, "status": "removed", "path": "/a/tree"}, None),
        ({"success": True, "status": "removed", "deferred_operation": None}, None),
    ],
)
def test_operation_in_a_result(result, operation) -> None:
    assert entries.operation_in(result) == operation


@pytest.mark.parametrize(
    "result",
    [
        None,
        "/a/tree",
        {"success": False, "status": "failed", "reason": "invalid_path"},
        {"success": True, "install_root": "None", "loaded_native_artifacts": []},
        {"operation": "remove_tree"},
        {"operation": "remove_tree", "path": "relative"},
        {"operation": "remove_tree", "path": ""},
        {"operation": "remove_tree", "path": "/a\0b"},
        {"operation": "remove_tree", "path": "/half \ud800"},
        {"operation": "replace_tree", "destination": "/a/tree"},
        {"operation": "format_disk", "path": "/a/tree"},
        {"operation": 3, "path": "/a/tree"},
    ],
)
def test_what_is_no_operation_is_refused(result) -> None:
    with pytest.raises(ValueError, match="."):
        entries.operation_in(result)


def test_result_is_not_changed_by_what_becomes_of_its_operation() -> None:
    result = {"success": False, "deferred_operation": dict(REMOVE)}
    entries.operation_in(result)["path"] = "/elsewhere"
    assert result["deferred_operation"] == REMOVE


def test_first_entry() -> None:
    found, entry, replaced = entries.add([], REMOVE, IDENTITY, "here", "id", 5.0, "/a")
    assert found == [entry]
    assert replaced == []
    assert entry == {
        "id": "id",
        "operation": REMOVE,
        "identity": IDENTITY,
        "machine": "here",
        "volume": "/a",
        "scheduled_at": 5.0,
        "attempts": 0,
        "last_attempt_at": None,
        "last_error": None,
        "given_up": False,
    }
    assert entries.problem_of_entry(entry) is None


def test_same_operation_again_is_the_same_entry_and_means_what_is_there_now() -> None:
    (first,) = added(REMOVE)
    tried = dict(first, attempts=3, last_error={"reason": "busy"}, given_up=True)
    again = {"operation": "remove_tree", "path": "/a/b/../tree/"}
    found, entry, replaced = entries.add([tried], again, {"inode": 9}, "here", "fresh", 7.0)
    assert found == [entry]
    assert replaced == []
    assert (entry["id"], entry["attempts"], entry["last_error"]) == ("id0", 3, {"reason": "busy"})
    assert (entry["identity"], entry["scheduled_at"]) == ({"inode": 9}, 7.0)
    assert entry["given_up"] is False


@pytest.mark.parametrize(("first", "second"), [(REMOVE, REPLACE), (REPLACE, REMOVE)])
def test_later_wish_for_a_place_takes_the_place_of_the_earlier(first, second) -> None:
    (old,) = added(first)
    found, entry, replaced = entries.add([old], second, None, "here", "new", 1.0)
    assert found == [entry]
    assert replaced == [old]
    assert (entry["id"], entry["attempts"]) == ("new", 0)


def test_wishes_for_other_places_stay() -> None:
    inner = {"operation": "remove_tree", "path": "/a/tree/inner"}
    found = added(REMOVE, inner, SWEEP)
    assert [entry["operation"] for entry in found] == [REMOVE, inner, SWEEP]


def test_least_tried_come_first_and_then_the_oldest() -> None:
    first, second, third = added(REMOVE, SWEEP, dict(REMOVE, path="/b"))
    tried = dict(first, attempts=1)
    assert entries.by_turn([tried, third, second]) == [second, third, tried]


def test_attempt_is_counted_before_it_is_made() -> None:
    (entry,) = added(REMOVE)
    marked = entries.begun(entry, 9.0)
    assert (marked["attempts"], marked["last_attempt_at"]) == (1, 9.0)
    assert marked["last_error"]["reason"] == "interrupted"
    assert entry["attempts"] == 0
    assert entries.problem_of_entry(marked) is None


def test_what_is_done_is_owed_no_more() -> None:
    (entry,) = added(REMOVE)
    assert entries.attempted(entry, {"success": True, "status": "removed"}) is None
    unreadable = {"success": True, "deferred_operation": {"operation": "remove_tree"}}
    assert entries.attempted(entry, unreadable) is None


def test_what_failed_is_owed_with_what_went_wrong() -> None:
    (entry,) = added(REMOVE)
    result = {
        "success": False,
        "status": "requires_restart",
        "reason": "windows_file_lock",
        "message": "It is open.",
        "locked_path": "/a/tree/x.pyd",
        "path": "/a/tree",
    }
    after = entries.attempted(entry, result)
    assert after == dict(
        entry,
        last_error={
            "status": "requires_restart",
            "reason": "windows_file_lock",
            "message": "It is open.",
            "locked_path": "/a/tree/x.pyd",
        },
    )


def test_what_a_success_leaves_is_owed_instead() -> None:
    (entry,) = added(REMOVE)
    result = {"success": True, "status": "removed", "deferred_operation": SWEEP}
    after = entries.attempted(entry, result)
    assert (after["operation"], after["id"], after["identity"]) == (SWEEP, entry["id"], None)


@pytest.mark.parametrize("left", [None, SWEEP, REMOVE, {"operation": "remove_tree"}])
def test_what_was_not_done_is_owed_whatever_else_is_to_be_cleared_away(left) -> None:
    (entry,) = added(REPLACE)
    result = {"success": False, "status": "failed", "reason": "remove_failed"}
    after = entries.attempted(entry, dict(result, deferred_operation=left))
    assert (after["operation"], after["identity"]) == (REPLACE, IDENTITY)
    assert after["given_up"] is False


@pytest.mark.parametrize(
    ("error", "hopeless"),
    [
        ({"reason": "invalid_path", "guard": "link"}, True),
        ({"reason": "invalid_path", "guard": "current_directory"}, False),
        ({"reason": "invalid_path", "guard": "unreadable"}, False),
        ({"reason": "invalid_operation"}, True),
        ({"reason": "missing_source"}, True),
        ({"reason": "remove_failed", "cause": "no_space"}, False),
        ({"reason": "busy"}, False),
        ({"reason": "raised"}, False),
    ],
)
def test_what_can_never_be_done_is_given_up(error, hopeless) -> None:
    (entry,) = added(REPLACE)
    after = entries.attempted(entry, dict(error, success=False, message="It is so."))
    assert after["given_up"] is hopeless
    assert after["last_error"]["message"] == "It is so."
    assert entries.state_of(after, "here") == ("given_up" if hopeless else "owed")
    assert entries.is_due(after, "here", lambda path: False, again=False) is not hopeless
    assert entries.is_due(after, "here", never, again=True)
    assert entries.begun(after, 1.0)["given_up"] is False


@pytest.mark.parametrize("exists", [True, False])
def test_source_that_was_missing_is_waited_for(exists: bool) -> None:
    (entry,) = added(REPLACE)
    after = entries.attempted(entry, {"success": False, "reason": "missing_source"})
    looked = []

    def look(path):
        looked.append(path)
        return exists

    assert entries.is_due(after, "here", look, again=False) is exists
    assert looked == ["/a/new"]


@pytest.mark.parametrize(
    ("meant", "here", "state"),
    [("a", "a", "owed"), ("a", "b", "elsewhere"), (None, "b", "owed"), ("a", None, "owed")],
)
def test_entries_of_another_machine_are_not_ours(meant, here, state) -> None:
    (entry,) = added(REMOVE, machine=meant)
    assert entries.state_of(entry, here) == state
    for again in (True, False):
        assert entries.is_due(entry, here, never, again) is (state == "owed")


def test_wish_of_another_machine_is_its_own() -> None:
    (theirs,) = added(REMOVE, machine="there")
    found, ours, replaced = entries.add([theirs], REPLACE, None, "here", "new", 1.0)
    assert (found, replaced) == ([theirs, ours], [])
    place = entries.place_of(REMOVE)
    assert entries.without(found, place, "here") == ([theirs], [ours])


@pytest.mark.parametrize(
    ("result", "place"),
    [
        ({"success": True, "status": "removed", "path": "/a/tree"}, (True, "/a/tree")),
        ({"success": True, "status": "skipped", "path": "/a/x/../tree"}, (True, "/a/tree")),
        ({"success": True, "status": "replaced", "destination": "/a/tree"}, (True, "/a/tree")),
        ({"success": True, "status": "swept", "path": "/a/tree"}, None),
        ({"success": True, "status": "ok", "path": "/a/tree"}, None),
        ({"success": True, "status": "removed", "path": None}, None),
        ({"success": False, "status": "removed", "path": "/a/tree"}, None),
        ({"success": True, "status": ["removed"]}, None),
        (None, None),
    ],
)
def test_place_that_is_as_it_was_wished(result, place) -> None:
    assert entries.settled(result) == place


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": None},
        {"operation": None},
        {"operation": {"operation": "remove_tree", "path": "relative"}},
        {"attempts": -1},
        {"attempts": "1"},
        {"last_error": "text"},
        {"identity": []},
        {"machine": 1},
        {"volume": 1},
        {"given_up": 1},
        {"scheduled_at": None},
        {"last_attempt_at": "yesterday"},
    ],
)
def test_damaged_entry_is_seen(change) -> None:
    (entry,) = added(REMOVE)
    assert entries.problem_of_entry(dict(entry, **change))
    key = next(iter(change))
    if key not in ("identity", "machine", "volume", "last_error", "last_attempt_at"):
        assert entries.problem_of_entry({k: v for k, v in entry.items() if k != key})


def test_no_entry_at_all_is_seen() -> None:
    assert entries.problem_of_entry("text")
