"""An archive of a payload: the same bytes each time; of what is not ours nothing is taken out."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile

import pytest
from dcc_mcp_embed.installers import archive, manifest, payload
from dcc_mcp_embed.installers.manifest import MANIFEST, PayloadError


def packed(files):
    stream = io.BytesIO()
    listed = archive.pack(files, stream, "1.2.3")
    return listed, stream.getvalue()


def test_the_same_files_make_the_same_archive(files):
    listed, data = packed(files)
    for path in files.values():
        os.utime(path, (1, 1))
        os.chmod(path, 0o600)
    assert packed(dict(reversed(list(files.items())))) == (listed, data)


def test_an_archive_is_unpacked_whole(files, tmp_path):
    listed, data = packed(files)
    place = str(tmp_path / "there")
    assert archive.inspect(io.BytesIO(data)) == listed
    assert archive.unpack(io.BytesIO(data), place, listed.digest) == listed
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


def _endless(members):
    (info, content), *others = members
    return [(info, re.sub(rb"\[\s*[0-9]+", b"[1e999", content, count=1)), *others]


ATTACKS = {
    "a size without end": _endless,
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
        archive.unpack(io.BytesIO(bad), str(place))
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
            archive.pack(dict(files, **{path: files["dcc_mcp_embed/py.typed"]}), io.BytesIO(), "1")


def test_an_archive_is_refused_at_every_length_it_can_be_cut_to(files, tmp_path):
    _, data = packed(files)
    for length in range(0, len(data), 7):
        with pytest.raises(PayloadError):
            archive.unpack(io.BytesIO(data[:length]), str(tmp_path / str(length)))


@pytest.mark.parametrize("value", [0x00, 0x0C, 0x0E, 0x80, 0xFF])
def test_an_archive_with_one_byte_that_is_another_is_refused_or_whole(files, tmp_path, value):
    listed, data = packed(files)
    # The directory of the archive, in which nothing has a checksum.
    for place in range(data.index(b"PK\x01\x02"), len(data)):
        bad = data[:place] + bytes([value]) + data[place + 1 :]
        try:
            assert archive.inspect(io.BytesIO(bad)) == listed
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
        archive.unpack(io.BytesIO(rebuilt(data, change)), str(tmp_path / "there"))


def test_what_is_larger_than_anything_of_ours_fills_no_disk(files, tmp_path):
    with open(files["dcc_mcp_embed/py.typed"], "wb") as stream:
        stream.truncate((8 << 20) + 1)
    with pytest.raises(PayloadError, match=r"py\.typed. is no file of ours"):
        archive.unpack(io.BytesIO(packed(files)[1]), str(tmp_path / "there"))
    assert not (tmp_path / "there").exists()
    names = ["dcc_mcp_embed/{}.py".format(number) for number in range(9)]
    listed = manifest.Payload("1", {name: manifest.File(8 << 20, "0" * 64) for name in names})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr(MANIFEST, manifest.render(listed))
        for name in names:
            opened.writestr(name, b"")
    with pytest.raises(PayloadError, match="larger than any payload"):
        archive.inspect(stream)


def test_one_of_another_digest_is_refused_before_anything_is_written(files, tmp_path):
    _, data = packed(files)
    with pytest.raises(PayloadError, match="another payload"):
        archive.unpack(io.BytesIO(data), str(tmp_path / "there"), "0" * 64)
    assert not (tmp_path / "there").exists()
