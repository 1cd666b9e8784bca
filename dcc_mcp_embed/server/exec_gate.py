"""Whether a client may run code here: off, confirm (the person at the host decides), or on.

Loop thread. The gate only keeps what was decided; showing a question is the adapter's.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from ..clock import Clock
from ..errors import ExecDisabled, PermissionDenied, ToolError

__all__ = ["ExecGate"]

CHOICES: Tuple[Tuple[str, str], ...] = (
    ("once", "Allow once"),
    ("client", "Allow this client"),
    ("process", "Allow all until the host quits"),
    ("never", "Never"),
)
#: Questions that stand open at once: a client that invents names must not bury the user in them.
MAX_OPEN = 8
#: How long a consent that came after the call had given up is good for the next one, seconds.
CREDIT = 120.0
_HOW = "The setting is `exec_mode` of start(), or DCC_MCP_EMBED_EXEC=off|confirm|on."

Verdict = Callable[[Optional[ToolError]], None]


class ExecGate:
    """Answer for each call: go on, refuse, or wait for the person.

    ``ask(name, decided, failed)`` must show a question and call ``decided(choice)`` on the loop
    thread, or ``failed(error)`` if it cannot be shown; None when the host has nobody to ask.

    A *client* is whatever hashable thing the server knows it by (a session, a connection), which
    no other client can take on. Its *name* is only what it says of itself, for the question.
    """

    def __init__(
        self,
        mode: str,
        ask: Optional[Callable[[str, Callable[[str], None], Callable[[ToolError], None]], None]],
        clock: Clock,
    ) -> None:
        self.mode = mode
        self._ask = ask
        self._clock = clock
        self._everybody = False
        self._clients: Dict[Any, bool] = {}
        self._waiting: Dict[Any, List[Verdict]] = {}
        #: Clients whose "once" came after the call had given up waiting -> until when it is good.
        self._credit: Dict[Any, float] = {}

    def enter(self, client: Any, name: str, verdict: Verdict) -> None:
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
        elif self._credit.pop(client, 0.0) > self._clock.monotonic():
            verdict(None)
        elif client in self._waiting:
            self._waiting[client].append(verdict)
        elif len(self._waiting) >= MAX_OPEN:
            verdict(
                PermissionDenied(
                    "{} questions wait for the user already.".format(MAX_OPEN),
                    hint="Call again when the user has answered some of them.",
                    retry_after_ms=10000,
                )
            )
        else:
            self._waiting[client] = [verdict]
            self._ask(
                name,
                lambda choice: self._decide(client, name, choice),
                lambda error: self._give_up(client, error),
            )

    def leave(self, client: Any, verdict: Verdict) -> bool:
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

    def _give_up(self, client: Any, error: ToolError) -> None:
        for verdict in self._waiting.pop(client, []):
            verdict(error)

    def _decide(self, client: Any, name: str, choice: str) -> None:
        if choice == "process":
            self._everybody = True
        elif choice in ("client", "never"):
            self._clients[client] = choice == "client"
        waiting = self._waiting.pop(client, [])
        if choice == "once" and not waiting:
            self._credit[client] = self._clock.monotonic() + CREDIT
        for number, verdict in enumerate(waiting):
            if choice == "never":
                verdict(PermissionDenied("The user answered never."))
            elif choice == "once" and number:
                # One consent is one call: the others ask again.
                self.enter(client, name, verdict)
            else:
                verdict(None)
