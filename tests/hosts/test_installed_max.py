"""Ours in 3ds Max, which does what Autodesk documents, each start in a process of its own."""

from __future__ import annotations

import os
import stat
import zipfile

import pytest
from dcc_mcp_embed.installers import api, artefacts

from fakes.trees import picture, plant
from hosts.installed.telling import tell

pytestmark = [pytest.mark.qt, pytest.mark.usefixtures("own_home")]

MAX = "fakes.max_host.stage:MaxStage"
BATCH = "fakes.max_host.stage:MaxbatchStage"
STORIES = "hosts.installed.max_stories:"

#: A language other than English, an apostrophe, spaces, CJK and many characters, all at once.
FOLDER = "it's a user/\u65e5\u672c\u8a9e/" + "long" * 40 + "/2025 - 64bit/JPN"
#: Somebody else's scripts in the start-up folder: of the kind that we have, and not.
OTHERS = {
    "scripts/startup/a_other.ms": b'messageBox "a_other"\n',
    "scripts/startup/z_other.ms": b'messageBox "z_other"\n',
    "scripts/startup/notes.txt": b"",
}


@pytest.fixture(scope="session")
def newer(tmp_path_factory):
    """Return the artefacts of a version that follows."""
    made = artefacts.bundle(str(tmp_path_factory.mktemp("newer")), version="99.0")
    return [path for path, _ in made]


@pytest.fixture
def temp(tmp_path):
    folder = tmp_path / "temp of \u65e5\u672c"
    folder.mkdir()
    return str(folder)


def package_of(made):
    (path,) = [one for one in made if one.endswith("3dsmax.mzp")]
    return path


def version_of(found, user):
    """Return the name of the version that runs, which lies in that user folder."""
    below = os.path.relpath(found["file"], os.path.join(str(user), "dcc_mcp_embed", "versions"))
    return below.split(os.sep)[0]


def test_one_drop_serves_at_once_and_after_each_start(made, temp, tmp_path):
    user = tmp_path / FOLDER
    plant(str(user), OTHERS)
    before = picture(str(user))
    found = tell(MAX, STORIES + "dropped", package=package_of(made), user=str(user), temp=temp)
    assert found["kind"] == "3dsmax" and version_of(found, user).startswith("0.")
    # "run" and "drop" are both carried out: one is all it takes.
    assert found["listener"].count("was installed in") == 1
    assert found["listener"].count("serves 3dsmax at http://") == 1
    assert len(found["listener"].splitlines()) == 3, found["listener"]
    assert found["left"] == [] and found["messages"] == []

    again = tell(MAX, STORIES + "started", user=str(user))
    assert (again["kind"], again["file"]) == ("3dsmax", found["file"])
    assert again["ran"] == ["a_other.ms", "dcc_mcp_embed.ms", "z_other.ms"]
    assert again["messages"] == ["a_other", "z_other"] and again["left"] == []
    assert again["menu"] == [["MCP", 5], ["Help", 0]]
    assert (
        len([one for one in again["listener"].splitlines() if one.startswith("dcc_mcp_embed")]) == 1
    )

    for player, rendering in ((BATCH, False), (MAX, True)):
        alone = tell(player, STORIES + "quiet", user=str(user), rendering=rendering)
        assert alone["ran"] == again["ran"] and not alone["server"]
        said = alone["listener"] + alone["errors"]
        assert "dcc_mcp_embed" not in said, "a farm's logs stay clean"

    assert api.uninstall("3dsmax", target=str(user))["success"]
    assert picture(str(user)) == before


def test_upgrade_in_a_running_one_repair_and_the_way_back(made, newer, temp, tmp_path):
    user = tmp_path / "ENU"
    api.install("3dsmax", target=str(user))
    given = {"user": str(user), "temp": temp}
    found = tell(MAX, STORIES + "dropped", package=package_of(newer), already=True, **given)
    assert found["url"] == found["before"], "the one that runs goes on to the end"
    assert version_of(found, user).startswith("0.") and "goes on serving at" in found["listener"]

    again = tell(MAX, STORIES + "started", user=str(user))
    assert version_of(again, user).startswith("99.0+")
    assert os.listdir(str(user / "dcc_mcp_embed" / "versions")) == [version_of(again, user)]

    with open(again["file"], "a") as stream:
        stream.write("raise SystemExit('damaged')\n")
    broken = tell(MAX, STORIES + "quiet", user=str(user))
    assert not broken["server"] and "did not start" in broken["listener"] + broken["errors"]
    assert broken["messages"] == [], "no dialog at each start"
    found = tell(MAX, STORIES + "dropped", package=package_of(newer), **given)
    assert found["file"] == again["file"] and api.verify("3dsmax", target=str(user))["success"]

    found = tell(MAX, STORIES + "dropped", package=package_of(made), **given)
    assert version_of(found, user).startswith("0.")
    assert api.uninstall("3dsmax", target=str(user))["success"]
    assert not user.exists()


def test_a_root_that_is_gone_or_damaged_keeps_nobody_from_starting(made, tmp_path):
    user = tmp_path / "ENU"
    plant(str(user), OTHERS)
    api.install("3dsmax", target=str(user))
    root = user / "dcc_mcp_embed"
    (root / "boot.py").write_text("raise SystemExit(0)\n")
    found = tell(MAX, STORIES + "quiet", user=str(user))
    assert found["messages"] == ["a_other", "z_other"] and not found["server"]
    for harm in ("raise SystemExit('spoilt')\n", "spoilt(\n"):
        (root / "max_start.py").write_text(harm)
        found = tell(MAX, STORIES + "quiet", user=str(user))
        assert found["messages"] == ["a_other", "z_other"] and found["left"] == []
        assert found["ran"][-1] == "z_other.ms", "3ds Max goes on"
        (line,) = [one for one in found["listener"].splitlines() if "dcc_mcp_embed" in one]
        assert line.startswith("dcc_mcp_embed did not start: ")
    root.rename(tmp_path / "elsewhere")
    found = tell(MAX, STORIES + "quiet", user=str(user))
    assert found["messages"] == ["a_other", "z_other"] and not found["loaded"]


def test_one_without_python_says_so(made, temp, tmp_path):
    found = tell(
        MAX,
        STORIES + "dropped",
        package=package_of(made),
        user=str(tmp_path / "ENU"),
        temp=temp,
        python=False,
    )
    assert len(found["messages"]) == 2 and "needs the Python" in found["messages"][0]
    assert not (tmp_path / "ENU").exists() and not found["server"]


def test_start_up_scripts_that_are_elsewhere_are_not_written_where_nobody_runs_them(
    made, temp, tmp_path
):
    user, startup = str(tmp_path / "ENU"), str(tmp_path / "elsewhere")
    given = {"package": package_of(made), "user": user, "temp": temp, "startup": startup}
    found = tell(MAX, STORIES + "opened", **given)
    assert not found["server"] and not os.path.exists(user)
    assert "was not installed" in found["listener"] and startup in found["listener"]


def test_a_studio_shares_one_folder_that_nobody_can_write_to(made, tmp_path):
    (path,) = [one for one in made if one.endswith("studio.zip")]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(tmp_path))
    (shared,) = [one for one in tmp_path.iterdir() if one.name.endswith("-studio")]
    for folder, _, names in os.walk(str(shared)):
        for name in names:
            os.chmod(os.path.join(folder, name), stat.S_IRUSR)
        os.chmod(folder, stat.S_IRUSR | stat.S_IXUSR)
    before = picture(str(shared))
    user = tmp_path / "ENU"
    try:
        addon = ";".join((str(tmp_path / "none"), str(shared / "scripts" / "startup")))
        found = tell(MAX, STORIES + "started", user=str(user), addon=addon)
        assert found["kind"] == "3dsmax" and found["file"].startswith(str(shared))
        assert found["menu"] == [["MCP", 5], ["Help", 0]]
        assert picture(str(shared)) == before and not user.exists()
    finally:
        for folder, _, _ in os.walk(str(shared)):
            os.chmod(folder, stat.S_IRWXU)


def test_with_a_studios_and_the_users_own_one_of_them_starts_and_says_so_once(made, tmp_path):
    (path,) = [one for one in made if one.endswith("studio.zip")]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(tmp_path / "share"))
    (shared,) = (tmp_path / "share").iterdir()
    user = tmp_path / "ENU"
    api.install("3dsmax", target=str(user))
    addon = str(shared / "scripts" / "startup")
    found = tell(MAX, STORIES + "started", user=str(user), addon=addon)
    assert found["ran"] == ["dcc_mcp_embed.ms"] * 2 and found["file"].startswith(str(user))
    lines = [one for one in found["listener"].splitlines() if one.startswith("dcc_mcp_embed")]
    assert len(lines) == 1 and "serves 3dsmax at http://" in lines[0], lines
