"""Our artefact on Maya as Autodesk documents what it does, each start in a process of its own."""

from __future__ import annotations

import os
import shutil
import zipfile

import pytest
from dcc_mcp_embed.installers import api, artefacts, hosts, menu_labels

from fakes.maya_host import starting
from fakes.trees import picture
from hosts.installed.telling import download, tell

pytestmark = [pytest.mark.qt, pytest.mark.usefixtures("own_home")]

MAYA = "fakes.maya_host.stage:MayaStage"
MAYAPY = "fakes.maya_host.stage:MayapyStage"
STORIES = "hosts.installed.maya_stories:"
#: In its own start until it is idle.
STARTING = {"gated": True}
MENU = {menu_labels.TITLE: list(menu_labels.ENTRIES.values())}


@pytest.fixture(scope="session")
def older(tmp_path_factory):
    """Return the artefacts of an older version: the same files, under another number."""
    out = str(tmp_path_factory.mktemp("older"))
    return [path for path, _ in artefacts.bundle(out, "0.0.9")]


@pytest.fixture
def others(tmp_path):
    """Return the folder of somebody else's userSetup.py, which comes after ours."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "userSetup.py").write_text("other_ran = True\n")
    yield [str(folder)]
    assert picture(str(folder)) == {"userSetup.py": b"other_ran = True\n"}


def start(user, others, **given):
    return tell(MAYA, STORIES + "started", user=str(user), others=others, stage=STARTING, **given)


def version_of(found, user):
    """Return the version that a start has taken; its name is that of the folder."""
    versions = os.path.join(str(user), "dcc_mcp_embed", "versions")
    assert found["file"].startswith(versions + os.sep), found["file"]
    return os.path.relpath(found["file"], versions).split(os.sep)[0]


def versions_in(user):
    return sorted(os.listdir(os.path.join(str(user), "dcc_mcp_embed", "versions")))


def modules_of(user):
    """Return the modules that Maya sees: it reads every file of that folder."""
    return starting.module_folders(os.path.join(str(user), "modules"))


def test_one_drop_serves_at_once_and_newer_ones_wait_for_the_next_start(
    made, older, others, tmp_path
):
    user = tmp_path / "maya"
    first = download(older, "maya", tmp_path / "downloads")
    second = download(made, "maya", tmp_path / "more downloads")
    # Its own folder again, and the name that a browser gives a second download.
    own = user / "dcc_mcp_embed" / "from here"
    renamed = own / "install (1).py"
    own.mkdir(parents=True)
    for name in os.listdir(os.path.dirname(second)):
        shutil.copy(os.path.join(os.path.dirname(second), name), str(own / name))
    os.rename(str(own / os.path.basename(second)), str(renamed))
    found = tell(MAYA, STORIES + "dropped", user=str(user), script=first, then=[second])
    assert found["returned"] == [True, True]
    old = version_of(found, user)
    assert old.startswith("0.0.9+")
    assert found["still"]["file"] == found["file"], "who serves goes on"
    assert old in versions_in(user), "with files that it may still load"
    assert "this Maya runs it; the next start removes it" in found["said"]
    assert found["said"].count("goes on serving at http://127.0.0.1:") == 1
    assert found["said"].count(" serves maya at http://") == 1
    assert found["stems"] == [], "the next one of that name is read again"
    assert found["path_kept"] and found["menu"] == MENU
    # The next start has the new one, and nothing else is left.
    again = start(user, others)
    new = version_of(again, user)
    assert new.startswith("0.1.0+") and versions_in(user) == [new]
    assert again["others"] and again["left"] == [] and again["menu"] == MENU
    # Back to the older one, and the newer again: repaired, as one of its files was damaged.
    harm = os.path.join(str(user), "dcc_mcp_embed", "versions", new, "dcc_mcp_embed", "errors.py")
    back = tell(
        MAYA,
        STORIES + "dropped",
        user=str(user),
        script=str(renamed),
        then=[first, str(renamed)],
        harm=harm,
    )
    assert back["returned"] == [True, True, True] and version_of(back, user) == new
    assert api.verify("maya", target=str(user))["success"]
    assert api.status("maya", target=str(user))["folders"][0]["current"] == new
    assert modules_of(user) == [str(user / "dcc_mcp_embed" / "module" / "scripts")]
    assert api.uninstall("maya", target=str(user))["success"]
    assert not (user / "modules").exists()
    # What the user has put there is not ours to delete.
    assert os.listdir(str(user / "dcc_mcp_embed")) == [own.name]


def test_every_start_serves_from_a_folder_of_any_name_until_it_is_uninstalled_inside(
    made, others, tmp_path
):
    user = tmp_path / "a folder" / "\u65e5\u672c\u8a9e" / ("long" * 40)
    (user / "modules").mkdir(parents=True)
    (user / "modules" / "other.mod.bak").write_text("+ other 1.0 ../other\n\nold notes\n")
    (user / "prefs").mkdir()
    (user / "prefs" / "userPrefs.mel").write_text("// theirs\n")
    before = picture(str(user))
    api.install("maya", target=str(user))
    # A damaged name is none: the version that is there is started.
    (user / "dcc_mcp_embed" / "current.txt").write_text("raise SystemExit(0)\n")
    labels = menu_labels.ENTRIES
    chosen = [labels[one] for one in ("status", "uninstall", "uninstall")]
    found = start(user, others, choose=chosen, answers=["No", "Yes"])
    assert found["kind"] == "maya" and found["others"] and found["menu"] == MENU
    assert "Address: http://127.0.0.1:" in found["shown"][0][0]
    assert len(found["asked"]) == 2 and found["shown"][1] == found["shown"][0], "No is no"
    assert "Nothing of it is left" in found["shown"][2][0]
    assert (found["serves"], found["loaded"], found["menu_after"]) == (False, [], {})
    assert picture(str(user)) == before


def test_what_is_damaged_keeps_nobody_else_from_running_and_says_so_in_a_line(others, tmp_path):
    user = tmp_path / "maya"
    api.install("maya", target=str(user))
    root = user / "dcc_mcp_embed"
    package = root / "versions" / versions_in(user)[0] / "dcc_mcp_embed"
    harms = [
        (root / "boot.py", "raise SystemExit(0)\n"),
        (root / "boot.py", "def boot(:\n"),
        (root / "boot.py", "\0"),
        (root / "boot.py", ""),
        (root / "boot.py", None),
        (package / "__init__.py", "raise RuntimeError('first')\n"),
        (package / "__init__.py", "raise SystemExit('second')\n"),
        (package / "installers" / "startup.py", "raise RuntimeError('third')\n"),
        (package / "adapters" / "maya" / "__init__.py", "import not_there\n"),
    ]
    found = tell(
        MAYA,
        STORIES + "quiet",
        user=str(user),
        others=others,
        harms=[(str(path), text) for path, text in harms],
        stage=STARTING,
    )
    assert found["others"] == [True] * len(harms)
    assert found["pending"] == []
    for text in ("RuntimeError: first", "SystemExit: second", "RuntimeError: third", "not_there"):
        assert found["said"].count("dcc_mcp_embed did not start: ") >= 4
        assert text in found["said"]
    assert "Traceback" not in found["said"]


def test_without_a_window_nothing_begins_and_a_script_can_import_it(others, tmp_path):
    user = tmp_path / "maya"
    api.install("maya", target=str(user))
    found = tell(MAYAPY, STORIES + "batch", user=str(user), others=others)
    assert found["others"] and found["server"] is False
    names = {name.partition(".")[2] for name in found["loaded"]}
    assert names <= {"", "_layout"}, "the bare package and nothing that does anything"
    assert found["threads"] == 0
    version_of(found, user)
    assert "did not start" not in found["said"]


def test_a_studio_serves_from_a_folder_that_stays_as_it_is(made, others, tmp_path):
    (path,) = [one for one in made if "-studio." in one]
    share = tmp_path / "a share"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(share))
    (top,) = share.iterdir()
    before = picture(str(share))
    for folder, _, names in os.walk(str(share)):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o444)
        os.chmod(folder, 0o555)
    user = tmp_path / "maya"
    user.mkdir()
    labels = menu_labels.ENTRIES
    found = start(
        user, others, shared=[str(top / "modules")], choose=[labels["uninstall"]], answers=["Yes"]
    )
    assert found["kind"] == "maya" and found["file"].startswith(str(top / "dcc_mcp_embed"))
    assert found["others"] and found["menu"] == MENU
    assert "not put here by its installer" in found["shown"][0][0] and found["serves"]
    assert picture(str(share)) == before and list(user.iterdir()) == []


def test_where_a_part_of_the_user_folder_cannot_be_written_a_drop_says_so_and_does_nothing(
    made, tmp_path
):
    script = download(made, "maya", tmp_path / "downloads")
    user = tmp_path / "maya"
    user.mkdir()
    (user / "modules").write_text("a file where there should be a folder")
    before = picture(str(user))
    found = tell(MAYA, STORIES + "refused", user=str(user), script=script)
    assert found["returned"] is False and found["path_kept"]
    assert "Nothing was changed: " in found["said"] and "cannot be written to" in found["said"]
    assert picture(str(user)) == before


def test_without_maya_its_user_folder_is_where_its_variable_says(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("MAYA_APP_DIR", str(elsewhere))
    report = api.install("maya", dry_run=True)
    assert [one["path"] for one in report["folders"]] == [str(elsewhere)]
    monkeypatch.delenv("MAYA_APP_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [one["path"] for one in api.install("maya", dry_run=True)["folders"]] == [
        str(tmp_path / "maya")
    ]


def test_on_windows_it_follows_the_documents_wherever_they_were_moved_to(monkeypatch):
    monkeypatch.setattr(hosts, "documents_folder", lambda: "/users/me/OneDrive/Dokumente")
    found = hosts.user_folders(hosts.find("maya"), None, {}, "win32")
    assert found == ["/users/me/OneDrive/Dokumente/maya"]
    monkeypatch.setattr(hosts, "documents_folder", lambda: 1 / 0)
    assert hosts.user_folders(hosts.find("maya"), None, {}, "linux") == [
        os.path.join(os.path.expanduser("~"), "maya")
    ]
