"""The table: found by name, listed in one order, changed as a whole."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import pytest

from dcc_mcp_embed.errors import ConfigError, NotFound
from dcc_mcp_embed.tools.declare import Tool, prompt, resource, tool
from dcc_mcp_embed.tools.table import ToolTable


def make(name):
    def function():
        """Do."""

    return Tool(function, name=name)


def module_of(**things):
    module = ModuleType("some_tools")
    vars(module).update(things)
    return module


@tool
def set_it():
    """Set."""


@resource("scene://it")
def read_it():
    """Read."""


@prompt
def ask_it():
    """Ask."""


def test_modules():
    table = ToolTable()
    count = table.add_module(module_of(a=set_it, b=read_it, c=ask_it, d=len, e=set_it))
    assert count == 3
    assert [one.name for one in table.tools] == ["set_it"]
    assert [one.uri for one in table.resources] == ["scene://it"]
    assert [one.name for one in table.prompts] == ["ask_it"]
    assert table.add_module(module_of(x=5)) == 0


def test_the_listing_is_by_name_whatever_the_order():
    first, second = ToolTable(), ToolTable()
    tools = [make("b"), make("a"), make("c")]
    for one in tools:
        first.add(one)
    for one in reversed(tools):
        second.add(one)
    assert first.listing() == second.listing()
    assert [one["name"] for one in first.listing()] == ["a", "b", "c"]
    assert len(first) == 3
    assert "a" in first
    assert "d" not in first


def test_the_listing_is_built_once_per_change():
    table = ToolTable()
    table.add(set_it)
    listing, revision = table.listing(), table.revision
    assert table.listing() is listing
    # The same again is no change.
    table.add(set_it)
    table.add_module(module_of(a=set_it))
    assert (table.listing() is listing, table.revision) == (True, revision)
    table.add(make("b"))
    assert table.listing() is not listing
    assert table.revision == revision + 1
    # Who reads the old one still has it whole.
    assert [one["name"] for one in listing] == ["set_it"]


def test_unknown_names_come_with_near_ones():
    table = ToolTable()
    table.add(set_it)
    with pytest.raises(NotFound) as caught:
        table.get("set_its")
    assert caught.value.hint == "Did you mean 'set_it'?"
    assert caught.value.state == "not_started"
    with pytest.raises(NotFound) as caught:
        table.get("x" * 100000)
    assert "tools/list" in caught.value.hint
    assert len(caught.value.message) < 200


def test_a_taken_name_names_both_places():
    table = ToolTable()
    table.add(set_it)
    with pytest.raises(ConfigError) as caught:
        table.add_module(module_of(first=make("other"), second=make("set_it")))
    message = str(caught.value)
    assert message.count("test_table.py:") == 2
    assert "set_it" in message
    assert "name=" in message
    # All or none.
    assert "other" not in table


def test_what_is_not_declared_is_refused():
    with pytest.raises(ConfigError, match="not declared"):
        ToolTable().add(len)


@pytest.fixture
def eager_switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_switching")
def test_writers_do_not_lose_each_others_tools():
    table = ToolTable()
    barrier = threading.Barrier(4)

    def add(start):
        barrier.wait()
        for number in range(start, 200, 4):
            table.add(make("tool_{:03}".format(number)))

    threads = [threading.Thread(target=add, args=(start,)) for start in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one["name"] for one in table.listing()] == [
        "tool_{:03}".format(number) for number in range(200)
    ]
    assert table.revision == 200
