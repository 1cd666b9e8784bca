"""What our registry row says: only what is true, only texts."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.registry import rows
from dcc_mcp_embed.server.readiness import BOOTING, READY, UNAVAILABLE, State
from dcc_mcp_embed.server.row import About, changing, other_versions
from dcc_mcp_embed.server.safe_stop import Pass

ABOUT = About(21344, "1.2.3", "/opt/here/dcc_mcp_embed", Pass("o" * 32, "s" * 32))


def test_the_lasting_part():
    assert changing(ABOUT, State(READY), "").metadata == {
        "mcp_url": "http://127.0.0.1:21344/mcp",
        "dcc_mcp_role": "runtime",
        "dcc_mcp_embed_version": "1.2.3",
        "dcc_mcp_embed_wire": "1",
        "adapter_version": "1.2.3",
        "install_root": os.path.abspath("/opt/here/dcc_mcp_embed"),
        "owner": "o" * 32,
        "session": "s" * 32,
        "safe_stop_url": "http://127.0.0.1:21344/safe-stop",
        "safe_stop_method": "POST",
        "dispatch_status": "ready",
    }


def test_a_command_is_there_if_there_is_one():
    metadata = ABOUT._replace(launch_command="python3 -m x serve").metadata()
    assert metadata["launch_command"] == metadata["restart_command"] == "python3 -m x serve"


@pytest.mark.parametrize(
    ("state", "status", "more"),
    [
        (State(BOOTING), "booting", {"dispatch_status": "booting"}),
        (State(READY), "available", {"dispatch_status": "ready"}),
        (
            State(UNAVAILABLE, "main-thread", "it stands still"),
            "unreachable",
            {
                "dispatch_status": "unavailable",
                "failure_stage": "main-thread",
                "failure_reason": "it stands still",
            },
        ),
    ],
)
def test_the_state_of_the_main_thread(state, status, more):
    row = changing(ABOUT, state, "")
    assert row.status == status
    assert {name: row.metadata.get(name) for name in more} == more
    assert ("failure_stage" in row.metadata) == ("failure_stage" in more)


def test_the_scene_is_its_path_and_the_one_document():
    row = changing(ABOUT, State(READY), "/shots/a.ma")
    assert (row.scene, row.documents) == ("/shots/a.ma", ["/shots/a.ma"])
    row = changing(ABOUT, State(READY), "")
    assert (row.scene, row.documents) == (None, [])


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        (SimpleNamespace(__name__="dcc_mcp_core", __version__="0.20.1"), "0.20.1"),
        (SimpleNamespace(__name__="dcc_mcp_embed", __version__="0.1.0"), None),
        (SimpleNamespace(__name__="dcc_mcp_core"), None),
        (SimpleNamespace(__name__="dcc_mcp_core", __version__=(1, 2)), None),
        (None, None),
    ],
    ids=["there", "we under its name", "no version", "a version that is no text", "blocked"],
)
def test_the_ecosystem_is_named_when_it_is_really_there(module, wanted):
    found = other_versions({"dcc_mcp_core": module})
    assert found == ({} if wanted is None else {"dcc_mcp_core_version": wanted})


@given(st.text(), st.text(), st.text())
def test_whatever_a_host_and_its_clients_are_called_every_reader_can_read_the_row(
    scene, reason, package
):
    about = ABOUT._replace(package=package)
    row = changing(about, State(UNAVAILABLE, "main-thread", reason + "\udcff"), scene + "\udcff")
    moment = rows.timestamp(1.0)
    whole = {
        "dcc_type": "standalone",
        "instance_id": "00112233-4455-6677-8899-aabbccddeeff",
        "host": "127.0.0.1",
        "port": 1,
        "registered_at": moment,
        "last_heartbeat": moment,
        **row._asdict(),
    }
    rows.check(whole)
    assert json.loads(json.dumps(whole, ensure_ascii=False).encode("utf-8").decode()) == whole
