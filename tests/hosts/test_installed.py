"""Our artefacts in hosts as their vendors document how they start, each in a process of its own."""

from __future__ import annotations

import pytest
from dcc_mcp_embed.installers import api

from fakes.trees import picture
from hosts.installed.telling import FOLDER_IDS, FOLDERS, download, tell

pytestmark = [pytest.mark.qt, pytest.mark.usefixtures("own_home")]

MAYA = "fakes.maya_host.stage:MayaStage"
STORIES = "hosts.installed.maya_stories:"


@pytest.mark.parametrize("folder", FOLDERS, ids=FOLDER_IDS)
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
