"""The command line as a user runs it: exit status, stdout, stderr, signals."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from dcc_mcp_embed.cli.serve import _REGISTERED_WITHIN
from dcc_mcp_embed.cli.signals import GRACE
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.secret import open_secret
from fakes import served
from fakes.live import DEADLINE, tries
from fakes.served import Served, environment, run

pytestmark = pytest.mark.edges

PASS = {"owner": "o", "session": "s"}
FIELDS = {"url", "plain_url", "port", "pid", "instance_id", "token", "dcc_type", "version"}


@pytest.fixture
def home(tmp_path):
    return str(tmp_path)


@pytest.fixture
def inside(monkeypatch, capsys):
    return partial(served.inside, monkeypatch, capsys)


@pytest.fixture
def here(home, inside):
    """Do so with the home of this test."""
    return partial(inside, home)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for all tests that only ask."""
    home = str(tmp_path_factory.mktemp("home"))
    with Served(home) as served:
        served.home = home
        yield served


def taken(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


#: Logs much more than a pipe holds.
CHATTER = """
import resource
from dcc_mcp_embed.cli.serve import StderrLog
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.logbook import LogBook

def size():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

book = LogBook(SystemClock())
log = StderrLog(book)
before = size()
for number in range(20000):
    book.info("test", "%d " % number + "x" * 2000)
print(size() - before)
log.close()
print("closed")
"""


# -- serve ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_serve_prints_one_line_serves_and_ends_cleanly(home, number):
    with Served(home) as served:
        assert set(served.facts) >= FIELDS
        assert served.facts["pid"] == served.process.pid
        assert served.facts["url"] == "http://127.0.0.1:{}/{}/mcp".format(
            served.port, served.facts["token"]
        )
        client = served.connect()
        assert client.rpc("ping").status == 200
        assert served.end(number) == 0
        assert client.at_end()
        client.close()
        assert not taken(served.port)
        assert len(served.stdout.splitlines()) == 1, served.stdout
        assert "listening on" in served.stderr
        assert "stopping" in served.stderr
        assert "Traceback" not in served.stderr
        assert served.facts["token"] not in served.stderr


#: A machine so busy that nobody finds the server in the registry for as long as it runs.
NEVER_FOUND = """
import sys, threading
from dcc_mcp_embed.__main__ import main
from dcc_mcp_embed.embed import EmbeddedServer
from dcc_mcp_embed.server.server import Server
Server.load_framed = lambda self: threading.Event().wait()
wait = EmbeddedServer.wait_registered
def begin(*what):
    print("it waits", file=sys.stderr, flush=True)
    return wait(*what)
EmbeddedServer.wait_registered = begin
sys.exit(main(["serve", "--port", "0"]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_also_while_nobody_finds_it_yet(home, number):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", NEVER_FOUND],
        env=environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert any("it waits" in line for line in process.stderr)
        begun = time.monotonic()
        process.send_signal(number)
        out, log = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, log
        assert time.monotonic() - begun < _REGISTERED_WITHIN / 2
        assert len(out.splitlines()) == 1 and "still runs" not in log


def test_serve_ends_while_a_client_waits_and_the_client_is_told(home):
    tools = "import dcc_mcp_embed, threading\nended = threading.Event()\n"
    tools += "@dcc_mcp_embed.tool(thread='worker')\ndef never() -> str:\n    'Wait.'\n"
    tools += "    ended.wait(20)\n    return 'over'\n"
    with open(os.path.join(home, "never.py"), "w") as file:
        file.write(tools)
    with Served(home, "--tools", "never.py") as served, served.connect() as wire:
        answers = []
        caller = threading.Thread(target=lambda: answers.append(wire.tool("never")), name="c")
        caller.start()
        with served.connect() as other:
            assert any(
                other.tool("get_status")["structuredContent"]["data"]["worker"]["holder"]
                for _ in tries()
            )
        assert served.end() == 0
        caller.join(10)
        assert answers[0]["structuredContent"]["error"]["code"] == "host_shutting_down"


STUCK = """
import time
import dcc_mcp_embed

@dcc_mcp_embed.tool
def stuck() -> str:
    'Wait.'
    while True:
        time.sleep(0.01)
"""


class Stuck(Served):
    """A server whose main thread is held by a tool that does not end."""

    def __init__(self, home, tools=STUCK):
        with open(os.path.join(home, "stuck.py"), "w") as file:
            file.write(tools)
        super().__init__(home, "--tools", "stuck.py")
        self.answers = []
        self.caller = threading.Thread(target=self._call, name="caller")
        self.caller.start()
        assert any(self.held() for _ in tries())

    def _call(self):
        with self.connect() as wire:
            try:
                self.answers.append(wire.tool("stuck"))
            except (ConnectionError, EOFError):
                # It was killed.
                pass

    def interrupt(self):
        """Send Ctrl-C, and return once the process has it: two that still wait are one for it."""
        self.process.send_signal(signal.SIGINT)
        assert any(not self._waits_for_one() for _ in tries())

    def _waits_for_one(self):
        try:
            with open("/proc/{}/status".format(self.process.pid)) as file:
                found = dict(line.split(":", 1) for line in file)
        except FileNotFoundError:
            # Elsewhere nobody can say.
            return False
        return int(found["ShdPnd"], 16) != 0

    def held(self):
        with self.connect() as wire:
            status = wire.tool("get_status")["structuredContent"]["data"]
            return status["holder"]


def test_sigterm_ends_a_server_whose_tool_does_not_end(home):
    with Stuck(home) as served:
        begun = time.monotonic()
        assert served.end(signal.SIGTERM) == 1
        assert GRACE <= time.monotonic() - begun < GRACE + 10
        served.caller.join(10)
        assert served.answers[0]["structuredContent"]["error"]["code"] == "host_shutting_down"
        assert "a tool still runs 3 s after SIGTERM" in served.stderr


ELSEWHERE = """
import signal, threading
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker")
def signal_me(number: int) -> str:
    'Have this very thread take a signal, while the main one waits.'
    signal.pthread_kill(threading.get_ident(), number)
    return "sent"
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals for threads here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_that_another_thread_takes_ends_it_too(home, number):
    with open(os.path.join(home, "elsewhere.py"), "w") as file:
        file.write(ELSEWHERE)
    with Served(home, "--tools", "elsewhere.py") as served:
        with served.connect() as wire:
            wire.tool("signal_me", {"number": int(number)})
        begun = time.monotonic()
        assert served.end(None) == 0
        assert time.monotonic() - begun < GRACE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_second_signal_breaks_off_a_tool_that_does_not_end(home, number):
    with Stuck(home) as served:
        served.interrupt()
        for _ in range(20):
            assert served.held(), "the first one lets it go on"
        begun = time.monotonic()
        assert served.end(number) == 130
        assert time.monotonic() - begun < GRACE
        served.caller.join(10)
        assert served.answers[0]["isError"]
        assert "broken off" in served.stderr
        assert "Traceback (most recent" not in served.stderr


NUMB = """
import hashlib
import time
import dcc_mcp_embed

@dcc_mcp_embed.tool
def stuck() -> str:
    'Hear of no signal for a while, and then wait.'
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2000000)
    while True:
        time.sleep(0.01)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals for threads here")
def test_two_signals_are_not_taken_for_one_by_a_tool_in_native_code(home):
    with Stuck(home, NUMB) as served:
        served.interrupt()
        assert served.held()
        assert served.end(signal.SIGINT) == 130
        assert "broken off" in served.stderr
        served.caller.join(10)


def test_a_restart_gets_the_same_port_and_token_back(home):
    with Served(home) as served:
        facts = served.facts
        client = served.connect()
        assert client.rpc("ping").status == 200
    with Served(home, port=facts["port"]) as again:
        assert (again.facts["url"], again.facts["token"]) == (facts["url"], facts["token"])
        assert again.facts["instance_id"] != facts["instance_id"]
    client.close()


def test_no_auth_has_no_token(home):
    with Served(home, "--no-auth") as served:
        assert served.facts["token"] is None
        assert served.facts["url"] == served.facts["plain_url"]
        with served.connect() as wire:
            assert wire.rpc("ping").status == 200


def test_a_port_that_is_taken_is_refused_in_words(home):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        port = sock.getsockname()[1]
        done = run(home, "serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (None, "missing.py"),
        ("def broken(:\n", "missing.py"),
        ("raise ZeroDivisionError('at import')\n", "at import"),
        ("x = 1\n", "declares no tool"),
    ],
    ids=["no such file", "syntax error", "raises", "no tools"],
)
def test_tools_that_cannot_be_loaded_are_refused_in_words(home, here, monkeypatch, content, wanted):
    if content is not None:
        with open(os.path.join(home, "missing.py"), "w") as file:
            file.write(content)
    monkeypatch.chdir(home)
    done = here("serve", "--port", "0", "--tools", "missing.py")
    assert done.returncode == 2
    assert done.stdout == ""
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr


def test_what_lets_others_in_is_said(home):
    with Served(home, "--gateway", "--qtserver") as served:
        served.end()
        assert "whoever reaches a dcc-mcp gateway" in served.stderr
        assert "may call tools at {}\n".format(served.facts["host_rpc"]) in served.stderr


def test_the_gateways_token_is_not_listed(home, here):
    with Served(home, "--gateway") as served:
        (row,) = until(here, lambda rows: rows)
        assert row["metadata"]["mcp_url"] == served.facts["plain_url"]
        assert "create_object" in here("tools", "--dcc", "standalone").stdout


def test_serve_is_entered_in_the_registry_that_was_named(home, here):
    folder = os.path.join(home, "elsewhere")
    with Served(home, "--registry-dir", folder) as served:
        (row,) = until(here, lambda rows: rows, "--registry-dir", folder)
        assert row["instance_id"] == served.facts["instance_id"]
        assert not os.path.exists(os.path.join(home, "registry"))
        assert json.loads(here("instances", "--json").stdout) == []


def test_the_launch_command_of_a_row_starts_another_such_server(home, here):
    with open(os.path.join(home, "mine.py"), "w") as file:
        file.write(STUCK)
    with Served(
        home, "--no-auth", "--tools", "mine.py", "--exec", "off", "--gateway", "--qtserver"
    ) as served:
        (row,) = until(here, lambda rows: rows)
        command = row["metadata"]["restart_command"]
        served.end()
    environ = environment(home)
    del environ["PYTHONPATH"]
    process = subprocess.Popen(
        ["/bin/sh", "-c", "exec " + command],
        env=environ,
        cwd=os.path.dirname(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        facts = json.loads(process.stdout.readline())
        assert facts["token"] is None
        assert facts["host_rpc"].startswith("qtserver://")
        assert "stuck" in here("tools", facts["plain_url"]).stdout
        (row,) = until(here, lambda rows: [one for one in rows if one["pid"] == facts["pid"]])
        assert command == row["metadata"]["launch_command"]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_serving_goes_on_when_nobody_reads_the_log(home):
    """A pipe that is full must not stop the server, and what nobody reads must not be kept."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHATTER],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert int(process.stdout.readline()) < 20 * 1024, "KiB more"
        assert process.stdout.readline() == b"closed\n"
        assert process.wait(20) == 0, "a full pipe must not abort the interpreter"
    finally:
        process.kill()
        process.communicate()


# -- clients ----------------------------------------------------------------------------------


def test_tools_lists_them(shared, inside):
    done = inside(shared.home, "tools", shared.facts["plain_url"])
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert any(line.startswith("create_object ") for line in lines)
    assert any(line.startswith("get_status ") for line in lines)
    done = inside(shared.home, "tools", shared.facts["plain_url"], "--json")
    found = json.loads(done.stdout)
    assert {"name", "description", "inputSchema"} <= set(found[0])


@pytest.mark.parametrize("url", ["url", "plain_url"])
def test_call_prints_the_result(shared, url):
    arguments = json.dumps({"kind": "cube", "name": "from_" + url})
    done = run(shared.home, "call", shared.facts[url], "create_object", "--args", arguments)
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["data"]["path"] == "/from_" + url


def test_call_reads_its_arguments_from_stdin(shared):
    done = run(
        shared.home,
        "call",
        shared.facts["plain_url"],
        "get_object",
        "--args",
        "-",
        input='{"path": "/nothing"}',
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "not_found"


def test_call_of_a_tool_that_does_not_exist(shared, inside):
    done = inside(shared.home, "call", shared.facts["plain_url"], "nope")
    assert done.returncode == 1
    assert "nope" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", ["{", "[]", "1", ""])
def test_arguments_that_are_no_object_are_refused(here, arguments):
    done = here("call", "http://127.0.0.1:1/mcp", "get_status", "--args", arguments)
    assert done.returncode == 2
    assert "--args" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("stream", "why"),
    [(io.TextIOWrapper(io.BytesIO(b'{"a": "\xff"}'), "utf-8"), "no text"), (None, "none")],
    ids=["what is no text", "nothing at all"],
)
def test_a_standard_input_without_arguments_in_it_is_refused(here, monkeypatch, stream, why):
    monkeypatch.setattr(sys, "stdin", stream)
    done = here("call", "http://127.0.0.1:1/mcp", "get_status", "--args", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--args" in done.stderr
    assert why in done.stderr


def test_status_says_how_it_is(shared, inside):
    done = inside(shared.home, "status", shared.facts["plain_url"])
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["verdict"] == "healthy"
    assert found["versions"]["dcc_mcp_embed"] == shared.facts["version"]


def test_status_of_a_port_where_nobody_is(here):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    done = here("status", "http://127.0.0.1:{}/mcp".format(port))
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert found["verdict"] == "unreachable"
    assert str(port) in found["message"]


class Stranger(threading.Thread):
    """A server that is not ours: keeps everything it is sent and answers with ``reply``."""

    def __init__(self, reply):
        super().__init__(name="stranger", daemon=True)
        self.reply = reply
        self.heard = b""
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(5)
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                peer = self.sock.accept()[0]
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                self.heard += peer.recv(65536)
                if self.reply is None:
                    # Says nothing until the other side gives up.
                    while True:
                        data = peer.recv(65536)
                        self.heard += data
                        if not data:
                            break
                else:
                    peer.sendall(self.reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.join(10)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-DCC-MCP-Kind: maya\r\nX-DCC-MCP-Proof: 00\r\n\r\nhi",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
        b"220 smtp ready\r\n",
        b"",
    ],
    ids=["web server", "false proof", "asks for a token", "mail server", "closes"],
)
@pytest.mark.parametrize("command", [("status",), ("call", "get_status"), ("tools",)])
def test_a_stranger_on_the_port_is_told_nothing(here, home, reply, command):
    secret = open_secret(home, SystemClock())
    with Stranger(reply) as stranger:
        url = "http://127.0.0.1:{}/mcp".format(stranger.port)
        done = here(command[0], url, *command[1:])
        assert done.returncode == 3, done
        assert "prove" in done.stdout + done.stderr
        assert stranger.heard.count(b"HTTP/1.1\r\n") == 1
        for kind in ("standalone", "maya", "houdini", "blender", "3dsmax", ""):
            assert secret.token(kind, stranger.port).encode() not in stranger.heard
        assert b"uthorization" not in stranger.heard


def test_a_port_that_accepts_and_says_nothing_is_a_held_host(here):
    with Stranger(None) as stranger:
        url = "http://127.0.0.1:{}/mcp".format(stranger.port)
        done = here("status", url, "--timeout", "0.3")
        assert done.returncode == 1
        assert json.loads(done.stdout)["verdict"] == "host_busy_native"


@pytest.mark.parametrize(
    "url",
    ["nonsense", "https://127.0.0.1:1/mcp", "http://127.0.0.1/mcp", "http://example.com:80/mcp",
     "http://127.0.0.1:99999/mcp"],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_in_words(here, url):
    done = here("tools", url)
    assert done.returncode == 2
    assert url.split("/")[-1] in done.stderr or "machine" in done.stderr
    assert "Traceback" not in done.stderr


# -- the registry -----------------------------------------------------------------------------


def until(here, check, *options):
    """Return the rows that ``instances`` shows, once they are as wanted."""
    for _ in tries():
        rows = json.loads(here("instances", "--json", *options).stdout)
        if check(rows):
            return rows
    raise AssertionError(rows)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two servers of one user, and the row of somebody else's."""
    home = str(tmp_path_factory.mktemp("home"))
    registry = open_registry(os.path.join(home, "registry"), {}, SystemClock())
    registry.register("maya", "127.0.0.1", 1, version="2026\x1b[31m", scene="/a/b.ma")
    with Served(home) as first, Served(home) as second:
        first.home = second.home = home
        idents = {first.facts["instance_id"], second.facts["instance_id"]}
        for _ in tries():
            ready = {
                row.instance_id
                for row in registry.entries("standalone")
                if row.metadata["dispatch_status"] == "ready"
            }
            if ready == idents:
                break
        yield first, second
    assert [row.dcc_type for row in registry.entries()] == ["maya"]
    registry.close()


def test_instances_are_shown_as_a_table(two, inside):
    first, second = two
    done = inside(first.home, "instances")
    assert done.returncode == 0, done
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["dcc", "instance", "pid", "port", "status", "ready", "version", "scene"]
    found = {line.split()[1]: line.split() for line in lines}
    assert len(found) == 3
    for one in two:
        cells = found[one.facts["instance_id"][:8]]
        assert cells[0] == "standalone"
        assert cells[2:6] == [str(one.process.pid), str(one.port), "available", "yes"]
    assert "\x1b" not in done.stdout, "a row must not write to the terminal"


def test_instances_as_json_are_complete_but_for_the_right_to_stop_them(two, inside):
    first, _ = two
    rows = json.loads(inside(first.home, "instances", "--json").stdout)
    row = next(row for row in rows if row["instance_id"] == first.facts["instance_id"])
    assert row["ready"] is True
    assert row["metadata"]["mcp_url"] == first.facts["plain_url"]
    assert not {"owner", "session"} & set(row["metadata"])


def test_no_instance_at_all_is_no_failure(here, home):
    done = here("instances")
    assert (done.returncode, done.stderr) == (0, "")
    assert os.path.join(home, "registry") in done.stdout


@pytest.mark.parametrize("how", ["id", "prefix", "prefix and dcc", "upper case"])
def test_an_instance_is_found_by_its_id_or_how_it_begins(two, inside, how):
    first, _ = two
    ident = first.facts["instance_id"]
    chosen = {
        "id": ["--instance", ident],
        "prefix": ["--instance", ident[:8]],
        "prefix and dcc": ["--dcc", "Standalone", "--instance", ident[:13]],
        "upper case": ["--instance", ident[:10].upper()],
    }[how]
    done = inside(first.home, "call", *chosen, "get_scene_info")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["instance"]["id"] == ident[:8]


def test_tools_and_status_find_it_too(two, inside):
    first, _ = two
    chosen = ["--instance", first.facts["instance_id"]]
    assert "create_object" in inside(first.home, "tools", *chosen).stdout
    done = inside(first.home, "status", *chosen)
    assert json.loads(done.stdout)["verdict"] == "healthy"
    assert done.returncode == 0


def test_a_tool_that_fails_on_a_found_instance_is_status_1(two, inside):
    first, _ = two
    chosen = ["--instance", first.facts["instance_id"]]
    for tool, code in (("get_object", "invalid_argument"), ("nope", "not_found")):
        done = inside(first.home, "call", tool, *chosen)
        assert done.returncode == 1
        assert json.loads(done.stdout)["error"]["code"] == code


def test_what_is_no_text_is_answered_all_the_same(two, inside):
    first, _ = two
    chosen = ["--instance", first.facts["instance_id"]]
    for words in (["x\udcff"], ["get_object", "--args", '{"path": "/\udcff"}']):
        done = inside(first.home, "call", *words, *chosen)
        assert done.returncode == 1
        assert json.loads(done.stdout)["error"]["code"] == "not_found"


def test_several_are_listed_and_none_is_said(two, inside):
    first, second = two
    done = inside(first.home, "call", "--dcc", "standalone", "get_status")
    assert done.returncode == 2
    for one in two:
        assert one.facts["instance_id"][:8] in done.stderr
    assert "--instance" in done.stderr
    done = inside(first.home, "tools", "--dcc", "houdini")
    assert done.returncode == 3
    assert "houdini" in done.stderr
    assert "instances" in done.stderr
    done = inside(first.home, "status", "--instance", "ffffffff-ffff")
    assert done.returncode == 3
    assert json.loads(done.stdout)["verdict"] == "unreachable"


@pytest.mark.parametrize(
    "arguments",
    [
        ["tools"],
        ["status", "--timeout", "1"],
        ["call", "get_status"],
        ["call", "http://127.0.0.1:1/mcp", "get_status", "--dcc", "maya"],
        ["tools", "http://127.0.0.1:1/mcp", "--instance", "a"],
        ["call", "http://127.0.0.1:1/mcp", "get_status", "more"],
        ["stop-instance"],
        ["tools", "--dcc", "maya", "--bogus"],
    ],
    ids=" ".join,
)
def test_a_server_is_named_in_exactly_one_way(here, arguments):
    done = here(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_tool_may_stand_after_the_options(shared, inside):
    url = shared.facts["plain_url"]
    for words in (
        [url, "--args", "{}", "get_scene_info"],
        ["--args", "{}", url, "get_scene_info"],
        [url, "get_scene_info", "--args", "{}"],
    ):
        done = inside(shared.home, "call", *words)
        assert done.returncode == 0, done


def test_another_instance_on_the_port_of_a_row_is_not_called(home, here):
    """A row outlived its server, and its port was given to another one of the same user."""
    registry = open_registry(os.path.join(home, "registry"), {}, SystemClock())
    with Served(home) as served:
        row = registry.register(
            "maya", "127.0.0.1", served.port, metadata={"dcc_mcp_embed_wire": "1"}
        )
        done = here("call", "--dcc", "maya", "get_status")
        assert done.returncode == 3
        assert "another instance" in done.stderr
        assert served.facts["instance_id"] != row.instance_id
    registry.close()


@pytest.mark.parametrize("ours", [True, False], ids=["a row of ours", "a row of others"])
def test_a_stranger_on_the_port_of_a_row_is_told_nothing(home, here, ours):
    secret = open_secret(home, SystemClock())
    registry = open_registry(os.path.join(home, "registry"), {}, SystemClock())
    with Stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as stranger:
        metadata = {"dcc_mcp_embed_wire": "1"} if ours else {}
        registry.register("maya", "127.0.0.1", stranger.port, metadata=metadata)
        done = here("call", "--dcc", "maya", "get_status", "--timeout", "2")
        # Who claims to be ours has to prove it; anybody else is asked, and says nothing of use.
        assert done.returncode == (3 if ours else 1)
        assert "Traceback" not in done.stderr
        assert secret.token("maya", stranger.port).encode() not in stranger.heard
        assert secret.wire_key() not in stranger.heard
        assert secret.wire_key().hex().encode() not in stranger.heard
        assert b"uthorization" not in stranger.heard
    registry.close()


# -- stop-instance ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["dcc", "instance", "url"])
def test_stop_instance_ends_a_server_and_waits_for_its_row_to_go(home, here, how):
    with Served(home) as served:
        until(here, lambda rows: rows and rows[0]["ready"])
        chosen = {
            "dcc": ["--dcc", "standalone"],
            "instance": ["--instance", served.facts["instance_id"][:6]],
            "url": [served.facts["plain_url"]],
        }[how]
        done = here("stop-instance", *chosen)
        assert done.returncode == 0, done
        assert served.facts["instance_id"][:8] in done.stdout
        assert json.loads(here("instances", "--json").stdout) == []
        assert served.end(None) == 0
        assert len(served.stdout.splitlines()) == 1


def test_stop_instance_says_when_a_tool_is_in_the_way(home, here):
    with Stuck(home) as served:
        done = here("stop-instance", "--dcc", "standalone", "--timeout", "0.5")
        assert done.returncode == 1
        assert "a tool" in done.stderr
        served.end(signal.SIGKILL)
        served.caller.join(10)


@pytest.mark.parametrize(
    ("metadata", "status", "said"),
    [
        ({}, 1, "does not say how"),
        ({"safe_stop_url": "http://127.0.0.1:1/safe-stop"}, 1, "does not say how"),
        ({"safe_stop_url": "http://127.0.0.1:1/safe-stop", **PASS}, 3, "cannot be reached"),
        ({"safe_stop_url": "http://127.0.0.1:2/safe-stop", **PASS}, 2, "not on the server"),
        ({"safe_stop_url": "http://example.com:1/safe-stop", **PASS}, 2, "not on the server"),
        ({"safe_stop_url": "http://127.0.0.1:1/mcp", **PASS}, 2, "not on the server"),
        ({"safe_stop_url": "https://127.0.0.1:1/safe-stop", **PASS}, 2, "not on the server"),
    ],
)
def test_a_row_that_cannot_be_used_to_stop_anything(home, here, metadata, status, said):
    registry = open_registry(os.path.join(home, "registry"), {}, SystemClock())
    registry.register("maya", "127.0.0.1", 1, metadata=metadata)
    done = here("stop-instance", "--dcc", "maya", "--timeout", "1")
    assert done.returncode == status
    assert said in done.stderr
    registry.close()


# -- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["serve", "--bogus"],
        ["serve", "--port", "many"],
        ["serve", "--exec", "maybe"],
        ["call"],
        ["secret", "show"],
        [],
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_status_2_and_the_usage(here, arguments):
    done = here(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr + done.stdout


@pytest.mark.parametrize("arguments", [["--port", "70000"], ["--adapter", "cinema"]])
def test_values_that_cannot_be_used_are_refused_in_words(here, arguments):
    done = here("serve", *arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert done.stdout == ""


def test_a_rotated_secret_ends_every_token_with_the_next_start(home, here):
    with Served(home) as served:
        before = served.facts
    done = here("secret", "rotate")
    assert done.returncode == 0
    with Served(home, port=before["port"]) as served:
        assert served.facts["token"] != before["token"]
        with served.connect() as wire:
            headers = {"Authorization": "Bearer " + before["token"]}
            answer = wire.rpc("ping", headers=headers)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "rotated" in answer.json["error"]


def test_a_server_from_before_the_rotation_is_not_trusted(home, here):
    with Served(home) as served:
        assert here("secret", "rotate").returncode == 0
        done = here("status", served.facts["plain_url"])
        assert done.returncode == 3
        assert "rotated" in json.loads(done.stdout)["message"]


def test_the_secret_is_never_shown(home):
    done = run(home, "secret", "rotate")
    outputs = [done.stdout, done.stderr]
    with Served(home) as served:
        served.end()
        outputs += [served.stdout, served.stderr]
        with open(os.path.join(home, "secret"), "rb") as file:
            secret = file.read()
    shapes = [secret.hex(), base64.b64encode(secret).decode("ascii"), repr(secret)[2:-1]]
    assert not any(shape in output for shape in shapes for output in outputs)


def test_demo_tells_its_story_and_ends(home):
    done = run(home, "demo", "--once", "--port", "0")
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert "create_object" in done.stdout
    assert "set_transform" in done.stdout
    assert "not_found" in done.stdout


FAILING_DEMO = """
import sys
from dcc_mcp_embed.cli import demo, main

def fail(*_, **__):
    raise {}

demo.HttpClient = fail
sys.exit(main.main(["demo", "--port", "0"]))
"""


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [("BrokenPipeError", 141, ""), ("KeyError('a defect')", 1, "KeyError: 'a defect'\n")],
)
def test_demo_that_fails_ends_as_any_command_does(home, error, status, told):
    done = subprocess.run(
        [sys.executable, "-c", FAILING_DEMO.format(error)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
        timeout=60,
    )
    assert done.returncode == status, done
    # A defect is shown with its place, for who is to mend it.
    assert done.stderr.endswith(told) and ("Traceback" in done.stderr) == bool(told), done


#: Has Ctrl-C come in the middle of its story, which then finds that there is nobody any more.
ENDED_DEMO = """
import os, signal, socket, sys
from dcc_mcp_embed.cli import demo, main

def fail(url, *_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0]))).close()

demo.HttpClient = fail
sys.exit(main.main(["demo", "--port", "0"]))
"""


def test_demo_that_is_ended_in_the_middle_complains_of_nothing(home):
    done = subprocess.run(
        [sys.executable, "-c", ENDED_DEMO],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_demo_keeps_serving_and_shows_what_to_paste(home, number):
    with Served(home, command=("demo",)) as served:
        lines = []
        while "Ctrl-C ends it" not in (lines or [""])[-1]:
            line = served.line()
            assert line is not None, served.stderr
            lines.append(line)
        shown = "".join(lines)
        config = json.loads(shown[shown.index('{\n  "mcpServers"') : shown.rindex("}") + 1])
        entry = config["mcpServers"]["dcc-standalone"]
        port = int(entry["url"].split(":")[2].split("/")[0])
        served.facts = {"port": port, "token": entry["headers"]["Authorization"][7:]}
        with served.connect() as wire:
            found = wire.tool("list_objects", {"parent": "/still_life"})
            assert len(found["structuredContent"]["data"]["items"]) == 2
        assert served.end(number) == 0
        assert not taken(port)
