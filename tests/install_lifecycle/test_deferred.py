"""What is owed is written down, carried out once at the next start, and never stops a start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from dcc_mcp_embed.install_lifecycle import (
    deferred,
    drop_deferred,
    list_deferred,
    owing,
    run_deferred_cleanup,
    schedule_deferred_cleanup,
)
from dcc_mcp_embed.install_lifecycle.journal import Journal

LOCKED = {
    "success": False,
    "status": "requires_restart",
    "requires_restart": True,
    "reason": "windows_file_lock",
    "message": "It is open.",
    "locked_path": "C:\\tree\\_core.pyd",
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").write_text("old", encoding="utf-8")
    return str(root)


@pytest.fixture
def perform(monkeypatch):
    """Stand in for what carries operations out: each of ``perform.results`` is one's result."""

    def stand_in(operation, still_meant):
        stand_in.operations.append(operation)
        result = stand_in.results.pop(0) if stand_in.results else {"success": True}
        if callable(result):
            result = result()
        if result["success"] and still_meant is not None and not still_meant(False):
            return {"success": True, "status": "superseded"}
        return result

    stand_in.operations, stand_in.results = [], []
    monkeypatch.setattr(owing, "_performer", lambda: stand_in)
    return stand_in


def remove(path):
    return {"operation": "remove_tree", "path": path}


def replace(source, destination):
    return {"operation": "replace_tree", "source": source, "destination": destination}


def inspected(path):
    return {
        "success": True,
        "status": "requires_restart",
        "requires_restart": True,
        "install_root": path,
        "locked_path": os.path.join(path, "_core.pyd"),
        "loaded_native_artifacts": [{"module": "m", "path": os.path.join(path, "_core.pyd")}],
    }


def owed():
    listed = list_deferred()
    assert listed["success"] is True
    assert listed["damage"] is None
    return listed["entries"]


def as_if_new(path):
    """Put another tree where ``path`` is."""
    os.rename(path, path + ".gone")
    shutil.copytree(path + ".gone", path)


# Scheduling.


def test_inspected_root_is_to_be_removed(tree, home) -> None:
    result = schedule_deferred_cleanup(inspected(tree))
    assert result["success"] is True
    assert result["status"] == "scheduled"
    assert result["requires_restart"] is True
    assert result["operation"] == remove(tree)
    assert result["journal"] == str(home / "journal.json")
    assert result["replaced"] == []
    (entry,) = owed()
    assert (entry["id"], entry["operation"]) == (result["id"], remove(tree))
    assert (entry["attempts"], entry["last_error"]) == (0, None)
    assert abs(entry["scheduled_at"] - time.time()) < 60
    assert list_deferred()["total"] == 1
    json.dumps(result)


def test_later_wish_for_a_tree_is_said_to_take_the_place_of_the_earlier(tree, tmp_path) -> None:
    first = schedule_deferred_cleanup(inspected(tree))
    update = replace(str(tmp_path / "new"), tree)
    result = schedule_deferred_cleanup(dict(LOCKED, deferred_operation=update))
    assert result["replaced"] == [first["id"]]
    assert [entry["operation"] for entry in owed()] == [update]


def test_finished_result_leaves_nothing(tree, home) -> None:
    result = schedule_deferred_cleanup({"success": True, "status": "removed", "path": tree})
    assert (result["success"], result["status"]) == (True, "nothing_to_defer")
    assert (result["requires_restart"], result["replaced"]) == (False, [])
    assert not home.exists()


@pytest.mark.parametrize("status", ["removed", "skipped", "replaced"])
def test_finished_result_takes_the_place_of_what_was_owed(status, tree, tmp_path, home) -> None:
    update = schedule_deferred_cleanup(replace(str(tmp_path / "new"), tree))
    key = "destination" if status == "replaced" else "path"
    result = schedule_deferred_cleanup({"success": True, "status": status, key: tree})
    assert (result["status"], result["replaced"]) == ("nothing_to_defer", [update["id"]])
    assert not (home / "journal.json").exists()


def test_finished_result_with_leftovers_takes_the_place_of_what_was_owed(tree, tmp_path) -> None:
    update = schedule_deferred_cleanup(replace(str(tmp_path / "new"), tree))
    sweep = {"operation": "sweep_tree", "path": tree}
    result = schedule_deferred_cleanup(
        {"success": True, "status": "removed", "path": tree, "deferred_operation": sweep}
    )
    assert (result["status"], result["replaced"]) == ("scheduled", [update["id"]])
    assert [entry["operation"] for entry in owed()] == [sweep]


@pytest.mark.parametrize("result", [None, {}, {"success": False, "reason": "invalid_path"}])
def test_what_is_not_to_be_tried_again_is_refused(result) -> None:
    answer = schedule_deferred_cleanup(result)
    assert answer["success"] is False
    assert (answer["status"], answer["reason"]) == ("failed", "not_deferrable")
    assert owed() == []


@pytest.mark.parametrize("place", ["root", "home", "link"])
def test_what_no_start_will_ever_do_is_refused(place, tree, tmp_path) -> None:
    os.symlink(tree, str(tmp_path / "link"))
    places = {"root": "/", "home": os.path.expanduser("~"), "link": str(tmp_path / "link")}
    answer = schedule_deferred_cleanup(inspected(places[place]))
    assert (answer["success"], answer["reason"]) == (False, "invalid_path")
    assert owed() == []


@pytest.mark.parametrize("source", ["tree", "tree/inner", "", "link"])
def test_replacement_that_no_start_will_ever_do_is_refused(source, tree, tmp_path) -> None:
    os.mkdir(os.path.join(tree, "inner"))
    os.symlink(str(tmp_path), str(tmp_path / "link"))
    answer = schedule_deferred_cleanup(replace(str(tmp_path / source), tree))
    assert (answer["success"], answer["reason"]) == (False, "invalid_path")
    assert owed() == []


def test_current_directory_may_be_another_at_the_next_start(tree, monkeypatch) -> None:
    monkeypatch.chdir(tree)
    assert schedule_deferred_cleanup(inspected(tree))["status"] == "scheduled"


def test_operation_that_is_no_json_is_refused(tree) -> None:
    answer = schedule_deferred_cleanup(dict(remove(tree), extra=object()))
    assert (answer["success"], answer["reason"]) == (False, "journal_failed")
    assert owed() == []


# Carrying out.


def test_nothing_owed_is_one_look(home) -> None:
    result = run_deferred_cleanup()
    assert (result["success"], result["status"], result["results"]) == (True, "nothing_owed", [])
    assert not home.exists()


def test_nothing_owed_takes_a_start_no_time() -> None:
    code = (
        "import time, dcc_mcp_embed.install_lifecycle as lifecycle; start = time.process_time()\n"
        "lifecycle.run_deferred_cleanup(); print(time.process_time() - start)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    assert min(float(subprocess.check_output(command)) for _ in range(3)) <= 0.005


def test_nothing_owed_loads_next_to_nothing() -> None:
    code = (
        "import sys, dcc_mcp_embed.install_lifecycle as lifecycle; before = set(sys.modules)\n"
        "assert lifecycle.run_deferred_cleanup()['status'] == 'nothing_owed'\n"
        "new = set(sys.modules) - before - set(sys.builtin_module_names)\n"
        "print(*sorted(name.split('.')[-1] for name in new))"
    )
    out = subprocess.check_output([sys.executable, "-W", "error", "-c", code])
    assert out.decode("ascii").split() == ["deferred", "home"]


def test_finished_operation_is_owed_no_more(tree, perform, home) -> None:
    scheduled = schedule_deferred_cleanup(inspected(tree))
    perform.results = [{"success": True, "status": "removed", "path": tree}]
    result = run_deferred_cleanup()
    assert (result["success"], result["status"]) == (True, "finished")
    assert result["requires_restart"] is False
    assert (result["total"], result["finished_count"], result["owed_count"]) == (1, 1, 0)
    (item,) = result["results"]
    assert (item["id"], item["status"], item["attempts"]) == (scheduled["id"], "removed", 1)
    assert item["owed"] is False
    assert perform.operations == [remove(tree)]
    assert owed() == []
    assert not (home / "journal.json").exists()
    assert run_deferred_cleanup()["status"] == "nothing_owed"


def test_failed_operation_stays_with_what_went_wrong(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    for attempts in (1, 2):
        perform.results = [LOCKED]
        result = run_deferred_cleanup()
        assert (result["success"], result["status"]) == (False, "owed")
        assert result["requires_restart"] is True
        (entry,) = owed()
        assert entry["attempts"] == attempts
        assert entry["last_error"]["reason"] == "windows_file_lock"
        assert entry["last_error"]["locked_path"] == LOCKED["locked_path"]
        assert abs(entry["last_attempt_at"] - time.time()) < 60
    assert run_deferred_cleanup()["status"] == "finished"


def test_attempt_is_in_the_journal_while_it_is_made(tree, perform) -> None:
    # What a killed process leaves is what stands there now.
    schedule_deferred_cleanup(inspected(tree))
    seen = []
    perform.results = [lambda: seen.extend(owed()) or {"success": True}]
    run_deferred_cleanup()
    assert seen[0]["attempts"] == 1
    assert seen[0]["last_error"]["reason"] == "interrupted"


def test_what_an_operation_leaves_is_owed_in_its_place(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    sweep = {"operation": "sweep_tree", "path": tree}
    perform.results = [{"success": True, "status": "removed", "deferred_operation": sweep}]
    assert run_deferred_cleanup()["status"] == "owed"
    assert [entry["operation"] for entry in owed()] == [sweep]
    as_if_new(tree)  # does not matter: only what lies beside it is swept
    assert run_deferred_cleanup()["status"] == "finished"
    assert perform.operations == [remove(tree), sweep]


def test_tree_that_was_installed_meanwhile_is_not_meant(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    as_if_new(tree)
    result = run_deferred_cleanup()
    assert (result["success"], result["status"]) == (True, "finished")
    (item,) = result["results"]
    assert (item["status"], item["operation"]) == ("superseded", remove(tree))
    assert owed() == []


def test_tree_that_is_installed_while_an_attempt_waits_is_not_meant(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    perform.results = [lambda: as_if_new(tree) or {"success": True, "status": "removed"}]
    assert run_deferred_cleanup()["results"][0]["status"] == "superseded"


def test_tree_that_is_installed_while_an_attempt_waits_in_vain_is_not_meant(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    busy = {"success": False, "status": "failed", "reason": "busy", "visible": "old"}
    perform.results = [lambda: as_if_new(tree) or dict(busy, deferred_operation=remove(tree))]
    assert run_deferred_cleanup()["status"] == "owed"
    assert run_deferred_cleanup()["results"][0]["status"] == "superseded"
    assert perform.operations == [remove(tree)] * 2


def test_sweep_is_of_no_tree(tree, monkeypatch) -> None:
    asked = []

    def perform(operation, still_meant):
        asked.append(still_meant)
        return {"success": True}

    monkeypatch.setattr(owing, "_performer", lambda: perform)
    schedule_deferred_cleanup({"operation": "sweep_tree", "path": tree})
    assert run_deferred_cleanup()["status"] == "finished"
    assert asked == [None]


def test_failed_attempt_that_leaves_rubbish_still_owes_the_operation(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    sweep = {"operation": "sweep_tree", "path": tree}
    perform.results = [dict(LOCKED, status="failed", deferred_operation=sweep)]
    assert run_deferred_cleanup()["status"] == "owed"
    assert [entry["operation"] for entry in owed()] == [remove(tree)]


NEVER = {
    "success": False,
    "status": "failed",
    "requires_restart": False,
    "reason": "invalid_path",
    "guard": "link",
    "message": "It is a link.",
}


def test_what_can_never_be_done_is_told_once_and_kept(tree, perform, home) -> None:
    schedule_deferred_cleanup(inspected(tree))
    perform.results = [NEVER]
    result = run_deferred_cleanup()
    assert (result["success"], result["status"]) == (False, "given_up")
    assert (result["owed_count"], result["given_up_count"]) == (0, 1)
    assert result["requires_restart"] is False
    (item,) = result["results"]
    assert (item["reason"], item["owed"], item["given_up"]) == ("invalid_path", False, True)
    again = run_deferred_cleanup()
    assert (again["success"], again["status"], again["results"]) == (True, "nothing_owed", [])
    listed = list_deferred()
    assert listed["requires_restart"] is False
    (entry,) = listed["entries"]
    assert (entry["state"], entry["last_error"]["message"]) == ("given_up", "It is a link.")
    assert len(perform.operations) == 1
    assert run_deferred_cleanup(given_up=True)["status"] == "finished"
    assert not (home / "journal.json").exists()


def test_replacement_whose_source_was_missing_is_done_when_it_is_back(
    tree, tmp_path, perform
) -> None:
    schedule_deferred_cleanup(replace(str(tmp_path / "share"), tree))
    perform.results = [dict(NEVER, reason="missing_source")]
    assert run_deferred_cleanup()["status"] == "given_up"
    assert run_deferred_cleanup()["status"] == "nothing_owed"
    (tmp_path / "share").mkdir()
    assert run_deferred_cleanup()["status"] == "finished"
    assert len(perform.operations) == 2


def test_restart_is_required_only_if_one_of_the_results_says_so(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    perform.results = [
        dict(LOCKED, status="failed", reason="remove_failed", requires_restart=False)
    ]
    result = run_deferred_cleanup()
    assert (result["status"], result["requires_restart"]) == ("owed", False)


def test_what_another_machine_owes_is_left_to_it(tree, perform, monkeypatch) -> None:
    monkeypatch.setattr(owing, "machine_name", lambda environ, platform: "there")
    theirs = schedule_deferred_cleanup(inspected(tree))
    monkeypatch.setattr(owing, "machine_name", lambda environ, platform: "here")
    assert run_deferred_cleanup()["status"] == "nothing_owed"
    ours = schedule_deferred_cleanup(inspected(tree))
    assert ours["replaced"] == []
    assert [(e["id"], e["state"]) for e in owed()] == [
        (theirs["id"], "elsewhere"),
        (ours["id"], "owed"),
    ]
    assert run_deferred_cleanup(given_up=True)["status"] == "finished"
    assert [entry["id"] for entry in owed()] == [theirs["id"]]
    assert list_deferred()["requires_restart"] is False
    monkeypatch.setattr(owing, "machine_name", lambda environ, platform: "there")
    assert run_deferred_cleanup()["status"] == "finished"


# Dropping.


def test_dropped_entry_is_forgotten(tree, perform, home) -> None:
    scheduled = schedule_deferred_cleanup(inspected(tree))
    result = drop_deferred(scheduled["id"][:4])
    assert (result["success"], result["status"]) == (True, "dropped")
    assert result["entry"]["operation"] == remove(tree)
    assert not (home / "journal.json").exists()
    assert run_deferred_cleanup()["status"] == "nothing_owed"
    assert perform.operations == []


@pytest.mark.parametrize("name", ["", None, "no id begins so"])
def test_only_one_entry_is_dropped_and_only_if_it_is_named(name, tree, tmp_path) -> None:
    before = drop_deferred(name)
    assert (before["success"], before["reason"]) == (False, "unknown_id")
    schedule_deferred_cleanup(inspected(tree))
    assert drop_deferred(name)["reason"] == "unknown_id"
    assert len(owed()) == 1


def test_beginning_of_several_ids_names_none(tmp_path, monkeypatch) -> None:
    numbers = iter([b"\1\1", b"\1\2"])
    monkeypatch.setattr(os, "urandom", lambda count: next(numbers))
    for name in "ab":
        schedule_deferred_cleanup(remove(str(tmp_path / name)))
    assert drop_deferred("01")["reason"] == "unknown_id"
    assert drop_deferred("0102")["status"] == "dropped"
    assert [entry["id"] for entry in owed()] == ["0101"]


def test_entry_that_is_dropped_during_an_attempt_stays_dropped(tree, perform) -> None:
    scheduled = schedule_deferred_cleanup(inspected(tree))
    perform.results = [lambda: drop_deferred(scheduled["id"]) and LOCKED]
    run_deferred_cleanup()
    assert owed() == []


# Several at once, and what cannot be carried out.


def test_wish_that_is_renewed_during_an_attempt_stays(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    perform.results = [lambda: schedule_deferred_cleanup(inspected(tree)) and {"success": True}]
    run_deferred_cleanup()
    assert [entry["operation"] for entry in owed()] == [remove(tree)]
    assert run_deferred_cleanup()["status"] == "finished"


def test_one_that_fails_does_not_keep_the_others(tmp_path, perform) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        schedule_deferred_cleanup(remove(str(tmp_path / name)))
    perform.results = [{"success": True}, LOCKED, {"success": True}]
    result = run_deferred_cleanup()
    assert (result["total"], result["finished_count"], result["owed_count"]) == (3, 2, 1)
    assert [entry["operation"]["path"] for entry in owed()] == [str(tmp_path / "b")]


def test_without_time_nothing_is_begun(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    result = run_deferred_cleanup(budget_secs=0)
    assert (result["status"], result["results"][0]["status"]) == ("owed", "postponed")
    assert perform.operations == []
    assert owed()[0]["attempts"] == 0


def test_what_cannot_be_carried_out_at_all_is_a_failed_attempt(tree, monkeypatch) -> None:
    from types import ModuleType

    broken = ModuleType("trees")

    def trees(look):
        raise RuntimeError("a surprise")

    broken.Trees = trees
    monkeypatch.setitem(sys.modules, "dcc_mcp_embed.install_lifecycle.trees", broken)
    schedule_deferred_cleanup(inspected(tree))
    result = run_deferred_cleanup()
    assert (result["status"], result["results"][0]["reason"]) == ("owed", "raised")
    assert owed()[0]["last_error"]["message"] == "RuntimeError: a surprise"


# What a start survives.


def test_damaged_journal_is_kept_and_said(tree, perform, home) -> None:
    schedule_deferred_cleanup(inspected(tree))
    content = json.loads((home / "journal.json").read_text(encoding="ascii"))
    content["entries"].append({"id": "half"})
    (home / "journal.json").write_text(json.dumps(content), encoding="ascii")
    assert list_deferred()["damage"]
    result = run_deferred_cleanup()
    assert result["status"] == "finished"
    assert "damaged" in result["message"]
    (kept,) = result["damaged"]
    assert "half" in open_text(kept)
    listed = list_deferred()
    assert (listed["damage"], listed["damaged"]) == (None, [kept])


def open_text(path):
    with open(path, encoding="ascii") as stream:
        return stream.read()


def test_nothing_that_can_be_read_is_nothing_owed(home) -> None:
    home.mkdir()
    (home / "journal.json").write_bytes(b"\0\0")
    os.chmod(str(home / "journal.json"), 0o600)
    result = run_deferred_cleanup()
    assert (result["success"], result["status"]) == (True, "nothing_owed")
    assert len(result["damaged"]) == 1
    assert "damaged" in schedule_deferred_cleanup(remove(str(home)))


@pytest.mark.parametrize(
    ("content", "reason"), [(b'{"version": 7, "entries": []}', "journal_newer"), (None, None)]
)
def test_journal_that_cannot_be_used_is_said(home, tree, content, reason) -> None:
    home.mkdir()
    if content is None:
        home.rmdir()
        home.write_bytes(b"")  # a file where the directory should be
        assert run_deferred_cleanup()["status"] == "nothing_owed"
        answers = [schedule_deferred_cleanup(inspected(tree))]
        reason = "journal_unusable"
    else:
        (home / "journal.json").write_bytes(content)
        os.chmod(str(home / "journal.json"), 0o600)
        answers = [run_deferred_cleanup(), list_deferred(), drop_deferred("x")]
        answers.append(schedule_deferred_cleanup(remove(tree)))
    for answer in answers:
        assert answer["success"] is False
        assert (answer["status"], answer["reason"]) == ("failed", reason)
        assert answer["message"]
        assert answer["path"] == str(home / "journal.json")


def test_no_environment_stops_a_start(monkeypatch) -> None:
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", "x")

    def fails(environ, platform):
        raise KeyError("HOME")

    monkeypatch.setattr(deferred, "data_directory", fails)
    answers = [run_deferred_cleanup(), list_deferred(), schedule_deferred_cleanup({})]
    for answer in [*answers, drop_deferred("x")]:
        assert (answer["success"], answer["reason"]) == (False, "journal_failed")


# Several hosts at once.

RUN = """
import json, os, sys
from dcc_mcp_embed.install_lifecycle import deferred, owing
def perform(operation, still_meant):
    with open(os.path.join(sys.argv[1], "done"), "a") as stream:
        stream.write(operation["path"] + "\\n")
    if sys.argv[2] == "dies":
        os._exit(9)
    return {"success": True, "status": "removed"}
owing._performer = lambda: perform
print("ready", flush=True)
sys.stdin.readline()
result = deferred.run_deferred_cleanup()
print(json.dumps(result))
"""


def start(tmp_path, how="lives"):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def finish(processes):
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    return [process.communicate(timeout=60.0)[0] for process in processes]


def test_hosts_that_start_together_do_it_once(tmp_path) -> None:
    paths = [str(tmp_path / "tree{}".format(number)) for number in range(8)]
    for path in paths:
        os.mkdir(path)
        schedule_deferred_cleanup(remove(path))
    answers = [json.loads(out.decode()) for out in finish([start(tmp_path) for _ in range(4)])]
    statuses = {answer["status"] for answer in answers}
    assert "finished" in statuses
    assert statuses <= {"finished", "busy", "nothing_owed"}
    assert (tmp_path / "done").read_text().split() == paths
    assert owed() == []


def test_busy_is_no_success(tree, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    inner = []
    perform.results = [
        lambda: inner.append(run_deferred_cleanup(budget_secs=0)) or {"success": True}
    ]
    assert run_deferred_cleanup()["status"] == "finished"
    assert (inner[0]["success"], inner[0]["status"]) == (False, "busy")


def test_host_waits_a_little_for_another_that_is_at_it(tree, perform, monkeypatch) -> None:
    schedule_deferred_cleanup(inspected(tree))
    journal = Journal(os.environ["DCC_MCP_EMBED_HOME"], time.monotonic, time.sleep)
    turn, slept = journal.turn(0), []

    def sleep(seconds):
        slept.append(seconds)
        turn.release()

    monkeypatch.setattr(time, "sleep", sleep)
    assert run_deferred_cleanup()["status"] == "finished"
    assert len(slept) == 1


def test_what_a_killed_host_began_is_finished_by_the_next(tree, tmp_path, perform) -> None:
    schedule_deferred_cleanup(inspected(tree))
    process = start(tmp_path, "dies")
    assert finish([process]) == [b""]
    assert process.returncode == 9
    (entry,) = owed()
    assert (entry["attempts"], entry["last_error"]["reason"]) == (1, "interrupted")
    result = run_deferred_cleanup()
    assert (result["status"], result["results"][0]["attempts"]) == ("finished", 2)
