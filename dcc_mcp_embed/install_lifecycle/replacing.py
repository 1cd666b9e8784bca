"""Replace a tree outside any schedule: the journal has it while nothing is in place."""

from __future__ import annotations

from . import results
from .deferred import drop_deferred, schedule_deferred_cleanup
from .trees import Note, Trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .results import Result

__all__ = ["safe_replace_tree"]


def safe_replace_tree(source: Any, destination: Any) -> Result:
    """Put a copy of the folder ``source`` at ``destination``, or say why that is untouched."""
    return Trees(note=_JournalNote).replace(source, destination)


class _JournalNote(Note):
    """An entry of the journal. Where there is no journal, it is done without."""

    def __init__(self, tree: str) -> None:
        noted = schedule_deferred_cleanup(results.operation_sweep(tree))
        self._id: Optional[str] = noted.get("id")

    def take_back(self) -> None:
        if self._id is not None:
            drop_deferred(self._id)
