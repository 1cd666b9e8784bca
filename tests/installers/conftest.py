"""What tests of payloads share: a few files of one."""

from __future__ import annotations

import pytest

CONTENTS = {
    "dcc_mcp_embed/__init__.py": b"__version__ = '1.2.3'\n",
    "dcc_mcp_embed/adapters/maya/adapter.py": b"x = 1\n",
    "dcc_mcp_embed/py.typed": b"",
}


@pytest.fixture
def files(tmp_path):
    found = {}
    for path, content in CONTENTS.items():
        source = tmp_path / "source" / path.replace("/", "-")
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(content)
        found[path] = str(source)
    return found
