"""Bridges, managers, ipc and ``config``: no secret, key or token is where it must not be.

A server and its command line are searched in ``server/test_secrecy.py``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import stat
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import quote

import pytest
from dcc_mcp_embed.installers.clients import CLIENTS

from dcc_mcp_embed import EmbedError, ServiceStatus, TransportManager
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.ipc import SocketClient, SocketServer, places
from dcc_mcp_embed.ipc.keys import key_of, mixed
from dcc_mcp_embed.secret import SECRET_FILE, Secret
from dcc_mcp_embed.transport.dialing import WIRE
from dcc_mcp_embed.wire.frames import PREFIX, frame
from dcc_mcp_embed.wire.messages import Response, decode, encode
from fakes.answering import Answering
from fakes.bridged import Bridged
from fakes.hidden import Hidden, error_texts, files_below, process_facts
from fakes.ipc_raw import end_of
from fakes.live import DEADLINE
from fakes.served import Served, ServedBridge, inside, run
from fakes.waiting import until
from ipc.stages import run as play
from ipc.stages import same

CLOCK = SystemClock()
WORKING = """
import threading
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker")
def hold() -> str:
    \"\"\"Never return.\"\"\"
    threading.Event().wait()

@dcc_mcp_embed.tool(thread="worker")
def fail(text: str) -> str:
    \"\"\"Raise.\"\"\"
    raise RuntimeError(text)
"""

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="an argv is read from /proc"),
]


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    (path / "working.py").write_text(WORKING)
    return str(path)


@pytest.fixture
def hidden(home):
    """What is hidden from the begin on: all of the user's that belongs to no port."""
    hidden = Hidden()
    hidden.hide_users(home)
    return hidden


class Forger(Answering):
    """Listens where one of us has been, and says hello without knowing any secret."""

    def _talk(self, peer):
        with peer:
            peer.settimeout(DEADLINE)
            try:
                self.heard.append(peer.recv(65536))
                message, form = decode(self.heard[-1][PREFIX:])
                content = json.dumps({"nonce": "0" * 64, "proof": "0" * 64}).encode()
                peer.sendall(frame(encode(Response(message.id, True, content, None), form)))
                while self.heard[-1]:
                    self.heard.append(peer.recv(65536))
            except OSError:
                return


@contextmanager
def squatters(registry, hidden):
    """Yield the kinds of some who are in the registry as one of us, and are not.

    What they are sent is searched in the end.
    """
    kinds = {
        "forger": Forger,
        "http": partial(Answering, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "closing": partial(Answering, lambda peer: None),
    }
    with ExitStack() as ending, TransportManager(registry, heartbeat=False) as manager:
        listening = {kind: ending.enter_context(make()) for kind, make in kinds.items()}
        for kind, one in listening.items():
            manager.register_service(kind, "127.0.0.1", one.port, metadata={WIRE: "1"})
        yield list(kinds)
        for kind, one in listening.items():
            hidden.note("what the squatter {} was sent".format(kind), b"\n".join(one.heard))


def homes_of_others(tmp_path, hidden):
    """Return a user's directory with another secret, and one whose secret is damaged."""
    other, damaged = tmp_path / "other", tmp_path / "damaged"
    hidden.hide_users(str(other))
    damaged.mkdir(mode=0o700)
    (damaged / SECRET_FILE).write_bytes(os.urandom(31))
    hidden.hide("the damaged secret", (damaged / SECRET_FILE).read_bytes())
    return str(other), str(damaged)


def test_whatever_way_something_hidden_is_told_it_is_found():
    value, token = os.urandom(32), os.urandom(20).hex()
    told = {
        "bytes": b"a" + value,
        "repr": "key={!r}".format(value),
        "array": "{}".format(bytearray(value)),
        "numbers": str(list(value)),
        "hex": value.hex(),
        "upper": value.hex().upper(),
        "base64": base64.b64encode(value),
        "url": "?key=" + quote(value),
        "json": json.dumps({"key": value.decode("latin-1")}),
        "cut": "Bearer {:.20}...".format(token),
        "end": "...{}".format(token[-20:]),
        "digest": base64.urlsafe_b64encode(bytes.fromhex(token)),
        "basic": base64.b64encode(token.encode()),
    }
    hidden = Hidden()
    hidden.hide("value", value)
    hidden.hide("token", token)
    hidden.note("nothing", value[:8] + value[24:])
    assert hidden.found() == []
    hidden.note_all(told)
    assert {where for where, _ in hidden.found()} == set(told)


# The bridge.


def test_a_bridge_at_pipes(home, hidden, tmp_path):
    registry = os.path.join(home, "registry")
    codes = set()

    def fails(bridge, name, **arguments):
        error = bridge.error(name, **arguments)
        codes.add(error["code"])

    def ended(name, bridge):
        assert bridge.end() == 0
        hidden.note("what {} says".format(name), json.dumps([*bridge.answers.values()]))
        hidden.note("what {} says".format(name), json.dumps(bridge.notices + bridge.errors))
        hidden.note("the log of " + name, bridge.log)

    with Bridged(home, "--verbose") as bridge:
        hidden.note_all(process_facts(bridge.process.pid))
        bridge.initialize()
        fails(bridge, "create_object", kind="cube")
        bridge.write(b"{nothing\n")
        with Served(home, "--tools", "working.py") as served:
            hidden.hide_users(home, served.port)
            bridge.appears("hold")
            bridge.call("get_status")
            bridge.call("list_instances")
            bridge.call("get_log", level="debug")
            fails(bridge, "fail", text="on purpose")
            fails(bridge, "get_object", path="/x")
            fails(bridge, "create_object", kind=1)
            bridge.answer(bridge.begin("tools/call", {"name": "nope", "arguments": {}}))
            for method in ("resources/list", "prompts/list", "resources/templates/list"):
                bridge.ask(method)
            for method, params in (
                ("resources/read", {"uri": "dcc://instances"}),
                ("resources/read", {"uri": "test://no"}),
                ("resources/subscribe", {"uri": "dcc://status"}),
                ("prompts/get", {"name": "no"}),
                ("nope", {}),
            ):
                bridge.answer(bridge.begin(method, params))
            for number, name in enumerate(homes_of_others(tmp_path, hidden)):
                with Bridged(name, "--verbose", "--registry-dir", registry) as other:
                    hidden.note_all(process_facts(other.process.pid))
                    other.initialize()
                    until(lambda other=other: "does not list its tools" in other.log)
                    fails(other, "create_object", kind="cube")
                    ended("stranger {}".format(number), other)
            hidden.note_all(files_below(home, SECRET_FILE))
            call = bridge.start_call("hold")
            bridge.until(lambda: served_call(bridge, "hold"))
            served.process.kill()
            codes.add(bridge.told(call)["error"]["code"])
            served.end(None)
            hidden.note("what the host says", served.stderr)
        with squatters(registry, hidden) as kinds:
            for kind in kinds:
                until(lambda kind=kind: kind + " does not list its tools" in bridge.log)
            bridge.answer(bridge.begin("tools/call", {"name": "create_object", "arguments": {}}))
        ended("the bridge", bridge)
    hidden.note_all(files_below(home, SECRET_FILE))
    assert b"create_object" in hidden.said["file bridge-tools.json"]
    assert served.facts["instance_id"].encode() in hidden.said["file services.json"]
    assert {"no_host", "unknown_outcome", "not_found"} <= codes, codes
    assert hidden.found() == []


def served_call(bridge, name):
    """Return whether a call of a tool is under way in the host."""
    return name in json.dumps(bridge.call("get_status")["data"])


def refusal(hidden, home, port):
    """Return what a bridge says that cannot start."""
    done = run(home, "bridge", "--verbose", "--http", port)
    assert done.returncode != 0
    hidden.note("why it cannot start", done.stdout + done.stderr)
    return done.stderr


def test_a_bridge_at_a_port(home, hidden, tmp_path, monkeypatch, capsys):
    other, damaged = homes_of_others(tmp_path, hidden)
    with Answering(b"220 hello\r\n") as stranger, Served(home) as served:
        with ServedBridge(home, "--verbose") as bridge:
            hidden.hide_users(home, served.port, bridge.port, stranger.port)
            hidden.hide_users(other, bridge.port)
            token = bridge.facts["token"]
            hidden.note_all(process_facts(bridge.process.pid))
            in_path = "/{}/mcp".format(token)
            with bridge.connect() as wire:
                for name in ("list_instances", "get_status", "nope"):
                    params = {"name": name, "arguments": {}}
                    hidden.note("a call", wire.rpc("tools/call", params).body)
                # As it is, and as it may be copied.
                copied = (in_path, in_path + "/no", in_path[:-5], "/x" + in_path[1:])
                for path in ("/", "/mcp", "/health", *copied, in_path.replace("/mcp", "mcp")):
                    answer = wire.request("GET", path, {"X-DCC-MCP-Challenge": "x"})
                    hidden.note("a path", repr((answer.headers, answer.body)))
            for headers in (
                {"Authorization": None},
                {"Authorization": "Bearer " + token[:-1] + "x"},
                {"Authorization": "Basic " + token},
                {"Host": "evil"},
                {"Origin": "https://example.com"},
                {"Content-Length": "x"},
                {"Mcp-Session-Id": token[::-1]},
            ):
                with bridge.connect() as wire:
                    answer = wire.rpc("ping", headers=headers)
                    hidden.note("refused", repr((answer.headers, answer.body)))
            for user in (home, other, damaged):
                for command in (["tools"], ["status"], ["call", "list_instances"]):
                    command.insert(1, bridge.facts["plain_url"])
                    done = inside(monkeypatch, capsys, user, *command)
                    hidden.note("the command line", done.stdout + done.stderr)
            assert "is damaged" in refusal(hidden, damaged, "0")
            # A stranger who gets no processor for a moment is taken for one of ours that is busy.
            until(lambda: "its token is retired" in refusal(hidden, home, str(stranger.port)))
            hidden.note_all(files_below(home, SECRET_FILE))
            bridge.end()
            hidden.note("the log", bridge.stderr)
            # The line is for whoever started it.
            assert bridge.stdout.count("\n") == 1 and token in bridge.stdout
            hidden.note("stdout but for the token", bridge.stdout.replace(token, ""))
        hidden.note("what the stranger was sent", b"\n".join(stranger.heard))
    assert served.facts["instance_id"].encode() in hidden.said["file services.json"]
    assert "challenge" in hidden.said["what the stranger was sent"].decode("latin-1").lower()
    assert hidden.found() == []


# A manager.


class Noted(logging.Handler):
    """Takes down what is logged, by anybody and on every level."""

    def __init__(self, hidden):
        super().__init__(logging.DEBUG)
        self._hidden = hidden
        self.count = 0

    def emit(self, record):
        self.count += 1
        self._hidden.note("the log", self.format(record))
        self._hidden.note("the log", repr(vars(record)))
        if record.exc_info:
            self._hidden.note("the log", error_texts(record.exc_info[1]))


@pytest.fixture
def noted(hidden):
    root = logging.getLogger()
    before = root.level
    noted = Noted(hidden)
    root.addHandler(noted)
    root.setLevel(logging.DEBUG)
    yield noted
    root.setLevel(before)
    root.removeHandler(noted)


def available(manager):
    """Return whether a host can be picked for a call."""
    rows = manager.list_instances("standalone")
    return any(row.status == ServiceStatus.AVAILABLE for row in rows)


def test_a_manager(home, hidden, noted, tmp_path, monkeypatch):
    registry = os.path.join(home, "registry")
    other, damaged = homes_of_others(tmp_path, hidden)
    errors = []

    def fails(manager, kind, method="ping", params=None, **options):
        with pytest.raises(EmbedError) as caught:
            manager.call(kind, method, params, **options)
        errors.append(type(caught.value).__name__)
        hidden.note("errors", error_texts(caught.value))

    def taken_down(manager):
        for session in manager.list_sessions():
            hidden.note("sessions", repr(session))
        for row in manager.list_all_services():
            hidden.note("rows", repr(row) + repr(row.to_dict()))
        hidden.note("calls", repr(manager.outbound.list_pending()))
        hidden.note("managers", repr(manager) + repr(manager.config))

    def managing(user, **options):
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", user)
        log = partial(logging.getLogger("managers").debug, "%s: %s")
        return TransportManager(registry, heartbeat=False, log=log, **options)

    with Served(home, "--tools", "working.py") as served:
        ours = hidden.hide_users(home, served.port)
        instance = served.facts["instance_id"]
        for options in ({}, {"secret": ours}):
            with managing(home, **options) as manager:
                until(partial(available, manager))
                assert manager.call("standalone", "ping")["success"]
                with manager.connection("standalone", instance) as channel:
                    hidden.note("channels", repr(channel) + repr(channel.hello))
                fails(manager, "standalone", "nope")
                hold = {"name": "hold", "arguments": {}}
                fails(manager, "standalone", "tools/call", hold, timeout_ms=50)
                taken_down(manager)
        strange = Secret(b"w" * 16 + os.urandom(16), {})
        hidden.hide("a wrong key", strange.wire_key())
        for user, options in ((home, {"secret": strange}), (other, {}), (damaged, {})):
            with managing(user, **options) as manager:
                fails(manager, "standalone")
                taken_down(manager)
        with squatters(registry, hidden) as kinds, Answering() as raw, managing(home) as manager:
            for kind in kinds:
                fails(manager, kind)
            manager.register_service("raw", "127.0.0.1", raw.port)
            fails(manager, "raw", timeout_ms=50)
            hidden.note("what the raw peer was sent", b"\n".join(raw.heard))
            taken_down(manager)
        with managing(home) as manager:
            manager.acquire_connection("standalone")
            served.process.kill()
            served.end(None)
            fails(manager, "standalone")
            taken_down(manager)
    hidden.note_all(files_below(registry))
    kinds = {"ConnectionFailed", "ConfigError", "CallFailed", "CallTimeout"}
    assert kinds <= set(errors), errors
    assert "does not know this user's secret" in hidden.said["errors"].decode()
    assert hidden.found() == []


# ipc.

SECRETS = {
    "text": "a text with ümlauts, % and 'quotes'",
    "bytes": bytes(range(200, 240)),
    "users": None,
}
WRONG = "another secret that nobody here knows"


@pytest.mark.parametrize("place", ["unix", "file", "tcp"])
def test_both_ends_of_ipc(home, hidden, noted, place, tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", home)
    if place == "file":
        # As where the system has no unix sockets.
        monkeypatch.setattr(places, "has_unix_sockets", lambda: False)
    for secret in (SECRETS["text"], SECRETS["bytes"], WRONG):
        hidden.hide("a secret", secret)
        hidden.hide("its key", key_of(secret, CLOCK))
    for settings in (
        {"socket_path": "/x", "port": 1},
        {"host": "example.com", "port": 1},
        {"account_id": "x" * 300},
    ):
        for make in (SocketServer, SocketClient):
            with pytest.raises(EmbedError) as caught:
                make(secret=WRONG, **settings)
            hidden.note("errors", error_texts(caught.value))
    talks = []
    for kind, secret in SECRETS.items():
        path = {"socket_path": str(tmp_path / (kind + ".sock"))}
        where = {"host": "127.0.0.1", "port": 0} if place == "tcp" else path
        talks.append(Conversation(hidden, where, secret))
    loop = asyncio.new_event_loop()
    # Each step is logged then, with the arguments of its function.
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    play(together(*talks), loop)
    for name in ("errors", "stats", "the log", "what was pushed", "what the squatter was sent"):
        assert len(hidden.said[name]) > 20, name
    for text in (
        "does not know the secret",
        "frame too large",
        "There is no request 'nope'",
        "NotConnected",
    ):
        assert text in hidden.said["errors"].decode(), text
    assert noted.count > 20
    assert hidden.found() == []


async def together(*talks):
    await asyncio.gather(*(one.all() for one in talks))


class Conversation:
    """All that a client and its server have to say to each other, and to us."""

    def __init__(self, hidden, where, secret):
        self._hidden = hidden
        self._where = where
        self._secret = secret
        self._server = SocketServer(account_id="the server", secret=secret, **where)
        self._clients = []
        for name, handler in (("echo", same), ("fail", fail), ("hold", hold)):
            self._server.register_handler(name, handler)

    async def all(self):
        await self._server.start_background()
        if "port" in self._where:
            self._where = dict(self._where, port=self._server.address.port)
        else:
            self._look_at_the_file()
        await self._calls()
        await self._connects_to_nobody(secret=WRONG)
        self._hidden.note("errors", end_of(self._server, b"GET / HTTP/1.1\r\n\r\n"))
        with Forger() as squatter:
            port = {"host": "127.0.0.1", "port": squatter.port, "socket_path": None}
            await self._connects_to_nobody(**port)
        self._hidden.note("what the squatter was sent", b"\n".join(squatter.heard))
        for one in (self._server, *self._clients):
            self._hidden.note("stats", repr(one) + repr(one.get_stats()))
        # One request is under way, and hears of the end.
        waiting = asyncio.ensure_future(self._fails("hold"))
        await asyncio.sleep(0)
        await self._server.stop()
        await waiting
        await self._connects_to_nobody()
        for one in self._clients:
            await one.disconnect()
            self._hidden.note("stats", repr(one) + repr(one.get_stats()))

    async def _calls(self):
        one, told = self._client(), asyncio.Event()

        @one.on_push("news")
        def news(kind, data):
            self._hidden.note("what was pushed", repr((kind, data)))
            told.set()

        assert await one.connect(max_retries=0), one.last_error
        assert await one.request("echo", [1]) == [1]
        await self._fails("fail", "x")
        await self._fails("nope")
        await self._fails("hold", timeout=0.05)
        assert await self._server.push("news", "that it goes well") == 1
        await asyncio.wait_for(told.wait(), DEADLINE)

    def _client(self, **options):
        settings = {"account_id": "a client", "secret": self._secret, "auto_reconnect": False}
        self._clients.append(SocketClient(**dict(settings, **dict(self._where, **options))))
        return self._clients[-1]

    async def _fails(self, name, data=None, **options):
        with pytest.raises(EmbedError) as caught:
            await self._clients[0].request(name, data, **options)
        self._hidden.note("errors", error_texts(caught.value))

    async def _connects_to_nobody(self, **options):
        one = self._client(**options)
        assert not await one.connect(max_retries=0)
        self._hidden.note("errors", one.last_error)
        with pytest.raises(EmbedError) as caught:
            await one.request("echo")
        self._hidden.note("errors", error_texts(caught.value))

    def _look_at_the_file(self):
        """See that it is private, and tells nothing but what it has to."""
        path = self._where["socket_path"]
        facts = os.stat(path)
        assert stat.S_IMODE(facts.st_mode) == 0o600
        if not stat.S_ISREG(facts.st_mode):
            return
        with open(path, "rb") as file:
            text = file.read()
        content = json.loads(text)
        assert sorted(content) == ["key", "pid", "port"]
        self._hidden.note("the file but for its key", text.replace(content["key"].encode(), b""))
        self._hidden.hide("the key of the file", content["key"])
        self._hidden.hide(
            "the key of the place", mixed(key_of(self._secret, CLOCK), content["key"])
        )
        with open(path + ".lock", "rb") as file:
            self._hidden.note("the lock of the file", file.read())


def fail(data):
    raise KeyError(data)


async def hold(data):
    await asyncio.Event().wait()


# The files of clients.


def test_the_entries_of_clients(home, hidden, tmp_path, monkeypatch, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("CODEX_HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(mine))

    def config(*arguments):
        return inside(monkeypatch, capsys, home, "config", *arguments)

    with Served(home) as served:
        token = hidden.hide_users(home, served.port).token("standalone", served.port)
        http = ("--http", "--dcc", "standalone")
        for client in CLIENTS:
            for number, way in enumerate(((), ("--bridge", "--dcc", "standalone"))):
                for act in ((), ("--write",)):
                    done = config(client.key, *way, *act)
                    assert done.returncode == 0, done
                    told = "{} {} {}".format(client.key, number, act)
                    hidden.note(told, done.stdout + done.stderr)
            done = config(client.key, *http)
            assert (token in done.stdout) == (client.http is not None), done
            hidden.note(client.key + " but for the entry", done.stdout.replace(token, ""))
            hidden.note(client.key + " beside the entry", done.stderr)
        assert len(files_below(str(mine))) >= 6
        hidden.note_all(files_below(str(mine)))
        assert hidden.found() == []
        # It is in the file then, which is private, and leaves it again.
        for client in CLIENTS:
            for act in ("--write", "--remove"):
                done = config(client.key, *http, act)
                if client.http is None:
                    continue
                assert done.returncode == 0, done
                hidden.note("{} {}".format(client.key, act), done.stdout + done.stderr)
                if act == "--write":
                    content = files_below(str(mine))
                    assert any(token.encode() in text for text in content.values())
                    look_who_may_read(str(mine), token.encode())
        hidden.note_all(files_below(str(mine)))
    assert hidden.found() == []


def look_who_may_read(folder, token):
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                if token in file.read():
                    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
