"""The journal's file: whole or as it was, damage kept and said, nobody else's."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time

import pytest

from dcc_mcp_embed.install_lifecycle import journal as module
from dcc_mcp_embed.install_lifecycle.journal import (
    Journal,
    JournalError,
    parse,
)


def entry(number, **changes):
    found = {
        "id": "id{}".format(number),
        "operation": {"operation": "remove_tree", "path": "/a/{}".format(number)},
        "identity": None,
        "machine": None,
        "scheduled_at": 1.5,
        "attempts": 0,
        "last_attempt_at": None,
        "last_error": None,
        "given_up": False,
    }
    found.update(changes)
    return found


@pytest.fixture
def home(tmp_path):
    return tmp_path / "data" / "home"


@pytest.fixture
def journal(home):
    return Journal(str(home), time.monotonic, time.sleep)


def put(journal, *entries):
    return journal.change(lambda _: list(entries))


def damage(journal, data):
    put(journal, entry(1))
    with open(journal.path, "wb") as stream:
        stream.write(data)


def files(home):
    return sorted(os.listdir(str(home)))


def test_nothing_is_there_until_something_is_owed(journal, home) -> None:
    assert not journal.exists()
    assert journal.read().entries == []
    assert journal.damaged_files() == []
    assert not home.exists()


def test_what_is_written_is_read_by_the_next(journal, home) -> None:
    written = put(journal, entry(1), entry(2, operation=entry(3)["operation"]))
    assert journal.exists()
    again = Journal(str(home), time.monotonic, time.sleep)
    assert again.read().entries == written
    assert again.read().damage is None
    with open(journal.path, encoding="ascii") as stream:
        assert json.load(stream)["version"] == 1
    assert files(home) == ["journal.json", "journal.lock"]


def test_name_that_is_no_text_comes_back(journal) -> None:
    path = os.fsdecode(b"/a/\xff\xc3\xa9")
    put(journal, entry(1, operation={"operation": "remove_tree", "path": path}))
    assert journal.read().entries[0]["operation"]["path"] == path


def test_empty_journal_is_no_file(journal, home) -> None:
    put(journal, entry(1))
    put(journal)
    assert not journal.exists()
    assert files(home) == ["journal.lock"]
    put(journal)  # nor is there one to delete


def test_unchanged_journal_is_not_written(journal) -> None:
    put(journal, entry(1))
    before = os.stat(journal.path).st_ino
    journal.change(lambda entries: entries)
    assert os.stat(journal.path).st_ino == before


def test_edit_that_raises_changes_nothing(journal) -> None:
    put(journal, entry(1))

    def edit(entries):
        entries.clear()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        journal.change(edit)
    assert journal.read().entries == [entry(1)]
    put(journal, entry(2))  # and the lock is free


def test_left_over_half_of_a_killed_writer_is_replaced(journal, home) -> None:
    put(journal, entry(1))
    (home / "journal.json.new").write_bytes(b"{")
    put(journal, entry(2))
    assert journal.read().entries == [entry(2)]
    assert files(home) == ["journal.json", "journal.lock"]


def test_journal_is_the_users_own(journal, home) -> None:
    put(journal, entry(1))
    assert stat.S_IMODE(os.stat(str(home)).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(journal.path).st_mode) == 0o600


def test_open_directory_is_closed_to_others(journal, home) -> None:
    home.mkdir(parents=True)
    os.chmod(str(home), 0o777)
    put(journal, entry(1))
    assert stat.S_IMODE(os.stat(str(home)).st_mode) == 0o700


def test_journal_that_others_may_write_is_not_trusted(journal) -> None:
    put(journal, entry(1))
    os.chmod(journal.path, 0o666)
    for use in (journal.read, lambda: put(journal, entry(2))):
        with pytest.raises(JournalError, match="remove it") as raised:
            use()
        assert raised.value.reason == "journal_unsafe"


def test_link_in_place_of_the_directory_is_refused(journal, home, tmp_path) -> None:
    home.parent.mkdir()
    os.symlink(str(tmp_path), str(home))
    with pytest.raises(JournalError, match="DCC_MCP_EMBED_HOME") as raised:
        put(journal, entry(1))
    assert raised.value.reason == "journal_unsafe"


@pytest.mark.parametrize("use", ["read", "change"])
def test_newer_journal_is_left_alone(journal, home, use) -> None:
    data = json.dumps({"version": 2, "entries": [{"what": "ever"}]}).encode("ascii")
    damage(journal, data)
    with pytest.raises(JournalError, match="newer") as raised:
        journal.read() if use == "read" else put(journal, entry(2))
    assert raised.value.reason == "journal_newer"
    with open(journal.path, "rb") as stream:
        assert stream.read() == data
    assert files(home) == ["journal.json", "journal.lock"]


DAMAGED = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b"null",
    b'{"version": 1}',
    b'{"version": "1", "entries": []}',
    b'{"version": 0, "entries": []}',
    b'{"version": 1, "entries": {}}',
    b"[" * 100000,
]


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:20]))
def test_damaged_journal_is_said_by_a_reader_and_kept_by_a_writer(journal, data) -> None:
    damage(journal, data)
    assert journal.read().entries == []
    assert journal.read().damage
    put(journal, entry(2))
    assert journal.read().entries == [entry(2)]
    assert journal.read().damage is None
    (kept,) = journal.set_aside
    assert journal.damaged_files() == [kept]
    with open(kept, "rb") as stream:
        assert stream.read() == data


def test_good_entries_of_a_damaged_journal_are_still_owed(journal) -> None:
    bad = {"version": 1, "entries": [entry(1), entry(2, attempts="x"), entry(3)]}
    data = json.dumps(bad).encode("ascii")
    damage(journal, data)
    assert journal.read().damage == "attempts is 'x'"
    assert journal.change(lambda entries: entries) == [entry(1), entry(3)]
    assert journal.read().damage is None
    with open(journal.set_aside[0], "rb") as stream:
        assert stream.read() == data


def test_same_damage_is_kept_once_and_other_damage_beside_it(journal) -> None:
    for data in (b"{", b"{", b"["):
        damage(journal, data)
        put(journal)
    assert len(journal.damaged_files()) == 2


def test_too_long_a_journal_is_damaged(journal, monkeypatch) -> None:
    monkeypatch.setattr(module, "_LIMIT", 100)
    put(journal, entry(1))
    assert journal.read().damage == "it is too long"
    put(journal)
    assert len(journal.damaged_files()) == 1
    assert not journal.exists()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_damage_and_is_not_touched(journal, home, tmp_path, kind) -> None:
    home.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    if kind == "link":
        os.symlink(str(precious), journal.path)
    elif kind == "folder":
        os.mkdir(journal.path)
    else:
        os.mkfifo(journal.path)
    assert journal.exists()
    assert journal.read().damage == "it is a link, a folder or a device"
    put(journal, entry(1))
    assert journal.read().entries == [entry(1)]
    assert len(journal.damaged_files()) == 1
    assert precious.read_bytes() == b"mine"


def test_turn_is_had_by_one(journal, home) -> None:
    other = Journal(str(home), time.monotonic, time.sleep)
    turn = journal.turn(0)
    assert other.turn(0) is None
    put(other, entry(1))  # what is owed can be added to all the while
    turn.release()
    again = other.turn(0)
    assert again is not None
    again.release()


def test_turn_is_waited_for(journal, home) -> None:
    turn, slept = journal.turn(0), []

    def sleep(seconds):
        slept.append(seconds)
        turn.release()

    next_turn = Journal(str(home), time.monotonic, sleep).turn(30.0)
    assert next_turn is not None
    assert len(slept) == 1
    next_turn.release()


def test_journal_that_another_finishes_while_it_is_read_is_empty(journal, monkeypatch) -> None:
    put(journal, entry(1))
    real = os.open

    def late(path, *args, **keywords):
        if path == journal.path:
            os.unlink(path)
        return real(path, *args, **keywords)

    monkeypatch.setattr(os, "open", late)
    contents = journal.read()
    assert (contents.entries, contents.damage) == ([], None)


def test_busy_journal_is_given_up_in_time(journal, home) -> None:
    put(journal, entry(1))
    seconds = [0.0]

    def sleep(duration):
        seconds[0] += duration

    waiting = Journal(str(home), lambda: seconds[0], sleep)

    def edit(entries):
        with pytest.raises(JournalError, match="held the journal") as raised:
            put(waiting, entry(2))
        assert raised.value.reason == "journal_busy"
        return entries

    journal.change(edit)
    assert seconds[0] == pytest.approx(2.0)


ADD = """
import sys, time
from dcc_mcp_embed.install_lifecycle.journal import Journal
sys.stdin.readline()
for number in range(25):
    new = {"id": sys.argv[2] + str(number), "identity": None, "scheduled_at": 1, "attempts": 0,
           "last_attempt_at": None, "last_error": None, "given_up": False,
           "operation": {"operation": "remove_tree", "path": "/x"}}
    Journal(sys.argv[1], time.monotonic, time.sleep).change(lambda entries: entries + [new])
"""


def test_processes_that_write_together_lose_nothing(journal, home) -> None:
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, "-c", ADD, str(home), letter], stdin=pipe)
        for letter in "abc"
    ]
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.close()
    assert [process.wait(60.0) for process in processes] == [0, 0, 0]
    ids = {one["id"] for one in journal.read().entries}
    assert ids == {letter + str(number) for letter in "abc" for number in range(25)}
    assert files(home) == ["journal.json", "journal.lock"]


def test_parsing_keeps_what_it_does_not_know() -> None:
    more = entry(1, added_later=[1])
    data = json.dumps({"version": 1, "entries": [more], "also": 2}).encode("ascii")
    assert parse(data).entries == [more]
