"""Entry points as importlib.metadata finds them, without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib import import_module

import pytest

from dcc_mcp_embed.tools.installed import entry_points
from fakes.live import starting

GOOD = """
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="loop", read_only=True)
def from_a_distribution() -> dict:
    "Say where it is from."
    return {"file": __file__}
"""
OFFER = """
[dcc_mcp_embed.tools]
good = sample_offer_good
bad = sample_offer_bad
taken = sample_offer_taken
"""
#: File of a distribution -> its text: one module with a tool, and two that a start must outlive.
FILES = {
    "sample_offer_good.py": GOOD,
    "sample_offer_bad.py": "raise SystemExit(3)",
    "sample_offer_taken.py": GOOD.replace("from_a_distribution", "get_status"),
    "sample_offer-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: sample-offer\nVersion: 1\n",
    "sample_offer-1.dist-info/entry_points.txt": OFFER,
}


@pytest.fixture
def lay(tmp_path):
    """Return what writes the entry points of one distribution in a folder of the path."""

    def lay(place, name, text, file="entry_points.txt"):
        folder = tmp_path / place / name
        folder.mkdir(parents=True)
        (folder / file).write_bytes(text)
        return str(tmp_path / place)

    return lay


def found(*path, group="g"):
    return [tuple(one) for one in entry_points(path, group)]


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "nobody.has.this.group"])
def test_what_is_really_installed_here(group):
    # The backport is what pytest itself needs on Python 3.7.
    name = "importlib.metadata" if sys.version_info >= (3, 8) else "importlib_metadata"
    told = import_module(name).entry_points()
    listed = told.select(group=group) if hasattr(told, "select") else told.get(group, ())
    wanted = {(one.name, one.value.partition(" [")[0]) for one in listed}
    assert {(one.name, one.value) for one in entry_points(sys.path, group)} == wanted
    assert wanted or group.startswith("nobody")


def test_both_kinds_of_metadata(lay):
    lay("a", "one-1.0.dist-info", b"[g]\nx = mod\n")
    place = lay("a", "two-2.0-py3.7.egg-info", b"[g]\ny = mod:attribute\n")
    assert found(place) == [("x", "mod", "one"), ("y", "mod:attribute", "two")]


def test_the_first_on_the_path_of_one_name_counts(lay):
    new = lay("new", "My_Tools-2.dist-info", b"[g]\nx = new\n")
    old = lay("old", "my.tools-1.dist-info", b"[g]\nx = old\ny = old\n")
    assert found(new, old, new) == [("x", "new", "My_Tools")]
    assert found(old, new) == [("x", "old", "my.tools"), ("y", "old", "my.tools")]
    # Also if it offers nothing.
    bare = lay("bare", "My_Tools.egg-info", b"", "PKG-INFO")
    assert found(bare, old) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"", []),
        (b"x = outside\n[g]\nx = a\n[other]\ny = b\n", [("x", "a")]),
        (b"[other]\n[g]\r\nx=a.b:c\r\n\r\n", [("x", "a.b:c")]),
        (b"[ g ]\n  x  =  a [extra]\n", [("x", "a")]),
        (b"[g]\n# a = b\n; a = b\nnothing\n", []),
        (b"[g]\nname with blanks = a\n", [("name with blanks", "a")]),
        (b"[g]\nx = \xff\n", []),
        (b"[g\nx = a\n", [("x", "a")]),
        (b"\x00" * 100, []),
    ],
)
def test_what_stands_in_a_file(lay, text, wanted):
    place = lay("a", "one-1.dist-info", text)
    assert [one[:2] for one in found(place)] == wanted


def test_what_is_no_folder_is_passed_over(lay, tmp_path, monkeypatch):
    place = lay("a", "one-1.dist-info", b"[g]\nx = a\n")
    (tmp_path / "archive.zip").write_bytes(b"PK")
    (tmp_path / "a" / "old.egg-info").write_bytes(b"a file, as distutils wrote it")
    lay("a", "two-1.dist-info", b"", "x")
    os.mkdir(str(tmp_path / "a" / "two-1.dist-info" / "entry_points.txt"))
    path = [str(tmp_path / "archive.zip"), str(tmp_path / "gone"), None, b"x", "a\x00b", place]
    assert found(*path) == [("x", "a", "one")]
    # The working directory stands on the path as an empty text.
    monkeypatch.chdir(place)
    assert found("") == [("x", "a", "one")]
    assert found(None) == []


# -- at the start of a server -----------------------------------------------------------------


def test_a_start_takes_what_is_offered_and_reports_what_is_broken(tmp_path, monkeypatch):
    place = tmp_path / "site"
    (place / "sample_offer-1.dist-info").mkdir(parents=True)
    for name, text in FILES.items():
        (place / name).write_text(text, encoding="utf-8")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    try:
        with starting(str(tmp_path), monkeypatch) as start:
            live = start()
            with live.connect() as wire:
                result = wire.tool("from_a_distribution")
                assert "uptime_s" in wire.tool("get_status")["structuredContent"]["data"]
            told = [one.text for one in live.server.logbook.read(100) if one.level == "error"]
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("sample_offer"):
                del sys.modules[name]
    assert result["structuredContent"]["data"]["file"] == str(place / "sample_offer_good.py")
    assert ["sample_offer_bad" in told[0], "get_status" in told[1], len(told)] == [True, True, 2]
    assert "SystemExit" in told[0]


@pytest.mark.heavy
def test_what_pip_has_installed_is_served(tmp_path):
    wheel = tmp_path / "sample_offer-1-py3-none-any.whl"
    info = "sample_offer-1.dist-info/"
    files = dict(FILES)
    files[info + "WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[info + "RECORD"] = "".join("{},,\n".format(one) for one in [*files, info + "RECORD"])
    with zipfile.ZipFile(str(wheel), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    site = str(tmp_path / "site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    subprocess.check_call([*pip, "--no-index", "--no-deps", "--target", site, str(wheel)])
    environ = dict(
        os.environ,
        DCC_MCP_EMBED_HOME=str(tmp_path / "home"),
        DCC_MCP_REGISTRY_DIR=str(tmp_path / "registry"),
        PYTHONPATH=os.pathsep.join([site, *sys.path]),
    )
    host = subprocess.Popen(
        [sys.executable, "-m", "dcc_mcp_embed", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        env=environ,
    )
    try:
        url = json.loads(host.stdout.readline().decode("utf-8"))["plain_url"]
        command = [sys.executable, "-m", "dcc_mcp_embed", "call", url, "from_a_distribution"]
        answer = subprocess.check_output(command, env=environ)
    finally:
        host.terminate()
        host.communicate()
    assert os.path.join(site, "sample_offer_good.py") in answer.decode("utf-8")
