"""Clients of the framed wire on a server's port: greeted, or with a line of calls that run once."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from dcc_mcp_embed.rpc.receipts import FIRST_NUMBER
from dcc_mcp_embed.wire.messages import OURS, id_text, request_frame
from fakes.framed import FramedWire, encoded, wire_key
from fakes.live import Live

__all__ = ["Client", "Greeted", "serves_on"]


class Greeted(FramedWire):
    """A client of this user that has finished its hello."""

    def __init__(self, live: Live, **options: Any) -> None:
        super().__init__(live.port, wire_key(), **options)
        self.greet()


class Client(Greeted):
    """One that may resume: its calls are of its ``line``, in this ``epoch`` of the server."""

    line: str
    epoch: str

    def resume(
        self,
        line: Optional[str] = None,
        epoch: Optional[str] = None,
        below: Optional[bytes] = None,
        ids: Sequence[bytes] = (),
    ) -> Dict[str, Any]:
        """Say resume and return its answer."""
        answer: Dict[str, Any] = self.call(
            "resume",
            {
                "epoch": epoch,
                "line": line,
                "below": None if below is None else id_text(below),
                "ids": [id_text(one) for one in ids],
            },
        )
        self.line, self.epoch = answer["line"], answer["epoch"]
        return answer

    def ident(self, number: int) -> bytes:
        """Return the id of the line's ``number``-th call, from 0."""
        return bytes.fromhex(self.line) + (FIRST_NUMBER + number).to_bytes(8, "big")

    def request(self, ident: bytes, method: str, params: Any) -> None:
        """Send a request under an id of one's choice."""
        self.send(request_frame(ident, method, encoded(params), OURS))


def serves_on(live: Live) -> None:
    """Fail unless a new client is served."""
    with Greeted(live) as wire:
        assert wire.call("ping") == {}, "whatever came, it goes on serving"
