"""What a real Blender says of files that its scene refers to, in background mode."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

import helpers

pytestmark = pytest.mark.heavy

DEADLINE = 120
INSIDE = """
import json, os, sys
import bpy

sys.path.insert(0, os.environ["DCC_MCP_EMBED_TEST_PATH"])
from dcc_mcp_embed.adapters.blender import create

home = sys.argv[-1]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = create().scene_backend()

def told():
    found = list(scene.errors())
    return {"fine": found.count(None), "errors": [one for one in found if one is not None]}

painted = bpy.data.images.new("painted", 4, 4)
painted.filepath = "//painted.png"
painted.source = "GENERATED"
real = bpy.data.images.new("real", 4, 4)
real.filepath_raw = os.path.join(home, "real.png")
real.file_format = "PNG"
real.save()
packed = bpy.data.images.load(real.filepath_raw)
packed.pack()
packed.filepath = "//gone.png"
bpy.data.fonts.load("<builtin>")
beside = bpy.data.images.new("beside", 4, 4)
beside.source = "FILE"
beside.filepath = "//beside.png"
before = told()
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(home, "a.blend"))
tiles = bpy.data.images.new("tiles", 4, 4, tiled=True)
tiles.filepath = "//skin.<UDIM>.png"
tiles.tiles.new(1012)
open(os.path.join(home, "skin.1001.png"), "w").close()
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(home, "b.blend"))
with bpy.data.libraries.load(os.path.join(home, "a.blend"), link=True) as (there, here):
    here.images = ["beside"]
os.remove(os.path.join(home, "a.blend"))
print("RESULT " + json.dumps({"before": before, "after": told()}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    helpers.require(shutil.which("blender"), "Blender")
    home = tmp_path_factory.mktemp("home")
    script = home / "inside.py"
    script.write_text(INSIDE)
    done = subprocess.run(
        ["blender", "-b", "--factory-startup", "--python", str(script), "--", str(home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, DCC_MCP_EMBED_TEST_PATH=helpers.ROOT, HOME=str(home)),
        timeout=DEADLINE,
    )
    said = done.stdout.decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    return json.loads(lines[-1][7:])


def test_a_file_that_was_never_saved_has_nothing_beside_it(found):
    (error,) = found["before"]["errors"]
    assert (error["kind"], error["name"], error["file"]) == (
        "missing_file",
        "beside",
        "//beside.png",
    )
    assert "never saved" in error["message"]
    # The one on disk; what is painted, packed or built in needs no file.
    assert found["before"]["fine"] == 1


def test_missing_files_are_named_and_the_others_are_not(found):
    named = {(one["name"], os.path.basename(one["file"])) for one in found["after"]["errors"]}
    assert named == {
        ("a.blend", "a.blend"),
        ("beside", "beside.png"),
        ("tiles", "skin.1012.png"),
    }
    assert all("is not there" in one["message"] for one in found["after"]["errors"])
    assert all(set(one) == {"kind", "name", "file", "message"} for one in found["after"]["errors"])
    # The image on disk and the first tile.
    assert found["after"]["fine"] == 2
