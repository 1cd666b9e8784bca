"""The adapter for 3ds Max where it runs: on Windows, with the Python and the Qt that it has there.

What every host passes runs here, too: that of ``tests/hosts`` (conftest.py).
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import pytest

from fakes.hosted import data, error
from fakes.live import Wire


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the folder of what the hosts and their servers keep."""
    made = tmp_path_factory.mktemp("max")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCC_MCP_EMBED_HOME", str(made / "home"))
        patch.setenv("DCC_MCP_REGISTRY_DIR", str(made / "registry"))
        # Qt's own for Windows wants a screen, and not every time gets one here.
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        yield made


@pytest.fixture
def a_host(place, start):
    """Start one for a test that ends it."""
    with start("-m", "windows.max_host") as running:
        running.where = running.line()
        yield running


@pytest.fixture(scope="module")
def host(place, start):
    """Start the one of the other tests."""
    with start("-m", "windows.max_host") as running:
        running.where = running.line()
        yield running


@pytest.fixture
def wire(host):
    with _connected(host) as connected:
        yield connected


def _connected(host):
    """Connect a client of MCP to it."""
    where = host.where
    return Wire(
        SimpleNamespace(
            address=("127.0.0.1", where["port"]),
            port=where["port"],
            authorization={"Authorization": "Bearer " + where["token"]},
        )
    )


def test_this_is_the_python_and_the_qt_of_3ds_max_2026():
    from PySide6 import QtCore

    assert (os.name, sys.version_info[:2], QtCore.qVersion()) == ("nt", (3, 11), "6.5.3")


def test_from_its_start_to_its_end(a_host, place):
    host = a_host
    assert host.where["interpreter"].endswith("3dsmax.exe")
    with _connected(host) as wire:
        made = data(wire.tool("create_object", {"kind": "cube", "name": "crate"}))
        assert (made["path"], host("nodes")) == ("/crate", ["crate"])
        assert len(host("labels")) == 1

        host("modal", "Save changes?")
        refused = error(wire.tool("create_object", {"kind": "cube"}))
        assert (refused["code"], "Save changes?" in refused["message"]) == ("host_modal", True)
        assert data(wire.tool("list_objects"))["items"][0]["path"] == "/crate"
        host("modal", None)

        assert data(wire.tool("undo"))["steps"] == 1
        assert host("nodes") == []
        assert data(wire.tool("redo"))["steps"] == 1
        assert host("nodes") == ["crate"]

        assert host.pid in _pids(place)
        host("quit")
        assert host.close() == 0
        assert wire.at_end()
        assert host.pid not in _pids(place)


def test_a_dialog_of_windows_own_keeps_writes_out(host, wire):
    """Qt knows nothing of it: it shows by the main window, which takes no input."""
    before = host("nodes")
    host("enable", False)
    refused = error(wire.tool("create_object", {"kind": "cube", "name": "kept out"}))
    assert refused["code"] == "host_modal"
    assert data(wire.tool("get_status"))
    host("enable", True)
    assert data(wire.tool("create_object", {"kind": "cube", "name": "let in"}))
    assert host("nodes") == [*before, "let in"]


def test_code_runs_once_the_person_at_it_says_so(host, wire):
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": "execute_python",
                "arguments": {"code": "rt.Box(name='by code')"},
            },
        }
    )
    head = {
        "Host": "127.0.0.1:{}".format(wire._live.port),
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **wire._live.authorization,
    }
    lines = ["POST /mcp HTTP/1.1", *("{}: {}".format(*pair) for pair in head.items())]
    wire.send("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body.encode("ascii"))
    host("answer", "once")
    assert wire.read("POST").json["result"]["isError"] is False
    assert "by code" in host("nodes")


def _pids(place):
    """Return the processes that are in the service registry."""
    with open(str(place / "registry" / "services.json"), encoding="utf-8") as file:
        found = json.load(file)
    rows = found if isinstance(found, list) else found.get("services", [])
    return [row["pid"] for row in rows]
