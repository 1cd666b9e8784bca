"""Places: where a server listens, how it is found, and that nobody else's place is touched."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile

import pytest

from dcc_mcp_embed import secret as secrets
from dcc_mcp_embed.address import TransportAddress, private_directories
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.ipc import place_file, places
from dcc_mcp_embed.net.sockets import connect_address
from dcc_mcp_embed.transport_errors import IpcConnectionFailed
from helpers import ROOT
from ipc.stages import posix

CLOCK = SystemClock()
DEADLINE = 20.0


@pytest.fixture(autouse=True)
def home(folder, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", os.path.join(folder, "home"))
    monkeypatch.setattr(tempfile, "tempdir", folder)


def listen(path=None, account=None, host=None, port=None, secret="s"):
    return places.listen(path, account, host, port, secret, CLOCK)


def locate(path=None, account=None, host=None, port=None, secret="s"):
    return places.locate(path, account, host, port, secret, CLOCK)


def reaches(target, listening):
    """Connect to a target and say whether it is this listener that answers."""
    with connect_address(target.address, DEADLINE, CLOCK) as near:
        # Who looked whether it is alive comes before.
        far = listening.accept() or listening.accept() or listening.accept()
        if far is None:
            return False
        with far:
            near.sendall(b"x")
            return far.recv(1) == b"x" and target.key == listening.key


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# Each kind of place.


@posix
def test_a_path_is_a_unix_socket_for_this_user(path):
    listening = listen(path)
    assert listening.address == TransportAddress.unix_socket(path)
    assert mode(path) == 0o600
    assert reaches(locate(path)(), listening)
    listening.close()
    listening.close()
    assert not os.path.exists(path)


def test_host_and_port_are_tcp():
    listening = listen(host="127.0.0.1", port=0)
    port = listening.address.port
    assert port
    for host in ("127.0.0.1", "localhost", None):
        assert reaches(locate(host=host, port=port)(), listening)
    listening.close()


def test_a_port_alone_is_this_machine_s():
    listening = listen(port=0)
    assert listening.address.host == "127.0.0.1"
    listening.close()


def test_without_a_place_the_account_names_one_of_the_user_s_own(kind, folder):
    listening = listen(account="Ann/../é")
    other = listen(account="ann/../é")
    nobody = listen()
    assert reaches(locate(account="Ann/../é")(), listening)
    assert reaches(locate(account="ann/../é")(), other)
    assert reaches(locate()(), nobody)
    own = private_directories()[0]
    assert own.startswith(folder)
    assert mode(own) == 0o700
    names = [name for name in os.listdir(own) if not name.endswith(".lock")]
    assert len(names) == len({name.lower() for name in names}) == 3
    for one in (listening, other, nobody):
        one.close()
    assert os.listdir(own) == []


def test_a_path_may_be_a_path_object(path):
    import pathlib

    listening = listen(pathlib.Path(path))
    assert reaches(locate(pathlib.Path(path))(), listening)
    listening.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"path": "/tmp/x", "port": 1}, "not both"),
        ({"path": "/tmp/x", "host": "127.0.0.1"}, "not both"),
        ({"path": ""}, "socket_path"),
        ({"path": "a\0b"}, "socket_path"),
        ({"host": "127.0.0.1"}, "port"),
        ({"port": 65536}, "port"),
        ({"port": -1}, "port"),
        ({"host": "0.0.0.0", "port": 1}, "not encrypted.* the same port at both ends"),
        ({"port": 1, "account": "x" * 201}, "account_id has 201 characters, and may have 200"),
        ({"path": "/tmp/x", "account": "x" * 201}, "account_id has 201 characters"),
        ({"host": "192.168.1.7", "port": 1}, "not encrypted"),
        ({"host": "127.0.0.1.example.org", "port": 1}, "not encrypted"),
        ({"port": 1, "secret": ""}, "secret is empty"),
        ({"port": 1, "secret": b""}, "secret is empty"),
    ],
)
def test_what_is_no_place_is_said_at_once(arguments, text):
    for function in (listen, locate):
        with pytest.raises(ConfigError, match=text):
            function(**arguments)
    settings = dict(dict.fromkeys(("path", "account", "host", "port")), secret="s")
    settings.update(arguments)
    with pytest.raises(ConfigError, match=text):
        places.check(*(settings[name] for name in ("path", "account", "host", "port", "secret")))


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": 7},
        {"path": b"/tmp/x"},
        {"port": "80"},
        {"port": True},
        {"secret": 7},
        {"account": 7},
    ],
)
def test_what_is_of_another_kind_is_a_type_error(arguments):
    for function in (listen, locate):
        with pytest.raises(TypeError):
            function(**arguments)


def test_a_client_needs_a_true_port():
    with pytest.raises(ConfigError, match="port is 0"):
        locate(port=0)


# Secrets.


def test_a_text_and_its_bytes_are_one_secret_and_another_text_is_another():
    find = {secret: locate(port=1, secret=secret)().key for secret in ("é", "f")}
    assert locate(port=1, secret="é".encode())().key == find["é"]
    assert find["é"] != find["f"]
    assert len(find["f"]) == 32


def test_without_a_secret_it_is_the_user_s_read_anew_each_time():
    find = locate(port=1, secret=None)
    home = os.environ["DCC_MCP_EMBED_HOME"]
    assert not os.path.exists(home)
    first = find().key
    own = secrets.open_secret(home, CLOCK)
    assert first == own.wire_key() == locate(port=1, secret=own)().key
    secrets.rotate_secret(home, CLOCK)
    assert find().key == secrets.open_secret(home, CLOCK).wire_key() != first


# Who was there first.


def test_a_second_server_is_refused_and_the_first_goes_on(kind, path):
    first = listen(path)
    with pytest.raises(IpcConnectionFailed, match="another listener is at"):
        listen(path)
    assert reaches(locate(path)(), first)
    first.close()
    again = listen(path)
    assert reaches(locate(path)(), again)
    again.close()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_port_in_use_is_refused():
    first = listen(port=0)
    with pytest.raises(IpcConnectionFailed, match="bind failed"):
        listen(port=first.address.port)
    first.close()


KILLED = """
import sys, threading
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.ipc import place_file, places
if sys.argv[2] == "file":
    places.has_unix_sockets = lambda: False
listening = places.listen(sys.argv[1], None, None, None, "s", SystemClock())
print("listening", flush=True)
threading.Event().wait(60)
"""


@posix
def test_what_a_killed_process_left_behind_is_taken_over(kind, path):
    command = [sys.executable, "-c", KILLED, path, kind]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"listening\n"
        with pytest.raises(IpcConnectionFailed, match="another listener is at"):
            listen(path)
        child.send_signal(signal.SIGKILL)
        child.wait(DEADLINE)
    assert os.path.exists(path)
    listening = listen(path)
    assert reaches(locate(path)(), listening)
    listening.close()
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"dear diary", b"[" * 4096, b'{"port": 1}', b'{"port": 0, "key": ""}'],
    ids=range(5),
)
def test_somebody_else_s_file_is_left_alone(kind, path, content):
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(IpcConnectionFailed, match="bind failed"):
        listen(path)
    with open(path, "rb") as file:
        assert file.read() == content
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


# The file that stands for a unix socket.


def test_the_file_is_private_and_says_where_and_with_which_key(no_unix, path):
    listening = listen(path)
    assert listening.address.host == "127.0.0.1"
    assert mode(path) == 0o600
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    assert content["port"] == listening.address.port
    assert content["pid"] == os.getpid()
    assert len(bytes.fromhex(content["key"])) == 32
    find = locate(path)
    assert reaches(find(), listening)
    # Who has the file only, or the secret only, has not the key.
    assert listening.key not in (bytes.fromhex(content["key"]), locate(port=1)().key)
    assert find().key != locate(path, secret="another")().key
    listening.close()
    assert os.listdir(os.path.dirname(path)) == []


def test_the_file_is_read_anew_each_time(no_unix, path):
    find = locate(path)
    with pytest.raises(IpcConnectionFailed, match="No such file"):
        find()
    keys = []
    for _ in range(2):
        listening = listen(path)
        assert reaches(find(), listening)
        keys.append(find().key)
        listening.close()
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 4096,
        b"null",
        b"\xff",
        b'{"port": 70000, "key": "00"}',
        b'{"port": 1}',
        b'{"port": true, "key": "%s"}' % (b"0" * 64),
        b'{"port": 1, "key": "%s"}' % (b"g" * 64),
    ],
    ids=range(10),
)
def test_a_file_that_says_something_else_leads_nowhere(no_unix, path, content):
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(IpcConnectionFailed, match="no file of a server"):
        locate(path)()


@posix
def test_what_is_no_file_leads_nowhere(no_unix, path):
    os.mkfifo(path)
    with pytest.raises(IpcConnectionFailed):
        locate(path)()
    with pytest.raises(IpcConnectionFailed):
        listen(path)
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    with pytest.raises(IpcConnectionFailed):
        locate(path)()
    with pytest.raises(IpcConnectionFailed):
        listen(path)


def test_a_file_that_somebody_put_in_the_place_of_ours_stays(no_unix, path):
    listening = listen(path)
    with open(path, "wb") as file:
        file.write(b"dear diary")
    listening.close()
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def test_nothing_is_left_when_the_file_cannot_be_written(no_unix, path, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place_file, "replace", refuse)
    with pytest.raises(IpcConnectionFailed, match="bind failed: No space left"):
        listen(path)
    assert os.listdir(os.path.dirname(path)) == []


def test_why_the_file_cannot_be_written_is_told_also_if_its_half_cannot_be_removed(
    no_unix, path, monkeypatch
):
    unlink = os.unlink

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    def hold(name):
        # Somebody looks at it, who keeps it from being removed on Windows.
        if name.startswith(path + ".") and not name.endswith(".lock"):
            raise PermissionError(13, "Permission denied")
        unlink(name)

    monkeypatch.setattr(place_file, "replace", refuse)
    monkeypatch.setattr(os, "unlink", hold)
    with pytest.raises(IpcConnectionFailed, match="bind failed: No space left"):
        listen(path)


@posix
def test_a_forked_child_takes_nothing_away(kind, path):
    listening = listen(path)
    ident = os.fork()
    if not ident:
        status = 1
        try:
            listening.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(ident, 0)[1] == 0
    assert reaches(locate(path)(), listening)
    with pytest.raises(IpcConnectionFailed, match="another listener is at"):
        listen(path)
    listening.close()


def test_there_are_unix_sockets_where_python_has_them():
    assert places.has_unix_sockets() == (os.name != "nt" and hasattr(socket, "AF_UNIX"))
