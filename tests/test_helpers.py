"""The session's own rules: what leaks is seen, what is missing is said.

Once is enough (each test runs pytest in a process of its own): they are about the tests, not about
the package on some Python.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Dict, Tuple

import pytest

import helpers
from pythons import SUPPORTED, VARIABLE, find_pythons, probe

pytestmark = pytest.mark.heavy


def run_pytest(folder, text: str, *arguments: str, **environ: str) -> Tuple[int, str]:
    """Run a test module under our conftest in a process of its own; return exit code, output."""
    (folder / "test_planted.py").write_text(text, encoding="utf-8")
    import dcc_mcp_embed

    package = os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__))
    paths = [helpers.TESTS, os.path.dirname(package)]
    env: Dict[str, str] = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
    env.pop(helpers.REQUIRE_REAL, None)
    env.update(environ)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider"]
    command += ["-c", os.path.join(helpers.ROOT, "setup.cfg"), "--rootdir", str(folder)]
    done = subprocess.run(
        [*command, str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=str(folder),
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


LEAKS = {
    "thread": (
        (
            "import threading\n"
            "def test_x(): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        ),
        "a thread still runs",
    ),
    "socket": (
        (
            "import socket\nkept = []\n"
            "def test_x(): kept.append(socket.socket())\n"
            "def teardown_module(): kept[0].close()\n"
        ),
        "a descriptor is still open",
    ),
    "path": (
        "import sys\ndef test_x(): sys.path.append('x')\n",
        "sys.path changed",
    ),
    "logging": (
        "import logging\ndef test_x(): logging.getLogger().setLevel(1)\n",
        "root logger changed",
    ),
    "signal": (
        "import signal\ndef test_x(): signal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
        "signal handlers changed",
    ),
    "module": (
        (
            "import importlib.util as u, os, sys, helpers\n"
            "def test_x():\n"
            "    path = os.path.join(helpers.ROOT, 'vendor', 'msgpack', 'exceptions.py')\n"
            "    spec = u.spec_from_file_location('vendor.msgpack.exceptions', path)\n"
            "    sys.modules[spec.name] = module = u.module_from_spec(spec)\n"
            "    spec.loader.exec_module(module)\n"
        ),
        "was imported as 'vendor.msgpack.exceptions'",
    ),
    "directory": ("import os\ndef test_x(): os.chdir('/')\n", "working directory changed"),
    "environment": ("import os\ndef test_x(): os.environ['X'] = '1'\n", "environment changed"),
    "timeout": (
        "import socket\ndef test_x(): socket.setdefaulttimeout(1)\n",
        "socket default timeout changed",
    ),
}


@pytest.mark.parametrize("kind", sorted(LEAKS))
def test_leak_fails_the_test_that_leaks(kind: str, tmp_path) -> None:
    text, told = LEAKS[kind]
    code, output = run_pytest(tmp_path, text)
    assert code == 1, output
    assert told in output


def test_clean_test_passes(tmp_path) -> None:
    text = (
        "import threading\n"
        "def test_x(monkeypatch, tmp_path):\n"
        "    monkeypatch.chdir(str(tmp_path)); monkeypatch.setenv('X', '1')\n"
        "    threading.Thread(target=threading.Event().wait, args=(0.2,)).start()\n"
    )
    assert run_pytest(tmp_path, text)[0] == 0


HEAVY = """
import pytest, helpers
@pytest.mark.heavy
def test_missing(): helpers.require(False, "no such host")
@pytest.mark.heavy
def test_plain_skip(): pytest.skip("no such peer")
@pytest.mark.heavy
def test_there(): helpers.require(True, "never said")
def test_fast(): pass
"""


def test_heavy_tests_run_only_when_asked_for(tmp_path) -> None:
    code, output = run_pytest(tmp_path, HEAVY)
    assert code == 0
    assert "1 passed, 3 deselected" in output


def test_missing_host_is_a_skip(tmp_path) -> None:
    code, output = run_pytest(tmp_path, HEAVY, "--heavy")
    assert code == 0
    assert "2 passed, 2 skipped" in output
    assert "no such host" in output


def test_missing_host_is_a_failure_where_it_is_required(tmp_path) -> None:
    for arguments, environ in (
        (["--heavy", "--require-real"], {}),
        (["--heavy"], {helpers.REQUIRE_REAL: "1"}),
    ):
        code, output = run_pytest(tmp_path, HEAVY, *arguments, **environ)
        assert code == 1
        assert "2 failed, 2 passed" in output
        assert "no such host" in output


def test_hung_test_ends_with_the_stacks(tmp_path) -> None:
    text = (
        "import pytest, threading\n"
        "@pytest.mark.limit(0.5)\ndef test_x(): threading.Event().wait()\n"
    )
    code, output = run_pytest(tmp_path, text)
    assert code == 1
    assert "Timeout" in output
    assert "in test_x" in output


def test_wrong_copy_is_refused(tmp_path) -> None:
    actual = os.environ.get("DCC_MCP_EMBED_EXPECT")
    import dcc_mcp_embed

    from_checkout = os.path.dirname(
        os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__))
    ) == os.path.abspath(helpers.ROOT)
    assert actual in (None, "checkout" if from_checkout else "wheel")
    other = "wheel" if from_checkout else "checkout"
    code, output = run_pytest(tmp_path, "def test_x(): pass\n", DCC_MCP_EMBED_EXPECT=other)
    assert code != 0
    assert "but dcc_mcp_embed comes from" in output


def test_another_python_than_the_environment_says_is_refused(tmp_path) -> None:
    code, output = run_pytest(tmp_path, "def test_x(): pass\n", TOX_ENV_NAME="checkout26")
    assert code != 0
    assert "The environment checkout26 has Python 3." in output


def test_traces_wait_for_a_thread_on_its_way_out() -> None:
    before = helpers.Traces()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert len(before.new(grace=0.01)) == 1
    finally:
        done.set()
    assert before.new() == []


def test_a_brief_pause_of_the_collector_is_no_change() -> None:
    # A server that a wider fixture keeps running may be in the middle of a slice of its work.
    before = helpers.Traces()
    paused, ended = threading.Event(), threading.Event()

    def slice_of_work() -> None:
        gc.disable()
        paused.set()
        ended.wait(0.03)
        gc.enable()
        ended.wait()

    thread = threading.Thread(target=slice_of_work)
    thread.start()
    try:
        assert paused.wait(10)
        assert [line for line in before.new(grace=0.0) if "collector" in line] == []
    finally:
        ended.set()
        thread.join()


def test_finds_the_running_python_and_no_broken_one(tmp_path) -> None:
    shim = tmp_path / "python{}.{}".format(*SUPPORTED[0])
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    environ = {"PATH": str(tmp_path), VARIABLE: str(shim)}
    assert probe(str(shim)) is None
    found = find_pythons(environ)
    assert str(shim) not in found.values()
    for minor, path in find_pythons().items():
        answer = probe(path)
        assert answer is not None
        assert answer[0][:2] == minor
