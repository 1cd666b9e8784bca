"""The face of install_lifecycle: every name, what stands behind it, and what importing it costs."""

from __future__ import annotations

import ast
import json
import os
import re
import statistics
import subprocess
import sys
import textwrap
from importlib import import_module

import pytest

from dcc_mcp_embed import install_lifecycle
from helpers import ROOT, python

CONSTANTS = {
    "DEPLOYMENT_MODE_ENV": "DCC_MCP_DEPLOYMENT_MODE",
    "DISPATCH_STATUS_BOOTING": "booting",
    "DISPATCH_STATUS_METADATA_KEY": "dispatch_status",
    "DISPATCH_STATUS_READY": "ready",
    "DISPATCH_STATUS_UNAVAILABLE": "unavailable",
    "REGISTRY_ENV": "DCC_MCP_REGISTRY_DIR",
    "ROLE_METADATA_KEY": "dcc_mcp_role",
    "ROLE_PER_DCC_SIDECAR": "per-dcc-sidecar",
}
#: What a caller who knows dcc_mcp_core's module asks for, and the names that only we have.
FUNCTIONS = set(
    "build_sidecar_command default_registry_dir inspect_install_root launch_sidecar main"
    " plan_runtime_updates probe_sidecar_tool query_runtime_state resolve_deployment_layout"
    " safe_remove_tree safe_replace_tree sidecar_host_rpc_dispatch_contract"
    " sidecar_readiness_status stop_runtime_entries wait_for_sidecar_ready".split()
)
OURS = {"drop_deferred", "list_deferred", "run_deferred_cleanup", "schedule_deferred_cleanup"}
SOURCE_OF = dict(install_lifecycle._SOURCE_OF)

IMPORT = """
import sys
before = set(sys.modules)
import {}
import json
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(module):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT.format(module)], stdout=subprocess.PIPE
    )
    assert done.returncode == 0
    return set(json.loads(done.stdout.decode("ascii")))


def test_all_lists_every_name_of_the_reference_and_ours() -> None:
    assert set(install_lifecycle.__all__) == set(CONSTANTS) | FUNCTIONS | OURS
    assert set(SOURCE_OF) == FUNCTIONS | OURS
    assert set(install_lifecycle.__all__) <= set(dir(install_lifecycle))


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_constant_has_the_value_of_the_reference(name: str) -> None:
    assert getattr(install_lifecycle, name) == CONSTANTS[name]


def test_constants_beside_the_public_ones() -> None:
    assert install_lifecycle.REZ_CACHE_ROOT_ENV == "DCC_MCP_REZ_LOCAL_CACHE_ROOT"
    assert install_lifecycle.DEFAULT_DEPLOYMENT_PACKAGES == ("dcc_mcp_core", "dcc_mcp_server")


@pytest.mark.parametrize("name", sorted(SOURCE_OF))
def test_name_is_what_its_module_defines(name: str) -> None:
    source = import_module(SOURCE_OF[name], "dcc_mcp_embed.install_lifecycle")
    assert getattr(install_lifecycle, name) is getattr(source, name)
    assert name in source.__all__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="install_lifecycle' has no attribute 'colour'"):
        _ = install_lifecycle.colour


def test_type_checkers_see_the_same_names() -> None:
    place = os.path.join(ROOT, "dcc_mcp_embed", "install_lifecycle", "__init__.py")
    with open(place, encoding="utf-8") as stream:
        tree = ast.parse(stream.read())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: "." * node.level + (node.module or "")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert seen == SOURCE_OF


def test_import_loads_nothing_but_the_package_itself() -> None:
    # Not even typing or json: a bare interpreter has it in a few milliseconds.
    more = loaded_by("dcc_mcp_embed.install_lifecycle") - loaded_by("dcc_mcp_embed")
    assert more == {"dcc_mcp_embed.install_lifecycle"}


def test_what_runs_at_a_start_loads_no_slow_module() -> None:
    more = loaded_by("dcc_mcp_embed.install_lifecycle.trees") - loaded_by("dcc_mcp_embed")
    assert more & {"collections", "ctypes", "json", "re", "shutil", "typing"} == set()


@pytest.mark.heavy
@pytest.mark.skipif(os.name == "nt", reason="POSIX")
def test_import_takes_a_few_milliseconds_over_a_bare_interpreter(tmp_path) -> None:
    import resource

    def spent():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    interpreter = python("3.7")
    env = dict(os.environ, PYTHONPATH=ROOT)
    took = {"pass": [], "import dcc_mcp_embed.install_lifecycle": []}
    for _ in range(20):
        for code, times in took.items():  # in turns, so that both meet the same load
            # Not by the clock on the wall, which other tests slow down.
            before = spent()
            subprocess.check_call([interpreter, "-c", code], env=env, cwd=str(tmp_path))
            times.append(spent() - before)
    bare, loaded = (statistics.median(times) for times in took.values())
    assert loaded - bare <= 0.015


def test_whole_package_loads_no_module_of_the_server() -> None:
    folder = os.path.join(ROOT, "dcc_mcp_embed", "install_lifecycle")
    names = [name[:-3] for name in os.listdir(folder) if name.endswith(".py")]
    modules = ["dcc_mcp_embed.install_lifecycle." + n for n in names if not n.startswith("__")]
    ours = {name for name in loaded_by(", ".join(modules)) if name.startswith("dcc_mcp_embed.")}
    kept = {name for name in ours if not name.startswith("dcc_mcp_embed.install_lifecycle")}
    siblings = {"adapters", "installers", "_vendor"}
    assert kept - {"dcc_mcp_embed." + name for name in siblings} <= {
        "dcc_mcp_embed._layout",
        "dcc_mcp_embed._compat",
    }


def test_readme_names_every_function_and_no_other() -> None:
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as stream:
        section = stream.read().partition("\n## Installers")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?<=lifecycle\.)\w+(?=\()", section))
    assert named <= set(install_lifecycle.__all__)
    missing = {name for name in FUNCTIONS | OURS if not re.search(r"\b{}\b".format(name), section)}
    assert missing == {"drop_deferred", "list_deferred", "main"}  # those are its commands
    # Blocks of code that are no shell commands are Python.
    blocks = re.findall(r"(?:^    .*\n+)+", section, re.MULTILINE)
    samples = [textwrap.dedent(block) for block in blocks if "python3 -m" not in block]
    for sample in samples:
        compile(sample, "README.md", "exec")
    assert len(samples) == 4
