"""What is handed out: the same bytes each time, proven before any of it runs, whole."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import runpy
import sys
import tempfile
import zipfile

import pytest
from dcc_mcp_embed.installers import api, artefacts, cli, payload
from dcc_mcp_embed.installers.artefacts import blender, parts

from dcc_mcp_embed.errors import ConfigError

pytestmark = pytest.mark.edges

#: What Blender takes (its blender_ext.py, RE_MANIFEST_SEMVER), but for what stands after a "+".
SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?\Z"
)

HERE = os.path.dirname(os.path.abspath(artefacts.__file__))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("dist"))
    return dict(artefacts.bundle(out))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))


def of(made, part):
    (path,) = [path for path in made if "-{}.".format(part) in os.path.basename(path)]
    return path


def unpacked(path, place):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(str(place))
    return str(place)


def found(place, name):
    return [
        os.path.join(folder, one)
        for folder, _, names in os.walk(place)
        for one in names
        if one.startswith(name)
    ][0]


def run(script, *arguments):
    """Run a front as a host does; return whether it was done, and what it said."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        done = runpy.run_path(script, run_name="dropped")["install"](*arguments)
    return done, said.getvalue()


def test_the_same_version_is_the_same_bytes(made, tmp_path):
    again = dict(artefacts.bundle(str(tmp_path)))
    assert sorted(again.values()) == sorted(made.values())


def test_the_checksums_lie_beside_them(made):
    folder = os.path.dirname(next(iter(made)))
    with open(os.path.join(folder, artefacts.SUMS)) as stream:
        lines = stream.read().splitlines()
    assert sorted(lines) == sorted(
        "{}  {}".format(digest, os.path.basename(path)) for path, digest in made.items()
    )


@pytest.mark.parametrize("host", ["maya", "houdini", "3dsmax"])
def test_a_front_installs_what_lies_beside_it(made, tmp_path, host):
    place = unpacked(of(made, host), tmp_path / "download")
    target = str(tmp_path / "user")
    script = found(place, "install_" if host == "maya" else "install.py")
    done, said = run(script, target)
    assert done, said
    assert "was installed in " + target in said
    report = api.verify(host, target=target)
    assert report["success"], report
    done, said = run(script, target)
    assert (
        done and "is installed in {} already".format(os.path.join(target, "dcc_mcp_embed")) in said
    )
    assert not [name for name in sys.modules if "installing" in name], "nothing of it stays loaded"


@pytest.mark.parametrize("stream", ["narrow", "none", "closed"])
def test_a_host_that_shows_little_gets_it_all_the_same(made, tmp_path, monkeypatch, stream):
    place = unpacked(of(made, "houdini"), tmp_path / "download (1)")
    target = tmp_path / "\u65e5\u672c"
    shown = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    if stream == "closed":
        shown.close()
    monkeypatch.setattr(sys, "stdout", None if stream == "none" else shown)
    done = runpy.run_path(found(place, "install.py"))["install"](str(target))
    monkeypatch.undo()
    assert done and (target / "dcc_mcp_embed" / "current.txt").is_file()
    if stream == "narrow":
        (line,) = shown.buffer.getvalue().decode("ascii").splitlines()
        assert "was installed in" in line and "\\u65e5\\u672c" in line


def test_without_a_folder_for_temporary_files_it_says_so_and_raises_nothing(
    made, tmp_path, monkeypatch
):
    place = unpacked(of(made, "maya"), tmp_path / "download")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    done, said = run(found(place, "install_"), str(tmp_path / "user"))
    assert done is False and said.count("\n") == 1 and "was not installed: " in said
    assert not (tmp_path / "user").exists()


def test_a_changed_payload_is_refused_before_any_of_it_runs(made, tmp_path):
    place = unpacked(of(made, "maya"), tmp_path / "download")
    archive = found(place, "dcc_mcp_embed-")
    with open(archive, "r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"!")
    done, said = run(found(place, "install_"), str(tmp_path / "user"))
    assert not done and "damaged or was changed" in said
    assert not (tmp_path / "user").exists()
    os.unlink(archive)
    done, said = run(found(place, "install_"), str(tmp_path / "user"))
    assert not done and "must lie beside" in said


@pytest.mark.parametrize(
    ("version", "semantic", "numbers"),
    [
        ("0.1.0", "0.1.0", (0, 1, 0)),
        ("99.0", "99.0.0", (99, 0, 0)),
        ("1", "1.0.0", (1, 0, 0)),
        ("0.2.0rc1", "0.2.0-rc.1", (0, 2, 0)),
        ("1.2.3a10", "1.2.3-a.10", (1, 2, 3)),
        ("1.2.3b0", "1.2.3-b.0", (1, 2, 3)),
        # "Numeric identifiers always have lower precedence": before each of the others.
        ("0.2.0.dev4", "0.2.0-0.dev.4", (0, 2, 0)),
        ("1.02.0", "1.2.0", (1, 2, 0)),
    ],
)
def test_blender_is_told_a_semantic_version(version, semantic, numbers):
    payload_of = payload.describe(payload.own_files())
    told = parts.Parts({}, payload_of._replace(version=version), b"")
    manifest = blender.make_extension(told)["blender_manifest.toml"].decode("utf-8")
    assert '\nversion = "{}"\n'.format(semantic) in manifest
    assert SEMANTIC.match(semantic)
    addon = blender.make_addon(told)["dcc_mcp_embed_blender/__init__.py"].decode("utf-8")
    assert '"version": {!r},'.format(numbers) in addon


@pytest.mark.parametrize("version", ["0.2.0.post1", "1.2.3.4", "0.2.0a1.dev2", "1!2.0", "x", ""])
def test_a_version_that_blender_has_no_way_to_write_is_refused(version):
    payload_of = payload.describe(payload.own_files())
    told = parts.Parts({}, payload_of._replace(version=version), b"")
    with pytest.raises(ConfigError, match="semantic") as refused:
        blender.make_extension(told)
    assert repr(version) in str(refused.value)


def test_a_studio_runs_it_from_a_folder_that_nobody_can_write(made, tmp_path):
    place = unpacked(of(made, "studio"), tmp_path / "share")
    (top,) = os.listdir(place)
    root = os.path.join(place, top, "dcc_mcp_embed")
    with open(os.path.join(root, "current.txt")) as stream:
        name = stream.read().strip()
    assert payload.verify(os.path.join(root, "versions", name)) == []
    compile(open_text(os.path.join(place, top, "package.py")), "package.py", "exec")
    for path in ("modules/dcc_mcp_embed.mod", "packages/dcc_mcp_embed.json", "scripts/startup"):
        assert os.path.exists(os.path.join(place, top, *path.split("/")))
    package = json.loads(open_text(os.path.join(place, top, "packages", "dcc_mcp_embed.json")))
    hooks = package["hpath"].replace("$HOUDINI_PACKAGE_PATH", os.path.join(place, top, "packages"))
    assert os.path.isfile(os.path.join(hooks, "python3.11libs", "uiready.py"))


class RezVariable:
    """One of Rez's: what a package appends comes after what others have, what it sets replaces."""

    def __init__(self, values):
        self.values = values

    def append(self, value):
        self.values.append(value)


class RezEnvironment:
    def __init__(self, others):
        self.__dict__["found"] = {name: RezVariable([value]) for name, value in others.items()}

    def __getattr__(self, name):
        return self.found.setdefault(name, RezVariable([]))

    def __setattr__(self, name, value):
        self.found[name] = RezVariable([value])


def test_rez_keeps_what_other_packages_have_in_the_same_variables(made):
    with zipfile.ZipFile(of(made, "studio")) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("studio/package.py")]
        text = archive.read(name).decode("utf-8")
    expected = {
        "MAYA_MODULE_PATH": "{root}/modules",
        "HOUDINI_PACKAGE_DIR": "{root}/packages",
        "ADSK_3DSMAX_STARTUPSCRIPTS_ADDON_DIR": "{root}/scripts/startup",
    }
    env = RezEnvironment(dict.fromkeys(expected, "/other"))
    package = {"env": env}
    exec(compile(text, name, "exec"), package)
    package["commands"]()
    assert {name: one.values for name, one in env.found.items()} == {
        name: ["/other", value] for name, value in expected.items()
    }


def open_text(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


@pytest.mark.parametrize("name", ["boot", "dropped", "front"])
def test_what_older_hosts_may_run_has_nothing_that_they_cannot_parse(name):
    tree = ast.parse(open_text(os.path.join(os.path.dirname(HERE), name + ".py")))
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.Nonlocal)), node.lineno
        if isinstance(node, ast.FunctionDef):
            every = [*node.args.args, *node.args.kwonlyargs]
            assert node.returns is None and not node.args.kwonlyargs, node.name
            assert all(one.annotation is None for one in every), node.name
        if isinstance(node, ast.Raise):
            assert node.cause is None


def test_the_stem_of_what_is_dropped_on_maya_is_a_name_that_is_imported(made):
    with zipfile.ZipFile(of(made, "maya")) as archive:
        (script,) = [name for name in archive.namelist() if name.endswith(".py")]
    stem = os.path.splitext(os.path.basename(script))[0]
    assert stem.isidentifier() and stem.startswith("install_dcc_mcp_embed_")


# The command line.


def call(capsys, *arguments):
    status = cli.main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_command_line_asks_before_it_changes_anything(tmp_path, capsys, monkeypatch):
    target = str(tmp_path / "user")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    status, _, err = call(capsys, "install", "--host", "maya", "--target", target)
    assert status == 1 and "--yes" in err and "Put " in err
    assert not os.path.exists(target)
    status, out, _ = call(capsys, "install", "--host", "maya", "--target", target, "--yes")
    assert status == 0 and "done" in out
    status, out, _ = call(capsys, "status", "--host", "maya", "--target", target, "--json")
    assert status == 0 and json.loads(out)["folders"][0]["versions"][0]["current"]
    status, out, _ = call(capsys, "uninstall", "--host", "maya", "--target", target, "--yes")
    assert status == 0 and not os.path.exists(target)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status", "--host", "houdini", "--version", "21"), "like"),
        (("install", "--host", "maya", "--target", " ", "--yes"), "no folder"),
        (("install", "--host", "maya", "--archive", "/nowhere.zip", "--yes"), "nowhere.zip"),
    ],
)
def test_a_wrong_call_says_what_to_change(capsys, arguments, said):
    status, _, err = call(capsys, *arguments)
    assert status == 1 and said in err
    status, out, _ = call(capsys, *arguments, "--json")
    assert status == 1 and said in json.loads(out)["message"]
