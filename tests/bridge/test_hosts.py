"""Who counts as a host, what it is called from one look to the next, and the looks themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.bridge.hosts import Host, Roster, Wanted, Watch, hosts_in
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.entry import ServiceEntry
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.transport_errors import RegistryFile

DEADLINE = 10.0
A = "aaaaaaaa-0000-4000-8000-000000000000"
B = "bbbbbbbb-0000-4000-8000-000000000000"


def row(**changes):
    found = {
        "dcc_type": "maya",
        "instance_id": A,
        "host": "127.0.0.1",
        "port": 21340,
        "version": "2026",
        "pid": 77,
        "scene": "/shots/a.ma",
        "status": "available",
        "metadata": {"dcc_mcp_embed_wire": "1", "dispatch_status": "ready"},
        "registered_at": 5.0,
        "last_heartbeat": 5.0,
    }
    found.update(changes)
    return ServiceEntry(found)


def host(dcc="maya", instance=A, port=21340, scene="", since=0.0):
    return Host(dcc, instance, "1", 1, port, scene, True, since)


@pytest.mark.parametrize(
    ("changes", "wanted", "counts"),
    [
        ({}, Wanted(), True),
        ({"host": "localhost"}, Wanted(), True),
        ({"host": "10.0.0.7"}, Wanted(), False),
        ({"port": 0}, Wanted(), False),
        ({"metadata": {}}, Wanted(), False),
        ({"metadata": {"dcc_mcp_embed_wire": "2"}}, Wanted(), False),
        ({"dcc_type": "__gateway__"}, Wanted(), False),
        ({"status": "booting"}, Wanted(), True),
        ({}, Wanted("maya"), True),
        ({}, Wanted("MAYA"), True),
        ({}, Wanted("blender"), False),
        ({}, Wanted(None, "aaaa"), True),
        ({}, Wanted(None, "AAAAAAAA-00"), True),
        ({}, Wanted(None, "aaab"), False),
        ({}, Wanted("blender", "aaaa"), False),
    ],
)
def test_who_counts(changes, wanted, counts):
    assert len(hosts_in([row(**changes)], wanted, lambda row: False)) == counts
    assert hosts_in([row(**changes)], wanted, lambda row: True) == []


def test_the_oldest_comes_first_and_says_what_it_is():
    found = hosts_in([row(instance_id=B, registered_at=9.0), row()], Wanted(), lambda row: False)
    assert [one.instance_id for one in found] == [A, B]
    assert found[0].block() == {
        "id": "aaaaaaaa",
        "dcc": "maya",
        "version": "2026",
        "pid": 77,
        "scene": "/shots/a.ma",
    }


def test_a_host_started_anew_gets_its_label_back():
    roster = Roster()
    assert roster.look([host(instance="1"), host("blender", "2")])
    assert roster.look([host("blender", "2")])
    assert list(roster.running) == ["blender"] and "maya" in roster.known
    assert roster.look([host(instance="3", port=5), host("blender", "2")])
    assert roster.running["maya"].instance_id == "3"
    assert not roster.look([host(instance="3", port=5, scene="new"), host("blender", "2")])
    assert roster.running["maya"].scene == "new"
    assert roster.label_of("3") == "maya" and roster.label_of("1") is None


@pytest.mark.parametrize(
    ("fresh", "label"),
    [
        (host(instance="9", port=2), "maya2"),
        (host(instance="9", port=1), "maya"),
        (host(instance="9", port=7, scene="two"), "maya2"),
        (host(instance="9", port=7, scene="else"), "maya"),
        (host("houdini", instance="9", port=2), "houdini"),
    ],
)
def test_of_two_that_have_gone_the_likelier_one_is_back(fresh, label):
    roster = Roster()
    roster.look([host(instance="1", port=1, scene="one"), host(instance="2", port=2, scene="two")])
    roster.look([])
    roster.look([fresh])
    assert list(roster.running) == [label]


@given(
    st.lists(
        st.sets(st.tuples(st.sampled_from(["maya", "blender", "3dsmax"]), st.integers(0, 9))),
        max_size=12,
    )
)
def test_labels_are_kept_while_a_host_runs_and_are_never_shared(looks):
    roster = Roster()
    before = {}
    for look in looks:
        hosts = [host(dcc, "{}-{}".format(dcc, number)) for dcc, number in sorted(look)]
        roster.look(hosts)
        now = {one.instance_id: label for label, one in roster.running.items()}
        assert sorted(now) == sorted(one.instance_id for one in hosts)
        assert len(set(now.values())) == len(hosts)
        for instance, label in now.items():
            assert before.get(instance, label) == label
            assert roster.known[label].dcc_type == instance.split("-")[0]
        # No more labels than hosts have run at once, of one kind.
        before = now


# Looks at a real registry.

CHILD = """
import os, sys
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
registry = open_registry(sys.argv[1], os.environ, SystemClock())
registry.register("maya", "127.0.0.1", 21340, metadata={"dcc_mcp_embed_wire": "1"})
print("there", flush=True)
sys.stdin.read()
os._exit(1)
"""


class Looks:
    def __init__(self):
        self.changed = threading.Condition()
        self.seen = []

    def take(self, hosts, asks):
        with self.changed:
            self.seen.append((hosts, asks))
            self.changed.notify_all()

    def until(self, ready):
        with self.changed:
            assert self.changed.wait_for(lambda: self.seen and ready(self.seen[-1]), DEADLINE)


def test_looks_see_hosts_come_and_die(tmp_path):
    registry = open_registry(str(tmp_path), os.environ, SystemClock())
    looks = Looks()
    watch = Watch(registry, Wanted(), looks.take, lambda level, text: None, 0.02)
    watch.start()
    try:
        looks.until(lambda last: last == ([], 0))
        import dcc_mcp_embed

        package = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            env=dict(os.environ, PYTHONPATH=package),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            looks.until(lambda last: len(last[0]) == 1)
            # A look that was asked for is told of although nothing has changed.
            asked = watch.ask()
            looks.until(lambda last: last[1] == asked)
            child.stdin.close()
            child.wait(DEADLINE)
        # It left its row behind; whose owner has gone is no host, and the row goes too.
        looks.until(lambda last: last[0] == [])
        assert registry.entries() == []
    finally:
        watch.stop()


class Rows:
    """A registry that has what the test puts there."""

    def __init__(self):
        self.rows = []

    def entries(self):
        return list(self.rows)

    def is_gone(self, dcc_type, instance_id):
        return False


def test_a_look_that_is_asked_for_is_taken_at_once():
    registry, looks = Rows(), Looks()
    # The next one of its own accord would come in an hour.
    watch = Watch(registry, Wanted(), looks.take, lambda level, text: None, 3600.0)
    watch.start()
    try:
        looks.until(lambda last: last == ([], 0))
        registry.rows.append(row())
        asked = watch.ask()
        looks.until(lambda last: len(last[0]) == 1 and last[1] == asked)
    finally:
        watch.stop()


class Unreadable:
    """A registry of one host that cannot be read when it is told so."""

    broken = False

    def entries(self):
        if self.broken:
            raise RegistryFile("no")
        return [row()]

    def is_gone(self, dcc_type, instance_id):
        return False


def test_while_the_registry_cannot_be_read_nobody_has_gone():
    registry, looks, said = Unreadable(), Looks(), []
    watch = Watch(registry, Wanted(), looks.take, lambda level, text: said.append(text), 0.01)
    watch.start()
    try:
        looks.until(lambda last: len(last[0]) == 1)
        registry.broken = True
        for _ in range(3):
            asked = watch.ask()
            looks.until(lambda last, asked=asked: last[1] == asked)
            assert len(looks.seen[-1][0]) == 1
        # Said once, not every second.
        assert len(said) == 1 and "registry" in said[0]
    finally:
        watch.stop()
