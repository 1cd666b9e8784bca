"""From a row to a connection: who gets a hello, and who is never sent a thing of ours."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Callable, Optional

from ..clock import Clock
from ..config import data_dir
from ..registry.entry import ServiceEntry
from ..rpc.hello import NOT_OURS
from ..rpc.outbound import OutboundTracker, RouteKey
from ..rpc.resume import ResumeClient
from ..secret import Secret, open_secret
from ..transport_errors import ConnectionFailed, IpcConnectionFailed
from .carrier import Carrier
from .channel import FramedChannel
from .connect import channel_over, open_carrier, open_channel
from .lasting import LastingCarrier

__all__ = ["WIRE", "Dialer"]

#: Metadata key of a row whose address speaks our framed wire, hello and all.
WIRE = "dcc_mcp_embed_wire"


class Dialer:
    """Makes connections. Any thread.

    ``secret``: the user's; None: opened from the user's data directory for the first row that
    says it is one of us, and again when a peer turns out not to know it: the user may have made a
    new one, with which servers have been started since. ``outbound``: where the calls to those
    that are one of us are tracked. ``find(row)`` returns the row as it is now; raises
    ServiceNotFound when its owner has gone.
    """

    def __init__(
        self,
        clock: Clock,
        secret: Optional[Secret],
        outbound: OutboundTracker,
        find: Callable[[ServiceEntry], ServiceEntry],
    ) -> None:
        self._clock = clock
        self._given = secret
        self._outbound = outbound
        self._find = find
        #: The key that was good last.
        self._key: Optional[bytes] = None

    def __call__(self, row: ServiceEntry, timeout: float) -> FramedChannel:
        """Return a channel to ``row`` in at most ``timeout`` seconds.

        One of us must prove that it is, and that it is this instance; its channel outlives its
        connections. Anybody else is connected to as the reference does, raw: nothing is sent.
        Raises the TransportErrors of connecting, and ConfigError when the secret cannot be read.
        """
        clock = self._clock
        if not row.metadata.get(WIRE):
            return open_channel(row.effective_address(), timeout, clock)
        deadline = clock.monotonic() + timeout
        first = self._known(row, timeout)
        route = RouteKey(row.dcc_type, row.instance_id)
        resume = ResumeClient(self._outbound, route, clock.uuid(), clock)
        carrier = LastingCarrier(first, partial(self._again, row), timeout, resume, clock)
        carrier.begin(deadline)
        return channel_over(carrier, row.effective_address(), clock)

    def _again(self, row: ServiceEntry, timeout: float) -> Carrier:
        return self._known(self._find(row), timeout)

    def _known(self, row: ServiceEntry, timeout: float) -> Carrier:
        deadline = self._clock.monotonic() + timeout
        key = self._key or self._read()
        try:
            carrier = self._greet(row, timeout, key)
        except (ConnectionFailed, IpcConnectionFailed) as error:
            renewed = key if error.reason != NOT_OURS else self._read()
            if renewed == key:
                raise
            key = renewed
            carrier = self._greet(row, deadline - self._clock.monotonic(), key)
        self._key = key
        return carrier

    def _read(self) -> bytes:
        if self._given is not None:
            return self._given.wire_key()
        return open_secret(data_dir(os.environ, sys.platform), self._clock).wire_key()

    def _greet(self, row: ServiceEntry, timeout: float, key: bytes) -> Carrier:
        address = row.effective_address()
        return open_carrier(address, timeout, self._clock, key, row.instance_id)
