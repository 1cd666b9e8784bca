"""The fake Houdini's start: what its packages do to its path, and which hooks run."""

from __future__ import annotations

import os
import sys

import pytest

from fakes.houdini_host import starting
from fakes.trees import plant

LIBS = "python{}.{}libs".format(*sys.version_info[:2])


def path_of(user, environ=None, version="21.0"):
    places = starting.folders(str(user), environ or {}, version)
    path, _ = starting.process(starting.scan(places, version), str(user))
    return [os.path.relpath(one, str(user)) for one in path]


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        # "$HOME/houdiniX.Y" (config_env); Documents on Windows; Library on macOS.
        ({"HOME": "/h"}, "linux", "/h/houdini21.0"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Preferences/houdini/21.0"),
        ({}, "win32", "/docs/houdini21.0"),
        # Git Bash sets HOME, and Houdini follows it.
        ({"HOME": "/h"}, "win32", "/h/houdini21.0"),
        ({"HOME": "/h", "HOUDINI_USER_PREF_DIR": "/p/h__HVER__"}, "linux", "/p/h21.0"),
        # "missing __HVER__, ignored"
        ({"HOME": "/h", "HOUDINI_USER_PREF_DIR": "/p/h"}, "linux", "/h/houdini21.0"),
    ],
)
def test_where_the_user_folder_is(environ, platform, expected):
    found = starting.user_folder(environ, platform, "/docs", "21.0")
    assert found.replace("\\", "/") == expected


def test_packages_are_read_folder_by_folder_and_each_puts_its_own_in_front(tmp_path):
    plant(
        tmp_path,
        {
            "packages/b.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/b"}',
            "packages/a.json": b'{"path": ["$HOUDINI_PACKAGE_PATH/a1", "$A/a2"],'
            b' "env": [{"A": "x"}]}',
            "packages/first.json": b'{"hpath": "/first", "process_order": 1}',
            "packages/more.json": b'{"package_path": "$HOUDINI_PACKAGE_PATH/more"}',
            "packages/more/c.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/c"}',
            "site/houdini21.0/packages/d.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/d"}',
            "share/e.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/e"}',
            "share/packages/not.json": b'{"hpath": "/directly only"}',
        },
    )
    share, site = str(tmp_path / "share"), str(tmp_path / "site")
    found = path_of(tmp_path, {"HOUDINI_PACKAGE_DIR": share, "HSITE": site})
    assert [os.path.basename(one) for one in found] == [
        "c",
        "e",
        "d",
        "b",
        "a1",
        "a2",
        "first",
        ".",
    ]


def test_what_is_no_package_is_ignored(tmp_path):
    plant(
        tmp_path,
        {
            "packages/bom.json": b'\xef\xbb\xbf{"hpath": "/bom"}',
            "packages/broken.json": b'{"hpath": "/broken",}',
            "packages/list.json": b"[]",
            "packages/text.txt": b'{"hpath": "/text"}',
            "packages/off.json": b'{"hpath": "/off", "enable": false}',
            "packages/old.json": b'{"hpath": "/old", "enable": "houdini_version < \'20.5\'"}',
            "packages/alone.json": b'{"hpath": "/alone", "requires": ["Alone"]}',
            "packages/good.json": b'{"hpath": "/good", "requires": ["off2"]}',
            "packages/off2.json": b'{"enable": "houdini_version >= \'20.5\'"}',
        },
    )
    assert [os.path.basename(one) for one in path_of(tmp_path)] == ["good", "."]
    assert "old" in [os.path.basename(one) for one in path_of(tmp_path, version="20.0")]


def test_a_package_that_is_loaded_once_is_the_first_of_its_name(tmp_path):
    once = b'{"hpath": "$HOUDINI_PACKAGE_PATH", "load_package_once": true}'
    plant(tmp_path, {"packages/x.json": once, "share/x.json": once})
    found = path_of(tmp_path, {"HOUDINI_PACKAGE_DIR": str(tmp_path / "share")})
    assert found == ["packages", "."]


@pytest.mark.parametrize("interactive", [True, False], ids=["houdini", "hython"])
def test_every_hook_of_this_python_runs_in_the_order_of_the_path(tmp_path, interactive):
    ran = b"order = globals().setdefault('order', [])\norder.append(%r)\n"
    plant(
        tmp_path,
        {
            "packages/a.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/a"}',
            "packages/a/" + LIBS + "/uiready.py": ran % "a uiready",
            "packages/a/" + LIBS + "/pythonrc.py": ran % "a pythonrc" + b"raise ValueError\n",
            "packages/a/python2.7libs/pythonrc.py": b"raise SystemExit\n",
            LIBS + "/ready.py": ran % "ready",
            LIBS + "/uiready.py": ran % "uiready",
            "scripts/python/pythonrc.py": ran % "pythonrc",
            "scripts/uiready.py": b"raise SystemExit\n",
        },
    )
    before = list(sys.path)
    try:
        begun = starting.start(str(tmp_path), interactive, {})
    finally:
        sys.path[:] = before
    expected = ["a pythonrc", "pythonrc", "ready"] + ["a uiready", "uiready"] * interactive
    assert begun.namespace["order"] == expected


def test_only_the_first_hook_for_drops_is_asked_and_is_told_no_file(tmp_path):
    answer = b"def dropAccept(files):\n    return ['%s', files, '__file__' in globals()]\n"
    below = "scripts/externaldragdrop.py"
    plant(tmp_path, {"a/readme": b"", "b/" + below: answer % b"b", "c/" + below: answer % b"c"})
    path = [str(tmp_path / one) for one in "abc"]
    assert starting.drop(path, ["/x"]) == ["b", ["/x"], False]
    assert starting.drop(path[:1], ["/x"]) is None
