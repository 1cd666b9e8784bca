"""What ``tools/list`` shows in each profile, and how many bytes it has."""

from __future__ import annotations

import importlib

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from dcc_mcp_embed.host.detecting import ADAPTERS
from dcc_mcp_embed.tools import code, control, scene
from dcc_mcp_embed.tools.declare import declared, tool
from dcc_mcp_embed.tools.profiles import CORE
from dcc_mcp_embed.tools.table import ToolTable
from dcc_mcp_embed.wire import jsonrpc

#: Bytes of the whole answer, as it was promised, whatever the product holds to be its limit.
LIST_LIMIT = 24 * 1024
META_TOOLS = {"search_tools", "describe_tool", "call_tool"}


def table_of(profile, *more):
    table = ToolTable(profile)
    for module in (control, scene, code) + more:
        table.add_module(module)
    return table


def names(table):
    return [one["name"] for one in table.listing()]


def size(table):
    """Return the bytes of the larger of both lists: with what is said of tasks, or without."""
    lists = [table.listing(member) for member in ("tools", "toolsAsTasks")]
    return max(len(jsonrpc.encode(jsonrpc.result(1, {"tools": one}))) for one in lists)


def foreign(name, text="Do it.", **more):
    def function(path: str = "") -> None:
        pass

    function.__name__, function.__doc__ = name, text
    return tool(**more)(function)


def modules_of(adapter):
    """Return the modules with tools of an adapter, without the host that it needs to be made."""
    folder = ADAPTERS[adapter].folder
    module = importlib.import_module("dcc_mcp_embed.adapters.{}.adapter".format(folder))
    kinds = [one for one in vars(module).values() if isinstance(one, type)]
    own = [one for one in kinds if getattr(one, "dcc_type", None) == adapter]
    assert len(own) == 1
    return own[0].tool_modules(object.__new__(own[0]))


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_the_list_of_every_host_is_small_enough(adapter):
    table = table_of("core", *modules_of(adapter))
    assert set(names(table)) >= META_TOOLS
    assert size(table) < LIST_LIMIT


def test_core_leaves_out_what_few_need_and_everything_can_be_called():
    core, full = table_of("core"), table_of("full")
    assert names(full) == [one.name for one in full.tools]
    left_out = set(names(full)) - set(names(core))
    assert left_out
    assert not left_out & CORE
    assert set(names(core)) <= CORE
    assert [one.name for one in core.tools] == [one.name for one in full.tools]
    for name in left_out:
        assert core.get(name).name == name


def test_the_users_own_tools_are_listed_beside_the_core():
    table = table_of("core")
    before = set(names(table))
    table.add(foreign("zz_top"))
    assert set(names(table)) - before == {"zz_top"}
    assert names(table) == sorted(names(table))


def test_the_users_tools_are_listed_in_the_order_of_their_names_for_as_long_as_there_is_room():
    table = table_of("core")
    core = set(names(table))
    for number in reversed(range(100)):
        table.add(foreign("own_{:03}".format(number), "Do. " * 100))
    shown = [name for name in names(table) if name not in core]
    assert core < set(names(table))
    assert 5 < len(shown) < 100
    assert shown == ["own_{:03}".format(number) for number in range(len(shown))]
    assert LIST_LIMIT - 2000 < size(table) < LIST_LIMIT
    assert len(table) == len(table.tools) > 100


def test_a_large_tool_keeps_no_small_one_out():
    table = table_of("core")
    table.add(foreign("a_large_one", "x" * LIST_LIMIT))
    table.add(foreign("b_small_one"))
    assert "a_large_one" not in names(table)
    assert "b_small_one" in names(table)
    assert table.get("a_large_one").name == "a_large_one"


def test_text_that_json_escapes_counts_as_what_it_is_on_the_wire():
    table = table_of("core")
    for number in range(100):
        table.add(foreign("own_{:03}".format(number), "\u4e2d" * 100))
    assert size(table) < LIST_LIMIT


def test_an_output_schema_is_shown_in_the_full_profile_only():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    one = foreign("count_it", output_schema=schema)
    shown = {}
    for profile in ("core", "full"):
        table = table_of(profile)
        table.add(one)
        shown[profile] = {entry["name"]: entry for entry in table.listing()}["count_it"]
    assert shown["full"] == declared(one).describe()
    assert "outputSchema" in shown["full"]
    assert shown["core"] == {k: v for k, v in shown["full"].items() if k != "outputSchema"}


def test_the_table_of_core_names_control_tools_that_exist():
    ours = {one.name for one in table_of("full").tools}
    for name in META_TOOLS | {"get_status", "get_job", "cancel_job"}:
        assert name in CORE & ours


def test_the_standalone_adapter_is_one_of_those_measured():
    assert modules_of("standalone") == StandaloneAdapter().tool_modules()
    assert dcc_mcp_embed.__version__
