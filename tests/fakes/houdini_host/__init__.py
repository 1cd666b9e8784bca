"""Houdini as its documentation describes it, hazards included: ``hou`` and ``hdefereval``.

Nobody here has a Houdini to run, so the adapter meets this instead. Facts are SideFX's own: the
docstrings in ``types-houdini`` (the text of https://www.sidefx.com/docs/houdini/hom/), which also
decide which names and arguments there are. What is not in them says where it is from.
"""

from .install import install
from .stage import HoudiniStage, HythonStage

__all__ = ["HoudiniStage", "HythonStage", "install"]
