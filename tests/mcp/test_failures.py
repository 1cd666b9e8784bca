"""What goes wrong between a client and a server, and what comes of it: the tables are the tests.

``CALLS`` is of calls, ``REGISTRATIONS`` of what never gets so far, and ``SHORT`` says of what rows
the README's are the short.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest

import dcc_mcp_embed.mcp.legacy_sse as legacy_sse
import dcc_mcp_embed.mcp.plugins as plugins
import dcc_mcp_embed.mcp.program as program_module
import dcc_mcp_embed.mcp.stdio as stdio
import dcc_mcp_embed.mcp.streamable as streamable
from dcc_mcp_embed.mcp import MCPClientFacade, MCPError, MCPPluginConfig, MCPSettings
from fakes.certificates import AUTHORITY, server_context
from fakes.misbehaving import STDIO, Misbehaving
from fakes.waiting import until
from helpers import ROOT

pytestmark = pytest.mark.edges

USER, PLUGIN = "me", "peer"
#: Seconds of a call that is to end by its time. The later ones are for a machine so busy that
#: before that it had not even sent it.
ITS_TIMES = (0.1, 1.0, 10.0)
#: Seconds of what ends at once, on a busy machine.
AT_ONCE = 20.0
#: What a call may take otherwise: nothing here comes near it.
LONG = 60.0
#: So that the first failure shows: one of two requests is too many.
STRICT = MCPSettings(min_requests_for_health_check=2, error_rate_critical=0.4)
#: As much as a test can afford to be sent.
LITTLE = 1024 * 1024


class Row(NamedTuple):
    """A call that is made while a server behaves as ``act`` says, and what comes of it."""

    situation: str
    wires: str
    act: str
    tool: str
    #: The code of the MCPError; None: the call succeeds.
    code: Optional[str]
    #: Whether the call's own time is what ends it, or it is over at once.
    takes_its_time: bool
    #: Of the plugin, by settings that forgive nothing.
    status: str
    #: How often the call has arrived at the server.
    sent: int


HTTP = "handshake stateless"
CALLS = [
    Row("all is well", HTTP + " sse stdio", "answer", "write", None, False, "active", 1),
    # The server ends.
    Row("killed in a call that writes", HTTP + " sse stdio", "die", "write", "unknown_outcome",
        False, "error", 1),
    Row("killed in a call that looks", HTTP + " sse", "die", "look", "not_connected",
        False, "error", 1),
    Row("killed in a call that looks, and comes back", "stdio", "die", "look", None,
        False, "active", 2),
    Row("killed in a call that looks, and comes back", HTTP + " sse", "restart", "look", None,
        False, "active", 2),
    Row("killed before a call, and gone", HTTP + " sse", "killed", "write", "not_connected",
        False, "error", 0),
    Row("restarted before a call", HTTP + " sse", "restarted", "write", None, False, "active", 1),
    Row("half an answer", HTTP, "half", "write", "unknown_outcome", False, "error", 1),
    Row("half an answer", HTTP, "half", "look", "not_connected", False, "error", 3),
    Row("the stream ends", "sse", "the end", "write", "unknown_outcome", False, "error", 1),
    Row("the stream ends", "sse", "the end", "look", "not_connected", False, "error", 3),
    Row("killed each time", "stdio", "die always", "look", "not_connected", False, "error", 3),
    # The session.
    Row("its session is not known any more", "handshake", "forgotten", "write", None,
        False, "active", 1),
    Row("no session is ever known", "handshake", "expired for ever", "write", "session_expired",
        False, "error", 0),
    Row("begun anew at the last attempt", "handshake", "half twice", "look", None,
        False, "active", 3),
    # It is slow.
    Row("slow", HTTP + " sse stdio", "slow", "write", "timeout", True, "error", 1),
    Row("slow", HTTP + " sse stdio", "slow", "look", "timeout", True, "error", 1),
    # It says what is no answer.
    Row("no HTTP", HTTP, "garbage", "write", "unknown_outcome", False, "error", 1),
    Row("no HTTP", HTTP, "garbage", "look", "not_connected", False, "error", 3),
    Row("a page of HTML", HTTP, "a page", "write", "unknown_outcome", False, "error", 1),
    Row("no JSON", HTTP, "no JSON", "write", "unknown_outcome", False, "error", 1),
    Row("no JSON in an event", HTTP + " sse", "no JSON in an event", "write", "unknown_outcome",
        False, "error", 1),
    Row("another request's answer", HTTP, "another's answer", "write", "unknown_outcome",
        False, "error", 1),
    Row("a result that is no object", HTTP, "no object", "write", "bad_answer", False, "error", 1),
    Row("what is no message, among messages", "stdio", "noise", "write", None, False, "active", 1),
    # It never ends.
    Row("endless line", HTTP, "line for ever", "write", "unknown_outcome", False, "error", 1),
    Row("endless line", "stdio", "line for ever", "write", "unknown_outcome", False, "error", 1),
    Row("endless event", HTTP + " sse", "event for ever", "write", "unknown_outcome",
        False, "error", 1),
    Row("endless body", HTTP, "body for ever", "write", "unknown_outcome", False, "error", 1),
    Row("endless stream", HTTP + " sse", "events for ever", "write", "timeout", True, "error", 1),
    Row("endless stream", "stdio", "messages for ever", "write", "timeout", True, "error", 1),
    # It refuses.
    Row("HTTP 500", HTTP + " sse", "500", "look", "http_error", False, "error", 1),
    Row("HTTP 401", HTTP, "401", "look", "http_error", False, "error", 1),
    Row("an error of JSON-RPC", HTTP, "refuse", "look", "rpc_error", False, "error", 1),
    Row("the tool has failed", HTTP + " sse", "fail", "look", "tool_error", False, "active", 1),
]  # fmt: skip


class Server:
    """A misbehaving server on one of the wires, and our client registered with it."""

    def __init__(self, wire: str, folder: Any) -> None:
        self.wire = wire
        self.http: Optional[Misbehaving] = None
        self._path = os.path.join(str(folder), "runs")
        self._config: Dict[str, Any] = {}
        if wire == "stdio":
            self._config = {"plugin_type": "stdio", "command": sys.executable}
        else:
            self.http = Misbehaving(modern=wire == "stateless")
            url = self.http.sse_url if wire == "sse" else self.http.url
            kind = "sse" if wire == "sse" else "streamable_http"
            self._config = {"plugin_type": kind, "url": url}
        self.facade = MCPClientFacade(STRICT)

    def register(self, act: str) -> None:
        if self.http is None:
            # -S -E: what a site does at start is nothing that a fake needs.
            self._config["args"] = ["-S", "-E", STDIO, act, self._path]
        config = MCPPluginConfig(USER, PLUGIN, **self._config)
        assert self.facade.register_sync(config) is True
        # This says, too, what is harmless.
        assert len(self.facade.get_tools_sync(USER, PLUGIN)) == 2

    def begin(self, act: str) -> None:
        """Behave so from now on."""
        if self.http is None:
            return
        if act in ("killed", "restarted"):
            self.http.kill()
            if act == "restarted":
                self.http.revive()
            until(self._is_noticed, "the end of the connection is noticed")
        elif act == "forgotten":
            self.http.forget()
        else:
            self.http.act = act

    def _is_noticed(self) -> bool:
        session = self.session
        origin = session._wire._origin
        return bool(session.lost) or not [one for one in origin._open if not one.closed]

    def heal(self) -> None:
        """Behave well from now on."""
        if self.http is not None:
            self.http.act = "answer"
            if self.http._listener is None:
                self.http.revive()

    @property
    def session(self) -> Any:
        plugin = self.facade._find((USER, PLUGIN))
        assert plugin is not None
        return plugin.session

    @property
    def runs(self) -> List[str]:
        if self.http is not None:
            return self.http.runs
        if not os.path.exists(self._path):
            return []
        with open(self._path, encoding="ascii") as file:
            return file.read().split()

    def close(self) -> None:
        self.facade.cleanup_sync()
        if self.http is not None:
            self.http.close()


@pytest.fixture
def server(request: Any, tmp_path: Any, monkeypatch: Any) -> Iterator[Server]:
    monkeypatch.setattr(streamable, "MAX_EVENT", LITTLE)
    monkeypatch.setattr(streamable, "MAX_BODY", LITTLE)
    monkeypatch.setattr(legacy_sse, "_MAX_EVENT", LITTLE)
    monkeypatch.setattr(stdio, "_MAX_LINE", LITTLE)
    # One that goes on for ever is not waited for so long.
    monkeypatch.setattr(program_module, "_PATIENCE", ITS_TIMES[0])
    monkeypatch.setattr(plugins, "_AGAIN", 0.02)
    found = Server(request.param, tmp_path)
    yield found
    found.close()


def cases() -> Iterator[Any]:
    for row in CALLS:
        for wire in row.wires.split():
            name = "{}-{}-{}".format(wire, row.situation, row.tool).replace(" ", "_")
            yield pytest.param(wire, row, id=name)


def outcome(server: Server, tool: str, timeout: float) -> Any:
    """Return what a call returns, or raises."""
    try:
        return server.facade.call_tool_sync(USER, PLUGIN, tool, {}, timeout=timeout)
    except MCPError as error:
        return error


@pytest.mark.parametrize(("server", "row"), list(cases()), indirect=["server"])
def test_a_call(server, row):
    server.register(row.act)
    server.begin(row.act)
    for timeout in ITS_TIMES if row.takes_its_time else (LONG,):
        began = time.monotonic()
        came = outcome(server, row.tool, timeout)
        took = time.monotonic() - began
        if server.runs or not row.takes_its_time:
            break
    assert (came if row.code is None else came.code) == (row.code or "fine"), str(came)
    assert str(came)
    assert took < AT_ONCE
    assert took >= timeout or not row.takes_its_time
    assert server.runs == [row.tool] * row.sent
    assert server.facade.get_session_status(USER, PLUGIN) == row.status
    # And when all is well again, so is the client, by itself.
    server.heal()
    if server.http is not None:
        assert server.facade.call_tool_sync(USER, PLUGIN, "write", {}, timeout=LONG) == "fine"
    elif row.act == "die":
        assert server.facade.call_tool_sync(USER, PLUGIN, "write", {}, timeout=LONG) == "fine"
        assert server.runs == [row.tool] * row.sent + ["write"]


@pytest.mark.parametrize("server", ["handshake", "sse"], indirect=True)
def test_a_call_that_takes_too_long_is_called_off(server):
    server.register("slow")
    server.begin("slow")
    for timeout in ITS_TIMES:
        came = outcome(server, "write", timeout)
        assert str(came) == "no answer within {:g} s".format(timeout)
        if server.runs:
            break
    until(lambda: "notifications/cancelled" in server.http.heard, "it is called off")


@pytest.mark.parametrize("server", ["handshake", "stateless", "sse", "stdio"], indirect=True)
def test_the_end_of_the_client_ends_its_calls(server):
    server.register("slow")
    server.begin("slow")
    ended: List[Any] = []

    def call() -> None:
        try:
            server.facade.call_tool_sync(USER, PLUGIN, "write", {}, timeout=LONG)
        except MCPError as error:
            ended.append(error.code)

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: server.runs == ["write"], "the call arrives")
    began = time.monotonic()
    server.facade.cleanup_sync()
    thread.join(AT_ONCE)
    assert ended in (["closed"], ["unknown_outcome"])
    assert time.monotonic() - began < AT_ONCE
    assert server.facade.get_session_status(USER, PLUGIN) is None


# -- what is never registered -------------------------------------------------------------------


class Refusal(NamedTuple):
    """A registration that fails. ``make``: the config, given a server; ``reason``: of the event."""

    situation: str
    make: Callable[[Misbehaving, str], Dict[str, Any]]
    reason: str
    #: Seconds of its ``timeout``, where that is what ends it.
    its_time: Optional[float] = None


def nobody(server: Misbehaving, folder: str) -> Dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"url": "http://127.0.0.1:{}/mcp".format(free.getsockname()[1])}


def program(*arguments: str) -> Callable[[Misbehaving, str], Dict[str, Any]]:
    def make(server: Misbehaving, folder: str) -> Dict[str, Any]:
        given = ["-S", "-E", STDIO, *arguments, os.path.join(folder, "runs")]
        return {"plugin_type": "stdio", "command": sys.executable, "args": given}

    return make


REGISTRATIONS = [
    Refusal("nobody listens", nobody, r"cannot be reached: Connection refused"),
    Refusal("nobody listens, HTTP+SSE", lambda server, folder: dict(
        nobody(server, folder), plugin_type="sse"), r"cannot be reached: Connection refused"),
    Refusal("wrong path", lambda server, folder: {"url": server.url + "/x"}, r"HTTP 404"),
    Refusal("no URL", lambda server, folder: {"url": "127.0.0.1:8000"}, r"is not a URL like"),
    Refusal("no such kind", lambda server, folder: {"url": server.url, "plugin_type": "ftp"},
            r"plugin_type is 'ftp'; it is one of"),
    Refusal("bad header", lambda server, folder: {"url": server.url, "headers": {"A": "b\nc"}},
            r"^headers: "),
    Refusal("no TLS there", lambda server, folder: {"url": server.url.replace("http", "https")},
            r"."),
    Refusal("HTTP+SSE, and no stream there", lambda server, folder: {
        "url": server.url, "plugin_type": "sse"}, r"HTTP 405"),
    Refusal("no command", lambda server, folder: {"plugin_type": "stdio"}, r"give the command"),
    Refusal("no such command", lambda server, folder: {
        "plugin_type": "stdio", "command": os.path.join(folder, "nonesuch")},
        r"nonesuch cannot be started: No such file"),
    Refusal("a program that ends at once", program("ends at once"),
            r"status 3.*there is no licence"),
    Refusal("a program that says nothing", program("says nothing"), r"did not answer in time",
            0.4),
]  # fmt: skip


def test_a_program_that_hears_nothing_before_its_handshake_is_registered_in_little_time():
    facade = MCPClientFacade()
    path = os.path.join(os.path.dirname(STDIO), "stdio_server.py")
    given = {"plugin_type": "stdio", "command": sys.executable, "args": ["-S", "-E", path, "shy"]}
    try:
        # Less than the first question of all is given; the later ones are for a busy machine.
        for timeout in (0.6, 2.0, 4.5):
            config = MCPPluginConfig(USER, PLUGIN, timeout=timeout, **given)
            if facade.register_sync(config):
                break
        assert facade.is_registered(USER, PLUGIN)
    finally:
        facade.cleanup_sync()


def refused(config: Dict[str, Any], row: Refusal) -> None:
    """Register, see it refused as the row says, and that nothing is left of it."""
    facade = MCPClientFacade()
    events: List[Dict[str, Any]] = []
    facade.register_status_callback(events.append)
    began = time.monotonic()
    try:
        timeout = LONG if row.its_time is None else row.its_time
        given = MCPPluginConfig(USER, PLUGIN, timeout=timeout, **config)
        assert facade.register_sync(given) is False
        took = time.monotonic() - began
        assert [(one["old_status"], one["new_status"]) for one in events] == [("inactive", "error")]
        assert re.search(row.reason, events[0]["reason"], re.S), events[0]["reason"]
        assert (row.its_time or 0.0) <= took < AT_ONCE
        assert facade.get_session_status(USER, PLUGIN) is None
        assert facade.is_registered(USER, PLUGIN) is False
        with pytest.raises(MCPError) as caught:
            facade.call_tool_sync(USER, PLUGIN, "look", {})
        assert caught.value.code == "not_registered"
    finally:
        facade.cleanup_sync()


@pytest.mark.parametrize(
    "row", REGISTRATIONS, ids=[row.situation.replace(" ", "_") for row in REGISTRATIONS]
)
def test_a_registration(row, tmp_path):
    with Misbehaving() as server:
        refused(row.make(server, str(tmp_path)), row)
        assert server.runs == []


# -- certificates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # Nobody known vouches for it.
        ("good", "local issuer"),
        ("expired", "has expired"),
        ("elsewhere", "not valid for|doesn't match|mismatch"),
    ],
)
def test_a_bad_certificate(name, reason, monkeypatch):
    if name != "good":
        # Who vouches is known: it is the certificate itself that is bad.
        monkeypatch.setenv("SSL_CERT_FILE", AUTHORITY)
    with Misbehaving(context=server_context(name)) as server:
        row = Refusal(
            "bad certificate", lambda *_: {}, "certificate is not good: .*(" + reason + ")"
        )
        refused({"url": server.url}, row)
        # Nothing was said to it, neither a call nor a token.
        assert server.heard == []


# -- the README ---------------------------------------------------------------------------------


#: What stands in the README's table -> the rows that it is the short of: (situation, tool).
SHORT = {
    "the connection is lost in a call that may change something (killed, half an answer, no HTTP,"
    " no JSON, a line without end)": [
        ("killed in a call that writes", "write"),
        ("half an answer", "write"),
        ("the stream ends", "write"),
        ("no HTTP", "write"),
        ("no JSON", "write"),
        ("endless line", "write"),
        ("endless event", "write"),
        ("endless body", "write"),
    ],
    "the same in a call that is harmless, and it stays so": [
        ("killed in a call that looks", "look"),
        ("half an answer", "look"),
        ("no HTTP", "look"),
        ("the stream ends", "look"),
        ("killed each time", "look"),
    ],
    "the same in a call that is harmless, and the server is there again": [
        ("killed in a call that looks, and comes back", "look"),
        ("begun anew at the last attempt", "look"),
    ],
    "the server was restarted before the call, or has forgotten the session": [
        ("restarted before a call", "write"),
        ("its session is not known any more", "write"),
    ],
    "nobody listens any more": [("killed before a call, and gone", "write")],
    "no answer, or events without end": [("slow", "write"), ("endless stream", "write")],
    "HTTP 401, 500 and the like": [("HTTP 401", "look"), ("HTTP 500", "look")],
    "an error of JSON-RPC": [("an error of JSON-RPC", "look")],
    "the tool says that it has failed": [("the tool has failed", "look")],
}
_SENT = {"never": 0, "once": 1, "up to three times": 3}


def test_the_readme_tells_the_short_of_it():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        table = file.read().partition("| what happens | code |")[2].partition("\n\n")[0]
    told = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert [cells[0] for cells in told] == list(SHORT)
    for number, (what, code, ends, arrives) in enumerate(told):
        rows = [row for row in CALLS if (row.situation, row.tool) in SHORT[what]]
        assert {(row.situation, row.tool) for row in rows} == set(SHORT[what])
        assert {row.code for row in rows} == {None if code.startswith("none") else code.strip("`")}
        assert {row.takes_its_time for row in rows} == {ends != "at once"}
        assert max(row.sent for row in rows) == _SENT[arrives]
        counts = number < len(told) - 1 and not code.startswith("none")
        assert {row.status for row in rows} == {"error" if counts else "active"}, what
