"""The tools that only Houdini has, as its server would call them."""

from __future__ import annotations

import pytest

import tool_lint
from dcc_mcp_embed.errors import HostError, InvalidArgument, NotFound, TypeMismatch
from dcc_mcp_embed.tools.code import CODE
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import declared, declared_in

pytestmark = pytest.mark.qt


@pytest.fixture
def host():
    from fakes.houdini_host import install

    with install(interactive=False) as made:
        yield made


@pytest.fixture
def tools(host):
    from dcc_mcp_embed.adapters.houdini import tools

    return tools


@pytest.fixture
def ctx(host):
    from dcc_mcp_embed.adapters.houdini import create

    adapter = create()
    yield ToolContext(scene=adapter.scene_backend())
    adapter.close()


@pytest.fixture
def box(ctx, host):
    path = ctx.scene.create("cube", None, None, {})
    return host.hou.node(path).children()[0]


def test_they_keep_the_rules_of_our_own_tools(tools):
    found = list(declared_in(tools))
    assert sorted(tool.name for tool in found) == [
        "check_node",
        "execute_hscript",
        "get_parms",
        "set_parms",
    ]
    for tool in found:
        assert list(tool_lint.check(tool)) == []


def test_running_hscript_needs_what_running_code_needs(tools):
    assert CODE in declared(tools.execute_hscript).capabilities


def test_parameters_are_read(ctx, tools, box):
    all_of_it = tools.get_parms(ctx, box.path())
    assert all_of_it["values"]["size"] == [1, 1, 1]
    assert all_of_it["values"]["type"] == "polymesh"
    some = tools.get_parms(ctx, box.path(), ["sizex", "t"])
    assert some == {
        "path": "/obj/cube1/cube1",
        "values": {"sizex": 1, "t": [0, 0, 0]},
        "expressions": {},
    }


def test_parameters_are_set(ctx, tools, box):
    result = tools.set_parms(ctx, box.path(), {"size": [1, 2, 3], "type": "poly", "tx": 4})
    assert result["before"] == {"size": [1, 1, 1], "type": "polymesh", "tx": 0}
    assert result["after"] == {"size": [1, 2, 3], "type": "poly", "tx": 4}


def test_what_does_not_fit_changes_nothing(ctx, tools, box):
    for values in ({}, {"size": 2}, {"size": [1, 2]}, {"tx": "wide"}):
        with pytest.raises(InvalidArgument):
            tools.set_parms(ctx, box.path(), values)
    with pytest.raises(NotFound) as error:
        tools.set_parms(ctx, box.path(), {"tx": 1, "sise": 2})
    assert "size" in error.value.hint
    with pytest.raises(NotFound):
        tools.get_parms(ctx, "/obj/nowhere")
    with pytest.raises(NotFound):
        tools.get_parms(ctx, "cube1")
    box.parm("ty").lock(True)
    with pytest.raises(TypeMismatch, match="locked"):
        tools.set_parms(ctx, box.path(), {"tx": 1, "ty": 1})
    assert box.parmTuple("t").eval() == (0, 0, 0)


def test_cooking_says_what_is_wrong(ctx, tools, box):
    fine = tools.check_node(ctx, box.path(), force=True)
    assert fine == {"path": box.path(), "cooked": True, "errors": [], "warnings": []}
    broken = box.parent().createNode("file", "broken")
    broken.parm("file").set("/nowhere/x.bgeo")
    result = tools.check_node(ctx, broken.path())
    assert result["cooked"] is False and "nowhere" in result["errors"][0]


def test_hscript_runs(ctx, tools):
    assert tools.execute_hscript(ctx, "echo hello") == {"output": "hello\n", "errors": ""}
    with pytest.raises(HostError, match="Unknown command"):
        tools.execute_hscript(ctx, "nonsense 1")
    with pytest.raises(InvalidArgument):
        tools.execute_hscript(ctx, " ")
