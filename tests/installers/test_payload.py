"""What is written can be proven, and put right."""

from __future__ import annotations

import json
import os

import pytest
from dcc_mcp_embed.installers import payload
from dcc_mcp_embed.installers.manifest import MANIFEST, PayloadError


@pytest.fixture
def folder(tmp_path, files):
    place = str(tmp_path / "written")
    payload.write(files, place, "1.2.3")
    return place


def test_what_is_written_is_as_it_was(folder):
    assert payload.verify(folder) == []
    listed = payload.read(folder)
    assert listed.name == "1.2.3+" + listed.digest[:12]
    assert payload.verify(folder, listed.digest) == []
    assert payload.verify(folder, "0" * 64) == ["it is another payload: " + listed.name]


def spoil(folder, how):
    path = os.path.join(folder, "dcc_mcp_embed", "__init__.py")
    if how == "changed":
        with open(path, "ab") as stream:
            stream.write(b"#")
    elif how == "missing":
        os.unlink(path)
    elif how == "not ours":
        with open(os.path.join(folder, "dcc_mcp_embed", "more.py"), "w"):
            pass
    elif how == "not a file":
        os.rename(path, path + "c")
        os.symlink(path + "c", path)
    elif how == "manifest":
        manifest = os.path.join(folder, MANIFEST)
        with open(manifest) as stream:
            content = json.load(stream)
        content["files"]["dcc_mcp_embed/__init__.py"][1] = "0" * 64
        with open(manifest, "w") as stream:
            json.dump(content, stream)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_what_lies_behind_a_link_is_not_of_the_payload(folder, tmp_path):
    adapters = os.path.join(folder, "dcc_mcp_embed", "adapters")
    os.rename(adapters, str(tmp_path / "elsewhere"))
    os.symlink(str(tmp_path / "elsewhere"), adapters)
    assert payload.verify(folder) == [
        "dcc_mcp_embed/adapters: not ours",
        "dcc_mcp_embed/adapters/maya/adapter.py: missing",
    ]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_payload_is_no_link_and_is_not_mended_through_one(folder, tmp_path):
    spoil(folder, "changed")
    link = str(tmp_path / "link")
    os.symlink(folder, link)
    (problem,) = payload.verify(link)
    assert "is a link" in problem
    with pytest.raises(PayloadError, match="is a link"):
        payload.mend(link, folder, os.replace)


def test_a_folder_that_cannot_be_read_is_told(folder, monkeypatch):
    real = os.listdir

    def refusing(path):
        if os.path.basename(path) == "adapters":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", refusing)
    (problem,) = payload.verify(folder)
    assert "cannot be read" in problem and "adapters" in problem


@pytest.mark.parametrize("how", ["changed", "missing", "not ours", "not a file"])
def test_every_damage_is_told_with_its_file(folder, how):
    spoil(folder, how)
    (problem,) = payload.verify(folder)
    assert problem.startswith("dcc_mcp_embed/") and how in problem


def test_a_changed_manifest_is_told(folder):
    spoil(folder, "manifest")
    (problem,) = payload.verify(folder)
    assert "digest" in problem


def test_what_python_compiles_is_no_damage(folder):
    cache = os.path.join(folder, "dcc_mcp_embed", "__pycache__")
    os.mkdir(cache)
    with open(os.path.join(cache, "__init__.cpython-37.pyc"), "wb"):
        pass
    assert payload.verify(folder) == []


def test_what_was_compiled_of_a_damaged_file_goes_with_it(folder, files, tmp_path):
    payload.write(files, str(tmp_path / "whole"), "1.2.3")
    spoil(folder, "changed")
    cache = os.path.join(folder, "dcc_mcp_embed", "__pycache__")
    os.mkdir(cache)
    payload.mend(folder, str(tmp_path / "whole"), os.replace)
    assert payload.verify(folder) == [] and not os.path.exists(cache)


def test_this_very_package_is_a_payload(tmp_path):
    files = payload.own_files()
    listed = payload.describe(files)
    for path in (
        "dcc_mcp_embed/__init__.py",
        "dcc_mcp_embed/adapters/standalone/adapter.py",
        "dcc_mcp_embed/installers/boot.py",
        "dcc_mcp_embed/_vendor/msgpack/__init__.py",
    ):
        assert path in listed.files
    assert listed.size < 3 << 20
    assert not any("/tests/" in path or ".pyc" in path for path in listed.files)
