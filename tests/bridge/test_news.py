"""When hosts are listened to, and when again; lists that change while they are asked for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.bridge.cache import ToolCache
from dcc_mcp_embed.bridge.catalog import Catalog
from dcc_mcp_embed.bridge.client import Client, Listener, Watched
from dcc_mcp_embed.bridge.core import Core
from dcc_mcp_embed.bridge.ended import Ended
from dcc_mcp_embed.bridge.hosts import Host
from dcc_mcp_embed.bridge.news import MOST_WATCHED
from dcc_mcp_embed.bridge.shelf import Shelf
from dcc_mcp_embed.errors import HostBusy, InvalidArgument
from dcc_mcp_embed.wire.jsonrpc import Fault
from dcc_mcp_embed.wire.mcp.machine import McpMachine
from dcc_mcp_embed.wire.mcp.outcomes import Subscribe
from fakes.clock import FakeClock

FIRST = Host("maya", "maya-1", "1", 1, 1, "", True, 1.0)
SECOND = Host("maya", "maya-2", "1", 1, 1, "", True, 2.0)
TOOL = {"name": "undo", "inputSchema": {"type": "object"}}


class Voice:
    def __init__(self):
        self.told = []

    def tell(self, message):
        self.told.append((message["method"].split("/", 1)[1], message["params"].get("uri")))


class Ear:
    """One request to be told, at a host that the test plays."""

    def __init__(self, host, errand, done):
        self.host, self.errand, self.end = host, errand, done
        self.wishes = errand.params["notifications"]

    def says(self, method, **params):
        message = {"jsonrpc": "2.0", "method": "notifications/" + method, "params": params}
        self.errand._listen("mcp", json.dumps(message).encode("ascii"))


class World:
    """Hosts, looks and one client."""

    def __init__(self):
        self.clock, self.voice, self.asks = FakeClock(), Voice(), 0
        self.ears, self.cancelled, self.tools, self.lists = [], [], [], []
        self.logged = []
        catalog = Catalog({})
        shelf = Shelf(catalog.nobody)
        cache = ToolCache("/nowhere/at/all", self.clock, lambda level, text: None)
        cache.save = lambda kind, tools: None
        machine = McpMachine({}, lambda member: [], "")
        self.core = Core(machine, catalog, shelf, cache, self, self.clock, self.log)
        self.core.start(self.watch)
        self.news, self.client = self.core.service._news, Client(self.voice)
        self.client.initialized = True
        self.core.enter(self.client)

    def log(self, level, text):
        if level == "warning":
            self.logged.append(level)

    # What looks, and what relays.

    def watch(self, deliver):
        self.deliver = deliver
        return self

    def start(self):
        pass

    def ask(self):
        self.asks += 1
        return self.asks

    def listen(self, host, errand, done):
        self.ears.append(Ear(host, errand, done))

    def cancel(self, host, errand, said):
        self.cancelled.append(errand)
        said()

    def list_tools(self, host, done):
        self.tools.append(done)

    def list(self, host, errand, done):
        self.lists.append((errand.method, done))

    def keep(self, instances):
        pass

    # What a test does.

    def look(self, *hosts):
        self.deliver(list(hosts), self.asks)
        self.turn()

    def turn(self):
        """Deal with all that has happened."""
        while not self.core.desk._events.empty():
            self.core.desk.turn()

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        self.core.desk.post(lambda: None)
        self.turn()

    def says(self, ear, method, **params):
        ear.says(method, **params)
        self.turn()

    def begins(self, ear):
        self.says(ear, "subscriptions/acknowledged")


@pytest.fixture
def world():
    return World()


def test_a_host_is_listened_to_for_what_is_watched_and_no_more(world):
    world.look(FIRST)
    (ear,) = world.ears
    assert "resourceSubscriptions" not in ear.wishes
    world.begins(ear)
    done = []
    world.news.watch(world.client, "a://b", lambda: done.append(1))
    world.news.watch(world.client, "a://c", lambda: done.append(2))
    # One after another: the next one is begun when this one has.
    assert len(world.ears) == 2 and world.ears[1].wishes["resourceSubscriptions"] == ["a://b"]
    assert not world.cancelled and not done
    world.begins(world.ears[1])
    assert world.cancelled == [ear.errand]
    assert world.ears[2].wishes["resourceSubscriptions"] == ["a://b", "a://c"]
    world.begins(world.ears[2])
    assert done == [1, 2]
    world.news.unwatch(world.client, "a://b")
    assert world.ears[3].wishes["resourceSubscriptions"] == ["a://c"]
    world.begins(world.ears[3])
    world.core.leave(world.client)
    assert "resourceSubscriptions" not in world.ears[4].wishes
    assert world.voice.told == []


def test_what_may_have_been_missed_is_told(world):
    world.look(FIRST)
    world.news.watch(world.client, "a://b", lambda: None)
    world.begins(world.ears[0])
    ear = world.ears[1]
    world.begins(ear)
    assert world.voice.told == []
    # Its connection was made anew.
    world.begins(ear)
    assert world.voice.told == [("resources/updated", "a://b")]
    # It ended; it is begun again, after a while.
    ear.end(Ended(error=HostBusy("no")))
    world.turn()
    assert len(world.ears) == 2
    world.pass_time(5.0)
    world.begins(world.ears[2])
    assert len(world.voice.told) == 2
    # Another host in its place, which is listened to at once.
    world.look(SECOND)
    assert world.ears[3].wishes["resourceSubscriptions"] == ["a://b"]
    world.says(ear, "resources/updated", uri="a://b")
    assert len(world.voice.told) == 2, "of one that has gone nothing is heard"
    world.begins(world.ears[3])
    assert len(world.voice.told) == 3
    # More than was kept for us.
    for _ in range(100):
        world.ears[3].says("resources/updated", uri="a://else")
    world.turn()
    assert len(world.voice.told) == 4


@pytest.mark.parametrize("answered", ["before", "after"])
def test_what_a_host_had_before_it_is_listened_to_is_asked_for_again(world, answered):
    world.look(FIRST)
    (listed,) = world.tools
    if answered == "before":
        listed([TOOL], "")
        world.turn()
    world.begins(world.ears[0])
    if answered == "after":
        assert len(world.tools) == 1
        listed([TOOL], "")
        world.turn()
    assert len(world.tools) == 2
    world.tools[1]([TOOL, dict(TOOL, name="redo")], "")
    world.turn()
    assert len(world.tools) == 2
    assert {"undo", "redo"} <= {one["name"] for one in world.core._catalog.listing()}


def test_what_happened_between_the_end_of_one_listener_and_the_begin_of_the_next_is_told(world):
    world.look(FIRST)
    world.tools[0]([TOOL], "")
    world.begins(world.ears[0])
    world.tools[1]([TOOL], "")
    world.news.watch(world.client, "a://b", lambda: None)
    first, second = world.ears
    first.end(Ended(error=HostBusy("no")))
    world.turn()
    assert len(world.tools) == 2 and world.voice.told == []
    world.begins(second)
    assert len(world.tools) == 3 and world.voice.told == [("resources/updated", "a://b")]
    assert world.cancelled == [], "it has ended"
    # The usual way nothing is missed.
    world.tools[2]([TOOL], "")
    world.news.watch(world.client, "a://c", lambda: None)
    world.begins(world.ears[2])
    assert world.cancelled == [second.errand]
    second.end(Ended(error=HostBusy("over")))
    world.turn()
    assert len(world.tools) == 3 and len(world.voice.told) == 1


def test_a_host_of_an_earlier_version_is_not_asked_again(world):
    world.look(FIRST)
    world.ears[0].end(Ended(fault=Fault(-32600, "no")))
    world.turn()
    world.pass_time(60.0)
    assert len(world.ears) == 1
    done = []
    world.news.watch(world.client, "a://b", lambda: done.append(1))
    assert done, "nobody waits for what does not come"
    world.look()
    world.look(FIRST)
    assert len(world.ears) == 2


def test_tools_that_change_while_they_are_asked_for_are_asked_for_again(world):
    world.client.shown("tools", [])
    world.look(FIRST)
    world.begins(world.ears[0])
    world.says(world.ears[0], "tools/list_changed")
    assert len(world.tools) == 1
    world.tools.pop()([], "")
    world.turn()
    # What came may have been older than the change.
    world.tools.pop()([TOOL], "")
    world.turn()
    assert world.tools == []
    world.says(world.ears[0], "tools/list_changed")
    assert len(world.tools) == 1


def test_lists_of_other_kinds_are_asked_for_only_if_somebody_wants_to_hear_of_them(world):
    world.look(FIRST)
    world.begins(world.ears[0])
    world.says(world.ears[0], "prompts/list_changed")
    assert world.lists == []
    world.client.shown("prompts", [])
    world.says(world.ears[0], "prompts/list_changed")
    world.says(world.ears[0], "prompts/list_changed")
    ((method, done),) = world.lists
    assert method == "prompts/list"
    done(Ended({"prompts": [{"name": "p"}]}))
    world.turn()
    assert world.voice.told == [("prompts/list_changed", None)]
    # The second word came while it was asked.
    assert len(world.lists) == 2
    world.lists.pop()[1](Ended({"prompts": [{"name": "p"}]}))
    world.turn()
    assert len(world.voice.told) == 1


PROMPTS = [{"name": "p"}]


def asked_for_prompts(world):
    """Have a client wait for the list of prompts; return when it was shown, and what was asked."""
    shown = []
    world.core.service._shelves.before("prompts/list", lambda: shown.append(len(shown)))
    world.look(FIRST)
    world.client.shown("prompts", [])
    ((method, done),) = world.lists
    assert method == "prompts/list" and not shown
    return shown, done


def test_a_list_that_comes_late_is_told_of(world):
    shown, done = asked_for_prompts(world)
    world.pass_time(3.0)
    assert shown == [0] and world.voice.told == []
    done(Ended({"prompts": PROMPTS}))
    world.turn()
    assert world.voice.told == [("prompts/list_changed", None)]


@pytest.mark.parametrize(
    ("last", "listed"),
    [
        (Ended({"prompts": [{"name": "q"}]}), ["p", "q"]),
        # The same cursor again and again, behind nothing.
        (Ended({"prompts": [], "nextCursor": "more"}), ["p"]),
        (Ended(error=HostBusy("no")), []),
        (Ended({"prompts": 7}), []),
    ],
)
def test_a_list_in_pages_is_asked_for_to_its_end_and_shown_as_a_whole(world, last, listed):
    shown, done = asked_for_prompts(world)
    done(Ended({"prompts": PROMPTS, "nextCursor": "more"}))
    world.turn()
    assert not shown and len(world.lists) == 2
    world.lists.pop()[1](last)
    world.turn()
    names = [one["name"] for one in world.core.service._shelves.listing("prompts")]
    assert (shown, names, len(world.lists)) == ([0], listed, 1)


def test_what_nobody_has_yet_is_watched_once_somebody_has(world):
    listener = Listener(7, {"resourceSubscriptions": ["a://b"]}, world.voice)
    world.news.listen(world.client, listener)
    assert world.voice.told == [("subscriptions/acknowledged", None)]
    world.look(FIRST)
    assert listener.watched == {"a://b": Watched("maya", "a://b")}
    world.says(world.ears[0], "resources/updated", uri="a://b")
    assert world.voice.told[1:] == [("resources/updated", "a://b")]
    world.news.unlisten(world.client, listener)
    assert world.client.listeners == {}


def test_what_is_watched_already_may_be_watched_once_more(world):
    world.look(FIRST)
    for number in range(MOST_WATCHED):
        world.news.watch(world.client, "a://{}".format(number), lambda: None)
    for ear in world.ears:
        world.begins(ear)
    answers = []
    voice = SimpleNamespace(reply=answers.append)
    for ident, uri in ((1, "a://0"), (2, "a://more")):
        world.core.service.do(world.client, Subscribe(ident, uri, True), voice)
    world.turn()
    assert [one.get("result") for one in answers] == [{}, None]
    assert answers[1]["error"]["code"] == -32602


def test_a_host_that_refuses_what_is_watched_is_listened_to_for_the_rest(world):
    world.look(FIRST)
    world.begins(world.ears[0])
    done = []
    world.news.watch(world.client, "a://b", lambda: done.append(1))
    world.ears[1].end(Ended(fault=Fault(-32602, "too many")))
    world.turn()
    # At once, and nobody waits for the other.
    assert len(world.ears) == 3 and "resourceSubscriptions" not in world.ears[2].wishes
    world.begins(world.ears[2])
    assert done == [1] and world.logged == ["warning"]
    world.pass_time(60.0)
    assert len(world.ears) == 3
    # Something else is tried anew.
    world.news.watch(world.client, "a://c", lambda: done.append(2))
    assert world.ears[3].wishes["resourceSubscriptions"] == ["a://b", "a://c"]


def test_what_appears_is_watched_as_far_as_there_is_room(world):
    many = ["a://{}".format(number) for number in range(256)]
    for number, uris in enumerate((many, ["a://more"])):
        world.news.listen(
            world.client, Listener(number, {"resourceSubscriptions": uris}, world.voice)
        )
    world.look(FIRST)
    assert world.ears[0].wishes["resourceSubscriptions"] == sorted(many)
    assert world.logged == ["warning"]
    with pytest.raises(InvalidArgument):
        world.news.watch(world.client, "a://more", lambda: None)
    world.news.watch(world.client, "a://1", lambda: None)
