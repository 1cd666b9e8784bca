"""The bridge in front of hosts that run: names, two at once, one that is held, who listens."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from fakes.bridged import Within
from fakes.live import DEADLINE
from fakes.served import Served

pytestmark = pytest.mark.edges


def test_two_hosts_are_told_apart(home, monkeypatch, bridge, serve):
    one = serve().server
    bridge.initialize()
    bridge.appears("create_object")
    told = bridge.changes()
    with Served(home) as two:
        bridge.until(lambda: bridge.changes() == told + 1)
        names = bridge.names()
        assert "create_object" not in names
        for label, instance in (
            ("standalone", one.instance_id),
            ("standalone2", two.facts["instance_id"]),
        ):
            made = bridge.call(label + "_create_object", kind="cube", name=label)
            assert made["instance"]["id"] == instance[:8]
        # The name that was listed before leads where it led.
        (item,) = bridge.call("list_objects")["data"]["items"]
        assert item["name"] == "standalone"
        prefixes = [one["prefix"] for one in bridge.call("list_instances")["data"]["items"]]
        assert prefixes == ["standalone_", "standalone2_"]

        with Within(home, monkeypatch) as another:
            another.initialize()
            another.appears("standalone_create_object", "standalone2_create_object")
            error = another.error("create_object", kind="cube")
            assert error["code"] == "ambiguous" and error["state"] == "not_started"
            assert "standalone2_create_object" in error["hint"]
        with Within(home, monkeypatch, instance=one.instance_id[:8]) as narrow:
            narrow.initialize()
            narrow.appears("create_object")
            made = narrow.call("create_object", kind="cube")
            assert made["instance"]["id"] == one.instance_id[:8]
        with Within(home, monkeypatch, dcc="maya") as narrow:
            narrow.initialize()
            assert narrow.call("list_instances")["data"]["items"] == []
    bridge.until(lambda: bridge.changes() == told + 2)
    assert "create_object" in bridge.names()
    error = bridge.error("standalone2_list_objects")
    assert error["code"] == "no_host" and "standalone2" in error["message"]
    assert bridge.call("standalone_list_objects")["ok"]


def test_a_host_that_holds_its_main_thread_delays_nobody(home, bridge, serve):
    entered, leave, ran = threading.Semaphore(0), threading.Event(), []

    @dcc_mcp_embed.tool()
    def hold(name: str) -> dict:
        """Keep the host's main thread."""
        ran.append(name)
        entered.release()
        assert leave.wait(DEADLINE)
        return {"state": "done"}

    serve(SimpleNamespace(hold=hold))
    with Served(home) as other:
        bridge.initialize()
        bridge.appears("standalone_hold", "standalone2_list_objects")
        holding = [bridge.start_call("standalone_hold", name="a")]
        try:
            assert entered.acquire(timeout=DEADLINE)
            holding.append(bridge.start_call("standalone_hold", name="b"))
            started = time.monotonic()
            assert bridge.ask("ping") == {}
            assert bridge.call("standalone_get_status")["ok"]
            elsewhere = bridge.call("standalone2_list_objects")
            assert elsewhere["instance"]["id"] == other.facts["instance_id"][:8]
            assert time.monotonic() - started < DEADLINE / 2
            assert not any(ident in bridge.answers for ident in holding)
            bridge.notify("notifications/cancelled", {"requestId": holding[1]})
            # Where it waited, it waits no more.
            status = "standalone_get_status"
            bridge.until(lambda: not bridge.call(status)["data"]["queue_depth"])
        finally:
            leave.set()
        assert bridge.told(holding[0])["ok"]
        assert bridge.call("standalone_list_objects")["ok"]
        assert holding[1] not in bridge.answers and ran == ["a"]
