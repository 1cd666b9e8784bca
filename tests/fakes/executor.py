"""A host's main thread that only moves when a test says so."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from dcc_mcp_embed.host.adapter import UndoChunk


class Chunk(UndoChunk):
    def __init__(self, host: ManualHost, label: str) -> None:
        self._host = host
        self._label = label

    def __enter__(self) -> Chunk:
        self._host.events.append("open " + self._label)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.steps = 1
        self._host.events.append("close " + self._label)


class ManualHost:
    """An executor: ``wake`` only remembers, ``turn`` runs the pump as the host would."""

    def __init__(self) -> None:
        self.pump: Optional[Callable[[], None]] = None
        self.wakes = 0
        self.modal: Optional[str] = None
        self.main = False
        self.events: List[str] = []

    def wake(self, pump: Callable[[], None]) -> None:
        self.pump = pump
        self.wakes += 1

    def turn(self) -> bool:
        """Run the pump once if it was woken; return whether it was."""
        pump, self.pump = self.pump, None
        if pump is None:
            return False
        self.main = True
        try:
            pump()
        finally:
            self.main = False
        return True

    def run(self) -> None:
        while self.turn():
            pass

    def is_main_thread(self) -> bool:
        return self.main

    def modal_state(self) -> Optional[str]:
        return self.modal

    def undo_chunk(self, label: str) -> UndoChunk:
        return Chunk(self, label)
