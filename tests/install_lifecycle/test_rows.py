"""The registry's file as installers read it: the very rows that the registry's own code finds."""

from __future__ import annotations

import codecs
import json
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcc_mcp_embed.install_lifecycle import rows
from dcc_mcp_embed.registry import document
from dcc_mcp_embed.registry import rows as registry_rows
from fakes.registry import ID, Opened, raw_row

IDS = ["{:08x}-0000-4000-8000-000000000000".format(number) for number in range(4)]
PEERS = [raw_row(instance_id=one, scene='"[{é}]", \\', last_heartbeat=1.5) for one in IDS]
GOOD = json.dumps(PEERS, indent=1, ensure_ascii=False).encode("utf-8")
ABSURD = ["9" * 400, "-1", "1e999", "1e308", "-0.5", "true", '"now"', "null", "[]"]
ABSURD += ['{{"secs_since_epoch":{},"nanos_since_epoch":0}}'.format(one) for one in ABSURD]


def deep(levels):
    row = raw_row(extras=json.loads('{"a":' * (levels - 2) + "{}" + "}" * (levels - 2)))
    return json.dumps([row, PEERS[1]]).encode()


#: What a file may hold, good or bad.
CONTENTS = {
    "empty": b"",
    "blank": b" \n\n\t",
    "no rows": b"[]",
    "good": GOOD,
    "marked": codecs.BOM_UTF8 + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "half UTF-16": GOOD.decode().encode("utf-16")[:-7],
    "truncated": GOOD[: len(GOOD) // 2],
    "no end": GOOD[:-2],
    "padded": GOOD + b"\0" * 4096,
    "only NUL": b"\0" * 4096,
    "overwritten": json.dumps(PEERS[:1]).encode() + GOOD[-400:],
    "older behind": json.dumps([dict(PEERS[0], last_heartbeat=9)]).encode() + GOOD,
    "older before": GOOD + json.dumps([dict(PEERS[0], last_heartbeat=9)]).encode(),
    "merge": b"<<<<<<< mine\n" + GOOD + b"\n=======\n[]\n>>>>>>> theirs",
    "text": b"not a registry",
    "null": b"null",
    "number": b"17",
    "binary": bytes(range(256)) * 8,
    "no text in a row": GOOD.replace(b"18812", b'"\xff\xfe"', 1),
    "no JSON in a row": GOOD.replace(b"18812", b"NaN", 1),
    "a row without its end": GOOD.replace(b"}", b"", 1),
    "no object": json.dumps([PEERS[0], 7, PEERS[1]]).encode(),
    "two commas": GOOD.replace(b"},", b"},,", 1),
    "other spellings": json.dumps(
        [
            raw_row(instance_id=ID.upper()),
            raw_row(dcc_type="b", instance_id="{" + ID + "}"),
            raw_row(dcc_type="c", instance_id="urn:uuid:" + ID),
            raw_row(dcc_type="d", instance_id=ID.replace("-", "")),
        ]
    ).encode(),
    "twice the same": json.dumps([*PEERS, dict(PEERS[1], port=1)]).encode(),
    "newer rows": json.dumps([*PEERS, raw_row(schema_version=2, colour="new")]).encode(),
    "newer rows, damaged": json.dumps([*PEERS, raw_row(schema_version=2)]).encode() + b"\0\0",
    "newer layout": json.dumps({"schema_version": 2, "services": PEERS}).encode(),
    "newer layout, deep": b'{"a":' * 70 + b"1" + b"}" * 70,
    "63 levels": deep(63),
    "64 levels": deep(64),
    "65 levels": deep(65),
    "65 levels, damaged": deep(65) + b"x",
    "nested without end": b'[{"a":' * 1500,
    "a number without end": GOOD.replace(b"18812", b"9" * 5000, 1),
}


def told(content):
    """Return what the registry's own code says of a content, in comparable form."""
    found = document.parse(content)
    listed = {row.key: row.value for row in found.rows if row.key is not None}
    return list(listed.items()), bool(found.damage), bool(found.newer)


def read(content):
    found = rows.parse(content)
    addressable = [(key, row) for key, row in found.rows if key is not None]
    return addressable, bool(found.damage), bool(found.newer)


@pytest.mark.parametrize("name", CONTENTS)
def test_the_registrys_own_code_finds_the_same(name):
    assert read(CONTENTS[name]) == told(CONTENTS[name])


@given(st.binary(max_size=200))
def test_nothing_is_raised_for_any_bytes(content):
    assert read(content) == told(content)


@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=8))
@example(0, 1, b"")
@example(len(GOOD), 0, b'{"')
def test_the_same_is_left_of_a_wounded_file(start, length, filling):
    content = GOOD[:start] + filling + GOOD[min(len(GOOD), start + length) :]
    assert read(content) == told(content)


@given(st.lists(st.sampled_from(ABSURD), min_size=1, max_size=3), st.sampled_from([b"]", b""]))
def test_absurd_times_are_taken_alike(moments, end):
    texts = [json.dumps(raw_row(last_heartbeat="@")).replace('"@"', one) for one in moments]
    content = b"[" + ",".join(texts).encode() + end
    assert read(content) == told(content)
    for moment in moments:
        value = json.loads(moment)
        assert rows.moment(value) == registry_rows.seconds_of(value)


def test_rows_that_cannot_be_addressed_are_listed_of_a_valid_file_only():
    """The reference lists them, and they may be all that tells of a process."""
    strange = [{"dcc_type": "maya", "instance_id": "first"}, {"pid": 7}]
    content = json.dumps([strange[0], PEERS[0], strange[1]]).encode()
    assert rows.parse(content).rows == [
        (None, strange[0]),
        (("maya", IDS[0]), PEERS[0]),
        (None, strange[1]),
    ]
    assert rows.parse(content[:-1]).rows == [(("maya", IDS[0]), PEERS[0])]


@pytest.mark.parametrize(
    "piece",
    [b"{", b'{"a":', b"[", b'{"dcc_type":"', b"{},", b'{"a":' + b"[" * 900 + b"]" * 900 + b","],
)
@pytest.mark.parametrize("size", [10_000, pytest.param(50_000, marks=pytest.mark.heavy)])
def test_hostile_text_is_given_up_without_rows(piece, size):
    assert rows.parse(piece * (size // len(piece))).rows == []


def test_a_search_ends_with_its_budget():
    good = json.dumps(raw_row()).encode()
    content = b"[7," + b'{"a":{}},' * 100 + good
    assert rows.parse(content, 2_000_000).rows != []
    assert rows.parse(content, 200_000).rows == []


@pytest.mark.heavy
def test_a_file_with_rows_beyond_number_is_damaged():
    assert "more than 100000 rows" in str(rows.parse(b"[" + b"{}," * 100_000 + b"{}]").damage)


# The file itself.


@pytest.fixture
def opened(tmp_path):
    with Opened(tmp_path / "registry") as one:
        yield one


def no_sleep(seconds):
    raise AssertionError("waited for what is whole")


def test_a_file_that_is_not_there_has_no_rows(opened):
    found = rows.read(opened.directory, no_sleep)
    assert (found.rows, found.damage, found.newer) == ([], None, None)
    assert rows.read(os.path.join(opened.directory, "none"), no_sleep).rows == []


def test_a_whole_file_is_read_at_once(opened):
    opened.write(*PEERS)
    found = rows.read(opened.directory, no_sleep)
    assert [row for _key, row in found.rows] == PEERS


def test_a_half_written_file_is_waited_for(opened):
    opened.write_bytes(GOOD[:-9])
    slept = []

    def writer_goes_on(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            opened.write_bytes(GOOD)

    assert len(rows.read(opened.directory, writer_goes_on).rows) == 4
    assert len(slept) == 3


def test_a_damaged_file_is_searched_once(opened, monkeypatch):
    """Which may take long, and would be in vain while somebody writes it."""
    opened.write_bytes(GOOD[:-9])
    parsed, parse = [], rows.parse

    def noted(data, budget=rows._BUDGET):
        parsed.append((len(data), budget > 0))
        return parse(data, budget)

    def writer_goes_on(seconds):
        if seconds == 0.010:
            opened.write_bytes(GOOD[:-8])

    monkeypatch.setattr(rows, "parse", noted)
    assert len(rows.read(opened.directory, writer_goes_on).rows) == 3
    length = len(GOOD)
    assert parsed == [(length - 9, False), (length - 8, False), (length - 8, True)]


def test_a_damaged_file_is_waited_for_as_long_as_the_registry_does_and_left_alone(opened):
    opened.write_bytes(GOOD[:-9])
    slept = []
    found = rows.read(opened.directory, slept.append)
    assert [key for key, _row in found.rows] == [("maya", one) for one in IDS[:-1]]
    opened.registry.entries()
    assert slept == opened.clock.slept
    with open(opened.path, "rb") as file:
        assert file.read() == GOOD[:-9]


@pytest.mark.skipif(os.name == "nt", reason="POSIX")
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_damage(opened, kind, tmp_path):
    if kind == "link":
        (tmp_path / "victim").write_bytes(GOOD)
        os.symlink(str(tmp_path / "victim"), opened.path)
    else:
        (os.mkdir if kind == "folder" else os.mkfifo)(opened.path)
    found = rows.read(opened.directory, lambda seconds: None)
    assert found.rows == [] == opened.registry.entries()
    assert str(found.damage) in str(opened.registry.doubt())


@pytest.mark.heavy
def test_what_is_longer_than_any_registry_is_damage(opened):
    opened.write_bytes(GOOD[:-1] + b" " * (16 * 1024 * 1024) + b"]")
    found = rows.read(opened.directory, lambda seconds: None)
    assert bool(found.damage) and len(found.rows) == 4
    assert len(opened.registry.entries()) == 4
