"""Disks and folders that do not do as they are told, and lists that are not as we wrote them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest
from dcc_mcp_embed.installers import acting, api, boot, bootstraps, cli, hosts, payload, plan
from dcc_mcp_embed.installers.acting import Installation

import helpers
from dcc_mcp_embed.errors import ConfigError
from fakes.trees import picture

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """Have this version be one that is small."""
    file = tmp_path / "source.py"
    file.write_text("")
    monkeypatch.setattr(
        payload,
        "own_files",
        lambda: {"dcc_mcp_embed/__init__.py": str(file), "dcc_mcp_embed/more.py": str(file)},
    )
    return file


def ours_in(folder, key="maya"):
    return Installation(hosts.find(key), str(folder), lambda _: None)


# Disks.


def failing(monkeypatch, name, when, number):
    """Have a function of ``os`` fail with that error for the paths that ``when`` takes."""
    real = getattr(os, name)

    def refusing(path, *arguments, **named):
        if when(str(path)):
            raise OSError(number, os.strerror(number), path)
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, name, refusing)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("part", ["user", "modules", "versions"])
def test_where_nothing_can_be_made_nothing_half_done_is_left(tmp_path, monkeypatch, number, part):
    above = tmp_path / "above"
    above.mkdir()
    with monkeypatch.context() as patched:
        failing(patched, "mkdir", lambda path: os.path.basename(path) == part, number)
        with pytest.raises(ConfigError, match=os.strerror(number)):
            api.install("maya", target=str(above / "user"))
    assert picture(str(above)) == {}
    assert api.install("maya", target=str(above / "user"))["success"]


def test_on_a_full_disk_the_old_version_goes_on(tmp_path, monkeypatch, small):
    target = str(tmp_path / "user")
    api.install("maya", target=target)
    before = picture(target)
    small.write_text("x = 1\n")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(payload, "write_manifest", full)
        with pytest.raises(ConfigError, match="No space left"):
            api.upgrade("maya", target=target)
    assert picture(target) == before
    assert api.upgrade("maya", target=target)["success"]


def test_one_folder_that_cannot_be_looked_at_does_not_hide_the_others(
    tmp_path, monkeypatch, capsys
):
    first, second = str(tmp_path / "houdini20.0"), str(tmp_path / "houdini20.5")
    for one in (first, second):
        api.install("houdini", target=one)
    shut = os.path.join(first, "dcc_mcp_embed", "versions")
    monkeypatch.setattr(hosts, "user_folders", lambda *_: [first, second])
    failing(monkeypatch, "listdir", lambda path: path == shut, errno.EACCES)
    for look in (api.status, api.verify, api.doctor, api.install):
        report = look("houdini")
        assert not report["success"]
        shown, other = report["folders"]
        assert "cannot be looked at" in shown["problems"][0] and shut in shown["problems"][0]
        assert (other["problems"], bool(other["current"])) == ([], True)
    os.unlink(os.path.join(first, "dcc_mcp_embed", "current.txt"))
    assert cli.main(["status", "--host", "houdini"]) == 1
    assert "nothing of ours" not in capsys.readouterr().out, "nobody knows that"


def test_a_drive_that_is_not_there_is_told_at_once(tmp_path, monkeypatch):
    ours = ours_in(tmp_path / "user")
    monkeypatch.setattr(os.path, "isdir", lambda path: False)
    with pytest.raises(FileNotFoundError):
        ours._make(ours.user)


def test_a_folder_on_another_volume_gets_its_file_too(tmp_path, monkeypatch):
    ours = ours_in(tmp_path / "user")
    real = acting.replace

    def refusing(source, target, sleep):
        if target.endswith(".mod"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), target)
        real(source, target, sleep)

    monkeypatch.setattr(acting, "replace", refusing)
    assert api.install("maya", target=ours.user)["success"]
    assert api.verify("maya", target=ours.user)["success"]
    assert [one for one in os.listdir(ours.root.path) if one.startswith(".new")] == []


def test_one_folder_that_fails_does_not_keep_the_others(tmp_path, monkeypatch):
    first, second = str(tmp_path / "houdini20.0"), str(tmp_path / "houdini20.5")
    os.makedirs(second)
    with open(first, "w"):
        pass
    monkeypatch.setattr(hosts, "user_folders", lambda *_: [first, second])
    report = api.install("houdini")
    assert not report["success"]
    assert [bool(one["problems"]) for one in report["folders"]] == [True, False]
    assert api.verify("houdini", target=second)["success"]


# Links and names.


@needs_links
def test_a_user_folder_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink(str(tmp_path / "real"), str(tmp_path / "user"))
    target = str(tmp_path / "user")
    assert api.install("maya", target=target)["success"]
    assert api.verify("maya", target=target)["success"]
    assert api.uninstall("maya", target=target)["success"]
    assert os.path.islink(target) and picture(str(tmp_path / "real")) == {}


@needs_links
@pytest.mark.parametrize(
    "part",
    ["dcc_mcp_embed" + one for one in ("", "/versions", "/module", "/module/scripts")],
)
def test_nothing_is_put_or_removed_where_a_link_of_ours_leads(tmp_path, part):
    user, elsewhere = tmp_path / "user", tmp_path / "elsewhere"
    (user / part).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "1.0+0123456789ab").mkdir()
    os.symlink(str(elsewhere), str(user / part))
    before = picture(str(elsewhere))
    for act in (api.install, api.repair, api.uninstall):
        with pytest.raises(ConfigError, match="it is a link"):
            act("maya", target=str(user))
        planned = act("maya", target=str(user), dry_run=True)
        assert not planned["success"], "what would be refused is no success"
        assert planned["folders"][0]["operations"][0]["operation"] == "refuse"
    assert plan.plan_sweep(ours_in(user).facts()) == []
    assert picture(str(elsewhere)) == before


@needs_links
@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 only")
def test_a_folder_whose_name_is_no_text(tmp_path, capsys):
    target = os.fsdecode(os.fsencode(str(tmp_path)) + b"/ma\xffya\nx")
    for call in ("install", "verify", "doctor", "uninstall"):
        words = [call, "--host", "maya", "--target", target]
        assert cli.main(words + (["--yes"] if call in ("install", "uninstall") else [])) == 0
        assert "\\udcff" in capsys.readouterr().out
    assert not os.path.exists(target)


def test_a_folder_of_somebody_elses_that_is_called_as_ours_keeps_what_it_has(tmp_path):
    clone = tmp_path / "user" / "dcc_mcp_embed"
    clone.mkdir(parents=True)
    (clone / "mine.py").write_text("my own, about dcc_mcp_embed\n")
    before = picture(str(tmp_path / "user"))
    target = str(tmp_path / "user")
    assert api.uninstall("maya", target=target)["folders"][0]["operations"] == []
    assert picture(target) == before
    assert api.install("maya", target=target)["success"]
    assert api.verify("maya", target=target)["success"]
    report = api.uninstall("maya", target=target)
    assert "mine.py in it is not ours" in json.dumps(report)
    assert picture(target) == before
    assert api.uninstall("maya", target=target)["folders"][0]["operations"] == []


# Lists of what is to go.


def started(root):
    """Return what a start of Maya says there."""
    code = "import runpy; runpy.run_path({!r})['boot']('maya')".format(str(root / "boot.py"))
    command = [sys.executable, "-B", "-I", "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def left(tmp_path, lines):
    """Return a root without a version that is to go, with those lines in its list."""
    root = tmp_path / "user" / "dcc_mcp_embed"
    root.mkdir(parents=True)
    (root / "boot.py").write_bytes(bootstraps.boot_text())
    (root / "leaving.txt").write_bytes(lines)
    return root


def test_a_damaged_list_deletes_nothing_of_others(tmp_path):
    work, user = tmp_path / "mine", tmp_path / "user"
    work.mkdir()
    (work / "dcc_mcp_embed_scene.py").write_text("my scene, about dcc_mcp_embed\n")
    (work / "empty").mkdir()
    lines = [
        str(work / "dcc_mcp_embed_scene.py"),
        "../mine/dcc_mcp_embed_scene.py",
        "modules/../../mine/dcc_mcp_embed_scene.py",
        "../mine/empty",
        str(work / "empty"),
        "scenes/dcc_mcp_embed.ma",
        "scenes/other.mod",
        "modules/dcc_mcp_embed.mod",
        "modules",
        "\x00\xff",
        "x" * 5000,
    ]
    root = left(tmp_path, "\n".join(lines).encode("utf-8", "surrogateescape") + b"\xff\n")
    for path, text in (
        ("scenes/dcc_mcp_embed.ma", "somebody else's"),
        ("scenes/other.mod", "dcc_mcp_embed"),
        ("modules/dcc_mcp_embed.mod", "+ dcc_mcp_embed 1.0 ../dcc_mcp_embed/module\n"),
    ):
        (user / path).parent.mkdir(exist_ok=True)
        (user / path).write_text(text)
    before = picture(str(work))
    assert started(root).count("dcc_mcp_embed was uninstalled") == 1
    assert picture(str(work)) == before
    assert sorted(picture(str(user))) == ["scenes", "scenes/dcc_mcp_embed.ma", "scenes/other.mod"]


def test_what_is_to_go_stays_while_something_else_is_in_it(tmp_path):
    root = left(tmp_path, b"")
    (root / "notes.txt").write_text("mine")
    assert "notes.txt is not of it" in started(root)
    assert (root / "notes.txt").exists()


@needs_links
def test_a_list_leads_nowhere_through_links(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "dcc_mcp_embed.mod").write_text("dcc_mcp_embed")
    root = left(tmp_path, b"modules/dcc_mcp_embed.mod\nlink.dcc_mcp_embed\n")
    os.symlink(str(elsewhere / "dcc_mcp_embed.mod"), str(root.parent / "link.dcc_mcp_embed"))
    os.symlink(str(elsewhere), str(root / "module"))
    started(root)
    assert not root.exists()
    assert os.listdir(str(elsewhere)) == ["dcc_mcp_embed.mod"]


def test_a_list_is_as_seen_from_the_user_folder(tmp_path):
    ours = ours_in(tmp_path / "a" / "b" / "user")
    facts = ours.facts()
    assert facts.near(ours.user) == "."
    assert facts.near(str(tmp_path / "a" / "b")) == ".."
    assert facts.near(str(tmp_path / "a")) == "../.."
    assert facts.near(os.path.join(ours.user, "modules", "x")) == "modules/x"
    assert plan.near("/", "/modules/x", "/") == "modules/x"
    assert plan.near("D:\\", "D:\\modules", "\\") == "modules", "the folder is a drive"
    for line in (".", "..", "../..", "modules/x"):
        assert boot.is_within(line)
    for line in ("/", "/x", "../x", "x/..", "a//b", "c:\\x", "c:/x", "a\\b", ""):
        assert not boot.is_within(line), line
    api.install("maya", target=ours.user)
    assert [facts.near(one) for one in ours.made()] == ["modules", ".", "..", "../.."]


def test_a_studios_versions_are_nobodys_to_remove(tmp_path, small):
    target = str(tmp_path / "studio")
    api.install("maya", target=target)
    ours = ours_in(target)
    with open(os.path.join(ours.root.path, "shared.txt"), "w"):
        pass
    small.write_text("x = 1\n")
    assert api.upgrade("maya", target=target)["success"]
    assert len(ours.root.installed()) == 2
    with pytest.raises(ConfigError, match="studio"):
        api.uninstall("maya", target=target)


# The command line.


def told(capsys, *words):
    status = cli.main([*words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_every_answer_is_one_object_and_its_status(tmp_path, capsys):
    where = ("--host", "maya", "--target", str(tmp_path / "user"))
    for action in ("install", "upgrade", "repair", "uninstall"):
        status, answer = told(capsys, action, *where, "--dry-run")
        assert (status, answer["success"], answer["dry_run"]) == (0, True, True)
    assert not (tmp_path / "user").exists() and not (tmp_path / "home").exists()
    status, answer = told(capsys, "install", *where)
    assert (status, answer["success"]) == (1, False) and "--yes" in answer["message"]
    assert not (tmp_path / "user").exists()
    assert told(capsys, "install", *where, "--yes")[0] == 0
    for action in ("install", "upgrade", "repair", "uninstall"):
        before = picture(str(tmp_path / "user"))
        assert told(capsys, action, *where, "--dry-run")[0] == 0
        assert picture(str(tmp_path / "user")) == before, action
    os.unlink(str(tmp_path / "user" / "dcc_mcp_embed" / "bridge.py"))
    for action in ("status", "verify", "doctor"):
        status, answer = told(capsys, action, *where)
        assert (status, answer["success"]) == (1, False), action
    assert told(capsys, "repair", *where, "--yes")[0] == 0
    assert told(capsys, "verify", *where)[0] == 0
    (tmp_path / "file").write_text("")
    where = ("--host", "maya", "--target", str(tmp_path / "file"))
    for action in ("install", "status", "verify", "doctor", "uninstall"):
        yes = ("--yes",) if action in ("install", "uninstall") else ()
        status, answer = told(capsys, action, *where, *yes)
        assert status == (1 if action == "install" else 0), action


def test_an_archive_that_cannot_be_taken_is_named(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    where = ("--host", "maya", "--target", str(tmp_path / "user"), "--yes")
    for name, why in (("nowhere", "No such file"), (".", "directory"), ("notes.txt", "zip file")):
        path = str(tmp_path / name)
        for action in ("install", "upgrade", "repair"):
            status, answer = told(capsys, action, *where, "--archive", path)
            assert status == 1 and path in answer["message"] and why in answer["message"]
    status, answer = told(capsys, "install", *where, "--digest", "0" * 64)
    assert status == 1 and "--archive" in answer["message"], "it would be proven by nothing"
    assert not (tmp_path / "user").exists()


def test_our_own_folder_is_no_user_folder(tmp_path, capsys):
    target = str(tmp_path / "user")
    api.install("maya", target=target)
    before = picture(target)
    for action in ("install", "upgrade", "repair", "uninstall", "status", "verify", "doctor"):
        where = ("--host", "maya", "--target", os.path.join(target, "dcc_mcp_embed", ""))
        yes = () if action in ("status", "verify", "doctor") else ("--yes",)
        status, answer = told(capsys, action, *where, *yes)
        assert status == 1 and answer["message"].endswith(target)
    assert picture(target) == before


class Asked:
    """Somebody at a terminal."""

    def __init__(self, answer):
        self._answer = answer

    def isatty(self):
        return True

    def readline(self):
        if self._answer is None:
            raise KeyboardInterrupt
        return self._answer


@pytest.mark.parametrize("answer", ["y\n", " YES\n", "n\n", "\n", "", None])
def test_who_is_asked_may_say_no(tmp_path, capsys, monkeypatch, answer):
    monkeypatch.setattr(sys, "stdin", Asked(answer))
    target = str(tmp_path / "user")
    agreed = answer is not None and "y" in answer.lower()
    assert cli.main(["install", "--host", "maya", "--target", target]) == (0 if agreed else 1)
    assert os.path.exists(target) == agreed
    told = capsys.readouterr().err
    assert "Do that? [y/N]" in told and "Traceback" not in told
    assert ("install: It was stopped" in told) == (answer is None)


@needs_links
def test_nobody_is_asked_about_what_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Asked("y\n"))
    (tmp_path / "user").mkdir()
    (tmp_path / "elsewhere").mkdir()
    os.symlink(str(tmp_path / "elsewhere"), str(tmp_path / "user" / "dcc_mcp_embed"))
    assert cli.main(["install", "--host", "maya", "--target", str(tmp_path / "user")]) == 1
    told = capsys.readouterr().err
    assert "it is a link" in told and "Do that?" not in told


def test_nobody_is_asked_about_the_rest_of_a_folder_in_which_one_thing_is_refused(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", Asked("y\n"))
    where = ["--host", "maya", "--target", str(tmp_path / "user")]
    assert cli.main(["install", *where, "--yes"]) == 0
    (tmp_path / "user" / "modules" / "dcc_mcp_embed.mod").write_text("of somebody else\n")
    before = picture(str(tmp_path / "user"))
    capsys.readouterr()
    assert cli.main(["uninstall", *where]) == 1
    told = capsys.readouterr().err
    assert "it is not ours" in told and "Do that?" not in told
    assert picture(str(tmp_path / "user")) == before


def test_a_wrong_call_is_2():
    done = subprocess.run(
        [sys.executable, "-m", "dcc_mcp_embed.installers", "install"],
        cwd=helpers.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 2 and done.stdout == b""
