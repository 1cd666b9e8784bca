"""Ours in Houdini, which starts as SideFX documents it, each time in a process of its own."""

from __future__ import annotations

import compileall
import contextlib
import os
import re
import runpy
import sys
import zipfile

import pytest
from dcc_mcp_embed.installers import api, artefacts, payload

from fakes.houdini_host import starting
from fakes.trees import picture, plant
from hosts.installed.telling import download, tell

pytestmark = [pytest.mark.qt, pytest.mark.usefixtures("own_home")]

HOUDINI = "fakes.houdini_host.stage:HoudiniStage"
HYTHON = "fakes.houdini_host.stage:HythonStage"
STORIES = "hosts.installed.houdini_stories:"
LIBS = "python{}.{}libs".format(*sys.version_info[:2])

#: Spaces, CJK and many characters, all at once.
FOLDER = "a folder with spaces/\u65e5\u672c\u8a9e/" + "long" * 40 + "/houdini21.0"
#: Somebody else's hooks in the user folder itself.
OTHERS = {
    LIBS + "/pythonrc.py": b"other_pythonrc = 1\n",
    LIBS + "/uiready.py": b"other_uiready = 1\n",
    "packages/other.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/other"}',
    # Nothing is served before Houdini's interface is ready.
    "packages/other/" + LIBS + "/ready.py": b"""
import sys
assert "dcc_mcp_embed.embed.place" not in sys.modules
other_ready = 1
""",
}


@pytest.fixture(scope="session")
def newer(tmp_path_factory):
    """Return the artefacts of a version that follows."""
    made = artefacts.bundle(str(tmp_path_factory.mktemp("newer")), version="99.0")
    return [path for path, _ in made]


def line_of(script):
    """Return the line for the Python shell, as the README beside the script has it."""
    with open(os.path.join(os.path.dirname(script), "README.txt"), encoding="utf-8") as stream:
        (line,) = re.findall(r"^    (import runpy;.*)$", stream.read(), re.MULTILINE)
    return line.replace("PATH OF THIS FOLDER", os.path.dirname(script))


def version_of(found, user):
    """Return the name of the version that runs, which lies in that user folder."""
    below = os.path.relpath(found["file"], os.path.join(str(user), "dcc_mcp_embed", "versions"))
    return below.split(os.sep)[0]


def test_one_line_in_the_python_shell_serves_at_once_and_after_each_start(made, tmp_path):
    user = tmp_path / FOLDER
    plant(user, OTHERS)
    before = picture(user)
    script = download(made, "houdini", tmp_path / "download of \u65e5\u672c")
    found = tell(HOUDINI, STORIES + "shell", line=line_of(script), user=str(user))
    assert found["kind"] == "houdini" and version_of(found, user).startswith("0.")
    assert "was installed in" in found["said"] and "serves houdini at http://" in found["said"]

    # As Python has done it after the first start.
    compileall.compile_dir(str(user / "dcc_mcp_embed"), quiet=1)
    again = tell(HOUDINI, STORIES + "started", user=str(user))
    assert again["hooks_ms"] <= 30.0, "of Houdini's main thread, before it goes on"
    assert (again["kind"], again["file"]) == ("houdini", found["file"])
    assert again["others"] == ["other_pythonrc", "other_ready", "other_uiready"]
    assert again["left"] == [], "nothing of ours stays in Houdini's own names"
    assert again["hooks"] == ["pythonrc.py"] * 2 + ["ready.py"] + ["uiready.py"] * 2
    assert len([one for one in again["said"].splitlines() if "dcc_mcp_embed" in one]) == 2

    assert api.uninstall("houdini", target=str(user))["success"]
    assert picture(user) == before


def test_hython_installs_it_and_serves_nobody(made, tmp_path):
    user = tmp_path / "houdini21.0"
    script = download(made, "houdini", tmp_path / "downloads")
    found = tell(HYTHON, STORIES + "hython", script=script, user=str(user))
    assert (found["code"], found["server"]) == (0, False), found["said"]
    assert "was installed in" in found["said"]
    again = tell(HYTHON, STORIES + "quiet", user=str(user))
    assert again["hooks"] == ["pythonrc.py"] and not again["server"]
    assert again["loaded"].startswith(str(user / "dcc_mcp_embed" / "versions")), "import finds it"
    assert "dcc_mcp_embed" not in again["said"].partition("RESULT")[0], "a farm's logs stay clean"


def test_upgrade_in_a_running_houdini_repair_and_the_way_back(made, newer, tmp_path):
    user = tmp_path / "houdini21.0"
    old = download(made, "houdini", tmp_path / "old")
    new = download(newer, "houdini", tmp_path / "new")
    api.install("houdini", target=str(user))
    found = tell(HOUDINI, STORIES + "shell", line=line_of(new), user=str(user), already=True)
    assert found["url"] == found["before"], "the one that runs goes on to the end"
    assert version_of(found, user).startswith("0.") and "goes on serving at" in found["said"]
    assert len(os.listdir(str(user / "dcc_mcp_embed" / "versions"))) == 2, "with all its files"

    again = tell(HOUDINI, STORIES + "started", user=str(user))
    assert version_of(again, user).startswith("99.0+")
    assert os.listdir(str(user / "dcc_mcp_embed" / "versions")) == [version_of(again, user)]

    with open(again["file"], "a") as stream:
        stream.write("raise SystemExit('damaged')\n")
    broken = tell(HOUDINI, STORIES + "quiet", user=str(user))
    assert not broken["server"] and "did not start" in broken["said"] + broken["errors"]
    found = tell(HYTHON, STORIES + "hython", script=new, user=str(user))
    assert found["code"] == 0 and api.verify("houdini", target=str(user))["success"]

    assert runpy.run_path(old)["install"](str(user)), "back to the older one"
    again = tell(HOUDINI, STORIES + "started", user=str(user))
    assert version_of(again, user).startswith("0.")
    assert api.uninstall("houdini", target=str(user))["success"]
    assert not user.exists()


HOOK = "scripts/externaldragdrop.py"
#: Somebody else's: says what it was asked, and answers what it is called.
OTHER = """
import sys

def dropAccept(files):
    sys.__dict__.setdefault("others_asked", []).append([NAME] + list(files))
    if files[0].endswith(".bad"):
        raise ValueError("by the other")
    return NAME
"""


def other(name):
    return OTHER.replace("NAME", repr(name)).encode("utf-8")


def test_a_newer_one_that_is_dropped_upgrades_and_the_running_one_goes_on(made, newer, tmp_path):
    user = tmp_path / FOLDER
    plant(user, {"houdini.env": b"A = 1\n"})
    api.install("houdini", target=str(user))
    new = download(newer, "houdini", tmp_path / "new \u65e5\u672c")
    beside = [os.path.join(os.path.dirname(new), one) for one in os.listdir(os.path.dirname(new))]
    (folder,) = os.listdir(str(user / "dcc_mcp_embed" / "versions"))
    drops = [["/a/scene.hip"], ["/a/x.obj", "/a/y.obj"], [str(tmp_path)], [], beside]
    maya = [download(made, "maya", tmp_path / "for another host")]
    found = tell(HOUDINI, STORIES + "dropped", user=str(user), drops=[*drops, maya])
    assert not any(found["answers"]) and len(found["answers"]) == 6
    assert os.listdir(str(user / "dcc_mcp_embed" / "versions")) == [folder]

    found = tell(HOUDINI, STORIES + "dropped", user=str(user), drops=[[new]])
    assert found["answers"] == [True] and found["url"] == found["before"]
    lines = [one for one in found["said"].splitlines() if "99.0" in one and "installed" in one]
    assert len(lines) == 1 and "was installed in" in lines[0]
    assert version_of(found, user) == folder and "goes on serving at" in found["said"]
    assert found["left"] == [] and "dcc_mcp_embed" not in found["errors"]

    again = tell(HOUDINI, STORIES + "started", user=str(user))
    assert version_of(again, user).startswith("99.0+")
    assert api.uninstall("houdini", target=str(user))["success"]
    assert picture(user) == {"houdini.env": b"A = 1\n"}


def test_another_tools_hook_has_what_is_not_ours_and_its_answer_counts(newer, tmp_path):
    user = tmp_path / "houdini21.0"
    plant(
        user,
        {
            "packages/a.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/a"}',
            "packages/a/" + HOOK: other("a"),
            HOOK: other("the user's"),
        },
    )
    before = picture(user)
    api.install("houdini", target=str(user))
    new = download(newer, "houdini", tmp_path / "new")
    drops = [["/x.abc"], ["/x.bad"], [new]]
    found = tell(HOUDINI, STORIES + "dropped", user=str(user), drops=drops)
    assert found["answers"] == ["a", "raised by the other", True], "as it would without ours"
    assert found["others_asked"] == [["a", "/x.abc"], ["a", "/x.bad"]]
    assert api.uninstall("houdini", target=str(user))["success"]
    assert picture(user) == before


def test_a_hook_that_comes_first_is_the_one_that_runs(newer, tmp_path):
    user = tmp_path / "houdini21.0"
    calls_us = b"""
def dropAccept(files):
    import hou
    later = hou.findFiles("scripts/externaldragdrop.py")[1:]
    for one in later:
        names = {}
        with open(one) as stream:
            exec(stream.read(), names)
        if names["dropAccept"](files):
            return "by another"
    return "by nobody"
"""
    plant(
        user,
        {
            "packages/z.json": b'{"hpath": "$HOUDINI_PACKAGE_PATH/z", "process_order": 200}',
            "packages/z/" + HOOK: calls_us,
        },
    )
    api.install("houdini", target=str(user))
    new = download(newer, "houdini", tmp_path / "new")
    found = tell(HOUDINI, STORIES + "dropped", user=str(user), drops=[["/x.abc"], [new]])
    assert found["answers"] == ["by nobody", "by another"], "and may hand on, to ours as well"
    (user / "packages" / "z" / HOOK).write_bytes(other("first"))
    found = tell(HOUDINI, STORIES + "dropped", user=str(user), drops=[[new]])
    assert found["answers"] == ["first"]


def test_the_menu_stops_starts_copies_and_uninstalls(tmp_path):
    user = tmp_path / "houdini21.0"
    plant(user, {"houdini.env": b"A = 1\n"})
    api.install("houdini", target=str(user))
    found = tell(HOUDINI, STORIES + "chosen", user=str(user))
    status, _, copied, stopped, started = found["shown"]
    assert found["url"] in status and "stopped" in stopped and "http://" in started
    assert found["serves"] == [True, True, True, False, True]
    assert found["url"] in found["copied"] and "Copied" in copied
    assert found["kept"] == ["", True] and found["removed"][1] is False
    assert "Nothing of it is left" in found["removed"][0]
    assert "not installed in this Houdini any more" in found["after"]
    assert picture(user) == {"houdini.env": b"A = 1\n"}


def test_a_studio_serves_from_a_share_and_touches_no_user_folder(made, tmp_path):
    (archive,) = [one for one in made if "-studio." in one]
    share, user = tmp_path / "share \u65e5\u672c", tmp_path / "houdini21.0"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(str(share))
    (top,) = os.listdir(str(share))
    environ = {"HOUDINI_PACKAGE_DIR": str(share / top / "packages")}
    plant(share / top / "dcc_mcp_embed/versions/0.0.1+0123456789ab", {"payload.json": b"{}"})
    with read_only(share):
        found = tell(HOUDINI, STORIES + "started", user=str(user), environ=environ, named=False)
    assert found["file"].startswith(str(share / top / "dcc_mcp_embed" / "versions"))
    assert found["hooks"] == ["pythonrc.py", "uiready.py"] and found["menus"] == ["MCP"]
    assert not user.exists()


@contextlib.contextmanager
def read_only(folder):
    """Have nobody but the super-user write there; say that he has not, either."""
    before = picture(folder)
    every = [
        os.path.join(place, name) for place, _, names in os.walk(str(folder)) for name in names
    ]
    folders = [place for place, _, _ in os.walk(str(folder))]
    for one in every + folders:
        os.chmod(one, 0o555 if one in folders else 0o444)
    try:
        yield
    finally:
        for one in folders:
            os.chmod(one, 0o755)
    assert picture(folder) == before


@pytest.mark.parametrize(("below", "move"), [("packages", False), ("", True)])
def test_a_package_archive_is_found_wherever_it_is_unpacked(made, tmp_path, below, move):
    (archive,) = [one for one in made if "-houdini-package." in one]
    user = tmp_path / "houdini21.0"
    starting.load_package_archive(archive, str(user), str(user / below), move)
    begun = starting.scan(starting.folders(str(user), {}, "21.0"), "21.0")
    path, _ = starting.process(begun, str(user))
    hooks = [os.path.relpath(one, str(user / below)) for one in starting.hooks(path, True)]
    ours = os.path.join("dcc_mcp_embed", "houdini", LIBS)
    assert hooks == [os.path.join(ours, one) for one in ("pythonrc.py", "uiready.py")]
    assert [len(items) for items in starting.menu(path).values()] == [5]
    if move:
        found = [
            one["text"] for one in api.doctor("houdini", target=str(user))["folders"][0]["findings"]
        ]
        assert not [one for one in found if "is no package" in one or "is not there" in one]
        assert api.repair("houdini", target=str(user))["success"]
        assert api.verify("houdini", target=str(user))["success"], "it is an installation as any"


def test_a_package_archive_serves_is_upgraded_by_another_and_uninstalled(made, newer, tmp_path):
    user = tmp_path / "houdini21.0"
    plant(user, {"packages/other.json": b"{}"})
    for artefacts_of in (made, newer):
        (archive,) = [one for one in artefacts_of if "-houdini-package." in one]
        starting.load_package_archive(archive, str(user), move=True)
    found = tell(HOUDINI, STORIES + "started", user=str(user), named=False)
    assert version_of(found, user).startswith("99.0+")
    versions = user / "dcc_mcp_embed" / "versions"
    assert os.listdir(str(versions)) == [version_of(found, user)], "the old one was swept"
    assert payload.verify(str(versions / version_of(found, user))) == []
    assert api.uninstall("houdini", target=str(user))["success"]
    assert picture(user) == {"packages": "folder", "packages" + os.sep + "other.json": b"{}"}


def test_what_is_damaged_keeps_nobody_elses_hooks_from_running(tmp_path):
    user = tmp_path / "houdini21.0"
    plant(user, OTHERS)
    api.install("houdini", target=str(user))
    for name in ("boot.py", "current.txt"):
        (user / "dcc_mcp_embed" / name).write_text("raise SystemExit(0)\n")
    found = tell(HOUDINI, STORIES + "quiet", user=str(user))
    assert found["others"] == ["other_pythonrc", "other_ready", "other_uiready"]
    assert not found["server"] and found["left"] == []
    shown = [one for one in found["errors"].splitlines() if "dcc_mcp_embed" in one]
    assert len(shown) == 1 and "dcc_mcp_embed did not start" in shown[0]
    found = tell(HYTHON, STORIES + "quiet", user=str(user))
    assert found["others"] == ["other_pythonrc", "other_ready"]
    shown = [one for one in found["errors"].splitlines() if "dcc_mcp_embed" in one]
    assert len(shown) == 1 and "dcc_mcp_embed did not start" in shown[0]


def test_with_a_studios_and_the_users_own_only_one_of_them_starts(made, tmp_path):
    (archive,) = [one for one in made if "-studio." in one]
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(str(tmp_path / "share"))
    (top,) = os.listdir(str(tmp_path / "share"))
    user = tmp_path / "houdini21.0"
    api.install("houdini", target=str(user))
    environ = {"HOUDINI_PACKAGE_DIR": str(tmp_path / "share" / top / "packages")}
    places = starting.folders(str(user), environ, "21.0")
    path, _ = starting.process(starting.scan(places, "21.0"), str(user))
    hooks = list(starting.hooks(path, True))
    assert [os.path.basename(one) for one in hooks] == ["pythonrc.py", "uiready.py"]
    assert all(one.startswith(str(user)) for one in hooks)
