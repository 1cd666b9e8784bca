"""The self-test itself: it finds what a host can do wrong, and leaves the scene alone."""

from __future__ import annotations

import json
import os
import threading
from types import GeneratorType

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import SceneChunk
from dcc_mcp_embed.adapters.standalone.backend import StandaloneBackend

from dcc_mcp_embed.errors import NotFound, Unsupported
from dcc_mcp_embed.host import dispatch, lane, pump, selftest
from dcc_mcp_embed.host.adapter import UndoChunk
from dcc_mcp_embed.host.selftest import (
    CHECKS,
    FAILED,
    LEFT_OUT,
    PASSED,
    Report,
    Result,
    keeping,
    run,
    world,
)
from dcc_mcp_embed.host.selftest.report import Redactor
from hosts.stages import StandaloneStage, play

BY_NAME = {check.name: check for check in CHECKS}


@pytest.fixture
def playing(tmp_path, monkeypatch):
    """Run the suite, or some checks, in a standalone host that ``prepare`` has seen to."""
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    def playing(prepare=lambda stage, server: None, checks=CHECKS, staged=True):
        def body(stage, server):
            prepare(stage, server)
            return run(server.selftest_world(stage if staged else None), checks)

        return play(StandaloneStage(), str(tmp_path), body)

    return playing


# Each check finds what it is for.

SABOTAGE = {}


def breaks(*names):
    """Mark what makes these checks fail: it gets (monkeypatch, stage)."""

    def mark(function):
        for name in names:
            SABOTAGE[name] = function
        return function

    return mark


@breaks("marshalling: on the main thread")
def woken_on_another_thread(patch, stage):
    patch.setattr(stage.adapter, "wake", lambda run: threading.Thread(target=run).start())


@breaks("marshalling: values")
def values_copied(patch, stage):
    advance = pump._advance
    patch.setattr(pump, "_advance", lambda job: json.loads(json.dumps(advance(job))))


@breaks("marshalling: exceptions")
def errors_swallowed(patch, stage):
    advance = pump._advance

    def quiet(job):
        try:
            return advance(job)
        except BaseException:
            return False, None

    patch.setattr(pump, "_advance", quiet)


@breaks("marshalling: no dead-lock")
def main_thread_not_known(patch, stage):
    patch.setattr(stage.adapter, "is_main_thread", lambda: False)


@breaks("ordering: first in, first out")
def last_in_first_out(patch, stage):
    def runnable(self):
        return self.queue[-1] if self.queue else None

    patch.setattr(lane.Lane, "runnable", runnable)


@breaks("ordering: many callers")
def told_twice(patch, stage):
    end = pump.Pump._end

    def twice(self, job, value, *more):
        settled = job.settled
        job.settled = lambda *told: (settled(*told), settled(*told))
        end(self, job, value, *more)

    patch.setattr(pump.Pump, "_end", twice)


@breaks("timeouts: not started, never runs")
def expired_jobs_run(patch, stage):
    def expire(self, job):
        settled, job.settled = job.settled, lambda *_: None
        settled(job, None, dispatch.refusals.timed_out_waiting(job.name, 0.0, None))

    patch.setattr(dispatch.Dispatcher, "expire", expire)


@breaks("timeouts: running, result later")
def late_results_lost(patch, stage):
    patch.setattr(pump.Pump, "_keep", lambda self, job, answer: None)


@breaks("cancel: while it waits")
def cancelled_jobs_run(patch, stage):
    def cancel(self, job_id):
        job = self.find(job_id)
        settled, job.settled = job.settled, lambda *_: None
        settled(job, None, dispatch.refusals.cancelled_in_time())
        return "queued", "removed_from_queue"

    patch.setattr(dispatch.Dispatcher, "cancel", cancel)


class Unclosed:
    """A generator that cannot be closed."""

    def __init__(self, steps):
        self._steps = steps
        self.send, self.throw = steps.send, steps.throw

    def __next__(self):
        return next(self._steps)

    def close(self):
        pass


@breaks("cancel: between two steps")
def steps_not_closed(patch, stage):
    advance = pump._advance

    def leave_open(job):
        if type(job.stepper) is GeneratorType:
            kept.append(job.stepper)
            job.stepper = Unclosed(job.stepper)
        return advance(job)

    kept = []
    patch.setattr(pump, "_advance", leave_open)


@breaks("modal: writes refused, reads run")
def dialogs_not_seen(patch, stage):
    patch.setattr(stage.adapter, "modal_state", lambda: None)


@breaks("ask: does not block")
def questions_answered_by_nobody(patch, stage):
    patch.setattr(stage.adapter, "ask", lambda question: question.answer("once"))


@breaks("re-entrancy: no job inside another")
def pumps_within_a_job(patch, stage):
    never = property(lambda self: False, lambda self, value: None)
    patch.setattr(pump.Pump, "pumping", never, raising=False)


@breaks("scene: create", "scene: move")
def nothing_moves(patch, stage):
    patch.setattr(StandaloneBackend, "set_transform", lambda self, *_: None)


@breaks("scene: rename")
def nothing_is_renamed(patch, stage):
    patch.setattr(StandaloneBackend, "rename", lambda self, path, new_name: path)


@breaks("scene: select")
def nothing_is_selected(patch, stage):
    patch.setattr(StandaloneBackend, "select", lambda self, paths: None)


@breaks("scene: delete")
def nothing_is_deleted(patch, stage):
    patch.setattr(StandaloneBackend, "delete", lambda self, paths: list(paths))


@breaks("scene: resources")
def the_selection_is_always_empty(patch, stage):
    patch.setattr(StandaloneBackend, "selection", lambda self: [])


@breaks("undo: one call, one step")
def each_edit_is_a_step(patch, stage):
    patch.setattr(stage.adapter, "undo_chunk", lambda label: UndoChunk())


@breaks("undo: reading is no step")
def all_counts_as_a_step(patch, stage):
    leave = SceneChunk.__exit__

    def one(self, *error):
        leave(self, *error)
        self.steps = 1

    patch.setattr(SceneChunk, "__exit__", one)


@breaks("undo: a failed call leaves nothing")
def failed_calls_stay(patch, stage):
    def stay(self, *error):
        self._scene.close_chunk()

    patch.setattr(SceneChunk, "__exit__", stay)


@breaks("exit: callers are told")
def nobody_hears_of_the_exit(patch, stage):
    patch.setattr(stage.adapter._waiter, "_on_exit", [])


#: It tells how long calls take, which no host can do wrong.
TELLS = {"marshalling: latency"}


def test_each_check_has_been_seen_failing():
    assert set(SABOTAGE) == set(BY_NAME) - TELLS


@pytest.mark.parametrize("name", SABOTAGE, ids=str)
def test_a_check_finds_what_it_is_for(playing, monkeypatch, name):
    # What never comes is waited for.
    monkeypatch.setattr(world.Call.wait, "__defaults__", (0.5,))
    with monkeypatch.context() as patch:

        def prepare(stage, server):
            server.wait_registered()
            SABOTAGE[name](patch, stage)

        try:
            report = playing(prepare, [BY_NAME[name]])
        finally:
            patch.undo()
    found = {result.name: result for result in report.results}
    assert found[name].verdict == FAILED, report.to_text()
    assert report.passed is False


# The user's scene.

SCENE = [check for check in CHECKS if check.needs <= {"scene", "undo"} and check.needs]


def test_unsaved_changes_are_left_alone(playing):
    states = []

    def prepare(stage, server):
        server.call("create_object", {"kind": "cube", "name": "mine"})
        states.append((stage.adapter.scene, stage.adapter.scene.state()))

    report = playing(prepare, staged=False)
    scene, before = states[0]
    assert scene.state() == before
    assert scene.undo_labels == ["MCP: create_object"]
    verdicts = {one.name: one.verdict for one in report.results}
    assert {verdicts[check.name] for check in SCENE} == {LEFT_OUT}
    assert verdicts["ordering: many callers"] == PASSED
    assert "scene: restored" not in verdicts
    text = [one.text for one in report.results if one.name == "scene: create"][0]
    assert "unsaved changes" in text


class Files:
    """The files that a standalone host was asked to open, and what was open when it was."""

    def __init__(self, patch, error=None):
        self.opened = []

        def open_scene(backend, path):
            self.opened.append((path, [row["name"] for row in backend.rows()]))
            if error is not None:
                raise error
            backend.scene.clear()
            backend.scene.file = path

        patch.setattr(StandaloneBackend, "open_scene", open_scene)


@pytest.fixture
def film(tmp_path):
    """The file of the scene that is open."""
    folder = tmp_path / "hidden place"
    folder.mkdir()
    (folder / "film.ma").write_text("")
    return str(folder / "film.ma")


def _with_a_file(path):
    def prepare(stage, server):
        stage.adapter.scene.file = path

    return prepare


def test_the_file_that_was_open_is_opened_again(playing, monkeypatch, film):
    files = Files(monkeypatch)
    report = playing(_with_a_file(film), SCENE)
    assert [path for path, _ in files.opened] == [film]
    assert report.results[-1].name == "scene: restored"
    assert report.passed


def test_it_is_opened_again_also_after_a_failure(playing, monkeypatch, film):
    files = Files(monkeypatch)
    monkeypatch.setattr(StandaloneBackend, "rename", lambda self, *_: 1 / 0)
    report = playing(_with_a_file(film), SCENE)
    assert not report.passed
    assert [path for path, _ in files.opened] == [film]
    assert report.results[-1][:2] == ("scene: restored", PASSED)


def test_it_is_opened_again_also_after_a_new_scene_failed_half_way(playing, monkeypatch, film):
    files = Files(monkeypatch)

    def new_scene(backend):
        backend.scene.clear()
        raise OSError("the start-up file is broken")

    monkeypatch.setattr(StandaloneBackend, "new_scene", new_scene)
    report = playing(_with_a_file(film), SCENE)
    assert [path for path, _ in files.opened] == [film]
    verdicts = [one.verdict for one in report.results]
    assert verdicts == [FAILED] + [LEFT_OUT] * (len(SCENE) - 1) + [PASSED]


def test_it_is_opened_again_when_the_run_itself_breaks_off(playing, monkeypatch, film):
    files = Files(monkeypatch)

    def interrupted(world):
        raise KeyboardInterrupt

    checks = [SCENE[0], SCENE[1]._replace(run=interrupted)]
    with pytest.raises(KeyboardInterrupt):
        playing(_with_a_file(film), checks)
    assert [path for path, _ in files.opened] == [film]


def test_a_file_that_cannot_be_opened_again_is_told_without_its_place(playing, monkeypatch, film):
    # As itself, as Python writes it, and as hosts on Windows do.
    told = "There is no {0}, nor {0!r}, nor {1}.".format(film, film.replace("\\", "/"))
    Files(monkeypatch, NotFound(told))
    report = playing(_with_a_file(film), SCENE)
    last = report.results[-1]
    assert (last.name, last.verdict) == ("scene: restored", FAILED)
    assert "hidden place" not in report.to_text()
    assert "(the file)" in last.text


def test_a_host_that_opens_no_new_scene_keeps_its_own(playing, monkeypatch, film):
    files = Files(monkeypatch)

    def new_scene(backend):
        raise Unsupported("not here")

    monkeypatch.setattr(StandaloneBackend, "new_scene", new_scene)
    report = playing(_with_a_file(film), SCENE)
    assert {one.verdict for one in report.results} == {LEFT_OUT}
    assert files.opened == []


def test_a_dialog_keeps_the_scene_as_it_is(playing, monkeypatch, film):
    files = Files(monkeypatch)

    def prepare(stage, server):
        stage.adapter.scene.file = film
        stage.adapter.modal = "Save changes?"

    report = playing(prepare, staged=False)
    assert report.passed
    verdicts = {one.name: one for one in report.results}
    assert {verdicts[check.name].verdict for check in SCENE} == {LEFT_OUT}
    assert "Save changes?" in verdicts["scene: create"].text
    assert verdicts["marshalling: values"].verdict == PASSED
    assert files.opened == []


def test_a_dialog_at_the_end_is_waited_for(playing, monkeypatch, film):
    files = Files(monkeypatch)
    monkeypatch.setattr(keeping, "PAUSE", 0.01)
    adapters = []

    def prepare(stage, server):
        stage.adapter.scene.file = film
        adapters.append(stage.adapter)

    refused = dispatch.refusals.modal

    def seen(title):
        # The user closes it once the suite has been refused.
        adapters[0].modal = None
        return refused(title)

    def opens_a_dialog(world):
        adapters[0].modal = "Save changes?"

    monkeypatch.setattr(pump.refusals, "modal", seen)
    report = playing(prepare, [SCENE[0]._replace(run=opens_a_dialog)])
    assert report.passed, report.to_text()
    assert [path for path, _ in files.opened] == [film]


def test_a_dialog_that_stays_is_told(playing, monkeypatch, film):
    files = Files(monkeypatch)
    monkeypatch.setattr(keeping, "PATIENCE", 0.2)
    adapters = []

    def prepare(stage, server):
        stage.adapter.scene.file = film
        adapters.append(stage.adapter)

    def opens_a_dialog(world):
        adapters[0].modal = "Save changes?"

    report = playing(prepare, [SCENE[0]._replace(run=opens_a_dialog)])
    assert (report.results[-1].name, report.results[-1].verdict) == ("scene: restored", FAILED)
    assert "Save changes?" in report.results[-1].text
    assert files.opened == []


def test_a_run_that_is_cancelled_opens_the_file_again(playing, monkeypatch, tmp_path, film):
    files = Files(monkeypatch)
    asked = []

    def go_on(number, name):
        asked.append((number, name))
        return number < 1

    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    def body(stage, server):
        stage.adapter.scene.file = film
        return run(server.selftest_world(), SCENE, go_on)

    report = play(StandaloneStage(), str(tmp_path), body)
    verdicts = [one.verdict for one in report.results]
    assert verdicts == [PASSED] + [LEFT_OUT] * (len(SCENE) - 1) + [PASSED]
    assert asked == [(0, SCENE[0].name), (1, SCENE[1].name)]
    assert [path for path, _ in files.opened] == [film]


def test_a_scene_whose_file_is_gone_is_left_alone(playing, monkeypatch, film):
    """What is in memory is all that there is of it."""
    files = Files(monkeypatch)
    scenes = []

    def prepare(stage, server):
        stage.adapter.scene.file = film
        scenes.append(stage.adapter.scene)
        os.remove(film)

    report = playing(prepare, SCENE)
    assert {one.verdict for one in report.results} == {LEFT_OUT}
    assert "file of the open scene is not there" in report.results[0].text
    assert scenes[0].file == film
    assert files.opened == []


def test_what_the_user_opened_meanwhile_stays_open(playing, monkeypatch, film):
    files = Files(monkeypatch)
    adapters = []

    def prepare(stage, server):
        stage.adapter.scene.file = film
        adapters.append(stage.adapter)

    def somebody_opens_another(world):
        def opens():
            adapters[0].scene.clear()
            adapters[0].scene.file = "/another/film.ma"

        world.run(opens)

    report = playing(prepare, [SCENE[0], SCENE[1]._replace(run=somebody_opens_another)])
    assert files.opened == []
    assert adapters[0].scene.file == "/another/film.ma"
    last = report.results[-1]
    assert (last.name, last.verdict) == ("scene: restored", LEFT_OUT)
    assert "another" in last.text and "/another" not in last.text


def test_the_place_of_the_file_is_in_no_failure(playing, monkeypatch, film):
    Files(monkeypatch)

    def new_scene(backend):
        raise OSError(13, "No access to its folder", film)

    monkeypatch.setattr(StandaloneBackend, "new_scene", new_scene)
    report = playing(_with_a_file(film), SCENE)
    assert report.results[0].verdict == FAILED
    assert "hidden place" not in report.to_text()


def test_the_end_of_a_program_is_the_failure_of_its_check_alone(playing, monkeypatch, film):
    """What ends Houdini's Python is an exception, too, and may come out of any call."""
    files = Files(monkeypatch)

    def leaves(backend, paths):
        raise SystemExit(0)

    monkeypatch.setattr(StandaloneBackend, "select", leaves)

    def ends(world):
        world.run(lambda: world.backend.select([]))

    report = playing(_with_a_file(film), [SCENE[0]._replace(run=ends), *SCENE[1:]])
    assert report.results[0][:2] == (SCENE[0].name, FAILED)
    assert "SystemExit" in report.results[0].text
    assert report.results[-1][:2] == ("scene: restored", PASSED)
    assert [path for path, _ in files.opened] == [film]


def test_a_server_that_is_about_to_end_opens_the_file_again_first(playing, monkeypatch, film):
    files = Files(monkeypatch)

    def is_to_end(world):
        world.lane.finish("It is to end.", lambda: None)

    report = playing(_with_a_file(film), [SCENE[0]._replace(run=is_to_end), *SCENE[1:]])
    assert [path for path, _ in files.opened] == [film]
    assert report.results[-1][:2] == ("scene: restored", PASSED)


def test_a_server_that_is_stopped_meanwhile_opens_the_file_again(tmp_path, monkeypatch, film):
    files = Files(monkeypatch)
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    def body(stage, server):
        stage.adapter.scene.file = film
        # By its user, at the host.
        checks = [SCENE[0]._replace(run=lambda world: world.run(server.stop)), *SCENE[1:]]
        return run(server.selftest_world(), checks), stage.adapter.scene.file

    report, file = play(StandaloneStage(), str(tmp_path), body)
    assert not report.passed
    assert (file, [path for path, _ in files.opened]) == (film, [film])


def test_a_host_at_its_end_opens_nothing_more(tmp_path, monkeypatch, film):
    files = Files(monkeypatch)
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    def body(stage, server):
        stage.adapter.scene.file = film

        def quits(world):
            stage.quit()
            world.run(lambda: None)

        return run(server.selftest_world(), [SCENE[0]._replace(run=quits), *SCENE[1:]])

    assert not play(StandaloneStage(), str(tmp_path), body).passed
    assert files.opened == []


def test_two_at_once_lose_no_scene(tmp_path, monkeypatch, film):
    files = Files(monkeypatch)
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))
    reports = []

    def body(stage, server):
        stage.adapter.scene.file = film
        within = []

        def second(world):
            # While the first has its new scene open, its objects in it.
            world.run(lambda: world.backend.create("cube", "first", None, {}))
            reports.append(run(server.selftest_world(), SCENE))
            within.append(stage.adapter.scene.file)

        reports.append(run(server.selftest_world(), [SCENE[0]._replace(run=second)]))
        return within[0], stage.adapter.scene.file

    within, after = play(StandaloneStage(), str(tmp_path), body)
    assert (within, after) == ("", film)
    assert [path for path, _ in files.opened] == [film]
    assert {one.verdict for one in reports[0].results} == {LEFT_OUT}


def test_the_code_gate_stays_as_it_was(playing):
    def prepare(stage, server):
        gates.append((server._server.gate, str(vars(server._server.gate))))

    gates = []
    playing(prepare)
    gate, before = gates[0]
    assert str(vars(gate)) == before


# What is left out, and the report.


def test_what_only_a_test_can_play_is_left_out_with_the_reason(playing):
    report = playing(staged=False)
    assert report.passed
    left = {one.name: one.text for one in report.results if one.verdict == LEFT_OUT}
    assert set(left) == {
        "modal: writes refused, reads run",
        "ask: does not block",
        "re-entrancy: no job inside another",
        "exit: callers are told",
    }
    assert all("which only our own tests can" in text for text in left.values())


def test_the_tool_runs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    def body(stage, server):
        return server.call("run_selftest", timeout=60.0), server.token

    told, token = play(StandaloneStage(), str(tmp_path), body)
    assert told["passed"] is True
    assert told["counts"] == {"passed": len(CHECKS) - 4 + 1, "failed": 0, "left out": 4}
    assert set(told["about"]) >= {"dcc_mcp_embed", "host", "python"}
    assert token not in json.dumps(told)


def test_the_tool_can_be_cancelled_between_two_checks(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))

    def body(stage, server):
        def cancels(world):
            (job,) = server._lanes["worker"].jobs()
            assert server.call("cancel_job", {"job_id": job.job_id})["effect"] == "cancel_requested"

        checks = (CHECKS[0]._replace(run=cancels), *CHECKS[1:])
        monkeypatch.setattr(selftest, "CHECKS", checks)
        return server.call("run_selftest", timeout=60.0)

    told = play(StandaloneStage(), str(tmp_path), body)
    assert told["counts"] == {"passed": 1, "failed": 0, "left out": len(CHECKS) - 1}
    assert told["results"][1]["text"] == "The run was cancelled."


def test_a_report_survives_json():
    report = Report(
        {"host": "maya 2025"},
        [Result("one", PASSED, 0.25, ""), Result("two", FAILED, 1.0, "so\nit is")],
    )
    shape = json.loads(report.to_json())
    assert Report.from_dict(shape) == report
    assert shape["passed"] is False
    assert shape["counts"] == {"passed": 1, "failed": 1, "left out": 0}
    lines = report.to_text().splitlines()
    assert "  host: maya 2025" in lines
    assert lines[-1] == "1 passed, 1 failed, 0 left out"
    assert [line.split()[0] for line in lines if line.endswith("so it is")] == ["failed"]


@pytest.mark.parametrize("wrong", [{}, {"about": {}}, {"about": {}, "results": [{}]}, None, []])
def test_what_is_no_report_is_refused(wrong):
    with pytest.raises((KeyError, TypeError)):
        Report.from_dict(wrong)


def test_nothing_of_the_users_is_in_a_report(playing, monkeypatch):
    home = os.path.expanduser("~")
    texts = []

    def tell(world):
        texts.append(world.secrets)
        raise ValueError("{} in {}".format(" ".join(world.secrets), os.path.join(home, "x.ma")))

    report = playing(checks=[CHECKS[0]._replace(run=tell)])
    told = report.to_text() + report.to_json()
    assert len(texts[0]) >= 3
    assert not [one for one in texts[0] if one in told]
    assert home not in told
    assert "~{}x.ma".format(os.sep) in told


def test_windows_paths_are_taken_out_in_each_way_they_are_written():
    clean = Redactor([], "C:\\Users\\ada")
    for written in ("C:\\Users\\ada\\x", "C:/Users/ada/x", "C:\\\\Users\\\\ada\\\\x"):
        assert "ada" not in clean("open('{}')".format(written))


def test_windows_paths_are_taken_out_however_a_host_spells_them():
    clean = Redactor([], "C:\\Users\\Ada")
    assert clean("c:/users/ada/scenes and C:\\USERS\\ADA\\x") == "~/scenes and ~\\x"


def test_a_home_that_the_host_has_moved_hides_no_other(playing, monkeypatch, tmp_path):
    """Maya and Houdini have HOME be a folder for documents, in the home that the system knows."""
    names = ("HOME", "USERPROFILE")
    for name in names:
        monkeypatch.setenv(name, str(tmp_path / name / "documents"))

    def tell(world):
        raise ValueError(" ".join(str(tmp_path / name / "documents" / "x") for name in names))

    report = playing(checks=[CHECKS[0]._replace(run=tell)])
    assert "documents" not in report.to_text()


def test_a_home_that_is_the_root_takes_nothing_out():
    assert Redactor(["", "abc"], "/")("/a/b abc") == "/a/b abc"
