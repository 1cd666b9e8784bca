"""Addresses: the reference's texts and rules, IPv6, and default places nobody else can wait at."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcc_mcp_embed import address as module
from dcc_mcp_embed.address import TransportAddress, TransportScheme, private_directories

PIPE = "\\\\.\\pipe\\"


@pytest.mark.parametrize(
    ("address", "text", "scheme"),
    [
        (TransportAddress.tcp("127.0.0.1", 18812), "tcp://127.0.0.1:18812", "tcp"),
        (TransportAddress.tcp("::1", 1), "tcp://[::1]:1", "tcp"),
        (TransportAddress.tcp("[fe80::1%eth0]", 65535), "tcp://[fe80::1%eth0]:65535", "tcp"),
        (TransportAddress.named_pipe("maya"), "pipe://" + PIPE + "maya", "pipe"),
        (TransportAddress.named_pipe(PIPE + "maya"), "pipe://" + PIPE + "maya", "pipe"),
        (TransportAddress.unix_socket("/run/a.sock"), "unix:///run/a.sock", "unix"),
        (TransportAddress.default_pipe_name("maya", 123), "pipe://" + PIPE + "dcc-mcp-maya-123",
         "pipe"),
    ],
)  # fmt: skip
def test_texts_of_an_address(address, text, scheme):
    assert address.to_connection_string() == str(address) == text
    assert repr(address) == "TransportAddress({})".format(text)
    assert address.scheme == scheme
    assert TransportAddress.parse(text) == address
    assert (address.is_tcp, address.is_named_pipe, address.is_unix_socket) == (
        scheme == "tcp",
        scheme == "pipe",
        scheme == "unix",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tcp://localhost", "missing host in 'tcp://localhost'"),
        ("tcp://", "missing host in 'tcp://'"),
        ("tcp://h:", "invalid port '' in 'tcp://h:'"),
        ("tcp://h:65536", "invalid port '65536' in 'tcp://h:65536'"),
        ("tcp://h:-1", "invalid port '-1' in 'tcp://h:-1'"),
        ("tcp://h: 1", "invalid port ' 1' in 'tcp://h: 1'"),
        ("tcp://h:1_0", "invalid port '1_0' in 'tcp://h:1_0'"),
        ("tcp://h:\u0661", "invalid port '\u0661' in 'tcp://h:\u0661'"),
        ("tcp://[::1]", "invalid port '1]' in 'tcp://[::1]'"),
        ("TCP://h:1", "unknown scheme in 'TCP://h:1'; expected tcp://, pipe://, or unix://"),
        ("h:1", "unknown scheme in 'h:1'; expected tcp://, pipe://, or unix://"),
        ("", "unknown scheme in ''; expected tcp://, pipe://, or unix://"),
    ],
)
def test_parse_says_what_is_wrong(text, problem):
    with pytest.raises(ValueError) as caught:
        TransportAddress.parse(text)
    assert str(caught.value) == problem


def test_parse_takes_the_port_after_the_last_colon_and_the_rest_as_it_is():
    assert TransportAddress.parse("tcp://::1:80") == TransportAddress.tcp("::1", 80)
    assert TransportAddress.parse("tcp://:80").host == ""
    assert TransportAddress.parse("tcp://h:+080").port == 80
    assert TransportAddress.parse("unix://").path == ""
    assert TransportAddress.parse("unix://a b:1").path == "a b:1"
    assert TransportAddress.parse("pipe://").path == PIPE


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("1127.0.0.1", False),
        ("render-01", False),
        ("", False),
    ],
)
def test_local_hosts(host, local):
    assert TransportAddress.tcp(host, 1).is_local is local


def test_sockets_and_pipes_are_local():
    assert TransportAddress.unix_socket("/x").is_local
    assert TransportAddress.named_pipe("x").is_local


def test_equal_and_hashed_by_value():
    one, same = TransportAddress.tcp("::1", 1), TransportAddress.tcp("[::1]", 1)
    assert one == same and hash(one) == hash(same)
    assert one != TransportAddress.tcp("::1", 2)
    assert TransportAddress.unix_socket(PIPE) != TransportAddress.named_pipe(PIPE)
    assert one != "tcp://[::1]:1"
    assert {one: "found"}[same] == "found"
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


def test_attributes():
    address = TransportAddress.tcp("h", 7)
    assert (address.host, address.port, address.path) == ("h", 7, None)
    address = TransportAddress.unix_socket("/x")
    assert (address.host, address.port, address.path) == (None, None, "/x")
    with pytest.raises(AttributeError):
        address.port = 3


@pytest.mark.parametrize("port", [-1, 65536, 1 << 70])
def test_a_port_out_of_range(port):
    with pytest.raises(OverflowError):
        TransportAddress.tcp("h", port)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TransportAddress.tcp("h", "1"),
        lambda: TransportAddress.tcp("h", 1.0),
        lambda: TransportAddress.tcp(b"h", 1),
        lambda: TransportAddress.parse(None),
        lambda: TransportAddress.unix_socket(b"/x"),
        lambda: TransportAddress.default_local(3, 4),
        lambda: TransportAddress.default_local("maya", None),
    ],
)
def test_arguments_of_a_wrong_type(make):
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    "make",
    [
        TransportAddress.unix_socket,
        TransportAddress.named_pipe,
        lambda path: TransportAddress.parse("unix://" + path),
        lambda path: TransportAddress.parse("pipe://" + path),
    ],
)
@pytest.mark.parametrize("path", ["/tmp/a\0b", "\0abstract"])
def test_a_path_with_a_nul_would_be_another_one(make, path):
    with pytest.raises(ValueError, match="must not contain a NUL"):
        make(path)


def test_pid_out_of_range():
    with pytest.raises(OverflowError):
        TransportAddress.default_unix_socket("maya", 1 << 32)


def test_the_default_socket_is_in_the_users_own_directory():
    address = TransportAddress.default_unix_socket("maya", 123)
    directory, name = os.path.split(address.path)
    assert name == "dcc-mcp-maya-123.sock"
    assert directory in private_directories()
    assert str(getattr(os, "getuid", lambda: "")()) in os.path.basename(directory)


@given(st.text(), st.integers(0, 2**32 - 1))
@example("\udc80/..", 0)
def test_a_default_socket_never_leaves_its_directory_nor_gets_too_long(dcc_type, pid):
    path = TransportAddress.default_unix_socket(dcc_type, pid).path
    assert os.path.dirname(os.path.abspath(path)) in private_directories()
    assert len(os.fsencode(path)) <= 100
    assert "\0" not in path


@given(st.text(max_size=12), st.text(max_size=12))
def test_two_kinds_of_host_have_two_default_sockets(one, other):
    paths = {TransportAddress.default_unix_socket(kind, 1).path for kind in (one, other)}
    assert len(paths) == len({one, other})


def test_a_long_temporary_directory_is_passed_over(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/" + "t" * 90)
    path = TransportAddress.default_unix_socket("maya", 1).path
    assert path.startswith("/tmp/dcc-mcp-")
    assert os.path.dirname(path) in private_directories()


@given(st.text(), st.integers(0, 65535))
@example("[[x]]", 1)
@example("[[:]]", 1)
def test_what_is_written_is_read_back(host, port):
    address = TransportAddress.tcp(host, port)
    assert TransportAddress.parse(str(address)) == address


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    ("scheme", "posix", "windows_kind"),
    [
        (TransportScheme.AUTO, "unix", "pipe"),
        (TransportScheme.TCP_ONLY, "tcp", "tcp"),
        (TransportScheme.PREFER_NAMED_PIPE, "tcp", "pipe"),
        (TransportScheme.PREFER_UNIX_SOCKET, "unix", "tcp"),
        (TransportScheme.PREFER_IPC, "unix", "pipe"),
    ],
)
def test_select_address(monkeypatch, windows, scheme, posix, windows_kind):
    monkeypatch.setattr(module, "_WINDOWS", windows)
    chosen = scheme.select_address("maya", "127.0.0.1", 1, pid=42)
    assert chosen.scheme == (windows_kind if windows else posix)
    for address in (
        scheme.select_address("maya", "render-01", 1, pid=42),
        scheme.select_address("maya", "127.0.0.1", 1),
        scheme.select_address("maya", "localhost", 1, pid=0),
    ):
        assert address.is_tcp


def test_the_default_of_the_system(monkeypatch):
    monkeypatch.setattr(module, "_WINDOWS", True)
    assert str(TransportAddress.default_local("maya", 123)) == "pipe://" + PIPE + "dcc-mcp-maya-123"
    monkeypatch.setattr(module, "_WINDOWS", False)
    assert TransportAddress.default_local("maya", 1) == TransportAddress.default_unix_socket(
        "maya", 1
    )


def test_schemes_as_values():
    assert [str(scheme) for scheme in TransportScheme] == [
        "AUTO",
        "TCP_ONLY",
        "PREFER_NAMED_PIPE",
        "PREFER_UNIX_SOCKET",
        "PREFER_IPC",
    ]
    assert repr(TransportScheme.AUTO) == "TransportScheme.AUTO"
    assert [int(scheme) for scheme in TransportScheme] == [0, 1, 2, 3, 4]
    assert TransportScheme.AUTO == TransportScheme.AUTO
    assert TransportScheme.AUTO != 0
    assert isinstance(TransportScheme.AUTO, TransportScheme)
