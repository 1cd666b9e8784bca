"""The test command tells the truth: what it runs, what it counts, what it says at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Dict, List, Tuple

import pytest

import run
from helpers import TESTS
from pythons import SUPPORTED

Found = Dict[Tuple[int, int], str]
ALL: Found = {minor: "python{}.{}".format(*minor) for minor in SUPPORTED}


def choose(*arguments: str, found: Found = ALL) -> Tuple[List[str], List[str]]:
    options, _ = run.parse(arguments)
    return run.environments(options, found)


def test_everything_is_run_by_default() -> None:
    names, absent = choose()
    assert absent == []
    tags = [run.tag(minor) for minor in SUPPORTED]
    with_qt = {"qt" + run.tag(minor) for minor in run.WITH_QT}
    assert set(names) == {"lint", "types", "heavy", "windows"} | with_qt | {
        kind + tag for kind in ("py", "checkout") for tag in tags
    }
    assert len(names) == len(set(names)) == 21


def test_parts_can_be_chosen() -> None:
    assert choose("--heavy") == (["heavy", "windows"], [])
    assert not {"heavy", "windows", "lint", "types"} & set(choose("--fast")[0])
    assert choose("-e", "py37", "-e", "lint") == (["py37", "lint"], [])
    assert choose("-e", "windows") == (["windows"], [])


def test_a_missing_python_is_named_and_not_run() -> None:
    found = {minor: path for minor, path in ALL.items() if minor != (3, 7)}
    names, absent = choose(found=found)
    assert absent == ["py37", "checkout37", "qt37"]
    assert not set(absent) & set(names)
    assert choose("-e", "py37", found=found) == ([], ["py37"])


def test_without_a_modern_python_only_the_fast_suite_runs() -> None:
    names, absent = choose(found={(3, 8): "python3.8"})
    assert names == ["py38", "checkout38"]
    assert {"qt37", "qt313"} <= set(absent)
    assert {"heavy", "windows", "lint", "types", "py311"} <= set(absent)


def test_only_what_is_run_has_to_be_installed(monkeypatch) -> None:
    monkeypatch.setattr(run.shutil, "which", lambda command: None)
    assert run.missing_system(["lint", "py37"]) == []
    assert {package for _, package in run.missing_system(["windows"])} == {"wine"}
    assert ("blender", "blender") in run.missing_system(["heavy", "windows"])
    monkeypatch.setattr(run.shutil, "which", lambda command: "/usr/bin/" + command)
    assert run.missing_system(["heavy", "windows"]) == []


def test_a_library_counts_as_there_if_it_can_be_loaded(monkeypatch) -> None:
    libraries = ["libc.so.6", "libnone.so.1"]
    if not sys.platform.startswith("linux"):
        assert all(map(run.is_there, libraries))
        return
    assert [run.is_there(name) for name in libraries] == [True, False]
    monkeypatch.setattr(run, "is_there", lambda name: False)
    missing = run.missing_system(["qt37", "qt313"])
    assert ("libGL.so.1", "libgl1") in missing
    assert len(missing) == len(set(missing))
    assert run.missing_system(["py37"]) == []


@pytest.mark.parametrize("demanded", [False, True])
def test_without_wine_that_of_windows_is_skipped_or_fails(tmp_path, demanded) -> None:
    report = tmp_path / "report.xml"
    command = [sys.executable, os.path.join(TESTS, "windows"), "--junitxml={}".format(report)]
    environ = dict(os.environ, PATH=str(tmp_path), DCC_MCP_EMBED_REQUIRE_REAL=str(int(demanded)))
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environ)
    assert done.returncode == int(demanded)
    assert run.count(str(report)) == (0, int(demanded), int(not demanded))
    # The line that the summary shows of what is left out.
    assert done.stdout.startswith(b"FAILED " if demanded else b"SKIPPED ")


def test_options_for_pytest_come_after_the_dashes() -> None:
    options, rest = run.parse(["--fast", "--", "-k", "layers", "--", "x"])
    assert options.fast
    assert rest == ["-k", "layers", "--", "x"]


REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"/>
<testcase name="c"><failure message="x"/></testcase>
<testcase name="d"><error message="teardown"/></testcase>
<testcase name="e"><skipped/></testcase>
</testsuite></testsuites>"""


def test_report_is_counted(tmp_path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT, encoding="utf-8")
    assert run.count(str(path)) == (2, 2, 1)


@pytest.mark.parametrize("text", [None, "", "<testsuites><testsuite>"])
def test_missing_or_broken_report_is_none(tmp_path, text) -> None:
    path = tmp_path / "report.xml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert run.count(str(path)) is None


def test_last_line_sums_up() -> None:
    outcomes = [
        run.Outcome("lint", True, 1.0, 1, 0, 0, ""),
        run.Outcome("py37", False, 2.0, 10, 2, 3, ""),
    ]
    lines = run.summary(outcomes, ["py38"]).splitlines()
    assert lines[-1] == "11 passed, 2 failed, 3 skipped"
    assert any("py38" in line and "not found" in line for line in lines)
    assert any("py37" in line and "FAILED" in line for line in lines)


FAILED = """collected 2 items
tests/test_a.py .F                   [100%]
=================== FAILURES ====================
____________________ test_b _____________________
E   assert False
ERROR    dcc_mcp_embed:server.py:1 what the test has logged
============ short test summary info ============
FAILED tests/test_a.py::test_b - assert False
ERROR tests/test_a.py::test_b - AssertionError
========== 1 failed, 1 passed, 1 error ==========
"""


def test_what_failed_is_told_without_what_was_run_before_and_once_more_at_the_end() -> None:
    outcome = run.Outcome("py37", False, 2.0, 1, 2, 0, FAILED)
    assert outcome.ending.splitlines()[0] == "=================== FAILURES ===================="
    assert outcome.ending.endswith("1 error ==========\n")
    on_windows = outcome._replace(output=FAILED.replace("\n", "\r\n"))
    assert on_windows.ending.startswith("=================== FAILURES")
    lines = run.summary([outcome], []).splitlines()
    assert lines[-4:] == [
        "py37           FAILED tests/test_a.py::test_b - assert False",
        "py37           ERROR tests/test_a.py::test_b - AssertionError",
        "",
        "1 passed, 2 failed, 0 skipped",
    ]


def test_a_run_that_ended_before_its_summary_is_told_whole() -> None:
    outcome = run.Outcome("py37", False, 2.0, 0, 1, 0, "py37: no such Python\n")
    assert outcome.ending == outcome.output
    assert outcome.failures == []


def test_setup_cfg_knows_every_environment_we_run() -> None:
    with open(run.os.path.join(run.ROOT, "setup.cfg"), encoding="utf-8") as stream:
        (line,) = [text for text in stream if text.startswith("env_list")]
    tags = ",".join(run.tag(minor) for minor in SUPPORTED)
    with_qt = ",".join(run.tag(minor) for minor in run.WITH_QT)
    assert line.split("=")[1].split() == [
        "lint,", "types,", "py{" + tags + "},", "checkout{" + tags + "},", "qt{" + with_qt + "},",
        "heavy,", "windows"
    ]  # fmt: skip


def test_a_folder_in_memory_is_used_only_with_room_in_it(tmp_path) -> None:
    assert os.path.dirname(run.make_scratch(str(tmp_path), 1)) == str(tmp_path)
    for where, room in ((str(tmp_path), 1 << 62), (str(tmp_path / "no"), 1)):
        other = run.make_scratch(where, room)
        os.rmdir(other)
        assert os.path.dirname(other) == tempfile.gettempdir()
