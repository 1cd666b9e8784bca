"""Files that are no registry: nothing is raised at a start, and no peer loses a good row."""

from __future__ import annotations

import codecs
import json
import os

import pytest

from dcc_mcp_embed.transport_errors import RegistryFile
from fakes.registry import ID, Opened, raw_row

PEERS = [raw_row(instance_id="{:08x}-0000-4000-8000-000000000000".format(n)) for n in range(3)]
GOOD = json.dumps(PEERS, indent=2).encode()

#: content -> (how many peers' rows it still holds, whether it is kept aside).
DAMAGED = {
    "empty": (b"", 0, False),
    "blank": (b" \n\n", 0, False),
    "BOM": (codecs.BOM_UTF8 + GOOD, 3, False),
    "UTF-16": (GOOD.decode().encode("utf-16"), 3, False),
    "truncated": (GOOD[: len(GOOD) // 2], 1, True),
    "no end": (GOOD[:-2], 3, True),
    "NUL-padded": (GOOD + b"\0" * 4096, 3, True),
    "all NUL": (b"\0" * 4096, 0, True),
    "overwritten": (json.dumps(PEERS[:1]).encode() + GOOD[-400:], 1, True),
    "merge": (b"<<<<<<< mine\n" + GOOD + b"\n=======\n[]\n>>>>>>> theirs", 3, True),
    "text": (b"not a registry", 0, True),
    "null": (b"null", 0, True),
    "binary": (bytes(range(256)) * 8, 0, True),
}


@pytest.fixture
def opened(tmp_path):
    with Opened(tmp_path / "registry") as one:
        yield one


@pytest.mark.parametrize("name", DAMAGED)
def test_peers_keep_their_rows(opened, name):
    content, peers, kept = DAMAGED[name]
    opened.write_bytes(content)
    assert len(opened.registry.entries()) == peers
    assert opened.registry.sweep() == []
    with open(opened.path, "rb") as file:
        assert file.read() == content, "whoever only reads repairs nothing"
    entry = opened.registry.register("houdini", "127.0.0.1", 1)
    assert opened.rows() == [*PEERS[:peers], opened.rows()[-1]]
    assert opened.rows()[-1]["instance_id"] == entry.instance_id
    assert len(opened.corrupted()) == kept
    for aside in opened.corrupted():
        assert aside == "services.json.corrupted-{:.0f}".format(opened.clock.wall() // 1)
        with open(os.path.join(opened.directory, aside), "rb") as file:
            assert file.read() == content
    assert len([text for level, text in opened.logged if level == "warning"]) == kept


#: Numbers that only some readers have room for, as they stand in a file.
ABSURD = {
    "digits": "9" * 400,
    "infinite": "1e999",
    "negative": "-1",
    "object": '{"secs_since_epoch": %s, "nanos_since_epoch": 0}' % ("9" * 400),
    "nanos": '{"secs_since_epoch": 1, "nanos_since_epoch": %s}' % ("9" * 400),
}


@pytest.mark.parametrize("name", ABSURD)
@pytest.mark.parametrize("damaged", [False, True])
def test_absurd_numbers_stop_nobody(opened, name, damaged):
    peer = raw_row(last_heartbeat="@", registered_at="@", pid=os.getpid())
    gone = raw_row(dcc_type="gone", last_heartbeat="@", pid=2**31 - 2)
    absurd = json.dumps([peer, dict(peer, port=2), gone]).replace('"@"', ABSURD[name])
    opened.write_bytes(absurd.encode()[: -1 if damaged else None])
    found = opened.registry.entries()
    assert [one.dcc_type for one in found] == ["maya", "gone"]
    assert [one.to_dict()["status"] for one in found] == ["AVAILABLE", "AVAILABLE"]
    assert [one.dcc_type for one in opened.registry.sweep(stale_after=1.0)] == ["gone"]
    opened.registry.register("houdini", "127.0.0.1", 1, insist=True)
    opened.registry.beat()
    assert [one.dcc_type for one in opened.registry.entries()] == ["maya", "houdini"]


def test_a_beat_repairs_what_was_damaged_since(opened):
    entry = opened.registry.register("houdini", "127.0.0.1", 1)
    opened.write_bytes(GOOD[:-2])
    opened.registry.beat()
    assert [one.instance_id for one in opened.registry.entries()] == [
        *(row["instance_id"] for row in PEERS),
        entry.instance_id,
    ]


def test_a_half_written_file_is_waited_for(opened, monkeypatch):
    opened.write_bytes(GOOD[: len(GOOD) // 2])
    real = opened.clock.sleep

    def writer_goes_on(seconds):
        real(seconds)
        opened.write_bytes(GOOD)

    monkeypatch.setattr(opened.clock, "sleep", writer_goes_on)
    assert len(opened.registry.entries()) == 3
    opened.registry.register("houdini", "127.0.0.1", 1)
    assert opened.corrupted() == []
    assert sum(opened.clock.slept) < 0.1


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"schema_version": 2, "services": PEERS}).encode(),
        json.dumps([*PEERS, raw_row(schema_version=2, colour="new")]).encode(),
        json.dumps([*PEERS, raw_row(schema_version=2)]).encode() + b"\0\0",
    ],
    ids=["object", "rows", "damaged rows"],
)
def test_a_newer_programs_file_is_left_alone(opened, content):
    opened.write_bytes(content)
    assert ID not in [one.instance_id for one in opened.registry.entries()]
    with pytest.raises(RegistryFile, match="left alone"):
        opened.registry.register("houdini", "127.0.0.1", 1)
    entry = opened.registry.register("houdini", "127.0.0.1", 1, insist=True)
    for call in (
        opened.registry.beat,
        lambda: opened.registry.heartbeat("houdini", entry.instance_id),
        lambda: opened.registry.deregister("maya", PEERS[0]["instance_id"]),
    ):
        with pytest.raises(RegistryFile, match="left alone"):
            call()
    with open(opened.path, "rb") as file:
        assert file.read() == content
    assert opened.corrupted() == []
    # Once it is gone, the row that was insisted on appears.
    opened.write(*PEERS)
    opened.registry.beat()
    assert opened.rows()[:3] == PEERS
    assert opened.rows()[3]["instance_id"] == entry.instance_id


def test_whoever_damages_it_again_and_again_does_not_fill_the_disk(opened):
    opened.registry.register("houdini", "127.0.0.1", 1)
    for _ in range(30):
        opened.write_bytes(b"garbage")
        opened.clock.advance(5)
        opened.registry.beat()
    assert len(opened.corrupted()) == 16
    assert len(opened.rows()) == 1


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_is_no_file_is_set_aside(opened, kind, tmp_path):
    victim = tmp_path / "victim"
    if kind == "folder":
        os.mkdir(opened.path)
    elif kind == "pipe":
        os.mkfifo(opened.path)
    else:
        if kind == "link":
            victim.write_bytes(GOOD)
        os.symlink(str(victim), opened.path)
    assert opened.registry.entries() == []
    opened.registry.register("houdini", "127.0.0.1", 1)
    assert len(opened.rows()) == 1
    assert not os.path.islink(opened.path)
    assert len(opened.corrupted()) == 1
    assert victim.exists() == (kind == "link")
    if kind == "link":
        assert victim.read_bytes() == GOOD


def test_where_there_are_no_hard_links_the_damaged_file_is_renamed(opened, monkeypatch):
    def no_links(source, target):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    opened.write_bytes(GOOD[:-2])
    opened.registry.register("houdini", "127.0.0.1", 1)
    assert len(opened.rows()) == 4
    assert len(opened.corrupted()) == 1


def test_a_file_that_cannot_be_read_is_told_in_the_references_words(opened, monkeypatch):
    opened.write(*PEERS)
    real = os.open

    def refuse(path, *rest):
        if path == opened.path:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    for call in (opened.registry.entries, lambda: opened.registry.register("x", "h", 1)):
        with pytest.raises(RegistryFile, match="failed to read .*Permission denied"):
            call()
    opened.registry.register("x", "h", 1, insist=True)


def test_where_nothing_can_be_set_aside_nothing_is_replaced(opened, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    opened.write_bytes(GOOD[:-2])
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        with pytest.raises(RegistryFile, match="failed to keep .*Permission denied"):
            opened.registry.register("houdini", "127.0.0.1", 1)
        entry = opened.registry.register("houdini", "127.0.0.1", 1, insist=True)
    with open(opened.path, "rb") as file:
        assert file.read() == GOOD[:-2]
    opened.registry.beat()
    assert opened.rows()[:3] == PEERS
    assert opened.registry.own() == [("houdini", entry.instance_id)]


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_whoever_insists_survives_any_failure_of_the_system(opened, monkeypatch):
    """Here of the unlocking, whose descriptor somebody has closed."""
    import fcntl

    real = fcntl.flock

    def broken(handle, operation):
        if operation == fcntl.LOCK_UN:
            raise OSError(9, "Bad file descriptor")
        return real(handle, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", broken)
        entry = opened.registry.register("houdini", "127.0.0.1", 1, insist=True)
    assert opened.registry.own() == [("houdini", entry.instance_id)]
    opened.registry.beat()
    assert [one.instance_id for one in opened.registry.entries()] == [entry.instance_id]
