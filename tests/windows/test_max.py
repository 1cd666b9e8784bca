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


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return the folder of what the host and its server keep."""
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    # Qt's own for Windows wants a screen, and not every time gets one here.
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    return tmp_path


@pytest.fixture
def host(place, start):
    with start("-m", "windows.max_host") as running:
        yield running


@pytest.fixture
def wire(host):
    """Connect a client of MCP to it."""
    where = host.line()
    with Wire(
        SimpleNamespace(
            address=("127.0.0.1", where["port"]),
            port=where["port"],
            authorization={"Authorization": "Bearer " + where["token"]},
        )
    ) as connected:
        connected.interpreter = where["interpreter"]
        yield connected


def test_this_is_the_python_and_the_qt_of_3ds_max_2026():
    from PySide6 import QtCore

    assert (os.name, sys.version_info[:2], QtCore.qVersion()) == ("nt", (3, 11), "6.5.3")


def test_from_its_start_to_its_end(host, wire, place):
    assert wire.interpreter.endswith("3dsmax.exe")
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

    assert _rows(place)
    host("quit")
    assert host.close() == 0
    assert wire.at_end()
    assert not _rows(place)


def test_a_dialog_of_windows_own_keeps_writes_out(host, wire):
    """Qt knows nothing of it: it shows by the main window, which takes no input."""
    host("enable", False)
    refused = error(wire.tool("create_object", {"kind": "cube"}))
    assert refused["code"] == "host_modal"
    assert data(wire.tool("get_status"))
    host("enable", True)
    assert data(wire.tool("create_object", {"kind": "cube"}))
    assert len(host("nodes")) == 1


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
    assert host("nodes") == ["by code"]


def _rows(place):
    """Return the rows of the service registry."""
    with open(str(place / "registry" / "services.json"), encoding="utf-8") as file:
        found = json.load(file)
    return found if isinstance(found, list) else found.get("services", [])
