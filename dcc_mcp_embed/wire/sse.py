"""Server-sent events: messages to bytes, and bytes to events (WHATWG HTML 9.2)."""

from __future__ import annotations

import re
from typing import List, Optional

from ..errors import LocalProtocolError, RemoteProtocolError
from ..records import NamedTuple

__all__ = ["Event", "SseParser", "encode"]

_EOL = re.compile("\r\n|\n|\r")
_EOL_BYTES = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event. ``event`` is ``message`` unless it was named; ``id`` the last one seen, or None.

    ``retry`` is in milliseconds, None unless this event set it.
    """

    event: str
    data: str
    id: Optional[str]
    retry: Optional[int]


def encode(
    data: str, event: Optional[str] = None, id: Optional[str] = None, retry: Optional[int] = None
) -> bytes:
    """Return one event in UTF-8. ``retry`` in milliseconds.

    Each line of ``data`` becomes a line of its own; the reader joins them with LF, whatever ended
    them here. Raises LocalProtocolError for a line end in ``event`` or ``id``, or a NUL in ``id``.
    """
    if "\n" in data or "\r" in data:
        data = "\ndata: ".join(_EOL.split(data))
    text = "data: " + data + "\n\n"
    if event is not None:
        text = "event: " + _one_line("event", event) + "\n" + text
    if id is not None:
        if "\0" in id:
            raise LocalProtocolError("an event id with NUL is ignored by every reader")
        text = "id: " + _one_line("id", id) + "\n" + text
    if retry is not None:
        if retry < 0:
            raise LocalProtocolError("retry is a number of milliseconds, not negative")
        text = "retry: {:d}\n".format(retry) + text
    return text.encode("utf-8")


def _one_line(what: str, text: str) -> str:
    if "\n" in text or "\r" in text:
        raise LocalProtocolError("the {} of an event is one line: {!r}".format(what, text))
    return text


class SseParser:
    """Turn the bytes of one stream into events. One thread.

    ``max_event`` in bytes; more than that unfinished raises RemoteProtocolError. An event that is
    cut off by the end of the stream never happened.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_event",
        "_held",
        "_last_id",
        "_max_event",
        "_partial",
        "_retry",
        "last_id",
        "retry",
    )

    def __init__(self, max_event: int = 64 * 1024 * 1024) -> None:
        self._max_event = max_event
        self._partial = bytearray()
        self._after_cr = False
        self._at_start = True
        self._data: List[str] = []
        self._held = 0
        self._event = ""
        self._retry: Optional[int] = None
        self._last_id: Optional[str] = None
        #: What a reader that comes back says it has seen last, also by an event without data.
        self.last_id: Optional[str] = None
        #: After how many milliseconds it may come back, where the server has said so.
        self.retry: Optional[int] = None

    def receive_data(self, data: bytes) -> List[Event]:
        """Take bytes and return the events they complete. Raises RemoteProtocolError."""
        if not data:
            return []
        after_cr, self._after_cr = self._after_cr, data[-1] == 0x0D
        if after_cr and data[0] == 0x0A:
            # The second half of a line end whose first half ended the read before.
            data = data[1:]
        lines = _EOL_BYTES.split(data)
        rest = lines.pop()
        events: List[Event] = []
        if lines and self._partial:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial = bytearray()
        for line in lines:
            self._held += len(line)
            if self._held > self._max_event:
                raise self._too_long()
            if line:
                self._take_line(line)
            else:
                self._dispatch(events)
        self._partial += rest
        if self._held + len(self._partial) > self._max_event:
            raise self._too_long()
        return events

    def _take_line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            if line.startswith(_BOM):
                line = line[3:]
        field, _, value = line.decode("utf-8", "replace").partition(":")
        if value[:1] == " ":
            value = value[1:]
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id":
            if "\0" not in value:
                self._last_id = value
        elif field == "retry" and re.fullmatch("[0-9]{1,9}", value):
            self._retry = self.retry = int(value)

    def _dispatch(self, events: List[Event]) -> None:
        self._at_start = False
        self._held = 0
        self.last_id = self._last_id
        if self._data:
            text = "\n".join(self._data)
            events.append(Event(self._event or "message", text, self._last_id, self._retry))
        self._data = []
        self._event = ""
        self._retry = None

    def _too_long(self) -> RemoteProtocolError:
        return RemoteProtocolError("an event is longer than {} bytes".format(self._max_event))
