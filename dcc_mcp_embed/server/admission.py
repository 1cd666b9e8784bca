"""Who may come in: host name, origin and token of a request, decided from its head alone. Pure.

The order matters: a page in a browser that was rebound to our address must learn nothing, so Host
and Origin come before anything else; then the path, so that ``/.well-known`` probes of clients
that look for OAuth get their 404 at once; then the token, before any body is read.
"""

from __future__ import annotations

import re
from typing import Any, FrozenSet, Optional, Sequence, Tuple, Union

from ..config import HOSTLESS
from ..digest import compare_digest
from ..records import NamedTuple

__all__ = ["Admission", "Admitted", "Refused"]

_LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "[::1]"))
_TOKEN_SHAPE = 40
#: What may be most of a token in a path that was copied wrongly: no answer repeats it, since
#: clients log their errors.
_LIKE_A_TOKEN = r"[0-9A-Fa-f]{16,}"


class Admitted(NamedTuple):
    """The request may go on to ``path`` (without a token segment, without a query).

    Of what lies below a known path, it is the latter, with its slash at the end. ``guest``: it
    showed the gateway's token, so that not everything is done for it.
    """

    path: str
    guest: bool = False


class Refused(NamedTuple):
    """What to answer instead. ``headers`` are (name, value) pairs."""

    status: int
    message: str
    headers: Tuple[Tuple[str, str], ...] = ()


class Admission:
    """Decide about request heads for one server on one port.

    ``public`` paths need no token. ``known`` are all paths that exist (without trailing slash); one
    that ends with a slash stands for all that lie one segment below (but not "/").
    ``guest_token``: what the gateway shows, None if nobody may come through it.
    """

    def __init__(
        self,
        port: int,
        token: Optional[str],
        known: Sequence[str],
        public: Sequence[str],
        origins: Sequence[str] = (),
        guest_token: Optional[str] = None,
    ) -> None:
        self._port = port
        self._token = token
        self._bearer = None if token is None else token.encode("ascii")
        self._guest = None if guest_token is None else guest_token.encode("ascii")
        self._known: FrozenSet[str] = frozenset(known)
        self._public: FrozenSet[str] = frozenset(public)
        self._origins = frozenset(
            one if one in HOSTLESS else one.rstrip("/").lower() for one in origins
        )

    def judge(self, head: Any) -> Union[Admitted, Refused]:
        """Return the verdict on a request head (``target``, ``headers``)."""
        headers = head.headers
        host = headers.get("host")
        if host is not None and not self._our_name(host):
            return Refused(
                421,
                "This server answers to localhost, 127.0.0.1 and [::1] with port {} only; the "
                "Host header says {!r}.".format(self._port, host[:200]),
            )
        origin = headers.get("origin")
        if origin is not None and not self._good_origin(origin):
            return Refused(
                403,
                "Pages from {!r} may not call this server; a host lets in those of its setting "
                "`origins`.".format(origin[:200]),
            )
        shown, path = self._split(head.target)
        asked, path = path, self._known_as(path)
        if not path:
            told = re.sub(_LIKE_A_TOKEN, "...", asked, flags=re.ASCII)[:200]
            return Refused(404, "There is nothing at {!r}; MCP is at /mcp.".format(told))
        if path in self._public:
            return Admitted(path)
        if shown is None:
            shown = _bearer(headers.get("authorization"))
        if shown is not None:
            given = shown.encode("utf-8", "replace")
            # Both of them, whichever it is: the time tells nothing.
            ours, guest = _fits(given, self._bearer), _fits(given, self._guest)
            if ours or guest:
                # A guest stays one where others need no token.
                return Admitted(path, not ours)
        if self._token is None:
            return Admitted(path)
        return Refused(
            401,
            "A token is needed: as `Authorization: Bearer <token>` or as the first segment of the "
            "path. `python3 -m dcc_mcp_embed config CLIENT --http --dcc NAME` prints what to paste."
            if shown is None
            else "This token is not valid here; it belongs to another port or kind of host, or the "
            "secret was rotated.",
            (("WWW-Authenticate", "Bearer"),),
        )

    def _known_as(self, path: str) -> str:
        if path in self._known:
            return path
        above = path[: path.rfind("/") + 1]
        return above if above != "/" and above in self._known else ""

    def _our_name(self, host: str) -> bool:
        name, colon, port = host.lower().rpartition(":")
        if not colon or "]" in port:
            return host.lower() in _LOOPBACK_NAMES
        return name in _LOOPBACK_NAMES and port == str(self._port)

    def _good_origin(self, origin: str) -> bool:
        text = origin.lower()
        if text in self._origins:
            return True
        scheme, mark, rest = text.partition("://")
        if not mark or scheme not in ("http", "https"):
            return False
        name, colon, port = rest.rpartition(":")
        if not colon or "]" in port:
            return rest in _LOOPBACK_NAMES
        return name in _LOOPBACK_NAMES and port.isdigit()

    def _split(self, target: str) -> Tuple[Optional[str], str]:
        """Return (token segment or None, path). ``/<40 hex>/mcp`` carries a token."""
        path = target.partition("?")[0]
        shown = None
        if len(path) > _TOKEN_SHAPE and path[1 : _TOKEN_SHAPE + 1].isalnum():
            rest = path[_TOKEN_SHAPE + 1 :]
            if rest == "" or rest[0] == "/":
                shown, path = path[1 : _TOKEN_SHAPE + 1], rest or "/"
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        return shown, path


def _fits(shown: bytes, wanted: Optional[bytes]) -> bool:
    return wanted is not None and compare_digest(shown, wanted)


def _bearer(value: Optional[str]) -> Optional[str]:
    if value is None:
        return None
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
