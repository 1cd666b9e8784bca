"""The tools that only Maya has, over the fake Maya."""

from __future__ import annotations

import glob
import os
import tempfile

import pytest
from dcc_mcp_embed.adapters.maya import tools
from dcc_mcp_embed.adapters.maya.scene import MayaScene

from dcc_mcp_embed.errors import HostError, InvalidArgument, Unsupported
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.table import ToolTable
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install
from tool_lint import check

pytestmark = pytest.mark.qt


@pytest.fixture
def host():
    host = MayaHost(batch=False)
    with install(host):
        yield host
    host.check()


@pytest.fixture
def context(host):
    return ToolContext(scene=MayaScene())


def run(context, name, **arguments):
    table = ToolTable()
    table.add_module(tools)
    tool = table.get(name)
    return tool.invoke(context, tool.bind(arguments))


def test_they_break_no_rule_of_portable_tools():
    table = ToolTable()
    table.add_module(tools)
    assert [finding for tool in table.tools for finding in check(tool)] == []


def test_there_are_these():
    table = ToolTable()
    assert table.add_module(tools) == 2
    assert "code" in table.get("execute_mel").capabilities, "the code gate has to be asked"
    assert table.get("capture_viewport").read_only is True


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("pCube1", "pCube1"),
        (3, 3),
        (None, None),
        ([1.5, 2.0], [1.5, 2.0]),
        (("a", "b"), ["a", "b"]),
        (float("inf"), "inf"),
    ],
)
def test_mel_returns_its_last_value(host, context, value, shown):
    host.mel_answers["go"] = value
    assert run(context, "execute_mel", code="go")["result"] == shown


def test_what_mel_prints_through_python_is_returned(host, context):
    host.mel_answers["go"] = lambda: print("hello")
    assert run(context, "execute_mel", code="go")["stdout"] == "hello\n"


def test_a_result_that_is_too_large_is_cut(host, context):
    host.mel_answers["go"] = ["name{}".format(number) for number in range(10000)]
    found = run(context, "execute_mel", code="go")
    assert isinstance(found["result"], str) and len(found["result"]) <= 16000
    assert found["result"].startswith('["name0"') and context.warnings


def test_an_error_of_mel_is_told_with_its_words(host, context):
    host.mel_answers["bad"] = RuntimeError('Cannot find procedure "bad".')
    with pytest.raises(HostError, match="Cannot find procedure"):
        run(context, "execute_mel", code="bad")
    with pytest.raises(InvalidArgument):
        run(context, "execute_mel", code="  ")


def left_over():
    return glob.glob(os.path.join(tempfile.gettempdir(), "dcc_mcp_*", "view.png"))


def test_the_view_is_shown_as_a_picture_and_no_file_is_left(host, context):
    before = left_over()
    (picture,) = run(context, "capture_viewport", width=64, height=32)
    assert picture.to_content()["mimeType"] == "image/png"
    assert left_over() == before


@pytest.mark.parametrize("sizes", [{"width": 15}, {"height": 4000}])
def test_a_size_that_is_none_is_refused(context, sizes):
    with pytest.raises(InvalidArgument):
        run(context, "capture_viewport", **sizes)


def test_without_a_window_there_is_no_view():
    host = MayaHost(batch=True)
    with install(host), pytest.raises(Unsupported):
        run(ToolContext(), "capture_viewport")
    host.check()
