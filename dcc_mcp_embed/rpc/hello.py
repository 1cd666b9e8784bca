"""The hello: both ends of a framed connection prove that they know the user's secret.

Messages in, messages out. Neither end ever sends the secret or anything that is worth keeping: each
proof is a MAC over two nonces, one from either end and new each time, over the role of the one who
proves, and over the place where the two have met.

    client  request  hello {"wire": 1, "nonce": hex}
    server  response       {"nonce": hex, "proof": hex}
    client  request  hello {"proof": hex, ["client": name]}
    server  response       {"instance_id", "epoch", "receipt_horizon"}

The server proves first, so whoever merely listens where a host has been learns nothing. A recorded
hello fails because a nonce differs, one sent back because the role differs, and one passed on to
another server because the place does. The client's name is for a person to read; it proves nothing.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Any, Dict, Optional, Tuple, Union

from ..clock import Clock
from ..digest import compare_digest, hmac_sha256
from ..errors import EmbedError
from ..parsing import loads
from ..records import NamedTuple
from ..wire.messages import Message, Request, Response, id_bytes

__all__ = [
    "HELLO_LIMIT",
    "HELLO_TIMEOUT",
    "NAME_LIMIT",
    "NOT_OURS",
    "ClientHello",
    "Facts",
    "Hello",
    "HelloRefused",
    "ServerHello",
    "place",
]

#: Why a peer is refused that cannot prove itself.
NOT_OURS = "whoever answers does not know this user's secret"
#: Seconds in which it has to be finished.
HELLO_TIMEOUT = 2.0
#: Bytes of payload a frame may have before it is finished.
HELLO_LIMIT = 4096
#: Characters of a client's name; the rest is cut off.
NAME_LIMIT = 200

_METHOD = "hello"
_WIRE = 1
_NONCE = 32
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: A stranger's text gets that far into our errors.
_QUOTED = 200


class Facts(NamedTuple):
    """What a server says of itself once both ends are sure of each other."""

    instance_id: str
    #: Differs for each start of the server.
    epoch: str
    #: How many finished calls the server can still answer for after a reconnect.
    receipt_horizon: int = 0


class HelloRefused(EmbedError):
    """The hello has failed. ``answer`` is what the peer is still to be told, if anything."""

    def __init__(self, reason: str, answer: Optional[Response] = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer


def place(name: Union[Tuple[Any, ...], str, bytes]) -> str:
    """Return how both ends name where they meet.

    ``name`` is what the server's end of the connection is called: ``getsockname()`` there,
    ``getpeername()`` at the client's.
    """
    if isinstance(name, bytes):
        name = name.decode("utf-8", "surrogateescape")
    if isinstance(name, str):
        return "unix|" + name
    host = name[0].partition("%")[0]
    # An IPv6 socket shows the IPv4 clients it serves like this.
    if host.startswith("::ffff:") and "." in host:
        host = host[len("::ffff:") :]
    return "tcp|{}|{}".format(host, name[1])


class Hello(ABC):
    """One end of a hello. ``facts`` is None until it is done."""

    def __init__(self, key: bytes, place: str, clock: Clock) -> None:
        self._key = key
        self._place = place
        self._nonce = clock.token_bytes(_NONCE).hex()
        self.facts: Optional[Facts] = None

    def start(self) -> Optional[Request]:
        """Return the message to begin with; None: the other end begins."""
        return None

    @abstractmethod
    def receive(self, message: Message) -> Optional[Message]:
        """Take the peer's next message and return the next of ours. Raises HelloRefused."""

    def _proof(self, role: str, client_nonce: str, server_nonce: str) -> str:
        # The place comes last: it is the only part that may contain the separator.
        parts = ("dcc-mcp-embed hello", str(_WIRE), role, client_nonce, server_nonce, self._place)
        text = "|".join(parts).encode("utf-8", "surrogateescape")
        return hmac_sha256(self._key, text).hex()


class ClientHello(Hello):
    """The client's end. With ``expect_instance`` any other instance is refused.

    ``client`` is what it calls itself.
    """

    def __init__(
        self,
        key: bytes,
        place: str,
        clock: Clock,
        expect_instance: Optional[str] = None,
        client: str = "",
    ) -> None:
        super().__init__(key, place, clock)
        self._expect = expect_instance
        self._client = client[:NAME_LIMIT]
        self._ids = [id_bytes(clock.uuid()) for _ in range(2)]

    def start(self) -> Request:
        return _request(self._ids[0], {"wire": _WIRE, "nonce": self._nonce})

    def receive(self, message: Message) -> Optional[Request]:
        if not isinstance(message, Response) or not self._ids or message.id != self._ids[0]:
            raise HelloRefused("the peer does not say hello as a dcc_mcp_embed server does")
        if not message.success:
            said = (message.error or "no reason given")[:_QUOTED]
            raise HelloRefused("the peer refused the hello: {}".format(said))
        content = _content(message.payload)
        del self._ids[0]
        if self._ids:
            return self._on_proof(content)
        self.facts = self._on_facts(content)
        return None

    def _on_proof(self, content: Dict[str, Any]) -> Request:
        nonce, proof = _hex(content, "nonce"), _hex(content, "proof")
        if not compare_digest(proof, self._proof("server", self._nonce, nonce)):
            raise HelloRefused(NOT_OURS)
        content = {"proof": self._proof("client", self._nonce, nonce)}
        if self._client:
            content["client"] = self._client
        return _request(self._ids[0], content)

    def _on_facts(self, content: Dict[str, Any]) -> Facts:
        facts = Facts(
            _text(content, "instance_id"),
            _text(content, "epoch"),
            _count(content, "receipt_horizon"),
        )
        if self._expect is not None and facts.instance_id != self._expect:
            raise HelloRefused("another instance answers: {}".format(facts.instance_id))
        return facts


class ServerHello(Hello):
    """The server's end. ``facts`` is what the client is told in the end."""

    def __init__(self, key: bytes, place: str, facts: Facts, clock: Clock) -> None:
        super().__init__(key, place, clock)
        self._told = facts
        #: The client's; None until it has said hello.
        self._client_nonce: Optional[str] = None
        #: What the client calls itself.
        self.client = ""

    def receive(self, message: Message) -> Optional[Response]:
        if not isinstance(message, Request):
            raise HelloRefused("the peer did not begin with a hello")
        try:
            if message.method != _METHOD:
                raise HelloRefused("say hello first")
            content = self._answer(_content(message.params))
        except HelloRefused as refusal:
            reason = refusal.reason
        else:
            return Response(message.id, True, _packed(content), None)
        # Raised outside the handler: no refusal holds another in its context.
        raise HelloRefused(reason, Response(message.id, False, b"", reason))

    def _answer(self, content: Dict[str, Any]) -> Dict[str, Any]:
        if self._client_nonce is None:
            return self._prove(content)
        return self._check(content, self._client_nonce)

    def _prove(self, content: Dict[str, Any]) -> Dict[str, Any]:
        if _count(content, "wire") != _WIRE:
            raise HelloRefused("only version {} of the wire is spoken here".format(_WIRE))
        nonce = self._client_nonce = _hex(content, "nonce")
        return {"nonce": self._nonce, "proof": self._proof("server", nonce, self._nonce)}

    def _check(self, content: Dict[str, Any], client_nonce: str) -> Dict[str, Any]:
        expected = self._proof("client", client_nonce, self._nonce)
        if not compare_digest(_hex(content, "proof"), expected):
            raise HelloRefused("the proof is wrong: this is another user's secret, or an old one")
        claim = content.get("client")
        if isinstance(claim, str):
            self.client = claim[:NAME_LIMIT]
        self.facts = self._told
        return self._told._asdict()


# Content.


def _packed(content: Dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def _request(ident: bytes, content: Dict[str, Any]) -> Request:
    return Request(ident, _METHOD, _packed(content))


def _content(data: bytes) -> Dict[str, Any]:
    try:
        content = loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise HelloRefused("the hello is no JSON object")
    return content


def _hex(content: Dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        raise HelloRefused("the hello's {} must be 64 hexadecimal digits".format(name))
    return value


def _text(content: Dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or len(value) > _QUOTED:
        raise HelloRefused("the hello's {} must be a short text".format(name))
    return value


def _count(content: Dict[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise HelloRefused("the hello's {} must be a number from 0".format(name))
    return value
