"""``instances``: what runs on this machine."""

from __future__ import annotations

from typing import Any, Dict

from ..registry.entry import ServiceEntry
from .finding import PASS, WIRE_KEY, cells, is_ready, living, the_registry
from .text import json_text, say, table

__all__ = ["list_instances"]


def list_instances(options: Any) -> int:
    """Print what is registered, as a table or as JSON."""
    registry = the_registry(options.registry_dir)
    rows = living(registry)
    if options.json:
        print(json_text([_shape(row) for row in rows]))
    elif rows:
        say(table(cells(rows)))
    else:
        say("No instance is registered in {}".format(registry.directory))
    return 0


def _shape(row: ServiceEntry) -> Dict[str, Any]:
    shape = row.to_dict()
    shape["metadata"] = {k: v for k, v in row.metadata.items() if k not in PASS}
    if WIRE_KEY in row.metadata:
        # With the gateway's token in it; the command line and the bridge do not need one.
        shape["metadata"]["mcp_url"] = "http://127.0.0.1:{}/mcp".format(row.port)
    shape["ready"] = is_ready(row)
    return shape
