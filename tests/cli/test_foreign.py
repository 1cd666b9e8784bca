"""Rows and servers of others may say anything: told in words, sent nowhere, never shown raw."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from fakes import served
from fakes.answering import Answering, foreign_row, http, rpc
from fakes.live import DEADLINE
from helpers import has_ipv6

pytestmark = pytest.mark.edges

PASS = {"owner": "a" * 32, "session": "b" * 32}
#: Sets the title, rings, changes the colour, turns the text around, begins a line anew.
EVIL = "x\x1b]0;title\x07\x1b[31m\x9b31m\u202ey\rz"
SHORT = 0.4


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run a command with these rows (or this text) in the registry; check what none ever does."""

    def run(rows, *arguments):
        folder = tmp_path / "registry"
        folder.mkdir(mode=0o700, exist_ok=True)
        text = rows if isinstance(rows, str) else json.dumps(rows)
        (folder / "services.json").write_text(text)
        done = served.inside(monkeypatch, capsys, str(tmp_path), *arguments)
        shown = done.stdout + done.stderr
        assert "Traceback" not in shown
        assert not [char for char in shown if not char.isprintable() and char != "\n"], shown
        return done

    return run


def safe_stop(port, path="/safe-stop", host="127.0.0.1"):
    return dict(PASS, safe_stop_url="http://{}:{}{}".format(host, port, path))


# -- where things are sent --------------------------------------------------------------------


def test_a_call_goes_to_no_other_host_than_the_row_names(cli):
    with Answering(rpc("{}")) as named, Answering(rpc("{}"), "127.0.0.2") as other:
        url = "http://127.0.0.2:{}/mcp".format(other.port)
        rows = [foreign_row(port=named.port, metadata={"mcp_url": url})]
        done = cli(rows, "call", "--dcc", "maya", "x", "--args", '{"a": "private"}')
        assert done.returncode == 2
        assert "not on the host" in done.stderr
        assert other.heard == named.heard == []


@pytest.mark.parametrize(
    "url",
    [
        "http://some.where.example:80/mcp",
        "http://[::1/mcp",
        "http://127.0.0.1:99999/mcp",
        "http://127.0.0.1:0/mcp",
        "http://127.0.0.1:x/mcp",
        "http://127.0.0.1:80\r\nX: y/mcp",
        "http://127.0.0.1:80/m\x1bcp cp",
        "http://user@127.0.0.1:80/mcp",
        "http://\u2100.x:8/mcp",
        "http://[::1%25]:8/mcp",
        "http://127.0.0.1.:8/mcp",
        "garbage",
        EVIL,
    ],
    ids=repr,
)
def test_an_mcp_url_that_is_none_is_refused_in_words(cli, url):
    done = cli([foreign_row(metadata={"mcp_url": url})], "call", "--dcc", "maya", "x")
    assert done.returncode == 2, done


def test_an_mcp_url_on_the_host_that_the_row_names_is_called(cli):
    with Answering(rpc('{"content": [], "structuredContent": {"a": 1}}')) as one:
        url = "http://127.0.0.1:{}/elsewhere".format(one.port)
        done = cli([foreign_row(metadata={"mcp_url": url})], "call", "--dcc", "maya", "x")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"a": 1})
        assert one.heard[0].startswith(b"POST /elsewhere ")


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_row_on_the_other_loopback_address_is_called(cli):
    with Answering(rpc('{"structuredContent": {"a": 1}}'), "::1") as one:
        done = cli([foreign_row(host="::1", port=one.port)], "call", "--dcc", "maya", "x")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"a": 1})
        assert "Host: [::1]:{}\r\n".format(one.port).encode("ascii") in one.heard[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/safe-stop",
        "http://[::1/safe-stop",
        "http://evil.example:{}/safe-stop",
        "http://127.0.0.1:{}/other",
        "http://127.0.0.1:{}/safe-stop?\x1b[31mx",
        "http://127.0.0.1:{}/safe-stop#x",
        "https://127.0.0.1:{}/safe-stop",
        "http://127.0.0.1:{}@evil/safe-stop",
        "http://127.0.0.1@127.0.0.1:{}/safe-stop",
        "http://127.0.0.1:x/safe-stop",
        EVIL,
    ],
    ids=repr,
)
def test_the_right_to_stop_is_sent_to_nobody_but_the_server_that_the_row_names(cli, url):
    with Answering(http(b"")) as one:
        metadata = dict(PASS, safe_stop_url=url.format(one.port))
        done = cli(
            [foreign_row(port=one.port, metadata=metadata)], "stop-instance", "--dcc", "maya"
        )
        assert done.returncode == 2
        assert one.heard == []


def test_of_several_rows_for_one_url_the_one_that_can_be_stopped_is_meant(cli, tmp_path):
    with Answering() as one:
        rows = [
            foreign_row(dcc_type="old", port=one.port),
            foreign_row(dcc_type="ours", port=one.port, metadata=safe_stop(one.port)),
            foreign_row(dcc_type="other", port=one.port),
        ]
        rows[1]["metadata"]["dcc_mcp_embed_wire"] = "1"

        def stop(peer):
            (tmp_path / "registry" / "services.json").write_text("[]")
            peer.sendall(http(b"{}"))

        one.reply = stop
        done = cli(rows, "stop-instance", "http://127.0.0.1:{}/mcp".format(one.port))
        assert done.returncode == 0, done
        assert rows[1]["instance_id"].encode("ascii") in one.heard[0]


# -- versions ---------------------------------------------------------------------------------


def test_a_newer_version_of_the_wire_is_called_that(cli):
    with Answering() as one:
        rows = [foreign_row(port=one.port, metadata={"dcc_mcp_embed_wire": "2" + EVIL})]
        done = cli(rows, "tools", "--dcc", "maya")
        assert done.returncode == 1
        assert "a newer version" in done.stderr
        assert one.heard == []


def test_a_row_without_a_port_is_refused_in_words(cli):
    for metadata in ({}, {"dcc_mcp_embed_wire": "1"}):
        done = cli([foreign_row(port=0, metadata=metadata)], "tools", "--dcc", "maya")
        assert done.returncode == 2
        assert "port" in done.stderr


# -- what is answered -------------------------------------------------------------------------

#: What a server may answer that is no list of tools, no result, or nothing at all.
ANSWERS = {
    "no tools": rpc("{}"),
    "a tool without a name": rpc('{"tools": [{}]}'),
    "a tool that is none": rpc('{"tools": [7]}'),
    "a number of tools": rpc('{"tools": 7}'),
    "a list": rpc("[]"),
    "null": rpc("null"),
    "an error": http(b'{"jsonrpc":"2.0","id":1,"error":{"message":"\\u001b[31mERR","code":1}}'),
    "an error that is a text": http(b'{"jsonrpc":"2.0","id":1,"error":"\\u001b[31mERR"}'),
    "no message": http(b"[]"),
    "no text": http(b"\xff"),
    "nested too deeply": http(b"[" * 100000),
    "no JSON in an event": http(b"data: nojson\n\n", kind="text/event-stream"),
    "a list in an event": http(b"data: [1]\n\n", kind="text/event-stream"),
    "no event": http(b"", kind="text/event-stream"),
    "a mail server": b"220 smtp ready\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
    "more than its head may have": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200000,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_none_is_an_error_in_words(cli, answer):
    data = ANSWERS[answer]

    def once(peer):
        peer.sendall(data)

    for arguments in (["tools"], ["call", "x"], ["status"]):
        with Answering(once) as one:
            name, *more = arguments
            timeout = [] if name == "tools" else ["--timeout", "5"]
            done = cli([foreign_row(port=one.port)], name, *more, "--dcc", "maya", *timeout)
            good = answer in ("no tools", "a tool without a name", "a tool that is none") or (
                answer == "a number of tools"
            )
            if good and name != "tools":
                # A result, if a strange one; of get_status nothing can be said.
                assert done.returncode == 0
            else:
                assert done.returncode in (1, 3), done
                assert len(done.stdout + done.stderr) > 10


def test_a_deep_result_is_shown_or_said_to_be_too_deep(cli):
    for depth in (500, 900, 3000):
        deep = '{"structuredContent": ' + '{"a":' * depth + "1" + "}" * depth + "}"
        with Answering(rpc(deep)) as one:
            done = cli([foreign_row(port=one.port)], "call", "--dcc", "maya", "x")
            assert done.returncode in (0, 1)
            assert done.stdout or done.stderr


def test_texts_of_others_do_not_reach_the_terminal(cli):
    evil = json.dumps(EVIL)
    with Answering(rpc('{"tools": [{"name": ' + evil + ', "description": ' + evil + "}]}")) as one:
        for more in ([], ["--json"]):
            assert cli([foreign_row(port=one.port)], "tools", "--dcc", "maya", *more).stdout
    with Answering(rpc('{"structuredContent": {"a": ' + evil + "}}")) as one:
        done = cli([foreign_row(port=one.port)], "call", "--dcc", "maya", "x")
        assert json.loads(done.stdout) == {"a": EVIL}
    with Answering(http(EVIL.encode("utf-8"), "403 " + "No")) as one:
        rows = [foreign_row(port=one.port, metadata=safe_stop(one.port))]
        done = cli(rows, "stop-instance", "--dcc", "maya")
        assert done.returncode == 1
        assert "refused to stop (403)" in done.stderr


def test_texts_of_rows_do_not_reach_the_terminal(cli):
    rows = [
        foreign_row(dcc_type=EVIL, metadata=PASS, scene=EVIL + "\n/a", version="v" * 100000),
        foreign_row(scene="/tmp/\ud800"),
    ]
    done = cli(rows, "instances")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert max(map(len, done.stdout.splitlines())) < 300
    assert json.loads(cli(rows, "instances", "--json").stdout)[0]["scene"] == EVIL + "\n/a"
    for arguments in (["stop-instance", "--dcc", EVIL], ["call", "x", "--instance", ""]):
        assert cli(rows, *arguments).returncode in (1, 2)


def test_it_prints_on_a_terminal_that_knows_ascii_only(tmp_path):
    folder = str(tmp_path / "r\xe9gistry")
    environ = served.environment(str(tmp_path), PYTHONIOENCODING="ascii")
    environ["DCC_MCP_REGISTRY_DIR"] = folder
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", "instances"],
        env=environ,
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"r\\xe9gistry" in done.stdout


# -- in time ----------------------------------------------------------------------------------


def trickle(peer):
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
        peer.sendall(bytes([byte]))
        threading.Event().wait(0.05)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["stop-instance"], 3),
        (["call", "x"], 1),
        (["status"], 1),
    ],
    ids=lambda value: str(value),
)
def test_a_byte_now_and_then_buys_no_more_time(cli, arguments, status):
    with Answering(trickle) as one:
        rows = [foreign_row(port=one.port, metadata=safe_stop(one.port))]
        begun = time.monotonic()
        done = cli(rows, *arguments, "--dcc", "maya", "--timeout", str(SHORT))
        assert done.returncode == status, done
        assert time.monotonic() - begun < SHORT + 2.0


@pytest.mark.parametrize("then", ["as before", "in silence"])
def test_a_server_that_cannot_stop_now_is_asked_until_the_time_is_over(cli, then):
    def answer(peer):
        if then == "as before" or len(one.heard) == 1:
            peer.sendall(http(b"busy", "503 Busy"))
        peer.recv(1)

    with Answering(answer) as one:
        rows = [foreign_row(port=one.port, metadata=safe_stop(one.port))]
        # Long enough for the first answer, however busy the machine is.
        done = cli(rows, "stop-instance", "--dcc", "maya", "--timeout", "1.2")
        assert done.returncode == 1, done
        assert "(503): busy" in done.stderr
        assert len(one.heard) > 1


@pytest.mark.parametrize("given", ["inf", "nan", "-1", "0", "1e12", "86401", "soon", ""])
@pytest.mark.parametrize("command", [["call", "x"], ["status"], ["stop-instance"]], ids=str)
def test_a_time_that_is_none_is_refused(cli, command, given):
    done = cli([], *command, "--dcc", "maya", "--timeout=" + given)
    assert done.returncode == 2
    assert "seconds" in done.stderr


@pytest.mark.parametrize("text", ["[" * 100000, '{"a": NaN}', '{"a": 1e999}', '{"a":' * 900])
def test_arguments_that_cannot_be_sent_are_refused(cli, text):
    done = cli([], "call", "--dcc", "maya", "x", "--args", text)
    assert done.returncode == 2
    assert "--args" in done.stderr


def test_arguments_that_are_no_text_are_sent_or_refused(cli):
    with Answering(rpc("{}")) as one:
        rows = [foreign_row(port=one.port)]
        done = cli(rows, "call", "--dcc", "maya", "x", "--args", '{"a": "\udcff"}')
        assert done.returncode == 0
        assert cli(rows, "call", "--dcc", "maya", "x\udcff").returncode == 1


# -- files that cannot be taken at their word -------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [('[{"dcc_type": "maya"', "damaged"), ('[{"schema_version": 9}]', "newer version")],
)
def test_instances_says_when_the_file_may_tell_less_than_there_is(cli, tmp_path, content, said):
    done = cli(content, "instances")
    assert done.returncode == 0
    assert said in done.stderr
    assert str(tmp_path / "registry" / "services.json") in done.stderr
    assert cli([], "instances").stderr == ""


def test_looking_makes_no_registry(tmp_path, monkeypatch, capsys):
    for command in (["instances"], ["tools", "--dcc", "maya"], ["stop-instance", "--dcc", "maya"]):
        done = served.inside(monkeypatch, capsys, str(tmp_path), *command)
        assert done.returncode == (0 if command == ["instances"] else 3)
    assert not (tmp_path / "registry").exists()
