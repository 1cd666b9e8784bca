"""The standalone host: who its main thread is, how it wakes, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from dcc_mcp_embed.adapters import standalone
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from dcc_mcp_embed.errors import EmbedError, Unsupported
from dcc_mcp_embed.host.adapter import HostAdapter, Question

WAIT_S = 20.0


class Serving:
    """An adapter whose serve_forever() runs in a thread of its own."""

    def __init__(self, adapter):
        self.adapter = adapter
        self.error = None
        self.thread = threading.Thread(target=self._serve)

    def _serve(self):
        try:
            self.adapter.serve_forever()
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.adapter.close()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


def test_it_is_made_by_name_only():
    assert standalone.detect() is False
    adapter = standalone.create()
    assert isinstance(adapter, HostAdapter)
    assert (adapter.dcc_type, adapter.version()) == ("standalone", "1.0")
    assert not adapter.is_interactive()
    assert adapter.scene_path() == ""
    assert adapter.tool_modules() == []


def test_the_pump_runs_on_the_serving_thread_and_nowhere_else():
    adapter = StandaloneAdapter()
    assert adapter.is_main_thread()
    ran = threading.Event()
    seen = []

    def pump():
        seen.append((threading.current_thread(), adapter.is_main_thread()))
        ran.set()

    with Serving(adapter) as serving:
        adapter.wake(pump)
        assert ran.wait(WAIT_S)
        assert not adapter.is_main_thread()
    assert seen == [(serving.thread, True)]
    assert adapter.is_main_thread()


def test_waking_before_it_serves_is_not_lost_and_is_one_run():
    adapter = StandaloneAdapter()
    runs = []

    def pump():
        runs.append(1)
        adapter.close()

    for _ in range(5):
        adapter.wake(pump)
    adapter.serve_forever()
    assert runs == [1]


def test_a_wake_while_the_pump_runs_is_another_run():
    adapter = StandaloneAdapter()
    runs = []

    def pump():
        runs.append(1)
        if len(runs) == 3:
            adapter.close()
        else:
            adapter.wake(pump)

    adapter.wake(pump)
    adapter.serve_forever()
    assert runs == [1, 1, 1]


def test_no_wake_is_lost_between_many_threads():
    adapter = StandaloneAdapter()
    queue, taken, wanted = [], [], 4 * 2000
    done = threading.Event()

    def pump():
        while queue:
            taken.append(queue.pop())
        if len(taken) == wanted:
            done.set()

    def produce():
        for number in range(2000):
            queue.append(number)
            adapter.wake(pump)

    with Serving(adapter):
        threads = [threading.Thread(target=produce) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done.wait(WAIT_S)
    assert len(taken) == wanted
    assert not queue


@pytest.mark.parametrize("slice_s", [None, 0.01])
def test_close_ends_serving_from_any_thread_and_twice(slice_s):
    adapter = StandaloneAdapter(slice_s=slice_s)
    with Serving(adapter) as serving:
        adapter.close()
        adapter.close()
    assert serving.error is None
    adapter.wake(lambda: pytest.fail("a closed host ran the pump"))
    adapter.serve_forever()


def test_only_one_thread_serves():
    adapter = StandaloneAdapter()
    up = threading.Event()
    with Serving(adapter) as serving:
        adapter.wake(up.set)
        assert up.wait(WAIT_S)
        with pytest.raises(EmbedError, match="already runs"):
            adapter.serve_forever()
        assert serving.thread.is_alive()


def test_exit_callbacks_run_on_the_main_thread_the_last_first_whatever_they_raise():
    adapter = StandaloneAdapter()
    calls = []

    def broken():
        calls.append("broken")
        raise ValueError("mine")

    adapter.on_exit(lambda: calls.append(adapter.is_main_thread()))
    adapter.on_exit(broken)
    adapter.on_exit(lambda: calls.append("last"))
    with Serving(adapter) as serving:
        pass
    assert calls == ["last", "broken", True]
    assert isinstance(serving.error, ValueError)


def test_ctrl_c_passes_through_and_exit_callbacks_still_run():
    adapter = StandaloneAdapter()
    calls = []
    adapter.on_exit(lambda: calls.append("exit"))

    def pump():
        raise KeyboardInterrupt

    adapter.wake(pump)
    with pytest.raises(KeyboardInterrupt):
        adapter.serve_forever()
    assert calls == ["exit"]


SERVE = """
import sys
sys.path.insert(0, sys.argv[1])
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter
adapter = StandaloneAdapter()
def ready():
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
adapter.wake(ready)
try:
    adapter.serve_forever()
except KeyboardInterrupt:
    sys.stdout.write("interrupted\\n")
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_real_ctrl_c_ends_a_host_that_waits():
    root = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, root], stdout=subprocess.PIPE, universal_newlines=True
    )
    with process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=WAIT_S)[0] == "interrupted\n"
        finally:
            process.kill()
    assert process.returncode == 0


def test_a_chunk_is_one_step_or_none():
    adapter = StandaloneAdapter()
    with adapter.undo_chunk("MCP: two cubes") as chunk:
        adapter.scene.create("cube")
        adapter.scene.create("cube")
    assert chunk.steps == 1
    assert adapter.scene.undo_labels == ["MCP: two cubes"]
    with adapter.undo_chunk("nothing") as chunk:
        pass
    assert chunk.steps == 0
    chunk = adapter.undo_chunk("broken")

    def edit():
        with chunk:
            adapter.scene.delete("/cube")
            raise KeyError

    with pytest.raises(KeyError):
        edit()
    assert chunk.steps == 0
    assert adapter.scene.paths() == ["/cube", "/cube1"]
    assert adapter.scene.undo_labels == ["MCP: two cubes"]


def test_a_person_is_played_by_the_test():
    adapter = StandaloneAdapter()
    answers = []
    choices = [("once", "Allow once"), ("never", "Never")]
    question = Question("Run code?", "x", choices, answers.append)
    with pytest.raises(Unsupported, match="Run code"):
        adapter.ask(question)
    adapter.answerer = lambda asked: asked.answer("once")
    adapter.ask(question)
    assert answers == ["once"]
    assert adapter.modal_state() is None
    adapter.modal = "Save changes?"
    assert adapter.modal_state() == "Save changes?"
