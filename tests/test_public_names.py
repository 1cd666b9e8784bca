"""The package's face: lazy names, and what ``dir`` and the checker are told."""

from __future__ import annotations

import ast
import os
from importlib import import_module
from importlib.util import find_spec

import pytest

import dcc_mcp_embed
from helpers import ROOT

SOURCE_OF = dict(dcc_mcp_embed._SOURCE_OF)


@pytest.mark.parametrize("source", [".errors", ".transport_errors"])
def test_every_error_is_public(source: str) -> None:
    errors = import_module("dcc_mcp_embed" + source)
    assert set(errors.__all__) == {n for n, where in SOURCE_OF.items() if where == source}


@pytest.mark.parametrize("name", sorted(SOURCE_OF))
def test_name_is_what_its_module_defines(name: str) -> None:
    source = import_module(SOURCE_OF[name], "dcc_mcp_embed")
    assert getattr(dcc_mcp_embed, name) is getattr(source, name)


def test_decorator_and_package_are_told_apart() -> None:
    tools = import_module("dcc_mcp_embed.tools")
    assert dcc_mcp_embed.tools is tools
    assert callable(dcc_mcp_embed.tool)
    assert dcc_mcp_embed.tool is not tools


def test_dir_and_all_list_the_lazy_names() -> None:
    assert set(dcc_mcp_embed.__all__) == {*SOURCE_OF, "__version__"}
    assert set(SOURCE_OF) <= set(dir(dcc_mcp_embed))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'dcc_mcp_embed' has no attribute 'colour'"):
        _ = dcc_mcp_embed.colour
    assert find_spec("dcc_mcp_embed.colour") is None


def test_type_checkers_see_the_same_names() -> None:
    with open(os.path.join(ROOT, "dcc_mcp_embed", "__init__.py"), encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    ]
    seen = {
        alias.asname: "." * node.level + (node.module or "")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert seen == SOURCE_OF
