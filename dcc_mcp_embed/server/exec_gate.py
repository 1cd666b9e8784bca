"""Whether a client may run code here: off, confirm (the person at the host decides), or on.

Loop thread. The gate only keeps what was decided; showing a question is the adapter's.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Set, Tuple

from ..errors import ExecDisabled, PermissionDenied, ToolError

__all__ = ["ExecGate"]

CHOICES: Tuple[Tuple[str, str], ...] = (
    ("once", "Allow once"),
    ("client", "Allow this client"),
    ("process", "Allow all until the host quits"),
    ("never", "Never"),
)
_HOW = "The setting is `exec_mode` of start(), or DCC_MCP_EMBED_EXEC=off|confirm|on."

Verdict = Callable[[Optional[ToolError]], None]


class ExecGate:
    """Answer for each call: go on, refuse, or wait for the person.

    ``ask(client, decided, failed)`` must show a question and call ``decided(choice)`` on the loop
    thread, or ``failed(error)`` if it cannot be shown; None when the host has nobody to ask.
    """

    def __init__(
        self,
        mode: str,
        ask: Optional[Callable[[str, Callable[[str], None], Callable[[ToolError], None]], None]],
    ) -> None:
        self.mode = mode
        self._ask = ask
        self._everybody = False
        self._clients: Dict[str, bool] = {}
        self._waiting: Dict[str, List[Verdict]] = {}
        #: Clients whose "once" came after the call had given up waiting: good for their next call.
        self._credit: Set[str] = set()

    def enter(self, client: str, verdict: Verdict) -> None:
        """Call ``verdict(None)`` if ``client`` may, ``verdict(error)`` if not; maybe later."""
        if self.mode == "on" or self._everybody or self._clients.get(client) is True:
            verdict(None)
        elif self.mode == "off":
            verdict(ExecDisabled("Running code is switched off in this host.", hint=_HOW))
        elif self._clients.get(client) is False:
            verdict(PermissionDenied("The user answered never when asked about running code."))
        elif self._ask is None:
            verdict(
                ExecDisabled(
                    "Running code needs the consent of the user, and this host has no user "
                    "interface to ask in.",
                    hint=_HOW,
                )
            )
        elif client in self._credit:
            self._credit.remove(client)
            verdict(None)
        elif client in self._waiting:
            self._waiting[client].append(verdict)
        else:
            self._waiting[client] = [verdict]
            self._ask(
                client,
                lambda choice: self._decide(client, choice),
                lambda error: self._give_up(client, error),
            )

    def leave(self, client: str, verdict: Verdict) -> bool:
        """Stop waiting for an answer; False if it had come. The question itself stays open."""
        waiting = self._waiting.get(client, [])
        if verdict not in waiting:
            return False
        waiting.remove(verdict)
        return True

    def close(self, error: ToolError) -> None:
        """Refuse everybody who waits with ``error``; later answers change nothing for them."""
        for client in list(self._waiting):
            self._give_up(client, error)

    def _give_up(self, client: str, error: ToolError) -> None:
        for verdict in self._waiting.pop(client, []):
            verdict(error)

    def _decide(self, client: str, choice: str) -> None:
        if choice == "process":
            self._everybody = True
        elif choice in ("client", "never"):
            self._clients[client] = choice == "client"
        waiting = self._waiting.pop(client, [])
        if choice == "once" and not waiting:
            self._credit.add(client)
        for number, verdict in enumerate(waiting):
            if choice == "never":
                verdict(PermissionDenied("The user answered never."))
            elif choice == "once" and number:
                # One consent is one call: the others ask again.
                self.enter(client, verdict)
            else:
                verdict(None)
