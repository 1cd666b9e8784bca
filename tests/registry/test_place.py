"""Which directory is the registry, and whom it can be believed from."""

from __future__ import annotations

import os
import stat

import pytest

from dcc_mcp_embed import config
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.registry.place import choose, renew
from dcc_mcp_embed.transport_errors import RegistryFile
from fakes.clock import FakeClock
from helpers import require

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners and modes")


@pytest.fixture
def temporary(tmp_path):
    """A shared directory for temporary files, as /tmp is."""
    path = tmp_path / "tmp"
    path.mkdir()
    path.chmod(0o1777)
    return path


@pytest.fixture
def environ(temporary, tmp_path):
    return {"TMPDIR": str(temporary), "DCC_MCP_EMBED_HOME": str(tmp_path / "home")}


def mode(path):
    return stat.S_IMODE(os.stat(str(path)).st_mode)


def test_default_is_made_for_us_alone(temporary, environ):
    place = choose(None, environ, "linux")
    assert place == (str(temporary / "dcc-mcp-registry"), "shared", True, ())
    assert mode(place.directory) == 0o700


def test_whoever_names_a_directory_is_obeyed(temporary, environ, tmp_path):
    environ["DCC_MCP_REGISTRY_DIR"] = str(tmp_path / "named" / "deep")
    assert choose(None, environ, "linux")[:3] == (str(tmp_path / "named/deep"), "environment", True)
    given = str(tmp_path / "given")
    assert choose(given, environ, "linux")[:3] == (given, "argument", True)
    environ["DCC_MCP_REGISTRY_DIR"] = ""
    assert choose(None, environ, "linux").source == "shared"
    assert os.listdir(str(tmp_path / "named")) == ["deep"]


def test_what_the_gateway_made_is_fine_and_what_others_may_write_is_tightened(temporary, environ):
    shared = temporary / "dcc-mcp-registry"
    shared.mkdir()
    for wide, after in ((0o755, 0o755), (0o777, 0o700), (0o775, 0o700)):
        shared.chmod(wide)
        assert choose(None, environ, "linux")[1:] == ("shared", True, ())
        assert mode(shared) == after


def test_a_link_in_its_place_is_avoided(temporary, environ, tmp_path):
    (tmp_path / "trap").mkdir()
    os.symlink(str(tmp_path / "trap"), str(temporary / "dcc-mcp-registry"))
    place = choose(None, environ, "linux")
    assert place.directory == str(temporary / "dcc-mcp-registry-{}".format(os.getuid()))
    assert (place.source, place.trusted) == ("private", True)
    assert "link" in place.remarks[0]
    assert os.listdir(str(tmp_path / "trap")) == []


def test_a_file_in_its_place_is_avoided(temporary, environ):
    (temporary / "dcc-mcp-registry").write_bytes(b"")
    assert choose(None, environ, "linux").source == "private"


def test_somebody_elses_is_avoided(temporary, environ, tmp_path):
    require(os.getuid() == 0, "the right to give files away")
    shared = temporary / "dcc-mcp-registry"
    shared.mkdir(mode=0o777)
    os.chown(str(shared), 12345, 12345)
    place = choose(None, environ, "linux")
    assert place.directory == "{}-{}".format(shared, os.getuid())
    assert place.trusted
    assert "12345" in place.remarks[0]
    # Whoever knows that rule too does not get us either.
    os.chown(place.directory, 12345, 12345)
    place = choose(None, environ, "linux")
    assert place.directory == str(tmp_path / "home" / "registry")
    assert (place.source, place.trusted, len(place.remarks)) == ("private", True, 2)


def test_one_that_could_be_exchanged_is_avoided(temporary, environ, tmp_path):
    temporary.chmod(0o777)
    assert choose(None, environ, "linux").directory == str(tmp_path / "home" / "registry")


def test_a_named_one_that_others_may_write_is_used_and_said(tmp_path, temporary, environ):
    wide = tmp_path / "studio"
    wide.mkdir()
    wide.chmod(0o777)
    place = choose(str(wide), environ, "linux")
    assert (place.directory, place.trusted) == (str(wide), False)
    assert "written by others" in place.remarks[0]
    assert mode(wide) == 0o777, "whoever named it had a reason"
    logged = []
    registry = open_registry(str(wide), {}, FakeClock(), lambda *line: logged.append(line))
    registry.register("maya", "127.0.0.1", 1)
    registry.close()
    assert [level for level, text in logged if "written by others" in text] == ["warning"]
    # Its other users have to be able to read and lock.
    umask = os.umask(0)
    os.umask(umask)
    for name in ("services.json", "services.lock"):
        assert mode(wide / name) == 0o666 & ~umask


def test_a_named_link_is_followed_and_looked_behind(tmp_path, environ):
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    os.symlink(str(real), str(tmp_path / "link"))
    assert choose(str(tmp_path / "link"), environ, "linux").trusted
    real.chmod(0o777)
    assert not choose(str(tmp_path / "link"), environ, "linux").trusted


def test_a_directory_that_cannot_be_made_is_told_in_the_references_words(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RegistryFile, match="failed to create registry dir"):
        choose(str(tmp_path / "file" / "below"), {}, "linux")
    with pytest.raises(RegistryFile, match="no directory"):
        choose(
            None,
            {"TMPDIR": str(tmp_path / "file"), "DCC_MCP_EMBED_HOME": str(tmp_path / "file")},
            "linux",
        )


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", "/tmp"),
        ({"TMPDIR": "/x", "TEMP": "/y", "TMP": "/z"}, "linux", "/x"),
        ({"TEMP": "/y", "TMP": "/z"}, "linux", "/tmp"),
        ({"TMPDIR": ""}, "linux", "/tmp"),
        ({"TMPDIR": "/x"}, "darwin", "/x"),
        ({"TMPDIR": "/x", "TEMP": "y", "TMP": "z"}, "win32", "z"),
        ({"TEMP": "y", "USERPROFILE": "u"}, "win32", "y"),
        ({"USERPROFILE": "u"}, "win32", "u"),
        ({}, "win32", "C:\\Windows"),
    ],
)
def test_temporary_files_are_where_programs_in_rust_look(environ, platform, expected):
    assert config.temp_dir(environ, platform) == expected


@pytest.mark.parametrize(
    ("timeout", "backoff", "expected"),
    [
        (None, None, (2.0, 0.01)),
        ("500", "1", (0.5, 0.001)),
        ("0", "0", (2.0, 0.01)),
        ("-5", "fast", (2.0, 0.01)),
        ("", " ", (2.0, 0.01)),
        ("1.5", "9" * 20, (2.0, 0.01)),
    ],
)
def test_lock_times_come_from_the_environment(timeout, backoff, expected):
    environ = {
        "DCC_MCP_REGISTRY_LOCK_TIMEOUT_MS": timeout,
        "DCC_MCP_REGISTRY_LOCK_BACKOFF_MS": backoff,
    }
    given = {name: value for name, value in environ.items() if value is not None}
    assert config.registry_lock_times(given) == expected


# -- looked at, and removed while it is in use ------------------------------------------------


@pytest.mark.parametrize("make", [True, False])
def test_one_who_only_looks_makes_nothing(environ, temporary, tmp_path, make):
    assert choose(None, environ, "linux", make).source == "shared"
    assert choose(str(tmp_path / "named"), environ, "linux", make).source == "argument"
    made = [temporary / "dcc-mcp-registry", tmp_path / "named"]
    assert [path.exists() for path in made] == [make, make]


def test_a_directory_that_was_removed_is_made_again_for_its_user_alone(environ, tmp_path):
    for given in (None, str(tmp_path / "named")):
        place = choose(given, environ, "linux")
        os.rmdir(place.directory)
        renew(place)
        assert stat.S_IMODE(os.stat(place.directory).st_mode) == 0o700
        os.rmdir(place.directory)
        with open(place.directory, "w"):
            pass
        with pytest.raises(RegistryFile):
            renew(place)


@pytest.mark.parametrize("what", ["a link", "another's"])
def test_what_came_in_its_place_must_be_as_good_unless_somebody_has_named_it(
    environ, tmp_path, monkeypatch, what
):
    shared = choose(None, environ, "linux")
    named = choose(str(tmp_path / "named"), environ, "linux")
    (tmp_path / "elsewhere").mkdir()
    for place in (shared, named):
        if what == "a link":
            os.rmdir(place.directory)
            os.symlink(str(tmp_path / "elsewhere"), place.directory)
    if what == "another's":
        monkeypatch.setattr(os, "getuid", lambda uid=os.getuid(): uid + 1)
    with pytest.raises(RegistryFile) as caught:
        renew(shared)
    assert "cannot be trusted any more" in str(caught.value)
    renew(named)


def test_one_that_others_can_write_is_ours_alone_again(environ):
    place = choose(None, environ, "linux")
    os.chmod(place.directory, 0o777)
    renew(place)
    assert stat.S_IMODE(os.stat(place.directory).st_mode) == 0o700
