"""The file as text: untouched rows are untouched, and damage costs nobody a whole row."""

from __future__ import annotations

import codecs
import inspect
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.registry.document import Document, parse, render, row_of
from dcc_mcp_embed.registry.draft import Draft
from dcc_mcp_embed.registry.entry import ServiceEntry
from examples import SHARE
from fakes.registry import ID, raw_row
from server.forking import run

IDS = ["{:08x}-0000-4000-8000-000000000000".format(number) for number in range(6)]
ROWS = [raw_row(instance_id=one, scene='"[{é}]", \\') for one in IDS]
KEYS = [("maya", one) for one in IDS]
GOOD = json.dumps(ROWS, indent=2, ensure_ascii=False).encode("utf-8")


def keys(document):
    return [row.key for row in document.rows]


def test_what_nobody_changed_is_written_as_it_was():
    odd = (
        '{"port" : 1.50,"instance_id":"%s", "dcc_type":"x","n":1e2,"n":1234567890123456789.5}' % ID  # noqa: UP031
    )
    document = parse(("[" + odd + " , \n" + json.dumps(raw_row()) + "]").encode())
    draft = Draft(document.rows)
    draft.put(("maya", ID), raw_row(port=7))
    assert odd in render(draft).decode()
    assert parse(render(draft)).rows[1].value["port"] == 7


@pytest.mark.parametrize("content", [b"", b" \n", b"[]", b"\n[ ]\n", codecs.BOM_UTF8 + b"[]"])
def test_no_rows(content):
    assert parse(content) == Document()
    assert render([]) == b"[]"


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + GOOD,
        GOOD.decode("utf-8").encode("utf-16"),
        GOOD.decode("utf-8").encode("utf-32"),
        json.dumps(ROWS).encode(),
        b"\n" + GOOD + b"\r\n\t ",
    ],
    ids=["BOM", "UTF-16", "UTF-32", "one line", "space"],
)
def test_other_spellings_are_no_damage(content):
    document = parse(content)
    assert (keys(document), document.damage, document.newer) == (KEYS, None, None)


@pytest.mark.parametrize(
    "content",
    [
        GOOD + b"\0" * 100,
        GOOD + GOOD,
        GOOD[:-1],
        GOOD[1:],
        GOOD.replace(b"},\n  {", b"}\n  {", 1),
        GOOD.replace(b"[", b"[nonsense,", 1),
        GOOD.replace(b"[", b"[7, null,", 1),
        b"\xff\xfe\xfd" + GOOD,
        codecs.BOM_UTF8 + codecs.BOM_UTF8 + GOOD,
        b"<<<<<<< HEAD\n" + GOOD,
    ],
    ids=["NUL", "twice", "no end", "no begin", "comma", "word", "values", "bytes", "BOMs", "merge"],
)
def test_damage_around_rows_costs_none(content):
    document = parse(content)
    assert document.damage
    assert sorted(keys(document)) == KEYS
    assert parse(render(document.rows)).damage is None


def test_damage_inside_a_row_costs_that_row():
    for broken in (b"\xff", b"\0", b"\n", b'"'):
        content = GOOD.replace(b'"2025"', b'"20' + broken + b'25"', 1)
        assert content != GOOD
        document = parse(content)
        assert document.damage
        assert keys(document) == KEYS[1:]
        assert parse(render(document.rows)).damage is None


def test_what_other_readers_call_no_json_is_damage():
    content = GOOD.replace(b'"port": 18812', b'"port": NaN', 1)
    assert parse(content).damage
    assert keys(parse(content)) == KEYS[1:]


@pytest.mark.parametrize("content", [b"null", b"7", b'"text"', b"\0" * 50, b"garbage", b"{"])
def test_what_holds_no_rows_is_damage(content):
    document = parse(content)
    assert document.damage
    assert document.rows == ()
    assert document.newer is None


def test_inner_objects_of_a_broken_row_are_no_rows():
    inner = json.dumps([raw_row(extras={"a": {"b": 1}}), ROWS[1]])
    document = parse(inner.replace('"port": 18812', '"port": ', 1).encode())
    assert keys(document) == [KEYS[1]]
    # Not even one that looks like a row, as long as the row it is in is whole.
    nested = json.dumps([raw_row(extras={"copy": ROWS[2]})]).encode() + b"\0"
    assert keys(parse(nested)) == [("maya", ID)]


def test_what_an_overwritten_longer_file_leaves_behind_does_not_win():
    def at(seconds):
        return {"secs_since_epoch": seconds, "nanos_since_epoch": 0}

    new = json.dumps([raw_row(port=2, last_heartbeat=at(200))]).encode()
    old = json.dumps(
        [raw_row(instance_id=IDS[1]), raw_row(port=1, last_heartbeat=at(100))]
    ).encode()
    document = parse(new + old[-len(json.dumps(raw_row())) - 2 :])
    assert document.damage
    assert [row.value["port"] for row in document.rows] == [2]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"schema_version": 2, "services": []}', "object"),
        (json.dumps([raw_row(), raw_row(schema_version=2)]).encode(), "schema 2"),
        (json.dumps([raw_row(), raw_row(schema_version=2)]).encode() + b"\0", "schema 2"),
    ],
)
def test_a_newer_file_is_recognised(content, words):
    document = parse(content)
    assert words in document.newer
    assert all(row.key is None for row in document.rows if "schema_version" in row.value)


HOSTILE = (
    b"{",
    b'{"a":',
    b"[",
    b'[{"a":[',
    b'{"dcc_type":"',
    b'{"a":' + b"[" * 900 + b"]" * 900 + b",",
)


@pytest.mark.parametrize("piece", HOSTILE, ids=lambda piece: piece.decode()[:20])
def test_hostile_text_costs_little(piece):
    assert parse(piece * (300_000 // SHARE // len(piece))).rows == ()


#: Damaged texts that are expensive to search: whole objects that are no rows, one inside the other,
#: with constants that are no JSON, around a text without an end or with one.
EXPENSIVE = {
    "empty": b"{}," * 30_000,
    "nest": (b'{"a":' * 900 + b"1" + b"}" * 900 + b",") * 13,
    "constants": (b'{"a":' * 900 + b"NaN" + b"}" * 900 + b",") * 13,
    "deep": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b",") * 2,
    "no end": b'{"a":' * 900 + b'"' + b"x" * 100_000 + b"\n,",
    "long": b'{"a":' * 900 + b'"' + b"x" * 100_000 + b'"' + b"," * 900,
}
#: A tenth of what a search may take, as these are a tenth of what takes a second or more.
STEPS = inspect.signature(parse).parameters["budget"].default // 10


@pytest.mark.parametrize("name", EXPENSIVE)
def test_a_search_takes_only_so_many_steps(name):
    """Shown by the row that stands behind what was too much, and is not found any more."""
    good = json.dumps(raw_row()).encode()
    assert keys(parse(b"[7," + EXPENSIVE[name] + good, STEPS)) == []
    if name != "no end":
        assert keys(parse(b"[7," + good + b",7," + EXPENSIVE[name], STEPS)) == [("maya", ID)]


NESTED = """
import gc
from dcc_mcp_embed.registry.document import parse
gc.callbacks.append(lambda phase, info: None)
gc.set_threshold(7)
for content in (b'[{"a":' * 5000, b'{"a":' * 5000, b'[7,' + b'{"a":' * 5000 + b'{},' * 99):
    assert parse(content).rows == ()
"""


def test_what_is_nested_without_end_leaves_the_stack_alone(tmp_path):
    """Up to Python 3.8 a collector's callback that overflows a full stack ends the process."""
    done = run(NESTED, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_every_step_of_a_search_counts():
    good = json.dumps(raw_row()).encode()
    for piece in (b"{},", b'{"a": NaN},', b'{"a" 1},', b'{"a":{}},'):
        content = b"[7," + piece * 100 + good
        assert keys(parse(content, budget=1_000_000)) == [("maya", ID)]
        assert keys(parse(content, budget=250_000)) == []


def test_every_step_of_a_look_for_depth_counts():
    good = json.dumps(raw_row()).encode()
    for filling in (b"[]" * 1000, b'""' * 1000, b'"' + b"x" * 50_000 + b'"'):
        content = b"[7," + b"{x" * 30 + filling + b"}" * 30 + good
        assert keys(parse(content, budget=20_000_000)) == [("maya", ID)]
        assert keys(parse(content, budget=1_000_000)) == []


def test_a_text_of_escapes_takes_no_room_for_each():
    content = b'[7,{"a":"' + b"\\\\" * 100_000 + b'"}]'
    tracemalloc.start()
    try:
        assert parse(content).rows == ()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10 * len(content)


def nested(depth):
    return json.loads('{"a":' * (depth - 1) + "{}" + "}" * (depth - 1))


@pytest.mark.parametrize("around", ["", "\0"], ids=["whole", "damaged"])
@pytest.mark.parametrize("filling", ["", "long " * 2000])
def test_a_row_may_be_64_deep(around, filling):
    for depth, found in ((63, [("maya", ID)]), (64, [])):
        row = raw_row(scene=filling, extras=nested(depth))
        document = parse((json.dumps([row]) + around).encode())
        assert keys(document) == found
        assert bool(document.damage) == (around != "" or not found)


@pytest.mark.parametrize("around", ["", "\0"], ids=["whole", "damaged"])
@pytest.mark.parametrize(
    "text", ["[{" * 99, "}]" * 99, '"[{' * 99, '\\"{' * 99, "{" * 99 + "\\", "\\\\[" * 2000]
)
def test_what_stands_in_texts_is_not_depth(around, text):
    row = raw_row(scene=text, display_name="[" + text, extras=nested(60))
    document = parse((json.dumps([row, ROWS[1]]) + around).encode())
    assert [one.value for one in document.rows] == [row, ROWS[1]]


def test_as_many_rows_as_a_file_can_hold_are_all_found():
    many = [
        json.dumps(raw_row(instance_id="{:08x}".format(n) + IDS[0][8:], scene="s" * 8000))
        for n in range(1900)
    ]
    content = ("[" + ",".join(many)).encode()
    assert len(content) > 15 * 1024 * 1024
    assert len(parse(content).rows) == 1900
    # Also among many that are broken.
    for place in range(0, 200, 2):
        many[place] = many[place].replace("18812", "NaN")
    assert len(parse(("[" + ",".join(many[:200])).encode()).rows) == 100


def test_sixteen_megabytes_of_ordinary_rows_take_no_more_steps_than_there_are():
    """Shown by a sixteenth of both."""
    many = [
        json.dumps(raw_row(instance_id="{:08x}".format(n) + IDS[0][8:])).encode()
        for n in range(2400)
    ]
    content = b"[" + b",".join(many)
    steps = STEPS * 10 * len(content) // (16 * 1024 * 1024)
    assert len(parse(content, steps).rows) == len(many)


@pytest.mark.heavy
def test_a_valid_row_may_be_as_large_as_the_file():
    row = raw_row(extras={"names": [""] * 4_500_000})
    content = json.dumps([row, raw_row()], separators=(",", ":")).encode()
    assert 10 * 1024 * 1024 < len(content) < 16 * 1024 * 1024
    document = parse(content)
    assert document.damage is None
    assert len(document.rows) == 2


@pytest.mark.edges
def test_a_file_with_rows_beyond_number_is_damaged():
    document = parse(b"[" + b"{}," * 100_000 + b"{}]")
    assert "more than 100000 rows" in document.damage
    assert parse(b"[" + b"{}," * 99_999 + b"{}]").damage is None


#: Numbers for which some program has no room, as they may stand in a file.
ABSURD = ["9" * 400, "-1", "1e999", "-1e999", "1e308", "-0.5", str(2**64), "9" * 5000, "1e-400"]
absurd = st.sampled_from(ABSURD)
moments = st.one_of(
    absurd,
    st.builds('{{"secs_since_epoch":{},"nanos_since_epoch":{}}}'.format, absurd, absurd),
    st.builds('{{"secs_since_epoch":1,"nanos_since_epoch":{}}}'.format, absurd),
)


@given(st.lists(moments, min_size=1, max_size=4), st.sampled_from([b"]", b"", b"]\0"]))
def test_no_number_is_too_absurd(found, end):
    texts = [
        json.dumps(raw_row(last_heartbeat="@", registered_at="@")).replace('"@"', moment)
        for moment in found
    ]
    document = parse(b"[" + ",".join(texts).encode() + end)
    for row in document.rows:
        entry = ServiceEntry(row.value)
        assert 0 <= entry.last_heartbeat_ms < 2**64 * 1000
        entry.to_dict()
    if max(map(len, texts)) < 4000:
        assert set(keys(document)) == {("maya", ID)}


@given(st.binary(max_size=400))
def test_nothing_is_raised_for_any_bytes(content):
    document = parse(content)
    assert parse(render(document.rows)).damage is None


@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=8))
def test_a_wound_costs_only_the_rows_it_touches(start, length, filling):
    end = min(len(GOOD), start + length)
    document = parse(GOOD[:start] + filling + GOOD[end:])
    whole = []
    for key, row in zip(KEYS, parse(GOOD).rows):
        place = GOOD.index(row.text.encode("utf-8"))
        if place + len(row.text.encode("utf-8")) <= start or place >= end:
            whole.append(key)
    found = keys(document)
    # Filling may open a text that swallows what follows it; nothing before it is ever lost.
    before = [key for key in whole if GOOD.index(key[1].encode()) < start]
    assert before == [key for key in found if key in before]
    if not set(filling) & set(b'"\\{'):
        assert [key for key in found if key in whole] == whole


def test_draft_changes_rows_by_key():
    draft = Draft(parse(GOOD).rows)
    assert draft.get(KEYS[2]) == ROWS[2]
    assert draft.get(("houdini", IDS[2])) is None
    draft.put(KEYS[2], dict(ROWS[2]))
    assert not draft.changed
    draft.put(KEYS[2], raw_row(instance_id=IDS[2], port=3))
    assert draft.changed
    assert draft.remove(KEYS[0])
    assert not draft.remove(KEYS[0])
    draft.put(("blender", ID), raw_row(dcc_type="blender"))
    assert [row.key for row in draft] == [*KEYS[1:], ("blender", ID)]
    assert draft.get(KEYS[2])["port"] == 3
    with pytest.raises(ValueError):
        draft.put(KEYS[1], raw_row(instance_id=IDS[1], port="x"))


def test_of_two_rows_with_one_key_the_later_counts_and_both_go():
    draft = Draft([row_of(raw_row(port=1)), row_of(raw_row(port=2))])
    assert draft.get(("maya", ID))["port"] == 2
    assert draft.remove(("maya", ID))
    assert list(draft) == []
