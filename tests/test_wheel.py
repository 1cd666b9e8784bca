"""The wheel holds every file of the tree at its place and nothing else.

setup.cfg lists packages one by one, because the siblings are mapped below our name, so one is
easily forgotten. Three views: the list against the tree (fast, everywhere), the installed files
against the tree (fast, where the wheel is installed), a wheel built now (heavy).
"""

from __future__ import annotations

import configparser
import csv
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from typing import Dict, Set

import pytest

import dcc_mcp_embed
from helpers import ROOT, peer_venv, require

#: Folder of the checkout -> its place in the wheel.
PLACES = {
    "dcc_mcp_embed": "dcc_mcp_embed",
    "adapters": "dcc_mcp_embed/adapters",
    "installers": "dcc_mcp_embed/installers",
    "vendor": "dcc_mcp_embed/_vendor",
}
#: What a build needs besides the four folders.
BUILD_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
#: Bytes of all files as they are installed, and of the compressed ones, which is what travels: four
#: hosts and their installers, of which a process loads those of its own host.
INSTALLED_LIMIT, TRAVELLING_LIMIT = 3500 * 1000, 1200 * 1000


def tree_files() -> Set[str]:
    """Return the files of the checkout by their names in a wheel."""
    found = set()
    for folder, place in PLACES.items():
        base = os.path.join(ROOT, folder)
        for where, folders, names in os.walk(base):
            folders[:] = [name for name in folders if name != "__pycache__"]
            inner = os.path.relpath(where, base).replace(os.sep, "/")
            for name in names:
                parts = [place, name] if inner == "." else [place, inner, name]
                found.add("/".join(parts))
    return found


def tree_packages() -> Set[str]:
    found = set()
    for path in tree_files():
        if path.endswith(".py"):
            parts = path.split("/")[:-1]
            # A folder that only holds packages, such as adapters/, is one itself.
            found.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return found


def _config() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    assert config.read(os.path.join(ROOT, "setup.cfg"), encoding="utf-8")
    return config


def test_setup_cfg_lists_exactly_the_packages_of_the_tree() -> None:
    assert set(_config()["options"]["packages"].split()) == tree_packages()


def test_setup_cfg_maps_the_siblings_as_the_checkout_does() -> None:
    pairs = (line.split("=") for line in _config()["options"]["package_dir"].split("\n") if line)
    mapped = {name.strip(): folder.strip() for name, folder in pairs}
    expected = {
        place.replace("/", "."): folder
        for folder, place in PLACES.items()
        if os.path.isdir(os.path.join(ROOT, folder))
    }
    assert mapped == expected
    bound = {"dcc_mcp_embed." + name: folder for name, folder in dcc_mcp_embed._layout.SIBLINGS}
    assert set(mapped.items()) - {("dcc_mcp_embed", "dcc_mcp_embed")} <= set(bound.items())


def test_every_package_has_its_docstring() -> None:
    # The three siblings are no packages in a checkout, so that they shadow nobody's `vendor`.
    bare = {place.replace("/", ".") for folder, place in PLACES.items() if folder != place}
    for package in tree_packages() - bare:
        assert package.replace(".", "/") + "/__init__.py" in tree_files(), package


def test_no_native_file_and_small() -> None:
    assert not [p for p in tree_files() if p.endswith((".so", ".pyd", ".dll", ".dylib", ".exe"))]
    places = {place: folder for folder, place in PLACES.items()}

    def source(path: str) -> str:
        place = max((p for p in places if path.startswith(p + "/")), key=len)
        return os.path.join(ROOT, places[place], *path[len(place) + 1 :].split("/"))

    installed = travelling = 0
    for path in tree_files():
        with open(source(path), "rb") as stream:
            data = stream.read()
        installed += len(data)
        travelling += len(zlib.compress(data))
    assert installed < INSTALLED_LIMIT
    assert travelling < TRAVELLING_LIMIT


def installed_files() -> Dict[str, str]:
    """Return the RECORD of the installed wheel as path -> hash; empty in a checkout."""
    site = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
    record = os.path.join(
        site, "dcc_mcp_embed-{}.dist-info".format(dcc_mcp_embed.__version__), "RECORD"
    )
    if site == ROOT or not os.path.isfile(record):
        return {}
    with open(record, encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    return {path: digest for path, digest, _size in rows if not path.endswith(".pyc")}


if os.environ.get("DCC_MCP_EMBED_EXPECT") == "wheel":

    def test_installed_wheel_holds_the_tree() -> None:
        files = {path for path in installed_files() if ".dist-info/" not in path}
        assert files == tree_files(), "if a file is only in the wheel, delete build/ and build anew"


@pytest.mark.heavy
def test_built_wheel_holds_the_tree(tmp_path) -> None:
    # From a copy: building in place leaves build/ behind, which a later build would take up.
    source = tmp_path / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in PLACES:
        if os.path.isdir(os.path.join(ROOT, folder)):
            shutil.copytree(os.path.join(ROOT, folder), str(source / folder), ignore=ignore)
    for name in BUILD_FILES:
        shutil.copy(os.path.join(ROOT, name), str(source / name))
    builder = peer_venv("build", ["build==1.2.2.post1", "setuptools==75.3.2", "wheel==0.45.1"])
    # sdist first and the wheel from it, so that both are right.
    command = [builder, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    done = subprocess.run([*command, str(source)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-4000:]
    (name,) = [entry for entry in os.listdir(str(tmp_path / "dist")) if entry.endswith(".whl")]
    assert name == "dcc_mcp_embed-{}-py3-none-any.whl".format(dcc_mcp_embed.__version__)
    with zipfile.ZipFile(str(tmp_path / "dist" / name)) as wheel:
        names = set(wheel.namelist())
        info = "dcc_mcp_embed-{}.dist-info/".format(dcc_mcp_embed.__version__)
        assert {path for path in names if not path.startswith(info)} == tree_files()
        assert [path for path in names if path.startswith(info) and path.endswith("LICENSE")]
        metadata = wheel.read(info + "METADATA").decode("utf-8")
    assert "Requires-Python: >=3.7" in metadata
    assert "Requires-Dist" not in metadata


@pytest.mark.heavy
def test_version_is_read_without_importing_on_the_oldest_setuptools(tmp_path) -> None:
    # An import at build time would fail as soon as the package needs something to be installed.
    builder = peer_venv("setuptools68", ["setuptools==68.0.0", "wheel==0.42.0"])
    for name in BUILD_FILES:
        shutil.copy(os.path.join(ROOT, name), str(tmp_path / name))
    for package in _config()["options"]["packages"].split():
        place = max(
            (p for p in PLACES.values() if (package + ".").startswith(p.replace("/", ".") + ".")),
            key=len,
        )
        folder = [f for f, p in PLACES.items() if p == place][0]
        inner = package.split(".")[place.count("/") + 1 :]
        os.makedirs(os.path.join(str(tmp_path), folder, *inner), exist_ok=True)
    text = '__version__ = "{}"\nraise RuntimeError("imported")\n'.format(dcc_mcp_embed.__version__)
    (tmp_path / "dcc_mcp_embed" / "__init__.py").write_text(text, encoding="utf-8")
    out = subprocess.run(
        [builder, "-c", "from setuptools import setup; setup()", "--version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=str(tmp_path),
    )
    assert out.returncode == 0, out.stderr.decode("utf-8", "replace")
    assert out.stdout.decode().split()[-1] == dcc_mcp_embed.__version__


@pytest.mark.heavy
def test_editable_install_serves_the_siblings(tmp_path) -> None:
    python = os.path.join(str(tmp_path / "venv"), "bin", "python")
    base = getattr(sys, "_base_executable", sys.executable)
    source = tmp_path / "source"
    shutil.copytree(
        ROOT,
        str(source),
        ignore=shutil.ignore_patterns("__pycache__", ".*", "build", "dist", "tests"),
    )
    for command in (
        [base, "-m", "venv", str(tmp_path / "venv")],
        [python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(source)],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = done.stdout.decode("utf-8", "replace")
        require(done.returncode == 0, "an editable install ({})".format(output[-2000:]))
    code = (
        "import dcc_mcp_embed.adapters.standalone as a, dcc_mcp_embed._vendor.msgpack as m, sys\n"
        "strays = sorted({'adapters', 'vendor', 'msgpack'} & set(sys.modules))\n"
        "print(a.__file__, m.packb(1), strays)"
    )
    out = subprocess.check_output([python, "-W", "error", "-c", code], cwd=str(tmp_path))
    expected = "{} {!r} []".format(source / "adapters" / "standalone" / "__init__.py", b"\x01")
    assert out.decode().strip() == expected
