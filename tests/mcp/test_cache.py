"""Lists of tools that are kept: for how long, for whom, and when they are not good any more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dcc_mcp_embed.mcp.cache import ToolCache, copied
from fakes.clock import FakeClock

KEY, OTHER, ANOTHERS = ("me", "a"), ("me", "b"), ("you", "a")


def tool(name="x"):
    schema = {"type": "object", "properties": {"q": {"type": ["string", "null"]}}}
    return {"name": name, "description": "", "inputSchema": schema}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def cache(clock):
    return ToolCache(10, clock)


def put(cache, *keys):
    for key in keys:
        cache.put(key, [tool()], cache.version(key))


def kept(cache):
    return [key for key in (KEY, OTHER, ANOTHERS) if cache.get(key) is not None]


def test_what_is_put_is_there(cache):
    assert cache.get(KEY) is None
    put(cache, KEY)
    assert cache.get(KEY) == [tool()]
    assert cache.get(OTHER) is None


def test_it_is_good_for_so_long(cache, clock):
    put(cache, KEY)
    clock.advance(599.9)
    assert cache.get(KEY)
    clock.advance(0.1)
    assert cache.get(KEY) is None
    assert cache.stats()["total_entries"] == 0


def test_hits_are_counted(cache, clock):
    put(cache, KEY, OTHER)
    for key in (KEY, KEY, OTHER):
        cache.get(key)
    when = datetime.fromtimestamp(clock.wall()) + timedelta(minutes=10)
    assert cache.stats() == {
        "total_entries": 2,
        "total_hits": 3,
        "cache_ttl_minutes": 10,
        "entries": [
            {"key": "me:a", "tools_count": 1, "hit_count": 2, "expire_time": when.isoformat()},
            {"key": "me:b", "tools_count": 1, "hit_count": 1, "expire_time": when.isoformat()},
        ],
    }


def test_nobody_can_change_what_is_kept(cache):
    mine = [tool()]
    cache.put(KEY, mine, cache.version(KEY))
    mine[0]["inputSchema"]["properties"]["q"]["type"].append("number")
    found = cache.get(KEY)
    found[0]["inputSchema"]["additionalProperties"] = False
    found[0]["name"] = "y"
    found.append(tool())
    assert cache.get(KEY) == [tool()]


def test_dropping_one(cache):
    put(cache, KEY, OTHER, ANOTHERS)
    cache.drop(KEY)
    assert kept(cache) == [OTHER, ANOTHERS]


def test_clearing_those_of_a_user(cache):
    put(cache, KEY, OTHER, ANOTHERS)
    cache.clear("me")
    assert kept(cache) == [ANOTHERS]


def test_clearing_all(cache):
    put(cache, KEY, OTHER, ANOTHERS)
    cache.clear()
    assert kept(cache) == []


@pytest.mark.parametrize("spoil", [
    lambda cache: cache.drop(KEY),
    lambda cache: cache.clear(),
    lambda cache: cache.clear("me"),
])  # fmt: skip
@pytest.mark.parametrize("before", [True, False], ids=["with one before", "the first"])
def test_what_has_become_wrong_while_it_was_asked_for_is_not_kept(cache, spoil, before):
    if before:
        put(cache, KEY)
    version = cache.version(KEY)
    spoil(cache)
    cache.put(KEY, [tool("old")], version)
    assert cache.get(KEY) is None
    put(cache, KEY)
    assert cache.get(KEY) == [tool()]


def test_others_are_kept_meanwhile(cache):
    version = cache.version(OTHER)
    cache.drop(KEY)
    cache.put(OTHER, [tool()], version)
    assert kept(cache) == [OTHER]


def test_all_tools_that_are_known(cache):
    cache.put(KEY, [tool("x"), tool("y")], cache.version(KEY))
    cache.put(ANOTHERS, [tool("z")], cache.version(ANOTHERS))
    assert cache.pairs() == [("a", "x"), ("a", "y"), ("a", "z")]


def test_copies():
    value = {"a": [1, {"b": None}], "c": "x", "d": 1.5}
    found = copied(value)
    assert found == value
    assert found["a"] is not value["a"]
    assert found["a"][1] is not value["a"][1]
