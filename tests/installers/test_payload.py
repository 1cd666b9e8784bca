"""What is written can be proven, what is not ours is refused, nothing leaves its folder."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile

import pytest
from dcc_mcp_embed.installers import payload
from dcc_mcp_embed.installers.payload import MANIFEST, PayloadError

CONTENTS = {
    "dcc_mcp_embed/__init__.py": b"__version__ = '1.2.3'\n",
    "dcc_mcp_embed/adapters/maya/adapter.py": b"x = 1\n",
    "dcc_mcp_embed/py.typed": b"",
}


@pytest.fixture
def files(tmp_path):
    found = {}
    for path, content in CONTENTS.items():
        source = tmp_path / "source" / path.replace("/", "-")
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(content)
        found[path] = str(source)
    return found


@pytest.fixture
def folder(tmp_path, files):
    place = str(tmp_path / "written")
    payload.write(files, place, "1.2.3")
    return place


def packed(files):
    stream = io.BytesIO()
    listed = payload.pack(files, stream, "1.2.3")
    return listed, stream.getvalue()


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


def test_the_same_files_make_the_same_archive(files):
    listed, data = packed(files)
    for path in files.values():
        os.utime(path, (1, 1))
        os.chmod(path, 0o600)
    assert packed(dict(reversed(list(files.items())))) == (listed, data)


def test_an_archive_is_unpacked_whole(files, tmp_path):
    listed, data = packed(files)
    place = str(tmp_path / "there")
    assert payload.inspect(io.BytesIO(data)) == listed
    assert payload.unpack(io.BytesIO(data), place, listed.digest) == listed
    assert payload.verify(place, listed.digest) == []


def rebuilt(data, change):
    """Return the archive with its members as ``change`` has them: name -> content, and infos."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        members = [(info, old.read(info)) for info in old.infolist()]
        for info, content in change(members):
            new.writestr(info, content)
    return stream.getvalue()


def _named(info, name):
    other = zipfile.ZipInfo(name)
    other.external_attr = info.external_attr
    return other


def _link(members):
    info = zipfile.ZipInfo("dcc_mcp_embed/py.typed")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return [m for m in members if m[0].filename != info.filename] + [(info, b"../../../etc/passwd")]


def _with(name, content=b"x"):
    return lambda members: [*members, (zipfile.ZipInfo(name), content)]


ATTACKS = {
    "foreign": lambda members: members[1:],
    "a member more": _with("dcc_mcp_embed/more.py"),
    "a member less": lambda members: members[:-1],
    "out of its folder": _with("../outside.py"),
    "from the root": _with("/outside.py"),
    "a drive": _with("C:/outside.py"),
    "back strokes": _with("dcc_mcp_embed\\..\\..\\outside.py"),
    "a link": _link,
    "changed": lambda members: [
        (info, content + b"#" if info.filename.endswith("adapter.py") else content)
        for info, content in members
    ],
    "renamed": lambda members: [
        (_named(info, info.filename.replace("adapter.py", "other.py")), content)
        for info, content in members
    ],
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_tampered_archive_is_refused_and_nothing_leaves_its_folder(files, tmp_path, attack):
    _, data = packed(files)
    bad = rebuilt(data, ATTACKS[attack])
    place = tmp_path / "deep" / "there"
    before = sorted(os.listdir(str(tmp_path)))
    with pytest.raises(PayloadError):
        payload.unpack(io.BytesIO(bad), str(place))
    assert sorted(set(os.listdir(str(tmp_path))) - {"deep"}) == before
    assert not place.exists() or not (place / MANIFEST).exists(), "it is not a version"


def test_an_archive_that_lists_what_it_should_not_is_refused(files, tmp_path):
    for path in (
        "../outside.py",
        "dcc_mcp_embed/../../outside.py",
        "/outside.py",
        "other/x.py",
        "dcc_mcp_embed/CON.py",
        "dcc_mcp_embed/a\\b.py",
        "dcc_mcp_embed/x:y",
        "dcc_mcp_embed/end.",
        "dcc_mcp_embed/PY.TYPED",
    ):
        with pytest.raises(PayloadError):
            payload.pack(dict(files, **{path: files["dcc_mcp_embed/py.typed"]}), io.BytesIO(), "1")


def test_an_archive_is_refused_at_every_length_it_can_be_cut_to(files, tmp_path):
    _, data = packed(files)
    for length in range(0, len(data), 7):
        with pytest.raises(PayloadError):
            payload.unpack(io.BytesIO(data[:length]), str(tmp_path / str(length)))


@pytest.mark.parametrize("value", [0x00, 0x0C, 0x0E, 0x80, 0xFF])
def test_an_archive_with_one_byte_that_is_another_is_refused_or_whole(files, tmp_path, value):
    listed, data = packed(files)
    # The directory of the archive, in which nothing has a checksum.
    for place in range(data.index(b"PK\x01\x02"), len(data)):
        bad = data[:place] + bytes([value]) + data[place + 1 :]
        try:
            assert payload.inspect(io.BytesIO(bad)) == listed
        except PayloadError:
            continue


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_compressed_as_nothing_of_ours_is_refused(files, tmp_path, how):
    _, data = packed(files)

    def change(members):
        for info, _ in members:
            info.compress_type = how
        return members

    with pytest.raises(PayloadError, match="is no file of ours"):
        payload.unpack(io.BytesIO(rebuilt(data, change)), str(tmp_path / "there"))


def test_what_is_larger_than_anything_of_ours_fills_no_disk(files, tmp_path):
    with open(files["dcc_mcp_embed/py.typed"], "wb") as stream:
        stream.truncate((8 << 20) + 1)
    with pytest.raises(PayloadError, match=r"py\.typed. is no file of ours"):
        payload.unpack(io.BytesIO(packed(files)[1]), str(tmp_path / "there"))
    assert not (tmp_path / "there").exists()
    names = ["dcc_mcp_embed/{}.py".format(number) for number in range(9)]
    listed = payload.Payload("1", {name: payload.File(8 << 20, "0" * 64) for name in names})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(MANIFEST, payload.render(listed))
        for name in names:
            archive.writestr(name, b"")
    with pytest.raises(PayloadError, match="larger than any payload"):
        payload.inspect(stream)


def test_what_was_compiled_of_a_damaged_file_goes_with_it(folder, files, tmp_path):
    payload.write(files, str(tmp_path / "whole"), "1.2.3")
    spoil(folder, "changed")
    cache = os.path.join(folder, "dcc_mcp_embed", "__pycache__")
    os.mkdir(cache)
    payload.mend(folder, str(tmp_path / "whole"), os.replace)
    assert payload.verify(folder) == [] and not os.path.exists(cache)


def test_one_of_another_digest_is_refused_before_anything_is_written(files, tmp_path):
    _, data = packed(files)
    with pytest.raises(PayloadError, match="another payload"):
        payload.unpack(io.BytesIO(data), str(tmp_path / "there"), "0" * 64)
    assert not (tmp_path / "there").exists()


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
