"""The import direction of the design, proven on the source: nothing points back along the way.

The rules are tables; ``violations`` applies them to one module's text, so that the second half of
this file can plant each kind of violation and see it caught.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import pytest

from helpers import ROOT

pytestmark = pytest.mark.edges

#: Unit (package or module right below dcc_mcp_embed) -> level. A module may import lower levels
#: and its own unit. Level 0 is single modules, which may use each other as long as no cycle forms.
LEVELS: Dict[str, int] = {
    "_layout": 0,
    "_compat": 0,
    "errors": 0,
    "clock": 0,
    "digest": 0,
    "records": 0,
    "config": 0,
    "secret": 0,
    "address": 0,
    "transport_errors": 0,
    "collector": 0,
    "ahead": 0,
    "logbook": 0,
    "parsing": 0,
    "wire": 1,
    "net": 1,
    "registry": 1,
    "rpc": 2,
    "host": 2,
    "tools": 2,
    "transport": 3,
    "ipc": 3,
    "mcp": 3,
    "server": 3,
    "bridge": 4,
    "embed": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}
#: Units with a closed list of what they may import (besides themselves).
ONLY: Dict[str, Set[str]] = {
    "adapters": {"host", "tools"} | {unit for unit, level in LEVELS.items() if level == 0},
    "installers": {"ahead", "errors", "_compat", "install_lifecycle"},
    "install_lifecycle": {"_layout", "_compat"},
}
#: What the adapters of hosts share.
SHARED_BY_HOSTS = "qt"
#: ``from .. import __version__``: a constant set before anything else is imported.
ROOT_NAMES = {"__version__"}

#: Vendored package -> the one module that may import it.
VENDORED = {"msgpack": "wire.frames", "typing_extensions": "_compat"}

HOST_MODULES = set(
    "bpy bmesh mathutils gpu hou hdefereval toolutils maya pymel pymxs MaxPlus qtmax"
    " PySide2 PySide6 shiboken2 shiboken6".split()
)
#: A sans-IO machine reads neither socket nor clock nor chance.
NOT_IN_WIRE = set(
    "socket selectors select threading _thread asyncio time random secrets os subprocess".split()
)
TIME_AND_CHANCE = {"time", "random", "secrets", "datetime"}
#: Calls of an otherwise innocent module that are time or chance.
CHANCE_CALLS = {
    "os": {"urandom", "times"},
    "uuid": {"uuid1", "uuid4"},
    "time": set("time time_ns monotonic monotonic_ns perf_counter process_time sleep".split()),
    "datetime": {"now", "utcnow", "today"},
}
#: Units that write a moment for a person, or have it in their records, and by which module; they
#: may import that, not read the time with it.
FORMATS_TIME = {"cli": "time", "mcp": "datetime"}
#: Import cost: not at the top of any module that serves.
HEAVY = {"dataclasses", "inspect", "asyncio", "http", "ssl", "email", "urllib.request"} | {
    "logging.config"
}
NOT_SERVING = {"cli", "__main__", "bridge", "ipc", "mcp", "installers"} | {"install_lifecycle"}
#: Units that run where nothing else of ours does, and have time from the system itself.
OWN_TIME = ("clock", "install_lifecycle", "installers")
#: Parsed by hosts that still run Python 2, which are told so: they know no annotations.
PARSED_BY_PYTHON_2 = {("installers", name) for name in ("boot", "dropped", "front")}
#: What an installer does in a host's start-up hook must not wait for these to be imported.
LATE = set("subprocess socket http ctypes tempfile shutil urllib.request ssl email".split()) | {
    "asyncio",
    "concurrent",
    "dataclasses",
    "inspect",
}
#: Would only resolve in a checkout, or to somebody else's package.
OWN_TOP_LEVEL = {"dcc_mcp_embed", "adapters", "installers", "vendor", *VENDORED}


class Import(NamedTuple):
    """One imported name: ``parts`` below our package if it is ``ours``, else the dotted name."""

    line: int
    ours: bool
    parts: Tuple[str, ...]
    in_function: bool
    for_types: bool


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def imports_of(module: Tuple[str, ...], is_package: bool, tree: ast.AST) -> Iterator[Import]:
    """Yield every import of a module, wherever it stands."""
    package = module if is_package else module[:-1]

    def walk(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = tuple(alias.name.split("."))
                yield Import(node.lineno, False, parts, in_function, for_types)
        elif isinstance(node, ast.ImportFrom):
            base = tuple(node.module.split(".")) if node.module else ()
            if not node.level:
                yield Import(node.lineno, False, base, in_function, for_types)
            else:
                up = node.level - 1
                if up > len(package):
                    yield Import(node.lineno, True, ("<above>",), in_function, for_types)
                    return
                start = package[: len(package) - up] + base
                for alias in node.names:
                    parts = (*start, alias.name)
                    yield Import(node.lineno, True, parts, in_function, for_types)
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            for child in node.body:
                yield from walk(child, in_function, True)
            for child in node.orelse:
                yield from walk(child, in_function, for_types)
        else:
            inside = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inside, for_types)

    return walk(tree, False, False)


def _direction(module: Tuple[str, ...], target: Tuple[str, ...]) -> Optional[str]:
    unit, other = module[0], target[0]
    if other == "<above>":
        return "imports from above the package"
    if other in ROOT_NAMES and len(target) == 1:
        return None
    if other == "_vendor":
        name = target[1] if len(target) > 1 else ""
        if VENDORED.get(name) == ".".join(module):
            return None
        return "vendored {!r} may only be imported by {}".format(name, VENDORED.get(name))
    if unit == other:
        if unit == "adapters" and _host_package(target) not in (None, _host_package(module)):
            return "one host's adapter imports another's: {}".format(".".join(target))
        return None
    if unit in ONLY:
        if other in ONLY[unit]:
            return None
        return "{} may import only {}, not {}".format(unit, sorted(ONLY[unit]), other)
    if other in ONLY:
        return "{} is found by name when it is needed, never imported".format(other)
    if other not in LEVELS:
        return "unknown unit {!r}: give it a level in the table and in the design".format(other)
    if LEVELS[other] < LEVELS[unit] or LEVELS[unit] == 0 == LEVELS[other]:
        return None
    return "level {} ({}) imports level {} ({})".format(LEVELS[unit], unit, LEVELS[other], other)


def _host_package(parts: Tuple[str, ...]) -> Optional[str]:
    """Return the host an ``adapters.<host>.…`` name belongs to; None for what hosts share."""
    folder = parts[1] if len(parts) > 1 else SHARED_BY_HOSTS
    there = os.path.isdir(os.path.join(ROOT, "adapters", folder))
    return folder if there and folder != SHARED_BY_HOSTS else None


def _outside(module: Tuple[str, ...], item: Import) -> Optional[str]:
    unit, top = module[0], item.parts[0]
    dotted = ".".join(item.parts)
    if top in OWN_TOP_LEVEL:
        if item.for_types and module == ("_compat",) and top == "typing_extensions":
            return None  # the checker's own copy; never run
        return "{!r} is ours or vendored: import it relatively".format(dotted)
    if top in HOST_MODULES:
        if unit == "adapters" and item.in_function:
            return None
        return "host module {!r} belongs inside a function in adapters/".format(dotted)
    if unit == "wire" and top in NOT_IN_WIRE:
        return "wire/ is sans-IO and may not import {!r}".format(top)
    if FORMATS_TIME.get(unit) == top:
        return None
    if top in TIME_AND_CHANCE and unit not in OWN_TIME:
        return "only clock.py reads {!r}".format(top)
    if (
        not item.in_function
        and not item.for_types
        and unit not in NOT_SERVING
        and (top in HEAVY or dotted in HEAVY)
    ):
        return "{!r} is too slow to import on the serving path".format(dotted)
    if (
        not item.in_function
        and not item.for_types
        and unit == "install_lifecycle"
        and (top in LATE or dotted in LATE)
    ):
        return "{!r} is imported inside the function that needs it here".format(dotted)
    known = getattr(sys, "stdlib_module_names", None)  # 3.10+; the rule needs to hold once
    if known is not None and top not in known:
        return "{!r} is not in the standard library".format(top)
    return None


def _chance_calls(module: Tuple[str, ...], tree: ast.AST) -> Iterator[Tuple[int, str]]:
    if module[0] in OWN_TIME:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = node.value.id
            if node.attr in CHANCE_CALLS.get(owner, ()):
                yield node.lineno, "only clock.py calls {}.{}".format(owner, node.attr)


def _slow_tuples(module: Tuple[str, ...], tree: ast.AST) -> Iterator[Tuple[int, str]]:
    if module[0] in NOT_SERVING or module == ("records",):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module != "typing":
            continue
        if "NamedTuple" in [alias.name for alias in node.names]:
            yield node.lineno, "NamedTuple comes from records.py: it is made in half the time"


def _future_first(tree: ast.Module) -> bool:
    body = list(tree.body)
    if body and isinstance(body[0], ast.Expr):
        body = body[1:]  # the docstring
    if not body:
        return True
    first = body[0]
    return (
        isinstance(first, ast.ImportFrom)
        and first.module == "__future__"
        and [alias.name for alias in first.names] == ["annotations"]
    )


def violations(module: Tuple[str, ...], source: str, is_package: bool = False) -> List[str]:
    """Return every broken rule of one module as "line: what"."""
    tree = ast.parse(source)
    found = []
    if module[0] not in LEVELS and module[0] not in ONLY:
        found.append((1, "unknown unit {!r}: give it a level in the table".format(module[0])))
        return ["{}: {}".format(*entry) for entry in found]
    if module not in PARSED_BY_PYTHON_2 and not _future_first(tree):
        found.append((1, "does not begin with 'from __future__ import annotations'"))
    for item in imports_of(module if module != ("__init__",) else (), is_package, tree):
        problem = _direction(module, item.parts) if item.ours else _outside(module, item)
        if problem:
            found.append((item.line, problem))
    found.extend(_chance_calls(module, tree))
    found.extend(_slow_tuples(module, tree))
    return ["{}: {}".format(*entry) for entry in sorted(set(found))]


# The checkout's files, under their installed names.


def source_files() -> Dict[str, Tuple[Tuple[str, ...], bool]]:
    """Return path -> (module name below our package, is it a package)."""
    found = {}
    for folder, prefix in (
        ("dcc_mcp_embed", ()),
        ("adapters", ("adapters",)),
        ("installers", ("installers",)),
    ):
        base = os.path.join(ROOT, folder)
        for where, folders, names in os.walk(base):
            folders[:] = [name for name in folders if name != "__pycache__"]
            inner = os.path.relpath(where, base)
            parts = prefix + (() if inner == "." else tuple(inner.split(os.sep)))
            for name in names:
                if not name.endswith(".py"):
                    continue
                stem = name[:-3]
                if stem == "__init__" and parts:
                    found[os.path.join(where, name)] = (parts, True)
                else:
                    found[os.path.join(where, name)] = (
                        (*parts, stem),
                        not parts and stem == "__init__",
                    )
    return found


FILES = source_files()


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: os.path.relpath(path, ROOT))
def test_module_keeps_the_import_direction(path: str) -> None:
    module, is_package = FILES[path]
    assert violations(module, _read(path), is_package) == []


def test_the_walk_sees_the_package() -> None:
    modules = {module for module, _ in FILES.values()}
    assert {("errors",), ("clock",), ("__init__",), ("host", "adapter"), ("net",)} <= modules


def test_modules_of_level_0_form_no_cycle() -> None:
    uses: Dict[str, Set[str]] = {}
    for path, (module, is_package) in FILES.items():
        if LEVELS.get(module[0]) == 0:
            items = imports_of(module, is_package, ast.parse(_read(path)))
            uses[module[0]] = {item.parts[0] for item in items if item.ours} & set(LEVELS)
    while uses:
        free = [unit for unit, others in uses.items() if not others & set(uses)]
        assert free, "these import each other in a circle: {}".format(sorted(uses))
        for unit in free:
            del uses[unit]


def test_folders_beside_the_package_are_no_packages() -> None:
    # With an __init__.py they would answer `import vendor` for every plug-in in the host.
    for folder in ("adapters", "installers", "vendor"):
        assert not os.path.exists(os.path.join(ROOT, folder, "__init__.py"))


# The checker itself, on planted violations.

PLANTED = [
    ("net.loop", "from ..wire import sse", "level 1 (net) imports level 1 (wire)"),
    ("wire.http1", "from ..server import endpoint", "level 1 (wire) imports level 3 (server)"),
    ("wire.mcp.machine", "from ...net.loop import Loop", "level 1 (wire) imports level 1 (net)"),
    ("host.dispatch", "def f():\n    from ..server import x", "level 2 (host) imports level 3"),
    ("errors", "from .net import loop", "level 0 (errors) imports level 1 (net)"),
    ("tools.table", "from ..host import job", "level 2 (tools) imports level 2 (host)"),
    ("net.loop", "from .. import embed", "level 1 (net) imports level 5 (embed)"),
    ("net.loop", "from ..colour import x", "unknown unit 'colour'"),
    ("net.loop", "from ... import x", "from above the package"),
    ("colour", "", "unknown unit 'colour'"),
    ("server.endpoint", "from ..adapters.standalone import x", "found by name"),
    ("adapters.standalone.adapter", "from ...server import x", "adapters may import only"),
    ("adapters.blender.adapter", "from ..standalone import scene", "one host's adapter imports"),
    ("adapters.qt.adapter", "from ..blender import scene", "one host's adapter imports"),
    ("adapters.blender.adapter", "import bpy", "host module 'bpy'"),
    ("adapters.blender.adapter", "class A:\n    import bpy.types", "host module 'bpy.types'"),
    ("tools.scene", "def f():\n    import bpy", "host module 'bpy'"),
    ("installers.plan", "from ..host import adapter", "installers may import only"),
    ("installers.plan", "from ..clock import Clock", "installers may import only"),
    ("install_lifecycle.trees", "from ..errors import EmbedError", "may import only"),
    ("install_lifecycle.rows", "from ..registry import rows", "may import only"),
    ("install_lifecycle.trees", "import shutil", "inside the function that needs it"),
    ("install_lifecycle.probing", "from http import client", "inside the function that needs it"),
    ("wire.buffer", "import socket", "wire/ is sans-IO and may not import 'socket'"),
    (
        "wire.buffer",
        "def f():\n    from os import path",
        "wire/ is sans-IO and may not import 'os'",
    ),
    ("wire.buffer", "import time", "wire/ is sans-IO and may not import 'time'"),
    ("net.loop", "import time", "only clock.py reads 'time'"),
    ("net.loop", "from random import random", "only clock.py reads 'random'"),
    ("net.loop", "import os\nos.urandom(4)", "only clock.py calls os.urandom"),
    ("host.dispatch", "import uuid\nuuid.uuid4()", "only clock.py calls uuid.uuid4"),
    ("net.loop", "from typing import Any, NamedTuple", "NamedTuple comes from records"),
    ("net.loop", "from ..records import NamedTuple", None),
    ("bridge.front", "from typing import NamedTuple", None),
    ("cli.serve", "import time\ntime.time()", "only clock.py calls time.time"),
    ("cli.serve", "import time\ntime.strftime('%H', time.localtime(0))", None),
    ("mcp.events", "from datetime import datetime\ndatetime.fromtimestamp(0)", None),
    ("mcp.events", "from datetime import datetime\ndatetime.now()", "calls datetime.now"),
    ("mcp.events", "import time", "only clock.py reads 'time'"),
    ("net.loop", "from datetime import datetime", "only clock.py reads 'datetime'"),
    ("net.loop", "import dcc_mcp_embed", "import it relatively"),
    ("net.loop", "from dcc_mcp_embed.errors import EmbedError", "import it relatively"),
    ("server.endpoint", "import adapters.standalone", "import it relatively"),
    ("wire.frames", "import msgpack", "import it relatively"),
    ("wire.frames", "from .._vendor import typing_extensions", "may only be imported by _compat"),
    (
        "server.endpoint",
        "from .._vendor.msgpack import packb",
        "may only be imported by wire.frames",
    ),
    ("server.endpoint", "import dataclasses", "too slow"),
    ("server.endpoint", "from urllib.request import urlopen", "too slow"),
    ("server.endpoint", "from urllib import request", None),
    ("tools.schema", "def f():\n    import inspect", None),
    ("install_lifecycle.trees", "def f():\n    import shutil", None),
    ("install_lifecycle.trees", "import time\nfrom .._compat import RETRY_DELAYS", None),
    ("installers.plan", "from ..install_lifecycle import safe_remove_tree", None),
    ("net.loop", "from ..errors import EmbedError\nfrom .timers import Timers", None),
    ("server.endpoint", "from .. import __version__\nfrom ..net.loop import Loop", None),
    ("wire.frames", "from .._vendor import msgpack", None),
    ("adapters.blender.adapter", "def f():\n    import bpy\nfrom ...host import adapter", None),
    ("adapters.blender.adapter", "from . import backend\nfrom ..qt import wake", None),
]


@pytest.mark.parametrize(("module", "source", "problem"), PLANTED)
def test_checker_judges_planted_import(module: str, source: str, problem: Optional[str]) -> None:
    text = "from __future__ import annotations\n" + source + "\n"
    found = violations(tuple(module.split(".")), text)
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1
        assert problem in found[0]


def test_checker_misses_no_third_party_import_where_it_can_know() -> None:
    found = violations(("net", "loop"), "from __future__ import annotations\nimport requests\n")
    assert found == (
        ["2: 'requests' is not in the standard library"] if sys.version_info >= (3, 10) else []
    )


def test_checker_asks_for_the_future_import() -> None:
    assert violations(("net", "loop"), '"""Doc."""\nimport os\n') != []
    assert violations(("net",), '"""Doc."""\n', is_package=True) == []
