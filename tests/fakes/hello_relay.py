"""What lets a proxy stand between two of us, who prove to each other where they meet.

A hello that was passed on is refused: its proofs are over the place of the server. This relay knows
the user's secret, as no real one does, and puts the place of either side into the proofs that pass.
A wrong proof stays wrong. It also counts what the server says of calls after a reconnect, which
shows from outside at which moment of its life each call was cut.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Dict, Optional

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc.hello import ClientHello, Hello
from dcc_mcp_embed.wire.frames import PREFIX

__all__ = ["DOWN", "UP", "HelloRelay"]

#: The way of requests, and that of answers.
UP, DOWN = "up", "down"

_NONCE = re.compile(rb'"nonce":"([0-9a-f]{64})"')
_PROOF = re.compile(rb'"proof":"([0-9a-f]{64})"')
_STATES = re.compile(rb'"states":\{([^}]*)\}')
_STATE = re.compile(rb'":"([a-z]+)"')
#: The answer to resume comes after two of the hello, and before long.
_LOOKED_AT = 16


class HelloRelay:
    """One connection's first frames, in both directions.

    ``near`` is where the client meets the proxy, ``far`` where the proxy meets the server;
    ``states`` is where to count.
    """

    def __init__(self, key: bytes, near: str, far: str, states: Counter[str]) -> None:
        clock = SystemClock()
        self._near, self._far = ClientHello(key, near, clock), ClientHello(key, far, clock)
        self._states = states
        self._nonces: Dict[str, str] = {}
        self._held = {UP: bytearray(), DOWN: bytearray()}
        self._frames = {UP: 0, DOWN: 0}
        self._over = {UP: False, DOWN: False}

    def passed(self, way: str, data: bytes) -> bytes:
        """Return what to send on for ``data``; what is missing of a frame is waited for."""
        if self._over[way]:
            return data
        held = self._held[way]
        held += data
        out = bytearray()
        while not self._over[way] and len(held) >= PREFIX:
            size = PREFIX + int.from_bytes(held[:PREFIX], "big")
            if len(held) < size:
                break
            out += self._frame(way, bytes(held[:size]))
            del held[:size]
        if self._over[way]:
            out += held
            held.clear()
        return bytes(out)

    def _frame(self, way: str, data: bytes) -> bytes:
        # The digits are the same bytes in every form of a byte field: arrays of small integers too.
        self._frames[way] += 1
        if self._frames[way] > 2:
            self._over[way] = way == UP or self._counted(data) or self._frames[way] > _LOOKED_AT
            return data
        nonce, proof = _NONCE.search(data), _PROOF.search(data)
        if nonce is not None:
            self._nonces[way] = nonce.group(1).decode("ascii")
        if proof is None or len(self._nonces) < 2:
            return data
        role, told, checked = (
            ("client", self._near, self._far) if way == UP else ("server", self._far, self._near)
        )
        if proof.group(1) != self._proof(told, role):
            return data
        return data.replace(proof.group(1), self._proof(checked, role))

    def _proof(self, hello: Hello, role: str) -> bytes:
        return hello._proof(role, self._nonces[UP], self._nonces[DOWN]).encode("ascii")

    def _counted(self, data: bytes) -> bool:
        found: Optional[re.Match[bytes]] = _STATES.search(data)
        if found is None:
            return False
        self._states.update(one.decode("ascii") for one in _STATE.findall(found.group(1)))
        return True
