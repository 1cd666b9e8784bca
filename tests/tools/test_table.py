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


def test_unknown_resources_and_prompts_come_with_near_ones():
    table = ToolTable()
    table.add_module(module_of(a=read_it, b=ask_it))
    assert table.resource("scene://it")[0].name == "read_it"
    assert table.referred("scene://it").name == "read_it"
    assert table.prompt("ask_it").name == "ask_it"
    for look, wanted, hint in (
        (table.resource, "scene://at", "Did you mean 'scene://it'?"),
        (table.referred, "nowhere", "resources/list"),
        (table.resource, "x" * 100000, "resources/list"),
        (table.prompt, "ask_at", "Did you mean 'ask_it'?"),
        (table.prompt, "y" * 100000, "prompts/list"),
    ):
        with pytest.raises(NotFound) as caught:
            look(wanted)
        assert hint in caught.value.hint
        assert caught.value.state == "not_started"
        assert len(caught.value.message) < 300


def test_every_list_is_sorted_and_the_same_until_a_change():
    @resource("a://b/{x}")
    def templated(x: str):
        pass

    @resource("a://a")
    def first():
        pass

    table = ToolTable()
    table.add_module(module_of(a=read_it, b=ask_it, c=templated, d=first, e=set_it))
    assert [one["uri"] for one in table.listing("resources")] == ["a://a", "scene://it"]
    assert [one["uriTemplate"] for one in table.listing("resourceTemplates")] == ["a://b/{x}"]
    assert [one["name"] for one in table.listing("prompts")] == ["ask_it"]
    assert [one["name"] for one in table.listing("tools")] == ["set_it"]
    assert table.listing("prompts") is table.listing("prompts")


def test_a_taken_uri_is_told():
    @resource("scene://it")
    def other():
        pass

    table = ToolTable()
    table.add(read_it)
    with pytest.raises(ConfigError, match="scene://it"):
        table.add(other)


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


def test_whoever_wants_to_know_is_told_which_lists_have_changed():
    table, told = ToolTable(), []
    table.changed = told.append

    def some():
        """Do it."""

    one = make("one")
    table.add(one)
    table.add(one)
    assert told == [["tools"]]

    def other():
        """Be it."""

    module = module_of(a=prompt(name="p")(some), b=resource("x://y")(other))
    table.add_module(module)
    table.add_module(module)
    assert sorted(told.pop()) == ["prompts", "resources"]
    with pytest.raises(ConfigError):
        table.add(make("one"))
    assert told == [["tools"]]
