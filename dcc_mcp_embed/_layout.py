"""Give the sibling folders of a checkout the names they have once installed.

In a checkout ``adapters/``, ``installers/`` and ``vendor/`` stand beside the package; a wheel or a
payload has them below it. Here they become sub-packages without touching ``sys.path``,
``sys.meta_path`` or a path hook, so that the host's own ``vendor`` or ``adapters`` keeps its name.
Every name is built from the caller's, so the package also works as ``other._vendor.dcc_mcp_embed``.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False  # typing is not loaded for annotations only: this runs in a bare import
if TYPE_CHECKING:
    from typing import Dict, Sequence, Tuple

__all__ = ["SIBLINGS", "bind_checkout_siblings"]

#: (name below the package, folder beside the package); setup.cfg has the same map for a wheel.
SIBLINGS: Tuple[Tuple[str, str], ...] = (
    ("adapters", "adapters"),
    ("installers", "installers"),
    ("_vendor", "vendor"),
)


def _missing(package_dir: str) -> Dict[str, str]:
    """Return name -> folder of what stands beside the package instead of below it.

    Nothing unless ``setup.cfg`` is there too: a folder called ``vendor`` next to an installed
    package is somebody else's.
    """
    root = os.path.dirname(package_dir)
    if not os.path.isfile(os.path.join(root, "setup.cfg")):
        return {}
    return {
        name: os.path.join(root, folder)
        for name, folder in SIBLINGS
        if not os.path.isdir(os.path.join(package_dir, name))
        and os.path.isdir(os.path.join(root, folder))
    }


def bind_checkout_siblings(package: str, path: Sequence[str]) -> None:
    """Make the siblings of a checkout importable below ``package``; do nothing when installed.

    ``path`` is the package's ``__path__``. May be called again (reload); what is already imported
    is kept. ``importlib.reload`` of a bound sub-package itself raises ModuleNotFoundError: drop
    everything below ``package`` from ``sys.modules`` and import anew instead. Any thread.
    """
    parent = sys.modules[package]
    for name, folder in _missing(os.path.abspath(path[0])).items():
        full_name = package + "." + name
        module = sys.modules.get(full_name)
        if module is None:
            spec = ModuleSpec(full_name, None, is_package=True)
            spec.submodule_search_locations = [folder]
            module = ModuleType(full_name)
            module.__spec__ = spec
            module.__package__ = full_name
            module.__path__ = [folder]
            sys.modules[full_name] = module
        setattr(parent, name, module)
