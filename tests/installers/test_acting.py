"""Install, upgrade, repair and uninstall in a real folder, cut off at every step of the disk's."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import types

import pytest
from dcc_mcp_embed.installers import api, hosts, payload, plan
from dcc_mcp_embed.installers.acting import Installation
from dcc_mcp_embed.installers.sources import Source, own_source

from dcc_mcp_embed import install_lifecycle as lifecycle
from dcc_mcp_embed.errors import ConfigError
from fakes.trees import picture

pytestmark = pytest.mark.edges

HOSTS = sorted(hosts.HOSTS)

#: A version of ours that says which one was started, without a server.
STARTUP = """
def begin(host, root, package, say):
    from dcc_mcp_embed.installers import record
    record(package.VERSION)
    return True
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    return tmp_path


@pytest.fixture
def version(tmp_path):
    """Return a source of a version with that number, small enough to be installed often."""

    def make(number):
        place = tmp_path / "sources" / number
        texts = {
            "dcc_mcp_embed/__init__.py": "VERSION = {!r}\n".format(number),
            "dcc_mcp_embed/installers/__init__.py": "def record(text):\n    print(text)\n",
            "dcc_mcp_embed/installers/startup.py": STARTUP,
        }
        files = {}
        for path, text in texts.items():
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            files[path] = str(file)
        listed = payload.describe(files, number)
        return Source(listed, lambda folder: payload.write(files, folder, number))

    return make


def installation(tmp_path, key="maya"):
    return Installation(hosts.find(key), str(tmp_path / "user" / key), lambda _: None)


def install(ours, source):
    return ours.carry_out(plan.plan_install(ours.facts(), ours.wish(source.payload.name)), source)


def uninstall(ours):
    return ours.carry_out(plan.plan_uninstall(ours.facts(), ours.texts()[1], ours.made()), None)


def started(ours):
    """Return what a start of the host says: the version that it starts, or nothing."""
    file = os.path.join(ours.root.path, "boot.py")
    last = os.path.join(ours.user, *ours.host.files[-1].path.split("/"))
    if not os.path.exists(last) or not os.path.exists(file):
        return ""
    with another_interpreter(), contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path(file)["boot"](ours.host.key)
    return said.getvalue().strip()


@contextlib.contextmanager
def another_interpreter():
    """Have nothing of ours loaded, as in a host that starts; afterwards all is as before."""

    def ours():
        return [name for name in sys.modules if name.partition(".")[0] == "dcc_mcp_embed"]

    before = {name: sys.modules.pop(name) for name in ours()}
    try:
        yield
    finally:
        if "dcc_mcp_embed" in sys.modules:
            handle, _ = sys.modules["dcc_mcp_embed"].__dict__.get("_lease", (None, ""))
            if handle is not None:
                os.close(handle)
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)


@pytest.mark.parametrize("key", HOSTS)
def test_a_user_folder_is_afterwards_as_it_was(tmp_path, version, key):
    ours = installation(tmp_path, key)
    os.makedirs(os.path.join(ours.user, "modules"))
    with open(os.path.join(ours.user, "modules", "other.mod"), "w") as stream:
        stream.write("+ other 1.0 /other\n")
    before = picture(ours.user)
    source = version("1.0")
    assert {one.status for one in install(ours, source)} == {"done"}
    assert started(ours) == "1.0"
    assert install(ours, source) == [], "nothing is left to be done"
    assert {one.status for one in uninstall(ours)} <= {"done", "kept"}
    assert picture(ours.user) == before
    assert uninstall(ours) == []


def test_an_upgrade_leaves_one_version_and_a_downgrade_is_one(tmp_path, version):
    ours = installation(tmp_path)
    for number in ("1.0", "1.1", "1.0"):
        source = version(number)
        install(ours, source)
        assert started(ours) == number
        assert ours.root.installed() == [source.payload.name]


def test_a_damaged_version_is_put_right(tmp_path, version):
    ours = installation(tmp_path)
    source = version("1.0")
    install(ours, source)
    path = os.path.join(ours.root.folder_of(source.payload.name), "dcc_mcp_embed", "__init__.py")
    with open(path, "a") as stream:
        stream.write("VERSION = 'spoilt'\n")
    os.unlink(os.path.join(ours.root.path, "bridge.py"))
    assert started(ours) == "spoilt"
    (one,) = ours.root.damaged()
    assert one.problems == ("dcc_mcp_embed/__init__.py: changed",)
    install(ours, source)
    assert (started(ours), ours.root.damaged()) == ("1.0", [])
    assert install(ours, source) == []


@pytest.mark.parametrize("content", [b"", b"1.0+", b"\0" * 17, b"\xff\xfe1", b"..", b"9.9\n", None])
def test_a_name_of_the_current_version_that_is_none_is_put_right(tmp_path, version, content):
    ours = installation(tmp_path)
    source = version("1.0")
    install(ours, source)
    os.unlink(ours.root.current_file)
    if content is None:
        os.mkdir(ours.root.current_file)
    else:
        with open(ours.root.current_file, "wb") as stream:
            stream.write(content)
    assert started(ours) == "1.0"
    (folder,) = api.status("maya", target=ours.user)["folders"]
    assert [one for one in folder["problems"] if "names no version" in one]
    if content is None:
        with pytest.raises(ConfigError, match=r"current\.txt cannot be written"):
            install(ours, source)
    else:
        install(ours, source)
        assert api.verify("maya", target=ours.user)["success"]
    uninstall(ours)
    assert not os.path.exists(ours.user)


def test_what_is_not_put_there_as_it_is_listed_is_not_installed(tmp_path, version):
    ours, old, new = installation(tmp_path), version("1.0"), version("2.0")
    wrong = Source(new.payload, old.put)
    with pytest.raises(ConfigError, match="it is another payload"):
        install(ours, wrong)
    assert (ours.root.installed(), started(ours)) == ([], "")
    install(ours, old)
    with pytest.raises(ConfigError, match="it is another payload"):
        install(ours, wrong)
    assert started(ours) == "1.0"
    install(ours, old)
    assert ours.root.staged() == []


def test_what_was_changed_is_not_installed_as_a_version_of_its_own(tmp_path):
    target = str(tmp_path / "user")
    api.install("maya", target=target)
    ours = Installation(hosts.find("maya"), target)
    folder = ours.root.folder_of(ours.root.current())
    with open(os.path.join(folder, "dcc_mcp_embed", "digest.py"), "a") as stream:
        stream.write("# changed\n")
    before = picture(target)
    for action in ("install", "upgrade", "repair"):
        command = [sys.executable, "-B", "-m", "dcc_mcp_embed.installers", action, "--yes"]
        command += ["--host", "maya", "--target", target]
        done = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1 and "digest.py: changed" in done.stderr, done.stderr
    assert picture(target) == before
    assert api.repair("maya", target=target)["success"]
    assert api.verify("maya", target=target)["success"]


@pytest.mark.parametrize("act", [api.upgrade, api.repair])
def test_where_nothing_is_installed_an_upgrade_or_a_repair_installs_nothing(tmp_path, act):
    target = tmp_path / "user"
    (target / "dcc_mcp_embed").mkdir(parents=True)
    before = picture(str(target))
    assert act("maya", target=str(target))["folders"][0]["operations"] == []
    assert picture(str(target)) == before


@pytest.mark.parametrize("act", [api.upgrade, api.repair])
def test_what_is_being_uninstalled_is_not_upgraded_or_repaired(tmp_path, version, monkeypatch, act):
    ours, source = installation(tmp_path), version("1.0")
    install(ours, source)
    serving = types.ModuleType("dcc_mcp_embed.embed.place")
    serving.__file__ = os.path.join(ours.root.folder_of(source.payload.name), "place.py")
    monkeypatch.setitem(sys.modules, "dcc_mcp_embed.embed.place", serving)
    uninstall(ours)
    before = picture(ours.user)
    (one,) = act("maya", target=ours.user)["folders"][0]["operations"]
    assert one["status"] == "kept" and "install it again" in one["text"]
    assert picture(ours.user) == before


def test_what_is_of_one_host_is_not_touched_for_another(tmp_path, version):
    ours = installation(tmp_path)
    install(ours, version("1.0"))
    before = picture(ours.user)
    for act in (api.install, api.upgrade, api.repair, api.uninstall):
        for key in set(HOSTS) - {"maya"}:
            with pytest.raises(ConfigError, match=r"modules.dcc_mcp_embed\.mod .*--host maya"):
                act(key, target=ours.user)
    assert picture(ours.user) == before


def test_a_file_of_somebody_elses_is_left_alone_and_nothing_is_done(tmp_path, version):
    ours = installation(tmp_path)
    path = os.path.join(ours.user, "modules", "dcc_mcp_embed.mod")
    os.makedirs(os.path.dirname(path))
    with open(path, "w") as stream:
        stream.write("+ mine 1.0 /mine\n")
    before = picture(ours.user)
    with pytest.raises(ConfigError, match="somebody else"):
        install(ours, version("1.0"))
    assert picture(ours.user) == before


# A crash after any step.


class Crash(BaseException):
    """What nothing catches: the process is gone."""


#: What changes the disk, by where it is called.
STEPS = ("mkdir", "rename", "replace", "unlink", "rmdir", "open", "fsync")


def crashing(monkeypatch, allowed):
    """Have the process gone at the step after ``allowed`` more of them; return what counts them."""
    count = [0]

    def watched(real):
        def step(*arguments, **named):
            count[0] += 1
            if count[0] > allowed:
                raise Crash
            return real(*arguments, **named)

        return step

    for name in STEPS:
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    return count


def cut_off(act, step):
    """Return whether ``act`` was cut off at its step number ``step``."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        crashing(monkeypatch, step)
        try:
            act()
        except Crash:
            return True
        return False


#: Every so many steps: with all of them it is a minute.
STRIDE = pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.heavy)])


def every_step(act, stride):
    """Yield after ``act`` was cut off at its steps in turn, until it is not."""
    step = 0
    while cut_off(act, step):
        yield step
        step += stride
    assert step > 10


@STRIDE
def test_an_install_that_is_cut_off_anywhere_is_finished_by_the_next(tmp_path, version, stride):
    source = version("1.0")
    place = [0]

    def ours():
        return Installation(hosts.find("maya"), str(tmp_path / str(place[0])), lambda _: None)

    for step in every_step(lambda: install(ours(), source), stride):
        assert started(ours()) in ("", "1.0"), step
        install(ours(), source)
        assert started(ours()) == "1.0", step
        assert ours().root.installed() == [source.payload.name]
        assert ours().root.staged() == []
        place[0] += 1


@STRIDE
@pytest.mark.parametrize("then", ["start", "upgrade", "uninstall"])
def test_an_upgrade_cut_off_anywhere_leaves_the_old_or_the_new(tmp_path, version, then, stride):
    old, new = version("1.0"), version("2.0")
    place = [0]

    def ours():
        return Installation(hosts.find("maya"), str(tmp_path / str(place[0])), lambda _: None)

    install(ours(), old)
    for step in every_step(lambda: install(ours(), new), stride):
        assert started(ours()) in ("1.0", "2.0"), step
        current = ours().root.current()
        assert payload.verify(ours().root.folder_of(current)) == []
        if then == "start":
            ours().carry_out(plan.plan_sweep(ours().facts(thorough=False)), None)
            assert ours().root.installed() == [current]
            assert ours().root.staged() == []
        elif then == "upgrade":
            install(ours(), new)
            assert (started(ours()), ours().root.installed()) == ("2.0", [new.payload.name])
        else:
            uninstall(ours())
            assert not os.path.exists(ours().user)
        place[0] += 1
        install(ours(), old)


@STRIDE
@pytest.mark.parametrize("then", ["start", "uninstall"])
def test_an_uninstall_cut_off_anywhere_is_finished_by_the_next(tmp_path, version, then, stride):
    source = version("1.0")
    place = [0]

    def ours():
        return Installation(hosts.find("blender"), str(tmp_path / str(place[0])), lambda _: None)

    install(ours(), source)
    for step in every_step(lambda: uninstall(ours()), stride):
        asked = os.path.exists(ours().leaving)
        found = os.path.exists(os.path.join(ours().user, *ours().host.files[-1].path.split("/")))
        said = started(ours())
        if found and not asked:
            assert said == "1.0", "it was not begun"
        if then == "uninstall" or said == "1.0":
            # The latter is what the real start does where there is a version still.
            uninstall(ours())
        elif not found:
            # Nothing starts here any more: another host of the same user does it.
            assert lifecycle.run_deferred_cleanup()["success"]
        left = picture(ours().user) if os.path.exists(ours().user) else {}
        assert not [one for one in left if "dcc_mcp_embed" in one], (step, said, left)
        place[0] += 1
        install(ours(), source)
        assert started(ours()) == "1.0"
    assert lifecycle.list_deferred()["total"] == 0


@pytest.mark.parametrize("gone", [False, True])
def test_what_is_installed_again_is_not_removed_by_what_was_owed(tmp_path, version, gone):
    ours, source = installation(tmp_path), version("1.0")
    install(ours, source)
    planned = plan.plan_uninstall(ours.facts(), ours.texts()[1], ours.made())
    last = [one.kind for one in planned].index("unlink")
    ours.carry_out(planned[:last], None)
    if gone:
        shutil.rmtree(ours.root.path)
    assert lifecycle.list_deferred()["total"] == 1
    install(ours, source)
    assert lifecycle.list_deferred()["total"] == 0
    lifecycle.run_deferred_cleanup()
    assert started(ours) == "1.0"
    assert install(ours, source) == []


# The functions.


def test_a_dry_run_changes_nothing(tmp_path):
    target = str(tmp_path / "user")
    report = api.install("maya", target=target, dry_run=True)
    (folder,) = report["folders"]
    assert [one["operation"] for one in folder["operations"]][0] == "stage"
    assert {one["status"] for one in folder["operations"]} == {"planned"}
    assert not os.path.exists(target)
    assert json.loads(json.dumps(report)) == report


def test_this_very_version_is_installed_looked_at_and_removed(tmp_path):
    target = str(tmp_path / "a folder with \u65e5\u672c")
    api.install("houdini", target=target)
    assert api.verify("houdini", target=target)["success"]
    (folder,) = api.status("houdini", target=target)["folders"]
    assert folder["current"] == own_source().payload.name
    assert api.upgrade("houdini", target=target)["folders"][0]["operations"] == []
    assert api.uninstall("houdini", target=target)["success"]


def test_who_runs_a_version_keeps_it(tmp_path, version, monkeypatch):
    ours = installation(tmp_path)
    old, new = version("1.0"), version("2.0")
    install(ours, old)
    users = {old.payload.name: "maya (process 7)"}
    monkeypatch.setattr(Installation, "_users", lambda self, stopped: dict(users))
    done = install(ours, new)
    assert [one.status for one in done if one.operation.kind == "keep"] == ["kept"]
    assert (started(ours), len(ours.root.installed())) == ("2.0", 2)
    assert [one.status for one in uninstall(ours)].count("kept") == 1
    assert ours.root.installed() == [old.payload.name], "the host is told of it when it starts"
    users.clear()
    uninstall(ours)
    assert not os.path.exists(ours.user)


def test_a_version_that_is_removed_while_a_start_takes_it_is_not_started(
    tmp_path, version, monkeypatch
):
    ours, old, new = installation(tmp_path), version("1.0"), version("2.0")
    install(ours, old)
    new.put(ours.root.folder_of(new.payload.name))
    real, folder = os.open, ours.root.folder_of(old.payload.name)

    def removing(path, *arguments, **named):
        handle = real(path, *arguments, **named)
        if str(path).startswith(folder) and os.path.exists(folder):
            # Between the look at current.txt and the lock somebody has upgraded.
            os.rename(folder, str(tmp_path / "gone"))
            with open(ours.root.current_file, "w") as stream:
                stream.write(new.payload.name)
        return handle

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", removing)
        assert started(ours) == "2.0"


def test_what_was_loaded_of_a_damaged_version_is_not_used_when_it_is_whole(tmp_path, version):
    ours, source = installation(tmp_path), version("1.0")
    install(ours, source)
    package = os.path.join(ours.root.folder_of(source.payload.name), "dcc_mcp_embed")
    spoilt = {
        "__init__.py": "from . import installers\nraise RuntimeError('spoilt')\n",
        os.path.join("installers", "__init__.py"): "def record(text):\n    print('spoilt')\n",
    }
    whole = {}
    for name, text in spoilt.items():
        with open(os.path.join(package, name), "r+") as stream:
            whole[name] = stream.read()
            stream.seek(0)
            stream.write(text + "#" * len(whole[name]))
    said = io.StringIO()
    with another_interpreter(), contextlib.redirect_stdout(said):
        boot = runpy.run_path(os.path.join(ours.root.path, "boot.py"))["boot"]
        assert not boot("maya")
        for name, text in whole.items():
            with open(os.path.join(package, name), "w") as stream:
                stream.write(text)
        assert boot("maya")
    assert said.getvalue().split("\n")[1:] == ["1.0", ""]


def test_the_version_that_this_process_serves_with_is_kept_until_it_has_stopped(
    tmp_path, version, monkeypatch
):
    ours, old = installation(tmp_path), version("1.0")
    install(ours, old)
    serving = types.ModuleType("dcc_mcp_embed.embed.place")
    serving.__file__ = os.path.join(ours.root.folder_of(old.payload.name), "place.py")
    monkeypatch.setitem(sys.modules, "dcc_mcp_embed.embed.place", serving)
    install(ours, version("2.0"))
    assert old.payload.name in ours.root.installed()
    assert (
        "this Maya runs it"
        in api.uninstall("maya", target=ours.user)["folders"][0]["operations"][1]["text"]
    )
    assert api.uninstall("maya", target=ours.user, stopped=True)["success"]
    assert not os.path.exists(ours.user)


def test_where_a_part_cannot_be_written_nothing_is_done(tmp_path, version):
    ours = installation(tmp_path)
    os.makedirs(ours.user)
    modules = os.path.join(ours.user, "modules")
    with open(modules, "wb"):
        # A folder that nobody may write to is no hindrance for root, who runs tests.
        pass
    with pytest.raises(ConfigError, match=r"(?s)Nothing was changed: .*modules cannot be written"):
        install(ours, version("1.0"))
    assert picture(ours.user) == {"modules": b""}
    os.unlink(modules)
    os.mkdir(modules, 0o555)
    if os.geteuid() != 0:
        with pytest.raises(ConfigError, match="Nothing was changed"):
            install(ours, version("1.0"))
        assert os.listdir(ours.user) == ["modules"]
