"""Rows: what is written is what the strictest reader of the shared file accepts."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.registry import making, rows
from dcc_mcp_embed.registry.document import row_of
from dcc_mcp_embed.registry.status import ServiceStatus
from examples import examples
from fakes.registry import ID, raw_row

deep, deep_object = [], {}
for _ in range(200):
    deep, deep_object = [deep], {"a": deep_object}

#: One change each that made dcc-mcp-server 0.20.49 throw the whole file away, or would.
POISON = [
    {"port": ...},
    {"port": "18812"},
    {"port": 65536},
    {"port": -1},
    {"port": True},
    {"port": 1.0},
    {"host": ...},
    {"host": None},
    {"dcc_type": ...},
    {"dcc_type": 5},
    {"instance_id": ...},
    {"instance_id": "maya-1"},
    {"registered_at": ...},
    {"last_heartbeat": ...},
    {"last_heartbeat": "2026-01-01T00:00:00Z"},
    {"last_heartbeat": 1700000000},
    {"last_heartbeat": {"secs_since_epoch": -1, "nanos_since_epoch": 0}},
    {"last_heartbeat": {"secs_since_epoch": 1.5, "nanos_since_epoch": 0}},
    {"last_heartbeat": {"secs_since_epoch": 1, "nanos_since_epoch": 10**9}},
    {"last_heartbeat": {"secs_since_epoch": 1}},
    {"metadata": {"sidecar_pid": 5}},
    {"metadata": {"a": True}},
    {"metadata": {"a": None}},
    {"metadata": {"a": {}}},
    {"metadata": None},
    {"metadata": {"a": "\ud800"}},
    {"status": "ready"},
    {"status": "Available"},
    {"status": None},
    {"status": ["available"]},
    {"documents": None},
    {"documents": "a"},
    {"documents": [1]},
    {"pid": "7"},
    {"pid": 2**32},
    {"sentinel_path": 1},
    {"extras": []},
    {"extras": {"a": float("nan")}},
    {"extras": {"a": float("inf")}},
    {"extras": {"a": "\udc80"}},
    {"extras": {"a": deep}},
    {"extras": deep_object},
    {"extras": {"a": 10**400}},
    {"extras": {"a": object()}},
    {"transport_address": {"type": "pigeon"}},
    {"transport_address": {"type": "tcp", "host": "h", "port": 70000}},
    {"schema_version": 2},
    {"colour": {1: 2}},
    {"scene": "\ud800"},
]


@pytest.mark.parametrize("change", POISON, ids=lambda change: str(change)[:60])
def test_poison_is_refused(change):
    with pytest.raises(ValueError):
        row_of(raw_row(**change))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"version": ..., "scene": ..., "metadata": ..., "status": ...},
        {"documents": [], "extras": {"a": [1, 2.5, None, True, {"b": "ü"}]}, "pid": 0},
        {"status": "booting", "schema_version": 1, "capacity": 3, "lease_owner": None},
        {"lease_expires_at": {"secs_since_epoch": 2**40, "nanos_since_epoch": 0}},
        {"transport_address": {"type": "unix_socket", "path": "/x"}, "colour": {"red": 1}},
        {"instance_id": uuid.UUID(ID).hex},
    ],
)
def test_good_rows_pass(change):
    assert json.loads(row_of(raw_row(**change)).text) == raw_row(**change)


UUIDS = [ID, ID.upper(), uuid.UUID(ID).hex, "urn:uuid:" + ID, "{" + ID + "}"]
NO_UUIDS = ["", "maya", ID + "0", ID[:-1], "{" + ID, ID + "}", ID.replace("-", "", 1), " " + ID]


@pytest.mark.parametrize("text", UUIDS)
def test_every_form_of_an_id_is_one_id(text):
    assert rows.uuid_text(text) == ID


@pytest.mark.parametrize("text", NO_UUIDS)
def test_what_is_no_id_is_told(text):
    with pytest.raises(ValueError, match="invalid UUID"):
        rows.uuid_text(text)


@given(st.floats(min_value=0, max_value=2**40))
def test_a_moment_survives_being_written(wall):
    moment = rows.timestamp(wall)
    rows.check(raw_row(last_heartbeat=moment))
    assert rows.seconds_of(moment) == pytest.approx(wall, abs=1e-6)
    assert rows.seconds_of(wall) == wall


@pytest.mark.parametrize(
    "moment",
    [
        *[None, "now", True, {}, {"secs_since_epoch": "1"}, []],
        *[10**400, -(10**400), 2**64, -1, -0.5, 1e308, float("inf"), float("nan")],
        *[{"secs_since_epoch": 10**400}, {"secs_since_epoch": float("inf")}],
        *[{"secs_since_epoch": 1, "nanos_since_epoch": n} for n in (10**400, -1, 2**32, "0")],
    ],
    ids=lambda moment: str(moment)[:40],
)
def test_what_is_no_moment_is_none(moment):
    assert rows.seconds_of(moment) is None
    row = raw_row(last_heartbeat=moment)
    rows.plain_moments(row)
    assert row["last_heartbeat"] is moment


def test_the_greatest_moment_is_one():
    assert rows.seconds_of(2**64 - 1) == 2.0**64
    assert rows.seconds_of({"secs_since_epoch": 2**64 - 1, "nanos_since_epoch": 5}) == 2.0**64


def test_a_row_is_made_in_the_order_of_the_file_without_what_is_absent():
    facts = {"host": "h", "port": 1, "documents": (), "extras": {}, "pid": 7, "scene": "s"}
    facts.update(metadata={"a": "b"}, status=ServiceStatus.BUSY, display_name=None)
    row = making.new_row(("maya", ID), 1700000000.25, facts)
    rows.check(row)
    assert list(row.items()) == [
        ("dcc_type", "maya"),
        ("instance_id", ID),
        ("host", "h"),
        ("port", 1),
        ("version", None),
        ("scene", "s"),
        ("pid", 7),
        ("metadata", {"a": "b"}),
        ("registered_at", {"secs_since_epoch": 1700000000, "nanos_since_epoch": 250000000}),
        ("last_heartbeat", {"secs_since_epoch": 1700000000, "nanos_since_epoch": 250000000}),
        ("status", "busy"),
    ]


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"port": "1"}, TypeError),
        ({"port": True}, TypeError),
        ({"port": 65536}, OverflowError),
        ({"port": -1}, OverflowError),
        ({"pid": 2**32}, OverflowError),
        ({"host": 5}, TypeError),
        ({"status": "busy"}, TypeError),
        ({"metadata": {"a": 1}}, TypeError),
        ({"metadata": {1: "a"}}, TypeError),
        ({"metadata": "ab"}, TypeError),
        ({"documents": "ab"}, TypeError),
        ({"documents": [1]}, TypeError),
        ({"extras": [1]}, TypeError),
        ({"transport_address": "tcp://h:1"}, TypeError),
        ({"colour": "red"}, TypeError),
    ],
)
def test_what_a_caller_gets_wrong_is_told_by_type(facts, error):
    with pytest.raises(error, match=next(iter(facts))):
        making.new_row(("maya", ID), 0.0, facts)


def test_fields_are_changed_and_cleared():
    row = raw_row(display_name="d", metadata={"a": "1", "b": "2"})
    making.apply(row, {"display_name": None, "version": None, "documents": ["x"], "port": 5})
    assert "display_name" not in row
    assert (row["version"], row["documents"], row["port"]) == (None, ["x"], 5)
    making.apply(row, {"merge_metadata": {"a": None, "b": "", "c": "3"}, "documents": None})
    assert row["metadata"] == {"c": "3"}
    assert "documents" not in row
    making.apply(row, {"transport_address": TransportAddress.unix_socket("/x")})
    assert row["transport_address"] == {"type": "unix_socket", "path": "/x"}
    with pytest.raises(TypeError, match="host"):
        making.apply(row, {"host": None})
    rows.check(row)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=examples(30))
@given(
    st.fixed_dictionaries(
        {
            "scene": st.text() | st.none(),
            "metadata": st.dictionaries(st.text(), st.text(), max_size=3),
            "extras": st.dictionaries(st.text(), json_values, max_size=3),
            "documents": st.lists(st.text(), max_size=3),
        }
    )
)
def test_what_passes_the_check_is_strict_json(changes):
    row = raw_row(**changes)
    try:
        text = row_of(row).text
    except ValueError:
        return
    assert json.loads(text.encode("utf-8").decode("utf-8")) == row
