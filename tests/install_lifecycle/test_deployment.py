"""Where packages are found, in which order it is asked, and what a program is told of them."""

from __future__ import annotations

import json
import os

import pytest

from dcc_mcp_embed.install_lifecycle import resolve_deployment_layout


@pytest.fixture
def tree(tmp_path):
    """Make a package below a root: ``tree("cache/dcc_mcp_core", "python", "bin")``."""

    def make(place, *folders, files=()):
        root = tmp_path.joinpath(*place.split("/"))
        root.mkdir(parents=True)
        for folder in folders:
            (root / folder).mkdir()
        for name in files:
            (root / name).write_text("", encoding="utf-8")
        return str(root)

    return make


def by_name(layout):
    return {package["name"]: package for package in layout["packages"]}


def test_sample_with_a_cache_root(tree, tmp_path) -> None:
    core = tree("ext/dcc_mcp_core", "python")
    server = tree("ext/dcc_mcp_server", "bin")
    maya = tree("ext/dcc_mcp_maya", "python", "Scripts")
    cache = str(tmp_path / "ext")
    layout = resolve_deployment_layout(cache, adapter_package="dcc_mcp_maya", env={})
    assert layout["success"] is True
    assert layout["cache_root"] == cache
    assert layout["mode"] == "filesystem"
    assert layout["missing_packages"] == []
    assert [(p["name"], p["root"], p["source"], p["exists"]) for p in layout["packages"]] == [
        ("dcc_mcp_core", core, "cache-root", True),
        ("dcc_mcp_server", server, "cache-root", True),
        ("dcc_mcp_maya", maya, "cache-root", True),
    ]
    assert layout["environment"]["prepend"]["PYTHONPATH"] == [
        os.path.join(core, "python"),
        os.path.join(maya, "python"),
    ]
    assert layout["environment"]["prepend"]["PATH"] == [
        os.path.join(server, "bin"),
        os.path.join(maya, "Scripts"),
    ]
    assert layout["environment"]["set"]["DCC_MCP_DEPLOYMENT_MODE"] == "filesystem"
    json.dumps(layout)


def test_sample_with_explicit_roots(tree) -> None:
    roots = {name: tree(name) for name in ("dcc_mcp_core", "dcc_mcp_server", "dcc_mcp_maya")}
    layout = resolve_deployment_layout(package_roots=roots, adapter_package="dcc_mcp_maya", env={})
    assert {p["name"]: p["root"] for p in layout["packages"]} == roots
    assert {p["source"] for p in layout["packages"]} == {"explicit"}
    assert layout["cache_root"] is None
    assert layout["mode"] == "filesystem"


def test_windows_paths_of_the_sample_are_missing_elsewhere() -> None:
    layout = resolve_deployment_layout(
        r"G:\_thm\rez_local_cache\ext", adapter_package="dcc_mcp_maya", env={}
    )
    assert layout["missing_packages"] == ["dcc_mcp_core", "dcc_mcp_server", "dcc_mcp_maya"]
    assert layout["environment"]["prepend"] == {"PYTHONPATH": [], "PATH": []}
    assert layout["mode"] == "unknown"
    assert os.path.isabs(layout["cache_root"])


def test_root_is_explicit_then_of_rez_then_in_the_cache(tree, tmp_path) -> None:
    env = {
        "REZ_DCC_MCP_CORE_ROOT": tree("rez/core"),
        "REZ_DCC_MCP_SERVER_ROOT": tree("rez/server"),
    }
    tree("cache/dcc_mcp_maya")
    layout = resolve_deployment_layout(
        str(tmp_path / "cache"),
        adapter_package="dcc_mcp_maya",
        package_roots={"dcc_mcp_core": tree("own/core"), "dcc_mcp_server": ""},
        env=env,
    )
    found = by_name(layout)
    assert found["dcc_mcp_core"]["root"] == str(tmp_path / "own" / "core")
    assert found["dcc_mcp_core"]["env_var"] == "REZ_DCC_MCP_CORE_ROOT"
    assert {name: package["source"] for name, package in found.items()} == {
        "dcc_mcp_core": "explicit",
        "dcc_mcp_server": "rez-env",
        "dcc_mcp_maya": "cache-root",
    }
    assert layout["mode"] == "mixed"


@pytest.mark.parametrize(
    "first",
    ["argument", "DCC_MCP_REZ_LOCAL_CACHE_ROOT", "REZ_LOCAL_CACHE_ROOT", "REZ_LOCAL_PACKAGES_PATH"],
)
def test_cache_root_is_the_first_that_is_set(first: str, tmp_path) -> None:
    order = ["DCC_MCP_REZ_LOCAL_CACHE_ROOT", "REZ_LOCAL_CACHE_ROOT", "REZ_LOCAL_PACKAGES_PATH"]
    env = {name: str(tmp_path / name) for name in order}
    given = None
    if first == "argument":
        given = str(tmp_path / first)
    else:
        for name in order[: order.index(first)]:
            env[name] = ""
    layout = resolve_deployment_layout(given, env=env)
    assert layout["cache_root"] == str(tmp_path / first)
    missing = by_name(layout)["dcc_mcp_core"]
    assert missing["root"] == os.path.join(str(tmp_path / first), "dcc_mcp_core")
    assert (missing["source"], missing["exists"]) == ("cache-root", False)


def test_nothing_given_is_missing() -> None:
    layout = resolve_deployment_layout(env={})
    assert by_name(layout)["dcc_mcp_server"] == {
        "name": "dcc_mcp_server",
        "root": None,
        "source": "missing",
        "exists": False,
        "env_var": "REZ_DCC_MCP_SERVER_ROOT",
    }
    assert layout["mode"] == "unknown"


@pytest.mark.parametrize(
    ("sources", "active", "mode"),
    [
        (("rez",), False, "rez"),
        (("rez",), True, "rez"),
        (("rez", "cache"), True, "mixed"),
        (("cache",), False, "filesystem"),
        (("cache",), True, "rez"),
        ((), True, "rez"),
        ((), False, "unknown"),
    ],
)
def test_mode_follows_what_exists(tree, tmp_path, sources, active, mode) -> None:
    env = {"REZ_USED_RESOLVE": "maya-2026"} if active else {}
    env["REZ_GONE_ROOT"] = str(tmp_path / "gone")  # what is not there does not count
    if "rez" in sources:
        env["REZ_ONE_ROOT"] = tree("rez/one")
    if "cache" in sources:
        tree("cache/two")
    layout = resolve_deployment_layout(
        str(tmp_path / "cache"), packages=["one", "two", "gone"], env=env
    )
    assert layout["mode"] == mode
    assert layout["environment"]["set"]["DCC_MCP_DEPLOYMENT_MODE"] == mode


def test_python_places_of_a_package(tree) -> None:
    both = tree("both", "python", "lib", files=["setup.py"])
    module = tree("module", files=["one.py"])
    data = tree("data", files=["readme.txt"])
    roots = {"both": both, "module": module, "data": data}
    layout = resolve_deployment_layout(packages=list(roots), package_roots=roots, env={})
    assert layout["environment"]["prepend"]["PYTHONPATH"] == [
        os.path.join(both, "python"),
        os.path.join(both, "lib"),
        module,
    ]


def test_names_are_stripped_and_said_once() -> None:
    layout = resolve_deployment_layout(
        packages=[" a-b.c ", "a-b.c", ""], adapter_package="a-b.c", env={}
    )
    (package,) = layout["packages"]
    assert (package["name"], package["env_var"]) == ("a-b.c", "REZ_A_B_C_ROOT")
    (one,) = resolve_deployment_layout(packages="tools", env={})["packages"]
    assert one["name"] == "tools"


@pytest.mark.parametrize("packages", [None, [], ()])
def test_no_packages_are_the_usual_ones(packages) -> None:
    layout = resolve_deployment_layout(packages=packages, adapter_package="dcc_mcp_maya", env={})
    names = [package["name"] for package in layout["packages"]]
    assert names == ["dcc_mcp_core", "dcc_mcp_server", "dcc_mcp_maya"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [("a--b", "REZ_A_B_ROOT"), ("-a_", "REZ_A_ROOT"), ("caf\u00e9-2", "REZ_CAF_2_ROOT")],
)
def test_variable_of_a_name_is_the_reference_s(name, variable) -> None:
    (package,) = resolve_deployment_layout(packages=[name], env={})["packages"]
    assert package["env_var"] == variable


@pytest.mark.parametrize("blank", ["", "  ", "a\0b"])
def test_blank_places_are_none(blank, tmp_path) -> None:
    env = {"DCC_MCP_REZ_LOCAL_CACHE_ROOT": blank, "REZ_LOCAL_CACHE_ROOT": str(tmp_path)}
    layout = resolve_deployment_layout(blank, package_roots={"dcc_mcp_core": blank}, env=env)
    assert layout["cache_root"] == str(tmp_path)
    assert by_name(layout)["dcc_mcp_core"]["source"] == "cache-root"


def test_linked_root_keeps_its_name(tree, tmp_path) -> None:
    os.symlink(tree("versions/2"), str(tmp_path / "current"))
    layout = resolve_deployment_layout(
        packages=["suite"], package_roots={"suite": str(tmp_path / "current")}, env={}
    )
    assert by_name(layout)["suite"]["root"] == str(tmp_path / "current")


def test_two_packages_of_one_root_prepend_it_once(tree) -> None:
    root = tree("suite", "python")
    layout = resolve_deployment_layout(
        packages=["a", "b"], package_roots={"a": root, "b": root}, env={}
    )
    assert layout["environment"]["prepend"]["PYTHONPATH"] == [os.path.join(root, "python")]


@pytest.mark.parametrize(
    ("allowed", "kept_out"), [(None, True), ("0", True), ("1", False), (" Yes ", False)]
)
def test_user_site_is_kept_out_unless_allowed(allowed, kept_out) -> None:
    env = {} if allowed is None else {"DCC_MCP_ALLOW_USER_SITE": allowed}
    values = resolve_deployment_layout(env=env)["environment"]["set"]
    assert values.get("PYTHONNOUSERSITE") == ("1" if kept_out else None)


def test_process_environment_counts_unless_another_is_given(tree, monkeypatch) -> None:
    root = tree("core")
    monkeypatch.setenv("REZ_DCC_MCP_CORE_ROOT", root)
    assert by_name(resolve_deployment_layout())["dcc_mcp_core"]["root"] == root
    assert by_name(resolve_deployment_layout(env={}))["dcc_mcp_core"]["root"] is None


def test_file_in_place_of_a_package_is_no_package(tree, tmp_path) -> None:
    tree("cache", files=["dcc_mcp_core"])
    layout = resolve_deployment_layout(str(tmp_path / "cache"), env={})
    assert layout["missing_packages"] == ["dcc_mcp_core", "dcc_mcp_server"]
