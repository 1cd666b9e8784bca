"""Which folders are refused: rules over facts that the test makes up."""

from __future__ import annotations

import os
import stat
import sys
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.install_lifecycle import guards
from dcc_mcp_embed.install_lifecycle.disk import Disk, real
from dcc_mcp_embed.install_lifecycle.guards import Surroundings
from fakes.trees import plant, posix_error

TOP = os.path.abspath(os.sep)


def at(*names):
    return os.path.join(TOP, "nowhere", *names)


def facts(mode=stat.S_IFDIR, **more):
    return SimpleNamespace(st_mode=mode, **more)


AROUND = Surroundings(at("home", "me"), at("work", "here"), [at("py"), at("py", "lib")])


def refused(path, of=None, mounts=()):
    answer = guards.refuse_root(path, of or facts(), AROUND, lambda p: p in mounts)
    return answer and answer[0]


@pytest.mark.parametrize(
    ("path", "guard"),
    [
        (TOP, "drive_root"),
        (at(), "home"),
        (at("home"), "home"),
        (at("home", "me"), "home"),
        (at("home", "me", "x"), None),
        (at("home", "me2"), None),
        (at("home", "m"), None),
        (at("work"), "current_directory"),
        (at("work", "here"), "current_directory"),
        (at("work", "here", "x"), None),
        (at("py"), "interpreter"),
        (at("py", "lib"), "interpreter"),
        (at("py", "lib", "x"), None),
        (at("x", "site-packages"), "site_packages"),
        (at("x", "Dist-Packages"), "site_packages"),
        (at("x", "site-packages", "mine"), None),
    ],
)
def test_roots(path, guard):
    assert refused(path) == guard


def test_what_is_there():
    assert refused(at("x"), facts(stat.S_IFREG)) == "not_a_directory"
    assert refused(at("x"), facts(stat.S_IFLNK)) == "link"
    junction = facts(stat.S_IFDIR, st_file_attributes=0x400, st_reparse_tag=0xA0000003)
    assert refused(at("x"), junction) == "link"
    assert refused(at("x"), mounts=[at("x")]) == "mount_point"
    assert guards.refuse_root(at("x"), None, AROUND) is None
    assert guards.refuse_root(at("home"), None, AROUND)[0] == "home"
    gone = Surroundings(AROUND.home, None, [])
    assert guards.refuse_root(at("work"), facts(), gone, lambda p: False) is None


def test_volumes_that_the_system_tells_of():
    mounts = [at("m"), at("t", "a", "b")]
    around = Surroundings(AROUND.home, None, [], mounts)

    def guard(*names):
        answer = guards.refuse_root(at(*names), facts(), around, lambda path: False)
        return answer and answer[0]

    assert guard("m") == "mount_point"
    assert guard("t") == guard("t", "a") == "mount_inside"
    assert guard("t", "a", "b", "c") is None
    assert guard("t", "a2") is None


def test_the_mounts_of_linux():
    content = (
        b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        b"30 22 0:5 / /opt/a\\040b\\134040\\011c rw - tmpfs none rw\n"
        b"garbage\n"
    )
    assert guards.parse_mountinfo(content) == ["/", "/opt/a b\\040\tc"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_the_mounts_of_this_system():
    assert {"/", "/proc"} <= set(guards.look_around().mounts)


def test_each_refusal_says_why_in_a_sentence():
    word, sentence = guards.refuse_root(TOP, facts(), AROUND)
    assert word.islower()
    assert sentence[0].isupper() and sentence.endswith(".")


def test_what_cannot_be_resolved_stands_as_it_is(monkeypatch):
    """Windows raises where a server is gone, of a home as of a tree."""

    def fails(path):
        raise OSError(22, "The network location cannot be reached", path)

    monkeypatch.setattr(os.path, "realpath", fails)
    monkeypatch.setenv("HOME", at("home", "me"))
    monkeypatch.setenv("USERPROFILE", at("home", "me"))
    assert real(at("tree")) == at("tree")
    assert guards.look_around().home == at("home", "me")
    assert refused(at()) == "home"


def test_the_surroundings_of_this_process(tmp_path, monkeypatch):
    monkeypatch.chdir(str(tmp_path))
    around = guards.look_around()
    assert around.current == os.path.realpath(str(tmp_path))
    assert os.path.realpath(sys.prefix) in around.interpreter
    assert around.home == os.path.realpath(os.path.expanduser("~"))


@pytest.mark.skipif(os.name == "nt", reason="a current directory cannot vanish")
def test_a_current_directory_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(str(gone))
    monkeypatch.setenv("HOME", "relative")
    gone.rmdir()
    around = guards.look_around()
    assert (around.current, around.home) == (None, "")
    assert guards.refuse_root(at("x"), facts(), around, lambda path: False) is None


def test_inside():
    assert guards.inside(at("a"), at("a"))
    assert guards.inside(at("a", "b"), at("a"))
    assert not guards.inside(at("ab"), at("a"))
    assert not guards.inside(at("a"), at("a", "b"))
    assert guards.inside(at("a"), TOP)


def pair(source, destination):
    answer = guards.refuse_pair(str(source), os.lstat(str(source)), str(destination))
    return answer and answer[0]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_pairs_are_compared_by_what_they_are(tmp_path):
    plant(tmp_path, {"a/b/x": b"", "c": None})
    os.symlink(str(tmp_path / "a"), str(tmp_path / "link"))
    assert pair(tmp_path / "a", tmp_path / "c") is None
    assert pair(tmp_path / "a", tmp_path / "new") is None
    assert pair(tmp_path / "a", tmp_path / "a") == "same"
    assert pair(tmp_path / "link", tmp_path / "c") == "link"
    assert pair(tmp_path / "a" / "b" / "x", tmp_path / "c") == "not_a_directory"
    assert pair(tmp_path / "a" / "b", tmp_path / "link") == "source_inside_destination"
    assert pair(tmp_path / "a", tmp_path / "link" / "new") == "destination_inside_source"
    assert pair(tmp_path / "link" / "b", tmp_path / "a" / "b") == "same"


def test_pairs_that_only_the_system_knows_for_one(tmp_path, monkeypatch):
    """A drive's two names, or a file system that ignores case."""
    plant(tmp_path, {"a/b": None, "A2/c": None})
    names = [str(tmp_path / "a"), str(tmp_path / "A2")]
    monkeypatch.setattr(os.path, "samefile", lambda one, other: {one, other} == set(names))
    assert pair(names[0], names[1]) == "same"
    assert pair(os.path.join(names[0], "b"), names[1]) == "source_inside_destination"
    assert pair(names[0], os.path.join(names[1], "c", "d")) == "destination_inside_source"


def test_roots_that_only_the_system_knows(tmp_path, monkeypatch):
    plant(tmp_path, {"Home/me": None, "hOME/x": None})
    names = {str(tmp_path / "Home"), str(tmp_path / "hOME")}
    monkeypatch.setattr(os.path, "samefile", lambda one, other: {one, other} == names)
    around = Surroundings(str(tmp_path / "Home" / "me"), None, [])
    for name in names:
        assert guards.refuse_root(name, facts(), around, lambda p: False)[0] == "home"
    assert guards.refuse_root(str(tmp_path / "x"), facts(), around, lambda p: False) is None


def test_a_source_that_cannot_be_read_is_refused_before_anything_is_done(tmp_path):
    class Unreadable(Disk):
        def listdir(self, path):
            if path.endswith("b"):
                raise posix_error(13, path)
            return super().listdir(path)

    plant(tmp_path, {"a/b/c": b""})
    assert guards.survey(Disk(), str(tmp_path)) is None
    assert guards.survey(Unreadable(), str(tmp_path))[0] == "unreadable"
