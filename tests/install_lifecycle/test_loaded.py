"""What is in use below a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.install_lifecycle import loaded

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
ROOT = os.path.join(os.path.abspath(os.sep), "nowhere", "root")
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def below(*names):
    return os.path.join(ROOT, *names)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pyd", True),
        ("a.PYD", True),
        ("a.dll", True),
        ("liba.dylib", True),
        ("liba.so", True),
        ("liba.so.1.2", True),
        ("a" + SUFFIX, True),
        ("a.py", False),
        ("a.so.txt", False),
        ("so", False),
    ],
)
def test_native_names(name, expected):
    assert loaded.is_native(name) is expected


class Hostile:
    """A module whose attributes are not to be had."""

    @property
    def __file__(self):
        raise RuntimeError("no")


def test_modules_and_libraries_are_told_apart_and_told_once():
    modules = {
        "pure": SimpleNamespace(__file__=below("pure.py")),
        "fast": SimpleNamespace(__file__=below("sub", "fast" + SUFFIX)),
        "elsewhere": SimpleNamespace(__file__=ROOT + "2" + os.sep + "x" + SUFFIX),
        "built_in": SimpleNamespace(),
        "none": SimpleNamespace(__file__=None),
        "number": SimpleNamespace(__file__=7),
        "hostile": Hostile(),
        "gone": None,
    }
    mapped = [below("sub", "fast" + SUFFIX), below("libx.so.1"), "/nowhere/libc.so.6"]
    uses = [(7, below("server"), "executable"), (8, "/nowhere/cat", "executable")]
    found = loaded.select(ROOT, modules, mapped, uses)
    assert found.modules == [
        ("pure", below("pure.py")),
        ("fast", below("sub", "fast" + SUFFIX)),
    ]
    assert found.natives == [
        ("fast", below("sub", "fast" + SUFFIX)),
        (None, below("libx.so.1")),
    ]
    assert found.uses == [(7, below("server"), "executable")]
    assert found.locked_path == below("sub", "fast" + SUFFIX)


def test_what_locks():
    assert loaded.select(ROOT, {}, [], []).locked_path is None
    pure = {"pure": SimpleNamespace(__file__=below("pure.py"))}
    assert loaded.select(ROOT, pure, [], []).locked_path is None
    use = (7, below("server"), "executable")
    assert loaded.select(ROOT, pure, [], [use]).locked_path == below("server")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_links_to_the_folder_do_not_hide_it(tmp_path):
    real = os.path.realpath(str(tmp_path / "real"))
    os.mkdir(real)
    os.symlink(real, str(tmp_path / "link"))
    path = os.path.join(str(tmp_path), "link", "a.so")
    for root in (real, str(tmp_path / "link")):
        found = loaded.select(root, {"a": SimpleNamespace(__file__=path)}, [], [])
        assert found.natives == [("a", os.path.join(real, "a.so"))]


def test_maps_of_linux():
    lines = [
        b"55d0-55d1 r-xp 00000000 08:01 1 /usr/bin/tool",
        b"7f00-7f01 r--p 00000000 08:01 2 /lib/with blanks/liba.so.1",
        b"7f01-7f02 r-xp 00001000 08:01 2 /lib/with blanks/liba.so.1",
        b"7f02-7f03 r--p 00000000 08:01 3 /data/big.dat",
        b"7f03-7f04 r-xp 00000000 08:01 4 /odd/line\\012feed",
        b"7f04-7f05 r-xp 00000000 08:01 5 /lib/libgone.so (deleted)",
        b"7f05-7f06 rw-p 00000000 00:00 0 ",
        b"7f06-7f07 r-xp 00000000 00:00 0 [vdso]",
        b"garbage",
    ]
    assert loaded.parse_maps(b"\n".join(lines)) == [
        "/usr/bin/tool",
        "/lib/with blanks/liba.so.1",
        "/odd/line\nfeed",
    ]


def test_processes_of_linux_that_end_or_are_not_ours(tmp_path):
    for pid in ("10", "11", "12", "self"):
        os.mkdir(str(tmp_path / pid))
    if os.name != "nt":
        os.symlink("/x/server", str(tmp_path / "11" / "exe"))
        os.symlink("/x/other", str(tmp_path / "12" / "exe"))
        (tmp_path / "12" / "maps").write_bytes(
            b"0-1 r-xp 0 08:01 1 /x/other\n0-1 r-xp 0 08:01 1 /x/liba.so\n"
        )
        assert sorted(loaded.linux_uses(str(tmp_path), 13)) == [
            (11, "/x/server", "executable"),
            (12, "/x/liba.so", "library"),
            (12, "/x/other", "executable"),
        ]
        assert list(loaded.linux_uses(str(tmp_path), 12)) == [(11, "/x/server", "executable")]


def test_one_look_for_several_trees(monkeypatch):
    asked = []
    monkeypatch.setattr(loaded, "mapped_libraries", lambda: asked.append(1) or [below("liba.so")])
    monkeypatch.setattr(loaded, "other_uses", lambda: [(7, below("b", "x"), "executable")])
    look = loaded.once()
    assert asked == []
    assert look(ROOT).locked_path == below("liba.so")
    assert look(below("b")).uses == [(7, below("b", "x"), "executable")]
    assert look(ROOT + "2").locked_path is None
    assert asked == [1]


@LINUX
def test_a_library_that_only_ctypes_has_loaded_is_seen(tmp_path):
    """In a process of its own: a library stays until the end."""
    source = next(path for path in loaded.mapped_libraries() if "libm" in path or "libc" in path)
    library = str(tmp_path / "libplanted.so")
    shutil.copy(source, library)
    code = (
        "import ctypes, json, sys\n"
        "from dcc_mcp_embed.install_lifecycle import inspect_install_root\n"
        "before = inspect_install_root(sys.argv[1])['status']\n"
        "library = ctypes.CDLL(sys.argv[2])\n"
        "after = inspect_install_root(sys.argv[1])\n"
        "print(json.dumps([before, after['status'], after['loaded_native_artifacts']]))"
    )
    import json

    import dcc_mcp_embed

    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.path.dirname(os.path.dirname(dcc_mcp_embed.__file__))
    done = subprocess.check_output(
        [sys.executable, "-c", code, str(tmp_path), library], env=environ
    )
    real = os.path.realpath(library)
    assert json.loads(done.decode()) == [
        "ok",
        "requires_restart",
        [{"module": None, "path": real}],
    ]


def test_this_process_is_seen_whatever_the_system():
    if sys.platform.startswith("linux") or sys.platform in ("win32", "darwin"):
        assert loaded.mapped_libraries()
