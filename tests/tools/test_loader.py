"""Modules are found by name or file; broken ones are reported; the host's import state is kept."""

from __future__ import annotations

import os
import sys
import textwrap
from types import ModuleType

import pytest

from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.tools.declare import declared_in
from dcc_mcp_embed.tools.loader import load, load_entry_points, load_folder

GOOD = """
    from dcc_mcp_embed import tool

    @tool
    def get_number():
        "Get a number."
        return {}
"""


@pytest.fixture(autouse=True)
def guest():
    """Nothing but modules of our own names may be left, and those go again."""
    path, before = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    for name in set(sys.modules) - before:
        if name.startswith("dcc_mcp_embed._loaded."):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(file)

    return write


def test_by_name():
    assert load("dcc_mcp_embed.tools.control").__name__ == "dcc_mcp_embed.tools.control"


def test_by_file(write, tmp_path):
    file = write("my tools.py", GOOD.format(7))
    module = load(file)
    assert module.get_number() == 7
    assert module.__file__ == file
    assert module.__name__.startswith("dcc_mcp_embed._loaded.my_tools_")
    assert sys.modules[module.__name__] is module
    assert [entry.name for entry in declared_in(module)] == ["get_number"]
    # A shared folder stays clean.
    assert os.listdir(str(tmp_path)) == ["my tools.py"]


def test_an_edit_shows_at_the_next_load(write):
    # Same size and, most likely, same time: bytecode would not notice.
    assert load(write("a.py", GOOD.format(1))).get_number() == 1
    assert load(write("a.py", GOOD.format(2))).get_number() == 2


def test_equal_names_in_two_places_are_two_modules(write):
    first = load(write("one/rig.py", GOOD.format(1)))
    second = load(write("two/rig.py", GOOD.format(2)))
    assert (first.get_number(), second.get_number()) == (1, 2)
    assert first.__name__ != second.__name__


def test_a_package_may_import_its_own(write, tmp_path):
    write("rigs/__init__.py", "from .inner import get_number\n")
    inner = write("rigs/inner.py", GOOD.format(1))
    assert load(os.path.dirname(inner)).get_number() == 1
    assert load(str(tmp_path / "rigs")).get_number() == 1


def test_the_files_own_encoding_and_mark_are_honoured(tmp_path):
    file = tmp_path / "a.py"
    file.write_bytes(b"\xef\xbb\xbfWORD = 'gr\xc3\xbcn'\n")
    assert load(str(file)).WORD == "grün"
    file.write_bytes(b"# coding: latin-1\nWORD = 'gr\xfcn'\n")
    assert load(str(file)).WORD == "grün"


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "  ",
        None,
        "no.such_module_at_all",
        "no such module",
        "./none.py",
        "none.py",
        "..a",
        "a..b",
    ],
)
def test_what_names_nothing_is_said(spec):
    with pytest.raises(ConfigError):
        load(spec)


def test_a_missing_import_inside_is_its_own_error(write):
    file = write("a.py", "import no_such_module_at_all\n")
    with pytest.raises(ModuleNotFoundError):
        load(file)


def test_a_folder_that_is_no_package(tmp_path):
    with pytest.raises(ConfigError, match="__init__"):
        load(str(tmp_path))


def test_a_failed_load_leaves_nothing_or_the_old(write):
    before = set(sys.modules)
    file = write("a.py", "1/0")
    with pytest.raises(ZeroDivisionError):
        load(file)
    assert set(sys.modules) == before
    old = load(write("a.py", GOOD.format(1)))
    write("a.py", "1/0")
    with pytest.raises(ZeroDivisionError):
        load(file)
    assert sys.modules[old.__name__] is old


def test_folder(write, tmp_path):
    write("b.py", GOOD.format(2))
    write("a.py", GOOD.format(1))
    write("pack/__init__.py", GOOD.format(3))
    write("_helper.py", "1/0")
    write(".hidden.py", "1/0")
    write("notes.txt", "x")
    write("data/x.py", "1/0")
    write("syntax.py", "x = 1\ndef broken(:\n")
    write("raises.py", "\n\ndef f():\n    1/0\n\nf()\n")
    write("quits.py", "import sys\nsys.exit(3)\n")
    write("async_one.py", "from dcc_mcp_embed import tool\n@tool\nasync def get_it(): pass\n")
    modules, problems = load_folder(str(tmp_path))
    assert [module.get_number() for module in modules] == [1, 2, 3]
    told = {os.path.basename(one.file): (one.line, one.error.split(":")[0]) for one in problems}
    assert told.pop("async_one.py")[1] == "ConfigError"
    assert told == {
        "syntax.py": (2, "SyntaxError"),
        "raises.py": (4, "ZeroDivisionError"),
        "quits.py": (2, "SystemExit"),
    }
    assert any(
        str(one).endswith("raises.py:4: ZeroDivisionError: division by zero") for one in problems
    )


def test_a_null_byte_or_a_wrong_encoding_is_a_problem_only(tmp_path):
    (tmp_path / "a.py").write_bytes(b"x = '\x00'\n")
    (tmp_path / "b.py").write_bytes(b"x = '\xff'\n")
    modules, problems = load_folder(str(tmp_path))
    assert modules == []
    assert len(problems) == 2


def test_ctrl_c_is_not_swallowed(write, tmp_path):
    write("a.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_folder(str(tmp_path))


def test_no_folder_is_no_problem(tmp_path, write):
    assert load_folder(str(tmp_path / "none")) == ([], [])
    modules, problems = load_folder(write("a.py", ""))
    assert (modules, len(problems)) == ([], 1)


OFFER = """\
    [console_scripts]
    bad = sample_tools_bad

    [dcc_mcp_embed.tools]
    # What is offered.
    good = sample_tools_good
    again = sample_tools_good [extra]
    bad = sample_tools_bad
    quits = sample_tools_quits
    function = sample_tools_good:get_number
    gone = sample_tools_gone
    empty =
    no value
"""


@pytest.fixture
def installed(write, tmp_path, monkeypatch):
    """Lay out a distribution as an installer does, where imports find it; return its folder."""
    write("sample_tools_good.py", GOOD.format(4))
    write("sample_tools_bad.py", "1/0")
    write("sample_tools_quits.py", "import sys\nsys.exit(3)\n")
    metadata = "Metadata-Version: 2.1\nName: sample-tools\nVersion: 1\n"
    write("sample_tools-1.dist-info/METADATA", metadata)
    write("sample_tools-1.dist-info/entry_points.txt", OFFER)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        # What an entry point loads is an ordinary module of that distribution.
        patch.setitem(sys.modules, "sample_tools_good", ModuleType("sample_tools_good"))
        del sys.modules["sample_tools_good"]
        patch.setattr(sys, "dont_write_bytecode", True)
        yield tmp_path


def test_entry_points(installed):
    modules, problems = load_entry_points(sys.path)
    assert [module.get_number() for module in modules] == [4]
    label = "entry point {} of sample_tools"
    assert [(one.file, one.error.split(":")[0]) for one in problems] == [
        (label.format("bad = sample_tools_bad"), "ZeroDivisionError"),
        (label.format("empty = "), "ValueError"),
        (label.format("function = sample_tools_good:get_number"), "ConfigError"),
        (label.format("gone = sample_tools_gone"), "ModuleNotFoundError"),
        (label.format("quits = sample_tools_quits"), "SystemExit"),
    ]


def test_no_entry_points_are_none():
    assert load_entry_points(sys.path, "nobody.has.this.group") == ([], [])


def test_ctrl_c_in_an_entry_point_is_not_swallowed(installed, write):
    write("sample_tools_bad.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_entry_points(sys.path)
