"""The sibling folders of a checkout get their installed names, and nobody else notices."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Sequence

import pytest

from helpers import ROOT

IGNORE = shutil.ignore_patterns("__pycache__")


def run(code: str, path: Sequence[str], cwd: str) -> str:
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environ.update(PYTHONPATH=os.pathsep.join(path), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd=cwd,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output.strip()


@pytest.fixture
def checkout(tmp_path) -> str:
    """A checkout with three siblings, each holding something to import."""
    root = tmp_path / "checkout"
    shutil.copytree(os.path.join(ROOT, "dcc_mcp_embed"), str(root / "dcc_mcp_embed"), ignore=IGNORE)
    shutil.copytree(os.path.join(ROOT, "vendor"), str(root / "vendor"), ignore=IGNORE)
    (root / "setup.cfg").write_text("", encoding="utf-8")
    for folder in ("adapters", "installers"):
        (root / folder).mkdir()
        (root / folder / "probe.py").write_text(
            "from ..errors import EmbedError\nNAME = __name__\n", encoding="utf-8"
        )
    return str(root)


USE = """
import sys
before = (list(sys.path), list(sys.meta_path), list(sys.path_hooks))
import dcc_mcp_embed
from dcc_mcp_embed._vendor import msgpack
from dcc_mcp_embed.adapters import probe
import dcc_mcp_embed.installers.probe
assert probe.NAME == "dcc_mcp_embed.adapters.probe", probe.NAME
assert probe.EmbedError is dcc_mcp_embed.EmbedError
assert dcc_mcp_embed.installers.probe.NAME == "dcc_mcp_embed.installers.probe"
assert before == (list(sys.path), list(sys.meta_path), list(sys.path_hooks))
"""


def test_checkout_serves_the_installed_names(checkout: str, tmp_path) -> None:
    assert run(USE + "print('ok')", [checkout], str(tmp_path)) == "ok"


def test_nothing_top_level_appears(checkout: str, tmp_path) -> None:
    code = USE + "print(sorted({'vendor', 'adapters', 'installers', 'msgpack'} & set(sys.modules)))"
    assert run(code, [checkout], str(tmp_path)) == "[]"


def test_installed_tree_is_left_as_it_is(checkout: str, tmp_path) -> None:
    # A stranger's vendor/ and setup.cfg beside an installed package must not be taken.
    package = os.path.join(checkout, "dcc_mcp_embed")
    for name, folder in (
        ("adapters", "adapters"),
        ("installers", "installers"),
        ("_vendor", "vendor"),
    ):
        shutil.move(os.path.join(checkout, folder), os.path.join(package, name))
    stranger = os.path.join(checkout, "vendor")
    os.mkdir(stranger)
    code = USE + "print(msgpack.__file__)"
    expected = os.path.join(package, "_vendor", "msgpack", "__init__.py")
    assert run(code, [checkout], str(tmp_path)) == expected


def test_folders_beside_an_installed_package_are_strangers(checkout: str, tmp_path) -> None:
    os.remove(os.path.join(checkout, "setup.cfg"))
    code = "import dcc_mcp_embed, sys\nprint('dcc_mcp_embed._vendor' in sys.modules)"
    assert run(code, [checkout], str(tmp_path)) == "False"


def test_purge_and_import_again(checkout: str, tmp_path) -> None:
    purge = "for n in [n for n in sys.modules if n.startswith('dcc_mcp_embed')]: del sys.modules[n]"
    assert run(USE + purge + "\n" + USE + "print('ok')", [checkout], str(tmp_path)) == "ok"


def test_reload_of_the_package_keeps_what_is_loaded(checkout: str, tmp_path) -> None:
    code = USE + (
        "import importlib; old = dcc_mcp_embed._vendor.msgpack\n"
        "importlib.reload(dcc_mcp_embed); importlib.reload(probe)\n"
        "print(dcc_mcp_embed._vendor.msgpack is old)"
    )
    assert run(code, [checkout], str(tmp_path)) == "True"


def test_two_copies_below_two_plugins_live_side_by_side(checkout: str, tmp_path) -> None:
    for plugin in ("plug_a", "plug_b"):
        folder = tmp_path / plugin
        shutil.copytree(checkout, str(folder / "_vendor"))
        (folder / "__init__.py").write_text("", encoding="utf-8")
    code = (
        "import sys\n"
        "from plug_a._vendor import dcc_mcp_embed as a\n"
        "from plug_b._vendor import dcc_mcp_embed as b\n"
        "from plug_a._vendor.dcc_mcp_embed._vendor import msgpack as pack_a\n"
        "from plug_b._vendor.dcc_mcp_embed._vendor import msgpack as pack_b\n"
        "from plug_a._vendor.dcc_mcp_embed.adapters import probe\n"
        "assert probe.EmbedError is a.EmbedError is not b.EmbedError\n"
        "assert pack_a.Timestamp is not pack_b.Timestamp\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('dcc_mcp_embed', 'msgpack')))"
    )
    assert run(code, [str(tmp_path)], str(tmp_path)) == "[]"
