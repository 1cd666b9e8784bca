"""TLS over a stream of the loop. Loaded only once somebody has a URL that begins with https."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Optional

from ..net.loop import Loop
from ..net.stream import Protocol, Stream

__all__ = ["TlsFailed", "TlsStream", "make_context"]

_READ_SIZE = 64 * 1024
#: Where Linux distributions and macOS have the certificates of who vouches for others.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class TlsFailed(Exception):
    """The two ends cannot come to terms; the text says why."""


def make_context() -> ssl.SSLContext:
    """Return what certificates are checked by: the system's, or those of SSL_CERT_FILE.

    It reads files. Any thread.
    """
    context = ssl.create_default_context()
    where = ssl.get_default_verify_paths()
    if not (where.cafile or where.capath or context.get_ca_certs()):
        # A host's own Python looks for them where it was built.
        for path in _BUNDLES:
            if os.path.isfile(path):
                context.load_verify_locations(path)
                break
    # Some releases of Python 3.8 and 3.9 take an end without a goodbye for an end.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsStream(Protocol):
    """A Stream's likeness: ``protocol`` sees what is inside. Loop thread only.

    What is written before both ends have greeted each other waits for that.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol: Protocol,
        context: ssl.SSLContext,
        host: str,
    ) -> None:
        self._protocol = protocol
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        #: Whether both ends have greeted each other.
        self.greeted = False
        self._waiting = bytearray()
        self._failure: Optional[TlsFailed] = None
        self._stream = Stream(loop, sock, self, read_always=True)
        self._greet()

    # -- as a stream --------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._stream.closed

    @property
    def unsent(self) -> int:
        """Return how many bytes wait for the peer to read, or to greet."""
        return len(self._waiting) + self._stream.unsent

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        if not self.greeted:
            self._waiting += data
            return
        try:
            self._encrypt(data)
        except ssl.SSLError as error:
            self._fail(_told(error))

    def pause_reading(self) -> None:
        self._stream.pause_reading()

    def resume_reading(self) -> None:
        self._stream.resume_reading()

    def look(self) -> None:
        self._stream.look()

    def close(self) -> None:
        """Say goodbye, if that can be sent at once, and close."""
        if self.greeted and not self.closed:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                # It wants the other end's goodbye, which nobody waits for.
                pass
            self._flush()
        self._stream.abort()

    def abort(self) -> None:
        self._stream.abort()

    def disown(self) -> None:
        self._stream.disown()

    # -- as a protocol ------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self.greeted:
            self._greet()
        if self.greeted:
            self._read()

    def receive_eof(self) -> None:
        self._incoming.write_eof()
        if self.greeted:
            self._read()
        else:
            self._fail("the connection ended before the TLS handshake did")

    def writable_again(self) -> None:
        self._protocol.writable_again()

    def connection_lost(self, error: Optional[Exception]) -> None:
        protocol, self._protocol = self._protocol, Protocol()
        failure, self._failure = self._failure, None
        self._waiting = bytearray()
        protocol.connection_lost(failure or error)

    # -- inside -------------------------------------------------------------------------------

    def _greet(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            # What is wrong is told to the other end too.
            self._flush()
            self._fail(_told(error))
            return
        waiting, self._waiting = bytes(self._waiting), bytearray()
        # From here on some of what was to be written may have left.
        self.greeted = True
        self._flush()
        if waiting:
            self.write(waiting)

    def _encrypt(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self.closed:
            rest = rest[self._tls.write(rest) :]
            self._flush()

    def _read(self) -> None:
        while not self.closed:
            try:
                data = self._tls.read(_READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                # Also an end without a goodbye, which may be an attacker's: whoever reads a body
                # with a length knows whether it was all.
                self._fail(_told(error))
                return
            if not data:
                self._protocol.receive_eof()
                return
            self._protocol.receive_data(data)
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._stream.write(data)

    def _fail(self, reason: str) -> None:
        if not self.closed:
            self._failure = TlsFailed(reason)
            self._stream.abort()


def _told(error: ssl.SSLError) -> str:
    problem: str = getattr(error, "verify_message", "")
    if problem:
        return "the server's certificate is not good: {}".format(problem)
    return "TLS failed: {}".format(getattr(error, "reason", None) or error)
