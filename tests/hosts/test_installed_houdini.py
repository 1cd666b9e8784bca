"""Ours in Houdini, which starts as SideFX documents it, each time in a process of its own."""

from __future__ import annotations

import os
import re
import sys

import pytest
from dcc_mcp_embed.installers import api, artefacts

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
    "packages/other/" + LIBS + "/ready.py": b"other_ready = 1\n",
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

    again = tell(HOUDINI, STORIES + "started", user=str(user))
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
    assert version_of(found, user).startswith("0.") and "until this host is closed" in found["said"]

    again = tell(HOUDINI, STORIES + "started", user=str(user))
    assert version_of(again, user).startswith("99.0+")
    assert os.listdir(str(user / "dcc_mcp_embed" / "versions")) == [version_of(again, user)]

    with open(again["file"], "a") as stream:
        stream.write("raise SystemExit('damaged')\n")
    broken = tell(HOUDINI, STORIES + "quiet", user=str(user))
    assert not broken["server"] and "did not start" in broken["said"] + broken["errors"]
    found = tell(HYTHON, STORIES + "hython", script=new, user=str(user))
    assert found["code"] == 0 and api.verify("houdini", target=str(user))["success"]

    found = tell(HYTHON, STORIES + "hython", script=old, user=str(user))
    assert found["code"] == 0
    again = tell(HOUDINI, STORIES + "started", user=str(user))
    assert version_of(again, user).startswith("0.")
    assert api.uninstall("houdini", target=str(user))["success"]
    assert not user.exists()


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
