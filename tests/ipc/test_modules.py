"""The arrows between the modules of ipc go one way: what a module knows does not know it."""

from __future__ import annotations

import ast
import os

from dcc_mcp_embed import ipc

FOLDER = os.path.dirname(ipc.__file__)


def known_to(path):
    """Return the modules of ipc that a module imports, also if only for types."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


def test_modules_form_no_circle():
    names = {name[:-3] for name in os.listdir(FOLDER) if name.endswith(".py")}
    # It only loads the others by name.
    knows = {
        name: known_to(os.path.join(FOLDER, name + ".py")) & names for name in names - {"__init__"}
    }
    assert {"session", "errands"} <= knows["engine"] | knows["session"], "nothing was found"
    while knows:
        free = [name for name, others in knows.items() if not others & set(knows)]
        assert free, "these know each other in a circle: {}".format(sorted(knows))
        for name in free:
            del knows[name]
