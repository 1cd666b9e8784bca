"""Our artefacts in hosts as their vendors document how they start, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest
from dcc_mcp_embed.installers import api, artefacts

import helpers
from fakes.trees import picture

pytestmark = pytest.mark.qt

DEADLINE = 120
INSIDE = os.path.join(helpers.TESTS, "hosts", "installed", "inside.py")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return [path for path, _ in artefacts.bundle(str(tmp_path_factory.mktemp("dist")))]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))


def tell(player, story, **given):
    """Return what a start of a host found, which see ``inside``."""
    command = [sys.executable, "-B", INSIDE, player, story, json.dumps(given)]
    folder = os.path.dirname(os.path.dirname(os.path.abspath(api.__file__)))
    package = helpers.ROOT if folder == helpers.ROOT else os.path.dirname(folder)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=package),
        timeout=DEADLINE,
    )
    said = done.stdout.decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said + done.stderr.decode("utf-8", "replace")
    found = json.loads(lines[-1][7:])
    assert "error" not in found, found["error"] + said
    found["said"] = said
    return found


def download(made, host, place):
    (path,) = [one for one in made if host in one]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(place))
    for folder, _, names in os.walk(str(place)):
        for name in names:
            if name.startswith("install") and name.endswith(".py"):
                return os.path.join(folder, name)
    raise AssertionError("there is no script to drop")


MAYA = "fakes.maya_host.stage:MayaStage"
STORIES = "hosts.installed.maya_stories:"

#: Names of user folders that hosts have to take.
FOLDERS = ["maya", "a folder with spaces", "\u65e5\u672c\u8a9e", "deep/" + "long" * 40]


@pytest.mark.parametrize("folder", FOLDERS, ids=["plain", "spaces", "CJK", "long"])
def test_one_drop_on_maya_serves_at_once_and_after_each_start(made, tmp_path, folder):
    user = tmp_path / folder
    other = tmp_path / "other"
    other.mkdir()
    (other / "userSetup.py").write_text("other_ran = True\n")
    script = download(made, "maya", tmp_path / "downloads")
    found = tell(MAYA, STORIES + "dropped", script=script, user=str(user))
    assert found["returned"] and found["kind"] == "maya"
    assert found["file"].startswith(str(user / "dcc_mcp_embed" / "versions"))
    assert found["stems"] == [], "the next one of that name is read again"
    assert "was installed in" in found["said"] and "serves maya at http://" in found["said"]
    again = tell(MAYA, STORIES + "started", user=str(user), other=str(other), stage={"gated": True})
    assert (again["kind"], again["file"]) == ("maya", found["file"])
    assert again["others"] and again["left"] == [], "somebody else's runs as before"
    assert api.uninstall("maya", target=str(user))["success"]
    assert not user.exists()


def test_what_fails_in_ours_does_not_keep_others_from_running(made, tmp_path):
    user, other = tmp_path / "maya", tmp_path / "other"
    other.mkdir()
    (other / "userSetup.py").write_text("other_ran = True\n")
    api.install("maya", target=str(user))
    root = user / "dcc_mcp_embed"
    for harm in ("current.txt", "boot.py"):
        (root / harm).write_text("raise SystemExit(0)\n")
        found = tell(
            MAYA, STORIES + "quiet", user=str(user), other=str(other), stage={"gated": True}
        )
        assert found["others"], harm
    assert picture(str(other)) == {"userSetup.py": b"other_ran = True\n"}
