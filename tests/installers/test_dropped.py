"""What is dropped on Houdini: our installer upgrades, all else is another's, nothing is raised."""

from __future__ import annotations

import os
import sys
import types

import pytest
from dcc_mcp_embed.installers import bootstraps, dropped, hosts

pytestmark = pytest.mark.edges

INSTALLER = b'''"""Install dcc_mcp_embed: for a test."""
HOST = "houdini"
def install():
    import sys
    sys.stdout.write("installed from {}\\n".format(__file__))
'''
#: Hands on to the first on the path, which is ours.
TO_THE_FIRST = b"""
def dropAccept(files):
    import hou
    names = {}
    with open(hou.findFiles("scripts/externaldragdrop.py")[0]) as stream:
        exec(stream.read(), names)
    return names["dropAccept"](files)
"""


class Houdini:
    """Folders with hooks, in the order of the path; ours is the first."""

    def __init__(self, place):
        self.root = place / "dcc_mcp_embed"
        self.path = [self.add("dcc_mcp_embed/houdini", bootstraps.text("houdini_drop"))]
        self.place = place
        (self.root / "boot.py").write_bytes(b"")

    def add(self, folder, content):
        path = self.root.parent / folder / "scripts" / "externaldragdrop.py"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return path

    def findFiles(self, name):
        assert name == "scripts/externaldragdrop.py"
        found = tuple(str(one) for one in self.path if one.is_file())
        if not found:
            raise OSError("stands for hou.OperationFailed")
        return found

    def other(self, content=b"def dropAccept(files):\n    return 'other'\n"):
        self.path.append(self.add("other{}".format(len(self.path)), content))

    def installer(self, content=INSTALLER):
        path = self.place / "install.py"
        path.write_bytes(content)
        return str(path)


@pytest.fixture
def houdini(tmp_path, monkeypatch):
    made = Houdini(tmp_path)
    module = types.ModuleType("hou")
    module.findFiles = made.findFiles
    monkeypatch.setitem(sys.modules, "hou", module)
    return made


def drop(houdini, *files):
    """Drop as Houdini does: what is run is the text, which is told no file."""
    names = {"__name__": "__main__"}
    exec(bootstraps.text("houdini_drop"), names)
    return names["dropAccept"](list(files))


def test_the_installer_is_run_and_nobody_else_is_asked(houdini, capsys):
    houdini.other(b"raise ValueError\n")
    script = houdini.installer()
    assert drop(houdini, script) is True
    assert capsys.readouterr().out == "installed from {}\n".format(script)
    crlf = houdini.installer(INSTALLER.replace(b"\n", b"\r\n"))
    assert drop(houdini, crlf) is True


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"import os\n" + INSTALLER,
        INSTALLER.replace(b"houdini", b"maya"),
        INSTALLER + b"#" * 65536,
        b'"""Install another tool."""\nHOST = "houdini"\n',
    ],
)
def test_what_is_not_our_installer_for_houdini_is_not_run(houdini, capsys, content):
    script = houdini.installer(content)
    assert not drop(houdini, script)
    houdini.other()
    assert drop(houdini, script) == "other"
    assert capsys.readouterr().out == ""


def test_more_than_the_installer_is_handed_on(houdini, capsys):
    houdini.other()
    script = houdini.installer()
    assert drop(houdini, script, script) == "other" and drop(houdini) == "other"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "end", [b"raise SystemExit('damaged')\n", b"install = None\n", b"def (\n", b"\0\n"]
)
def test_an_installer_that_is_damaged_is_told_of_and_raises_nothing(houdini, capsys, end):
    assert drop(houdini, houdini.installer(INSTALLER + end)) is True
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("dcc_mcp_embed was not upgraded: ")


def test_nobody_to_tell_is_no_hindrance(houdini, monkeypatch):
    script = houdini.installer(INSTALLER + b"raise ValueError\n")
    monkeypatch.setattr(sys, "stderr", None)
    assert drop(houdini, script) is True


@pytest.mark.parametrize("name", ["no boot.py", "no hook", "a studio's"])
def test_where_nothing_is_to_be_upgraded_it_is_handed_on(houdini, capsys, name):
    script = houdini.installer()
    if name == "a studio's":
        (houdini.root / "shared.txt").write_bytes(b"")
    else:
        path = houdini.root / "boot.py" if name == "no boot.py" else houdini.path[0]
        os.unlink(str(path))
    assert not drop(houdini, script)
    houdini.other()
    assert drop(houdini, script) == "other"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("files", [None, 7, [None], [object()], ["\0"], ["\udcff"], [b"\xff"]])
def test_odd_things_are_not_ours_and_raise_nothing(houdini, files):
    assert not dropped.dropAccept(files)
    del sys.modules["hou"]
    assert not dropped.dropAccept(files)


def test_of_several_only_the_next_one_is_asked(houdini):
    houdini.path.append(houdini.add("second", bootstraps.text("houdini_drop")))
    houdini.other()
    houdini.other(b"raise ValueError\n")
    assert drop(houdini, "/x.abc") == "other"


def test_a_hook_without_the_function_takes_nothing(houdini):
    houdini.other(b"other = 1\n")
    assert not drop(houdini, "/x.abc")


def test_what_another_tools_hook_raises_is_its_own(houdini):
    houdini.other(b"def dropAccept(files):\n    raise KeyError(files[0])\n")
    with pytest.raises(KeyError, match="x.abc"):
        drop(houdini, "/x.abc")


def test_hooks_that_hand_on_to_each_other_come_to_an_end(houdini):
    houdini.other(TO_THE_FIRST)
    assert drop(houdini, "/x.abc") is False


def test_one_name_is_all_that_it_leaves_where_houdini_runs_it():
    names = {}
    exec(bootstraps.text("houdini_drop"), names)
    found = {one for one in names if not one.startswith("__")}
    assert found == {"TYPE_CHECKING", "dropAccept"}


def test_it_lies_in_a_folder_of_ours():
    (file,) = [one for one in hosts.HOSTS["houdini"].files if one.text == "houdini_drop"]
    assert file.path == "dcc_mcp_embed/houdini/scripts/externaldragdrop.py"
