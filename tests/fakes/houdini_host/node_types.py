"""``hou.NodeType`` and ``NodeTypeCategory``."""

from __future__ import annotations

from typing import Any, Tuple

from .kinds import CATEGORIES, Kind
from .strict import hom

__all__ = ["NodeType", "NodeTypeCategory"]


@hom("NodeTypeCategory")
class NodeTypeCategory:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name

    def nodeTypes(self) -> Any:
        return {name: NodeType(kind) for name, kind in CATEGORIES.get(self._name, {}).items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeTypeCategory) and self._name == other._name

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._name)


@hom("NodeType")
class NodeType:
    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def name(self) -> str:
        return self._kind.name

    def nameComponents(self) -> Tuple[str, ...]:
        """ "scope network type, namespace, node type name, version" (its docstring)."""
        name, _, version = self._kind.name.partition("::")
        return ("", "", name, version)

    def description(self) -> str:
        return self._kind.name.title()

    def category(self) -> NodeTypeCategory:
        return NodeTypeCategory(self._kind.category)

    def nameWithCategory(self) -> str:
        return "{}/{}".format(self._kind.category, self._kind.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeType) and self._kind is other._kind

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.nameWithCategory())
