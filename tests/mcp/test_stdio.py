"""Servers that are programs of ours: real ones, of every kind, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

import pytest

from dcc_mcp_embed.mcp import MCPClientFacade, MCPError, MCPPluginConfig
from dcc_mcp_embed.mcp import program as program_module
from dcc_mcp_embed.mcp import stdio as stdio_module
from dcc_mcp_embed.mcp.answering import Answering
from dcc_mcp_embed.mcp.connection import Broken
from dcc_mcp_embed.mcp.session import Session
from dcc_mcp_embed.mcp.stdio import Stdio, environment
from dcc_mcp_embed.net.tasks import Cut, TimedOut, Wait, within
from fakes.driving import DEADLINE
from fakes.live import tries
from fakes.served import environment as of_a_process
from fakes.turning import Turning
from fakes.waiting import until

pytestmark = pytest.mark.edges

SERVER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fakes", "stdio_server.py"
)
#: Without what takes time to be loaded, as nothing of it is needed.
ARGS = ("-S", "-E", SERVER)


class Talk:
    """A session with a program, on a loop that the test turns."""

    def __init__(
        self, *args: str, command: str = sys.executable, env: Optional[Dict[str, str]] = None
    ) -> None:
        self.turning = Turning()
        self.changes = 0
        loop = self.turning.loop
        self.wire = Stdio(loop, command, args, environment(env, os.environ))
        self.session = Session(
            loop,
            self.wire,
            Answering(loop, {}, lambda: None),
            {"name": "test", "version": "1"},
            self._changed,
            self.turning.failed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def open(self) -> Talk:
        self.run(self.session.open())
        return self

    def run(self, coroutine: Any, seconds: float = DEADLINE) -> Any:
        async def bounded() -> Any:
            with within(self.turning.loop, seconds):
                return await coroutine

        return self.turning.run(bounded())

    def call(self, name: str, seconds: float = DEADLINE, **arguments: Any) -> str:
        text: str = self.run(self.session.call_tool(name, arguments), seconds)["content"][0]["text"]
        return text

    def leave(self) -> float:
        """Say goodbye; return how long that took."""
        began = time.monotonic()
        self.turning.run(self.session.leave())
        return time.monotonic() - began

    def close(self) -> None:
        self.session.close()
        self.turning.close()


@contextmanager
def talking(kind: str, **options: Any) -> Iterator[Talk]:
    talk = Talk(*ARGS, kind, **options)
    try:
        yield talk
    finally:
        talk.close()


def has_ended(pid: int) -> bool:
    """Return whether a process has gone, or is only still in the books."""
    try:
        with open("/proc/{}/stat".format(pid), "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True


def wait_for_its_end(pid: int) -> None:
    until(lambda: has_ended(pid), "{} still runs".format(pid))


# -- a talk ---------------------------------------------------------------------------------------


def test_a_program_is_started_talked_to_and_ends(monkeypatch):
    monkeypatch.setattr(program_module, "_PATIENCE", DEADLINE)
    with talking("plain") as talk:
        talk.open()
        assert talk.session.version == "2025-11-25"
        assert talk.session.server == {"name": "plain", "version": "1"}
        assert [one["name"] for one in talk.run(talk.session.list_tools())] == ["echo"]
        assert talk.call("echo", text="Gr\u00fc\u00dfe \u4e16 \U0001f600 \n") == (
            "Gr\u00fc\u00dfe \u4e16 \U0001f600 \n"
        )
        pid = int(talk.call("pid"))
        talk.session._wire.patience = DEADLINE
        talk.leave()
        assert has_ended(pid)
        # By itself.
        assert talk.wire._program._process.returncode == 0
        with pytest.raises(Broken) as caught:
            talk.call("pid")
        assert (caught.value.reason, caught.value.sent) == ("the client is closed", False)


def test_ours_speaks_the_newest_revision(tmp_path):
    args = ("-W", "error", "-m", "dcc_mcp_embed", "bridge")
    talk = Talk(*args, env=of_a_process(str(tmp_path)))
    try:
        talk.open()
        assert talk.session.stateless
        tools = talk.run(talk.session.list_tools())
        assert [one["name"] for one in tools] == ["list_instances"]
        assert json.loads(talk.call("list_instances")) is not None
        talk.leave()
    finally:
        talk.close()


def test_what_others_print_does_not_get_between():
    with talking("banner") as talk:
        talk.open()
        assert talk.call("echo", text="x") == "x"
        with pytest.raises(Broken) as caught:
            talk.call("die")
        for words in ("status 3", "Welcome!", "{not json}", "a word aside", "the disk is full"):
            assert words in caught.value.reason


def test_where_pipes_cannot_be_waited_for_threads_block(monkeypatch):
    monkeypatch.setattr(program_module, "_CAN_POLL", False)
    with talking("plain") as talk:
        talk.open()
        assert talk.call("length", text="x" * 1_000_000) == "1000000"
        pid = int(talk.call("pid"))
        _, over = talk.turning.begin(talk.session.call_tool("hang", {}))
        talk.turning.pass_time(0.02)
        talk.session.close()
        talk.turning.until(lambda: over)
        wait_for_its_end(pid)


def test_a_slow_server_is_waited_for():
    with talking("slow") as talk:
        assert talk.open().call("echo", text="x") == "x"


def test_a_server_that_ends_for_want_of_a_handshake_is_started_again():
    with talking("strict") as talk:
        assert talk.open().session.version == "2025-11-25"
        assert talk.call("echo", text="x") == "x"


def test_one_that_is_begun_anew_is_another():
    with talking("plain") as talk:
        talk.open()
        pid = int(talk.call("pid"))
        before = talk.wire._program
        talk.open()
        # The last words of the one before are no beginning of anything.
        talk.wire._came(before, b'{"half')
        assert int(talk.call("pid")) != pid
        assert not talk.session.lost
        wait_for_its_end(pid)


# -- one that does not do as it should ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["silent", "unread"])
def test_a_server_that_never_answers_is_given_up_and_ended(kind):
    with talking(kind) as talk:
        with pytest.raises(TimedOut):
            talk.run(talk.session.open(), 0.1)


def test_a_server_that_dies_in_a_call_says_why():
    with talking("plain") as talk:
        talk.open()
        with pytest.raises(Broken) as caught:
            talk.call("die")
        assert caught.value.sent
        assert caught.value.reason == (
            "the server's program has ended with status 3: the disk is full"
        )
        assert talk.session.lost
        with pytest.raises(Broken) as caught:
            talk.call("echo", text="x")
        assert not caught.value.sent
        assert "the disk is full" in caught.value.reason


@pytest.mark.skipif(os.name == "nt", reason="there are no signals")
def test_a_server_that_is_killed_is_known_by_the_signal():
    with talking("plain") as talk:
        talk.open()
        os.kill(int(talk.call("pid")), signal.SIGKILL)
        # At once: what is written to it is lost, or cannot be written any more.
        with pytest.raises(Broken, match="^the server's program has ended by signal 9$"):
            talk.call("pid")
        assert talk.session.lost


def test_what_is_asked_just_as_it_ends_is_told_so():
    with talking("plain") as talk:
        talk.open()
        pid = int(talk.call("pid"))
        _, over = talk.turning.begin(talk.wire.ask({"id": "x", "method": "m"}, (), print))
        # The loop has yet to ask, and to hear of the end.
        os.kill(pid, signal.SIGKILL)
        until(lambda: "dcc-mcp-embed mcp in" not in {one.name for one in threading.enumerate()})
        talk.turning.until(lambda: over)
        error = over[0][1]
        assert isinstance(error, Broken)
        assert (error.reason, error.sent) == ("the server's program has ended by signal 9", False)


def test_what_comes_behind_the_last_to_be_written_is_told_so():
    with talking("plain") as talk:
        talk.open()
        program, wait = talk.wire._program, Wait()
        with program._lock:
            # Whoever writes has seen the first of these, at most.
            program._out.put(None)
            program._out.put([b"x", wait])
        talk.turning.until(lambda: wait.done)

        async def waited():
            await wait

        with pytest.raises(Broken, match="takes no more"):
            talk.run(waited())


def test_a_server_that_cannot_begin_says_why():
    with talking("broken") as talk:
        with pytest.raises(Broken) as caught:
            talk.open()
        assert not caught.value.sent
        assert caught.value.reason.endswith("with status 1: no licence found")


@pytest.mark.parametrize(
    "command", ["no-such-program-anywhere", os.path.join(os.sep, "no", "such", "place"), "a\0b"]
)
def test_what_cannot_be_started_is_told_with_its_name(command):
    talk = Talk(command=command)
    try:
        with pytest.raises(Broken, match="cannot be started: .") as caught:
            talk.open()
        assert caught.value.reason.startswith(command)
        assert not caught.value.sent
        assert talk.leave() < program_module._PATIENCE
    finally:
        talk.close()


def test_where_no_thread_can_be_had_nothing_is_left(monkeypatch):
    begun: List[Any] = []
    make = program_module._thread

    def few(name: str, *args: Any) -> Any:
        thread = make(name, *args)
        if name == "in":

            def refuse() -> None:
                raise RuntimeError("can't start new thread")

            thread.start = refuse
        begun.append(thread)
        return thread

    monkeypatch.setattr(program_module, "_thread", few)
    with talking("plain") as talk:
        with pytest.raises(Broken, match="cannot be started: can't start new thread"):
            talk.open()
        assert talk.wire._program._process.returncode is not None
    assert len(begun) == 4


@pytest.mark.parametrize("length", [10_000_000])
def test_much_goes_both_ways(length):
    with talking("plain") as talk:
        talk.open()
        text = "x" * length
        assert talk.call("length", text=text) == str(length)
        assert talk.call("echo", text=text) == text


def test_a_server_that_does_not_read_holds_up_nobody():
    with talking("unread") as talk:
        talk.run(talk.wire.open())
        ask = talk.wire.ask({"id": 1, "method": "x" * 10_000_000}, (), lambda message: None)
        task, over = talk.turning.begin(ask)
        other, other_over = talk.turning.begin(talk.wire.tell({"method": "notifications/x"}, ()))
        talk.turning.pass_time(0.1)
        assert not over and not other_over
        task.cancel()
        talk.turning.until(lambda: over)
        assert isinstance(over[0][1], Cut)
        talk.wire.close()
        talk.turning.until(lambda: other_over)
        assert isinstance(other_over[0][1], Broken)


def test_what_is_given_up_before_it_could_leave_never_does():
    with talking("plain") as talk:
        talk.open()
        pid = int(talk.call("pid"))
        os.kill(pid, signal.SIGSTOP)
        try:
            # More than a pipe holds: the rest of it waits, and what comes after it.
            for name, text in (("length", "x" * 1_000_000), ("echo", "x")):
                with pytest.raises(TimedOut):
                    talk.call(name, 0.1, text=text)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert talk.call("calls") == "pid length calls"


def test_a_server_that_reads_no_more_takes_nothing(monkeypatch):
    monkeypatch.setattr(program_module, "_REST", 0.1)
    with talking("plain") as talk:
        talk.open()
        with pytest.raises(TimedOut):
            talk.call("close", 0.1)
        with pytest.raises(Broken) as caught:
            talk.call("echo", text="x")
        assert (caught.value.reason, caught.value.sent) == ("the server takes no more", False)
        assert talk.session.lost


def test_much_of_no_use_makes_nothing_late():
    with talking("plain") as talk:
        talk.open()
        began = time.monotonic()
        with pytest.raises(TimedOut):
            talk.call("chatter", 0.2)
        # A line costs little, and few of them are looked at in one turn of the loop.
        assert time.monotonic() - began < 3.0


def test_a_line_without_end_ends_the_talk(monkeypatch):
    monkeypatch.setattr(stdio_module, "_MAX_LINE", 1_000_000)
    with talking("plain") as talk:
        talk.open()
        pid = int(talk.call("pid"))
        with pytest.raises(Broken, match="a line of more than 1000000 bytes"):
            talk.call("endless")
        wait_for_its_end(pid)


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "patience", "kills", "by"),
    [("deaf", 0.3, 1, "SIGTERM"), ("stubborn", 0.1, 2, "SIGKILL")],
)
def test_a_server_that_does_not_end_is_ended(monkeypatch, kind, patience, kills, by):
    monkeypatch.setattr(program_module, "_PATIENCE", patience)
    with talking(kind) as talk:
        talk.open()
        pid = int(talk.call("pid"))
        began = time.monotonic()
        # Not the session, which closes the wire afterwards, whatever has come of this.
        talk.run(talk.wire.leave())
        assert time.monotonic() - began >= kills * patience
        wait_for_its_end(pid)
        talk.turning.until(lambda: talk.wire._program._process.returncode is not None)
        assert talk.wire._program._process.returncode == -getattr(signal, by)


@pytest.fixture
def programs(monkeypatch):
    """All that are started, each of which takes its time to end."""
    found: List[Any] = []
    begin, disown = program_module.Program.start, program_module.Program.disown

    def started(program, command, env):
        found.append(program)
        time.sleep(0.05)
        begin(program, command, env)

    def late(program):
        time.sleep(0.05)
        disown(program)

    def later():
        time.sleep(0.05)
        unguard()

    unguard = program_module.collector.unguard
    monkeypatch.setattr(program_module.collector, "unguard", later)
    monkeypatch.setattr(program_module.Program, "start", started)
    monkeypatch.setattr(program_module.Program, "disown", late)
    return found


def ours() -> List[str]:
    """Return the names of our threads."""
    names = [one.name for one in threading.enumerate()]
    return [one for one in names if one.startswith("dcc-mcp-embed mcp")]


def test_who_has_said_goodbye_has_no_thread_and_no_pipe_left(programs):
    with talking("plain") as talk:
        talk.open()
        talk.leave()
        assert ours() == []
        assert programs[0]._process.stdout.closed


@pytest.mark.parametrize("at", ["before it is started", "once it is started"])
def test_nor_has_who_cleans_up_while_it_begins(programs, monkeypatch, at):
    monkeypatch.setattr(program_module, "_PATIENCE", DEADLINE)
    facade = MCPClientFacade()
    given = MCPPluginConfig(
        "me", "p", plugin_type="stdio", command=sys.executable, args=[*ARGS, "silent"]
    )
    ended: List[Any] = []

    def register() -> None:
        try:
            ended.append(facade.register_sync(given))
        except MCPError as error:
            ended.append(error.code)

    thread = threading.Thread(target=register)
    thread.start()
    for _ in tries():
        if programs and (at == "before it is started" or programs[0]._process is not None):
            break
    facade.cleanup_sync()
    assert ours() == []
    process = programs[0]._process
    assert process.stdout.closed and has_ended(process.pid)
    thread.join(DEADLINE)
    assert ended == ["closed"]


@pytest.mark.parametrize("at", ["before it is tried", "once it is tried"])
def test_what_could_not_be_started_is_not_waited_for(programs, monkeypatch, at):
    monkeypatch.setattr(program_module, "_PATIENCE", DEADLINE)
    facade = MCPClientFacade()
    given = MCPPluginConfig("me", "p", plugin_type="stdio", command="/no/such/program")
    ended: List[Any] = []

    def register() -> None:
        try:
            ended.append(facade.register_sync(given))
        except MCPError as error:
            ended.append(error.code)

    thread = threading.Thread(target=register)
    thread.start()
    for _ in tries():
        if programs and (at == "before it is tried" or ended):
            break
    began = time.monotonic()
    facade.cleanup_sync()
    assert time.monotonic() - began < DEADLINE / 2
    thread.join(DEADLINE)
    assert ended in (["closed"], [False])


def test_with_a_server_that_has_to_be_ended_end_its_children(monkeypatch):
    monkeypatch.setattr(program_module, "_PATIENCE", 0.1)
    with talking("deaf") as talk:
        talk.open()
        pids = [int(talk.call("child")), int(talk.call("pid"))]
        talk.leave()
        for pid in pids:
            wait_for_its_end(pid)


def test_a_child_that_holds_the_pipes_hides_no_end(monkeypatch):
    monkeypatch.setattr(program_module, "_REST", 0.1)
    with talking("plain") as talk:
        talk.open()
        with pytest.raises(Broken, match="has ended with status 4: [0-9]+$") as caught:
            talk.call("leave")
        pid = int(caught.value.reason.rpartition(" ")[2])
        # What a server leaves behind is its own affair; of ours nothing is left.
        join_ours()
        assert not has_ended(pid)
        os.kill(pid, signal.SIGTERM)
        talk.leave()
        wait_for_its_end(pid)


def join_ours() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("dcc-mcp-embed mcp"):
            thread.join(DEADLINE)
            assert not thread.is_alive(), thread.name


@pytest.mark.skipif(os.name == "nt", reason="there threads cannot be woken")
@pytest.mark.parametrize("size", [0, 10_000_000], ids=["nothing to write", "much to write"])
def test_pipes_that_somebody_holds_for_ever_hold_up_nobody(size):
    with talking("holder") as talk:
        heard: List[Any] = []
        talk.run(talk.wire.listen(heard.append))
        talk.run(talk.wire.open())
        talk.turning.until(lambda: heard)
        pid = heard[0]["pid"]
        try:
            if size:
                talk.turning.begin(talk.wire.tell({"method": "x" * size}, ()))
                talk.turning.pass_time(0.1)
            talk.wire.close()
            join_ours()
            assert not has_ended(pid)
        finally:
            os.kill(pid, signal.SIGKILL)


def test_what_nobody_looks_at_any_more_holds_up_nobody():
    with talking("plain") as talk:
        talk.open()
        talk.turning.begin(talk.session.call_tool("endless", {}))
        talk.turning.until(lambda: talk.wire._line)
        # From here on the loop does not turn.
        for _ in tries():
            if talk.wire._program._ahead >= program_module._MOST_AHEAD:
                break
        talk.session.close()
        join_ours()


def test_who_closes_in_the_middle_leaves_nothing():
    with talking("plain") as talk:
        talk.open()
        pid = int(talk.call("pid"))
        _, over = talk.turning.begin(talk.session.call_tool("hang", {}))
        talk.turning.pass_time(0.05)
        talk.session.close()
        talk.turning.until(lambda: over)
        error = over[0][1]
        assert isinstance(error, Broken) and error.sent
        wait_for_its_end(pid)


def test_who_closes_before_it_has_begun_leaves_nothing(monkeypatch):
    pids: List[int] = []
    start = program_module.subprocess.Popen

    with talking("deaf") as talk:

        def close_first(*args: Any, **options: Any) -> Any:
            talk.wire.close()
            process = start(*args, **options)
            pids.append(process.pid)
            return process

        monkeypatch.setattr(program_module.subprocess, "Popen", close_first)
        with pytest.raises(Broken, match="the client is closed"):
            talk.open()
        wait_for_its_end(pids[0])


# -- the environment ------------------------------------------------------------------------------


def test_a_host_keeps_its_pythons_settings_to_itself():
    own = {
        "PYTHONHOME": "/host",
        "PYTHONPATH": "/host/lib",
        "PYTHONSTARTUP": "/host/start.py",
        "PYTHONEXECUTABLE": "/host/python",
        "PATH": "/bin",
        "LANG": "C",
    }
    assert environment(None, own) == {"PATH": "/bin", "LANG": "C"}
    given = {"PYTHONPATH": "/mine", "LANG": "de", "MORE": "1"}
    assert environment(given, own) == dict(given, PATH="/bin")


def test_a_server_has_the_environment_that_it_was_promised(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/host/lib")
    monkeypatch.setenv("PYTHONSTARTUP", "/host/start.py")
    monkeypatch.setenv("DCC_TEST_KEPT", "kept")
    monkeypatch.setenv("DCC_TEST_CHANGED", "host")
    env = {"PYTHONPATH": "/mine", "DCC_TEST_CHANGED": "mine"}
    with talking("plain", env=env) as talk:
        names = ["PYTHONPATH", "PYTHONSTARTUP", "DCC_TEST_KEPT", "DCC_TEST_CHANGED"]
        assert json.loads(talk.open().call("env", names=names)) == {
            "PYTHONPATH": "/mine",
            "PYTHONSTARTUP": None,
            "DCC_TEST_KEPT": "kept",
            "DCC_TEST_CHANGED": "mine",
        }


def test_a_command_is_looked_for_where_the_server_will_look(tmp_path):
    os.symlink(sys.executable, str(tmp_path / "a-python-of-mine"))
    path = str(tmp_path) + os.pathsep + os.environ.get("PATH", "")
    with_path = Talk(*ARGS, "plain", command="a-python-of-mine", env={"PATH": path})
    try:
        with_path.open()
        with_path.leave()
    finally:
        with_path.close()
