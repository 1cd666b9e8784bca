"""ServiceStatus and ServiceEntry: what scripts written for dcc-mcp-core 0.12 and 0.13 see."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.registry.entry import ServiceEntry
from dcc_mcp_embed.registry.status import ServiceStatus, status_of
from fakes.registry import ID, raw_row


def test_status_is_shown_and_counted_as_in_the_reference():
    names = "AVAILABLE BUSY UNREACHABLE SHUTTING_DOWN BOOTING STALE".split()
    members = [getattr(ServiceStatus, name) for name in names]
    assert [str(member) for member in members] == names
    assert [repr(member) for member in members] == ["ServiceStatus." + name for name in names]
    assert [int(member) for member in members] == list(range(6))
    assert all(isinstance(member, ServiceStatus) for member in members)
    assert "{}".format(ServiceStatus.BUSY) == "BUSY"
    assert ServiceStatus.BUSY != ServiceStatus.AVAILABLE


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("available", ServiceStatus.AVAILABLE),
        ("shutting_down", ServiceStatus.SHUTTING_DOWN),
        ("Busy", ServiceStatus.BUSY),
        (None, ServiceStatus.AVAILABLE),
        ("resting", ServiceStatus.UNREACHABLE),
        (7, ServiceStatus.UNREACHABLE),
        ([], ServiceStatus.UNREACHABLE),
    ],
)
def test_status_of_a_row(text, status):
    assert status_of(text) is status


def test_entry_is_the_dictionary_of_0_12_0():
    entry = ServiceEntry(raw_row(metadata={"a": "b"}, status="busy", pid=7))
    assert json.loads(json.dumps(entry)) == {
        "dcc_type": "maya",
        "instance_id": ID,
        "host": "127.0.0.1",
        "port": 18812,
        "version": "2025",
        "scene": None,
        "metadata": {"a": "b"},
        "status": "busy",
    }
    assert entry["port"] == 18812
    assert dict(entry) == entry


def test_entry_has_the_attributes_of_0_13():
    entry = ServiceEntry(
        raw_row(
            scene="a.ma",
            documents=["a.ma", "b.ma"],
            pid=7,
            host_pid=8,
            display_name="Maya 1",
            extras={"deep": {"x": [1]}},
            adapter_version="1.2",
            adapter_dcc="maya",
            sentinel_path="/x/locks/a.lock",
            status="booting",
        )
    )
    assert entry.status is ServiceStatus.BOOTING
    assert (entry.scene, entry.documents, entry.pid) == ("a.ma", ["a.ma", "b.ma"], 7)
    assert (entry.display_name, entry.extras) == ("Maya 1", {"deep": {"x": [1]}})
    assert (entry.host_pid, entry.adapter_version, entry.adapter_dcc) == (8, "1.2", "maya")
    assert entry.sentinel_path == "/x/locks/a.lock"
    assert entry.last_heartbeat_ms == 1700000000123
    assert entry.registered_at == pytest.approx(1700000000.123456789)
    assert entry.to_dict() == {
        "dcc_type": "maya",
        "instance_id": ID,
        "host": "127.0.0.1",
        "port": 18812,
        "version": "2025",
        "scene": "a.ma",
        "documents": ["a.ma", "b.ma"],
        "pid": 7,
        "display_name": "Maya 1",
        "metadata": {},
        "extras": {"deep": {"x": [1]}},
        "status": "BOOTING",
        "last_heartbeat_ms": 1700000000123,
    }
    assert repr(entry) == (
        'ServiceEntry(dcc_type="maya", host="127.0.0.1", port=18812, '
        'instance_id="{}", status=BOOTING)'.format(ID)
    )


def test_entry_cannot_be_used_to_change_anything():
    row = raw_row(metadata={"a": "b"}, documents=["x"], extras={"deep": {"y": 1}})
    before = copy.deepcopy(row)
    entry = ServiceEntry(row)
    entry.metadata["a"] = entry["metadata"]["a"] = "changed"
    entry.documents.append("z")
    entry.extras["deep"]["y"] = 2
    entry["status"] = "busy"
    entry.to_dict()["metadata"].clear()
    assert row == before
    assert entry.status is ServiceStatus.AVAILABLE
    assert entry.extras == {"deep": {"y": 1}}
    for name in ("port", "status", "metadata", "colour"):
        with pytest.raises(AttributeError):
            setattr(entry, name, 1)


@pytest.mark.parametrize(
    ("stored", "text", "is_ipc"),
    [
        (None, "tcp://127.0.0.1:18812", False),
        ({"type": "tcp", "host": "10.0.0.1", "port": 9}, "tcp://10.0.0.1:9", False),
        ({"type": "unix_socket", "path": "/tmp/x.sock"}, "unix:///tmp/x.sock", True),
        ({"type": "named_pipe", "path": "\\\\.\\pipe\\x"}, "pipe://\\\\.\\pipe\\x", True),
        ({"type": "pigeon", "path": "x"}, "tcp://127.0.0.1:18812", False),
        ({"type": "tcp", "host": "h", "port": 70000}, "tcp://127.0.0.1:18812", False),
        ("tcp://10.0.0.1:9", "tcp://127.0.0.1:18812", False),
    ],
)
def test_where_to_connect(stored, text, is_ipc):
    entry = ServiceEntry(raw_row(transport_address=stored))
    assert isinstance(entry.effective_address(), TransportAddress)
    assert str(entry.effective_address()) == text
    assert entry.is_ipc is is_ipc
    understood = entry.transport_address
    assert entry.to_dict().get("transport_address") == (None if understood is None else text)


def test_a_row_of_a_careless_writer_is_readable():
    row = {"dcc_type": "maya", "instance_id": "{" + ID.upper() + "}", "port": "x", "metadata": [1]}
    row.update(documents="x", pid=-1, extras=3, last_heartbeat="now", scene=5, host=None)
    entry = ServiceEntry(row)
    assert (entry.instance_id, entry.port, entry.host) == (ID, 0, "127.0.0.1")
    assert (entry.metadata, entry.documents, entry.extras, entry.pid) == ({}, [], {}, None)
    assert (entry.last_heartbeat_ms, entry.registered_at, entry.scene) == (0, None, None)
    assert ServiceEntry(raw_row(last_heartbeat=1700000000.5)).last_heartbeat_ms == 1700000000500


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), 1e308])
def test_absurd_numbers_are_as_good_as_none(value):
    moment = {"secs_since_epoch": value, "nanos_since_epoch": value}
    for absurd in (value, moment):
        entry = ServiceEntry(
            raw_row(last_heartbeat=absurd, registered_at=absurd, port=value, pid=value)
        )
        assert (entry.last_heartbeat_ms, entry.registered_at, entry.port) == (0, None, 0)
        address = {"type": "tcp", "host": "h", "port": value}
        assert ServiceEntry(raw_row(transport_address=address)).transport_address is None
        entry.to_dict()


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_entry_can_be_copied(again):
    entry = ServiceEntry(raw_row(pid=7))
    other = again(entry)
    assert isinstance(other, ServiceEntry)
    assert other == entry
    assert (other.pid, other.status) == (7, ServiceStatus.AVAILABLE)
