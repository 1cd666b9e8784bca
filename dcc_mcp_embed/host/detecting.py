"""Which host this interpreter runs in, and the adapter for it."""

from __future__ import annotations

import importlib
import sys
from typing import Optional

from ..errors import ConfigError, StartError
from .adapter import HostAdapter

__all__ = ["load_adapter"]

#: Adapters and the module by which their host shows in an interpreter; standalone is what is left.
ADAPTERS = {"blender": "bpy", "standalone": ""}


def load_adapter(name: Optional[str]) -> HostAdapter:
    """Return the adapter called ``name``, or of the host that this interpreter runs in."""
    if name is not None and name not in ADAPTERS:
        raise ConfigError(
            "There is no adapter {!r}; there are {}".format(name, ", ".join(ADAPTERS))
        )
    for candidate, sign in ADAPTERS.items():
        if name is None and sign and sign not in sys.modules:
            continue
        if name is not None and candidate != name:
            continue
        module = importlib.import_module("...adapters." + candidate, __name__)
        if name is not None or not sign or module.detect():
            host: HostAdapter = module.create()
            return host
    raise StartError("No host was found")
