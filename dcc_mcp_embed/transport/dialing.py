"""From a row to a connection: who gets a hello, and who is never sent a thing of ours."""

from __future__ import annotations

import os
import sys
from typing import Optional

from ..clock import Clock
from ..config import data_dir
from ..registry.entry import ServiceEntry
from ..secret import Secret, open_secret
from .channel import FramedChannel
from .connect import open_channel

__all__ = ["WIRE", "Dialer"]

#: Metadata key of a row whose address speaks our framed wire, hello and all.
WIRE = "dcc_mcp_embed_wire"


class Dialer:
    """Makes connections. Any thread.

    ``secret``: the user's; None: opened from the user's data directory for the first row that
    says it is one of us.
    """

    def __init__(self, clock: Clock, secret: Optional[Secret]) -> None:
        self._clock = clock
        self._secret = secret

    def __call__(self, row: ServiceEntry, timeout: float) -> FramedChannel:
        """Return a channel to ``row`` in at most ``timeout`` seconds.

        One of us must prove that it is, and that it is this instance. Anybody else is connected to
        as the reference does, raw: nothing is sent. Raises the TransportErrors of connecting, and
        ConfigError when the secret cannot be read.
        """
        address = row.effective_address()
        if not row.metadata.get(WIRE):
            return open_channel(address, timeout, self._clock)
        if self._secret is None:
            self._secret = open_secret(data_dir(os.environ, sys.platform), self._clock)
        return open_channel(
            address,
            timeout,
            self._clock,
            key=self._secret.wire_key(),
            expect_instance=row.instance_id,
        )
