"""Our artefacts in a real Blender: by its own operators, and by the folder that it looks into."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import zipfile

import pytest
from dcc_mcp_embed.installers import api, artefacts

import helpers

pytestmark = pytest.mark.heavy

DEADLINE = 180
INSIDE = os.path.join(helpers.TESTS, "real", "blender_addon_inside.py")


def blender(home, *arguments):
    """Run a Blender with a window and a home of its own; return what it says."""
    for program in ("blender", "xvfb-run"):
        helpers.require(shutil.which(program), program)
    command = ["xvfb-run", "-a", "-s", "-screen 0 1280x720x24", "blender", *arguments]
    environ = dict(os.environ, HOME=str(home), DCC_MCP_EMBED_HOME=str(home / "ours"))
    environ["DCC_MCP_REGISTRY_DIR"] = str(home / "registry")
    for name in ("XDG_CONFIG_HOME", "BLENDER_USER_SCRIPTS", "BLENDER_SYSTEM_SCRIPTS"):
        environ.pop(name, None)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        # The whole group: Blender and the X server are children of xvfb-run.
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return output.decode("utf-8", "replace")


def test_the_add_on_is_installed_called_disabled_and_removed_by_blender_itself(tmp_path):
    made = artefacts.bundle(str(tmp_path / "dist"))
    (archive,) = [path for path, _ in made if "blender-addon" in path]
    said = blender(tmp_path, "--python", INSIDE, "--", archive)
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    result = json.loads(lines[-1][7:])
    assert "error" not in result, result["error"]
    assert (result["enabled"], result["made"], result["again"]) == (True, False, True)
    assert result["objects"] == 4, "the cube that was made, and the three of every new scene"
    assert (result["loaded"], result["left"], result["known"]) == ([], [], False)
    assert result["threads"] == ["MainThread"]
    (shown, beside), (shown_after, beside_after) = result["menu"], result["menu_after"]
    assert (shown, shown_after, beside - beside_after) == (True, False, 1)
    assert result["copied"] == [True, True]


STARTED = """
import os, sys, bpy
def choose(position):
    numbers = sorted(bpy.types.DCC_MCP_OT_choose.calls)
    bpy.ops.dcc_mcp.choose(number=numbers[position])
def look():
    from dcc_mcp_embed.embed.place import PLACE
    if PLACE.server is None or not hasattr(bpy.types, "TOPBAR_MT_dcc_mcp"):
        return 0.05
    print("RESULT", PLACE.server.dcc_type, sys.modules["dcc_mcp_embed"].__file__, flush=True)
    choose(-1)
    bpy.app.timers.register(answer, first_interval=0.1)
def answer():
    if len(bpy.types.DCC_MCP_OT_choose.calls) < 7:
        return 0.05
    choose(-1)
    bpy.app.timers.register(leave, first_interval=0.1)
def leave():
    if "dcc_mcp_embed" in sys.modules:
        return 0.05
    print("LEFT", hasattr(bpy.types, "TOPBAR_MT_dcc_mcp"), flush=True)
    bpy.ops.wm.quit_blender()
bpy.app.timers.register(look)
"""


#: A file that somebody double-clicks: Blender reads it after its start-up files.
SAVED = "import bpy; bpy.ops.wm.save_as_mainfile(filepath={!r}); bpy.ops.wm.quit_blender()"


def saved(home):
    """Return the path of a file that a Blender has saved."""
    path = str(home / "a file.blend")
    blender(home, "--factory-startup", "--python-expr", SAVED.format(path))
    return path


def test_the_start_up_file_starts_what_was_installed_and_its_menu_removes_it(tmp_path):
    file = saved(tmp_path)
    user = tmp_path / ".config" / "blender" / "3.4"
    script = tmp_path / "look.py"
    script.write_text(STARTED)
    api.install("blender", target=str(user))
    current = api.status("blender", target=str(user))["folders"][0]["current"]
    said = blender(tmp_path, file, "--python", str(script))
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    kind, path = lines[0].split(" ")[1:]
    assert kind == "blender"
    assert path.startswith(str(user / "dcc_mcp_embed" / "versions" / current))
    assert "serves blender at http://127.0.0.1:" in said
    assert "LEFT False" in said, said[-3000:]
    assert not (user / "dcc_mcp_embed").exists()
    assert not (user / "scripts" / "startup" / "dcc_mcp_embed_startup.py").exists()


ENABLE = """
import sys, bpy
bpy.ops.preferences.addon_install(filepath=sys.argv[-1], overwrite=True)
bpy.ops.preferences.addon_enable(module="dcc_mcp_embed_blender")
bpy.ops.wm.save_userpref()
bpy.ops.wm.quit_blender()
"""
SERVES = """
import sys, bpy
def look():
    place = sys.modules.get("dcc_mcp_embed.embed.place")
    if place is None or place.PLACE.server is None:
        return 0.05
    print("RESULT", place.PLACE.server.dcc_type, bpy.data.filepath, flush=True)
    bpy.ops.wm.quit_blender()
bpy.app.timers.register(look)
"""


def test_an_enabled_add_on_serves_also_in_a_blender_that_is_started_with_a_file(tmp_path):
    made = artefacts.bundle(str(tmp_path / "dist"))
    (archive,) = [path for path, _ in made if "blender-addon" in path]
    file = saved(tmp_path)
    blender(tmp_path, "-b", "--python-expr", ENABLE, "--", archive)
    said = blender(tmp_path, file, "--python-expr", SERVES)
    assert "RESULT blender {}".format(file) in said, said[-3000:]


def test_a_studios_blender_keeps_the_folder_of_the_users_own_scripts(tmp_path):
    made = artefacts.bundle(str(tmp_path / "dist"))
    (archive,) = [path for path, _ in made if "-studio." in path]
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(str(tmp_path / "a share"))
    (top,) = (tmp_path / "a share").iterdir()
    user = tmp_path / ".config" / "blender" / "3.4" / "scripts" / "startup"
    user.mkdir(parents=True)
    (user / "theirs.py").write_text("def register():\n    print('THEIRS', flush=True)\n")
    script = str(top / "scripts" / "startup" / "dcc_mcp_embed_startup.py")
    said = blender(tmp_path, saved(tmp_path), "--python", script, "--python-expr", SERVES)
    assert "RESULT blender " in said and "THEIRS" in said, said[-3000:]
    assert [one.name for one in user.iterdir() if one.suffix] == ["theirs.py"]
