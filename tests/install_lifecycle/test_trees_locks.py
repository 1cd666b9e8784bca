"""Real refusals of Linux: a full volume, one that cannot be written, files nobody may delete."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.install_lifecycle import safe_remove_tree, safe_replace_tree
from dcc_mcp_embed.install_lifecycle.trees import perform
from fakes.trees import picture, plant
from helpers import require

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the means of Linux"),
]

OLD = {"a/b.py": b"old", "a/c.so": b"held", "d.py": b"old"}
NEW = {"a/b.py": b"new", "big.bin": b"x" * 300000}
CODE = """
import json, sys
from dcc_mcp_embed.install_lifecycle import safe_remove_tree, safe_replace_tree
name, *paths = sys.argv[1:]
print(json.dumps(globals()[name](*paths)))
"""


@pytest.fixture
def place(tmp_path):
    return os.path.realpath(str(tmp_path))


def elsewhere(mounts, name, *paths):
    """Run an operation in a name space of mounts of its own; return its answer and the listing.

    ``mounts``: commands of a shell before it.
    """
    require(shutil.which("unshare"), "unshare makes name spaces of mounts")
    listing = "find {} -type f | sort".format(os.path.dirname(paths[-1]))
    script = 'set -e; {}; "$0" -c "$@"; {}'.format(mounts, listing)
    command = ["unshare", "-rm", "sh", "-c", script, sys.executable, CODE, name, *paths]
    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.path.dirname(os.path.dirname(dcc_mcp_embed.__file__))
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=False)
    require(done.returncode == 0, "name spaces of mounts may be made")
    answer, *files = done.stdout.decode().splitlines()
    return json.loads(answer), files


def test_a_full_volume(place):
    source = plant(os.path.join(place, "payload"), NEW)
    volume = os.path.join(place, "volume")
    os.mkdir(volume)
    tree = os.path.join(volume, "tree")
    stock = plant(os.path.join(place, "stock"), OLD)
    mounts = "mount -t tmpfs -o size=100k none {}; cp -r {} {}".format(volume, stock, tree)
    answer, files = elsewhere(mounts, "safe_replace_tree", source, tree)
    assert (answer["status"], answer["reason"]) == ("failed", "remove_failed")
    assert (answer["cause"], answer["visible"]) == ("no_space", "old")
    assert "left_over" not in answer
    assert files == [os.path.join(tree, *name.split("/")) for name in sorted(OLD)]


def test_a_volume_that_cannot_be_written(place):
    source = plant(os.path.join(place, "payload"), NEW)
    volume = os.path.join(place, "volume")
    tree = plant(os.path.join(volume, "tree"), OLD)
    mounts = "mount --bind {0} {0}; mount -o remount,bind,ro {0}".format(volume)
    for call in (("safe_remove_tree", tree), ("safe_replace_tree", source, tree)):
        answer, files = elsewhere(mounts, *call)
        assert (answer["status"], answer["cause"]) == ("failed", "read_only")
        assert answer["visible"] == "old"
        assert files == [os.path.join(tree, *name.split("/")) for name in sorted(OLD)]


def test_a_tree_that_is_a_volume(place):
    source = plant(os.path.join(place, "payload"), NEW)
    tree = plant(os.path.join(place, "volume", "tree"), OLD)
    mounts = "mount --bind {0} {0}".format(tree)
    for call in (("safe_remove_tree", tree), ("safe_replace_tree", source, tree)):
        answer, files = elsewhere(mounts, *call)
        assert (answer["status"], answer["guard"]) == ("failed", "mount_point")
        assert files == [os.path.join(tree, *name.split("/")) for name in sorted(OLD)]


@pytest.mark.parametrize("volume", ["--bind {0} {0}", "--bind {1} {0}", "-t tmpfs none {0}"])
@pytest.mark.parametrize("name", ["shared", "with blanks/deep"])
def test_a_volume_below_a_tree(place, volume, name):
    """Linux would move the tree with what is mounted there, and deleting would empty that."""
    source = plant(os.path.join(place, "payload"), NEW)
    tree = plant(os.path.join(place, "scripts", "tree"), OLD)
    kept = plant(os.path.join(place, "kept"), {"precious": b"1"})
    shared = os.path.join(tree, *name.split("/"))
    os.makedirs(shared)
    mounts = "mount {}; echo 1 >'{}/precious'".format(
        volume.format("'" + shared + "'", kept), shared
    )
    for call in (("safe_remove_tree", tree), ("safe_replace_tree", source, tree)):
        answer, files = elsewhere(mounts, *call)
        assert (answer["status"], answer["reason"]) == ("failed", "invalid_path")
        assert answer["guard"] == "mount_inside"
        names = sorted([*OLD, name + "/precious"])
        assert sorted(files) == [os.path.join(tree, *n.split("/")) for n in names]


@pytest.fixture
def immutable():
    """Set the attribute that binds even root; take it away in the end."""
    marked = []

    def mark(path):
        require(shutil.which("chattr"), "chattr sets the attributes of files")
        done = subprocess.run(["chattr", "+i", path], stderr=subprocess.PIPE, check=False)
        require(done.returncode == 0, "chattr +i is permitted here")
        marked.append(path)

    yield mark
    for path in marked:
        if os.path.lexists(path):
            subprocess.call(["chattr", "-i", path])


def test_a_tree_that_may_not_be_moved(place, immutable):
    source = plant(os.path.join(place, "payload"), NEW)
    tree = plant(os.path.join(place, "tree"), OLD)
    before = picture(tree)
    immutable(tree)
    for result in (safe_remove_tree(tree), safe_replace_tree(source, tree)):
        assert (result["status"], result["cause"]) == ("failed", "denied")
        assert picture(tree) == before
        assert sorted(os.listdir(place)) == ["payload", "tree"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_may_not_be_deleted(place, immutable, replace):
    source = plant(os.path.join(place, "payload"), NEW)
    tree = plant(os.path.join(place, "tree"), OLD)
    immutable(os.path.join(tree, "a", "c.so"))
    result = safe_replace_tree(source, tree) if replace else safe_remove_tree(tree)
    # It moves: only a folder's own mark keeps it where it is.
    held = result["left_over"][0] if result["success"] else ""
    try:
        assert result["success"], result
        assert held.endswith(os.path.join("a", "c.so"))
        assert picture(tree) == (picture(source) if replace else None)
        again = perform(result["deferred_operation"])
        assert again["left_over"] == [held]
    finally:
        if held:
            subprocess.call(["chattr", "-i", held])
    assert "left_over" not in perform(again["deferred_operation"])
    assert sorted(os.listdir(place)) == (["payload", "tree"] if replace else ["payload"])


@pytest.fixture
def public():
    """A folder that others reach; tmp_path is root's alone."""
    path = os.path.realpath(tempfile.mkdtemp())
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def test_who_may_not_write(public):
    """As a user whom modes bind."""
    require(hasattr(os, "geteuid") and os.geteuid() == 0, "only root can become another user")
    source = plant(os.path.join(public, "payload"), {"sub/x": b"1"})
    open_place = os.path.join(public, "open")
    tree = plant(os.path.join(open_place, "tree"), OLD)
    for folder, _, files in os.walk(open_place):
        os.chown(folder, 65534, 65534)
        for name in files:
            os.chown(os.path.join(folder, name), 65534, 65534)
    os.chmod(os.path.join(tree, "a"), 0o555)
    os.chmod(tree, 0o555)
    os.chmod(source, 0o555)
    os.chmod(os.path.join(source, "sub"), 0o555)

    def as_nobody(name, *paths):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.setgid(65534)
                os.setuid(65534)
                call = {"remove": safe_remove_tree, "replace": safe_replace_tree}[name]
                os.write(write, json.dumps(call(*paths)).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            content = stream.read()
        os.waitpid(child, 0)
        return json.loads(content.decode())

    for _ in range(2):
        result = as_nobody("replace", source, tree)
        assert result["status"] == "replaced", result
        assert "left_over" not in result
        assert picture(tree) == {"sub": "folder", os.path.join("sub", "x"): b"1"}
        assert os.stat(tree).st_mode & 0o777 == 0o555
        assert os.listdir(open_place) == ["tree"]
    os.chmod(open_place, 0o555)
    result = as_nobody("remove", tree)
    assert (result["status"], result["cause"]) == ("failed", "denied")
    os.chmod(open_place, 0o755)
    os.chmod(os.path.join(tree, "sub"), 0)
    removed = as_nobody("remove", tree)
    assert removed["status"] == "removed"
    assert "left_over" not in removed
    assert os.listdir(open_place) == []
