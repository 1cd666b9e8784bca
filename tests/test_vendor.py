"""Vendored files are released ones, untouched, and stay below our own name."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from typing import Dict, List, Set

import pytest

from helpers import ROOT, require

VENDOR = os.path.join(ROOT, "vendor")
#: Written by us; everything else comes out of a wheel.
OUR_OWN = {"README.md", "SHA256SUMS", "vendor.txt"}


def vendored_files() -> Set[str]:
    found = set()
    for where, folders, names in os.walk(VENDOR):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.relpath(os.path.join(where, name), VENDOR).replace(os.sep, "/")
            found.add(path)
    return found - OUR_OWN


def sums() -> Dict[str, str]:
    with open(os.path.join(VENDOR, "SHA256SUMS"), encoding="ascii") as stream:
        return {path: digest for digest, path in (line.split() for line in stream)}


def pins() -> Dict[str, str]:
    with open(os.path.join(VENDOR, "vendor.txt"), encoding="ascii") as stream:
        lines = [line.strip() for line in stream if line.strip()]
    return dict(line.split("==") for line in lines)


def sha256(path: str) -> str:
    with open(os.path.join(VENDOR, path), "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def test_every_file_has_its_checked_in_hash() -> None:
    assert {path: sha256(path) for path in vendored_files()} == sums()


def test_only_sources_and_licences() -> None:
    for path in vendored_files():
        assert path.endswith((".py", ".LICENSE", "/COPYING")), path


@pytest.mark.parametrize("licence", ["msgpack/COPYING", "typing_extensions.LICENSE"])
def test_licence_is_kept(licence: str) -> None:
    assert licence in vendored_files()
    assert os.path.getsize(os.path.join(VENDOR, licence)) > 500


def test_page_names_every_pin() -> None:
    with open(os.path.join(VENDOR, "README.md"), encoding="utf-8") as stream:
        page = stream.read()
    for name, version in pins().items():
        assert "| {} | {} |".format(name, version) in page


def test_copies_say_the_pinned_versions() -> None:
    # The second has no version of its own to ask; its hash is checked above.
    from dcc_mcp_embed._vendor import msgpack

    assert msgpack.__version__ == pins()["msgpack"]
    assert set(pins()) == {"msgpack", "typing_extensions"}


def _run(code: str, *path: str) -> str:
    """Run code in a fresh interpreter that imports our package from where this one does."""
    import dcc_mcp_embed

    home = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
    environ = dict(os.environ, PYTHONPATH=os.pathsep.join([*path, home]))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output.strip()


def test_importing_them_adds_no_top_level_name() -> None:
    # -S, because a .pth file of the environment may import typing_extensions on its own.
    code = (
        "import sys; before = set(sys.modules)\n"
        "from dcc_mcp_embed._vendor import msgpack, typing_extensions\n"
        "print(sorted({n.split('.')[0] for n in set(sys.modules) - before}"
        " & {'msgpack', 'typing_extensions', 'vendor'}))"
    )
    assert _run(code) == "[]"


def test_the_hosts_own_copy_is_neither_used_nor_touched(tmp_path) -> None:
    (tmp_path / "msgpack.py").write_text("packb = 'the host has its own'\n", encoding="utf-8")
    code = (
        "import msgpack as theirs\n"
        "from dcc_mcp_embed._vendor import msgpack as ours\n"
        "import msgpack as again\n"
        "assert again is theirs and theirs.packb == 'the host has its own'\n"
        "print(ours.packb([1]))"
    )
    assert _run(code, str(tmp_path)) == repr(b"\x91\x01")


def test_the_pure_python_fallback_is_what_runs() -> None:
    assert _run(
        "from dcc_mcp_embed._vendor import msgpack; print(msgpack.Packer.__module__)"
    ).endswith("_vendor.msgpack.fallback")


# Against what was published.


def _wheel(name: str, version: str, folder: str) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    if name == "msgpack":
        # One and the same wheel whatever runs this test: it has the pure files beside the compiled.
        command += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
        command += ["--platform", "manylinux2014_x86_64"]
    command += ["--dest", folder, "{}=={}".format(name, version)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = done.stdout.decode("utf-8", "replace")
    require(done.returncode == 0, "the published wheel of {} ({})".format(name, output[-500:]))
    (file_name,) = [entry for entry in os.listdir(folder) if entry.startswith(name)]
    return zipfile.ZipFile(os.path.join(folder, file_name))


def _record(wheel: zipfile.ZipFile) -> Dict[str, str]:
    """Return path -> sha256 in hex, as the wheel's RECORD has it."""
    (name,) = [entry for entry in wheel.namelist() if entry.endswith(".dist-info/RECORD")]
    rows: List[List[str]] = list(csv.reader(io.StringIO(wheel.read(name).decode("utf-8"))))
    return {
        path: base64.urlsafe_b64decode(digest.split("=", 1)[1] + "==").hex()
        for path, digest, _size in rows
        if digest
    }


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["msgpack", "typing_extensions"])
def test_hashes_are_those_of_the_published_wheel(name: str, tmp_path) -> None:
    with _wheel(name, pins()[name], str(tmp_path)) as wheel:
        record = _record(wheel)
    published = {path: digest for path, digest in record.items() if path.endswith(".py")}
    for path, digest in record.items():
        base = path.rsplit("/", 1)[-1]
        if ".dist-info/" in path and base in ("COPYING", "LICENSE"):
            kept = "msgpack/COPYING" if base == "COPYING" else name + ".LICENSE"
            published[kept] = digest
    ours = {path: digest for path, digest in sums().items() if path.startswith(name)}
    assert ours == published
