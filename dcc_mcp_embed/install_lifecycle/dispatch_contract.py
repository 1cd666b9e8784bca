"""What a host RPC address promises before anything is started: can calls ever reach a host by it?

Pure: nothing is connected to. The addresses are those of ``dcc-mcp-server sidecar --host-rpc``.
"""

from __future__ import annotations

import re
from typing import Any, Dict, NamedTuple, Optional

__all__ = ["SUPPORTED_SCHEMES", "TEST_ONLY_SCHEMES", "sidecar_host_rpc_dispatch_contract"]

#: Schemes the sidecar calls a host through, and those it only pretends to.
SUPPORTED_SCHEMES = ("commandport", "qtserver", "ws", "wss")
TEST_ONLY_SCHEMES = ("stub",)
#: Those whose addresses may leave out the port and go on after it.
_WEB_SCHEMES = ("ws", "wss")

_LAST_PORT = 65535
_PORT = re.compile(r"[0-9]+", re.ASCII)
_BLANK = re.compile(r"[\x00-\x20\x7f]")

_WHAT_TO_USE = "commandport://, qtserver://, ws:// or wss://"


class _Verdict(NamedTuple):
    status: str
    reason: Optional[str]
    message: str


_MISSING = _Verdict(
    "invalid", "missing_host_rpc", "There is no host_rpc, so no call can be shown to arrive."
)
_CAPABLE = _Verdict(
    "dispatch_capable",
    None,
    "Calls can be dispatched as soon as the host's bridge accepts the sidecar's connection.",
)
_TEST_ONLY = _Verdict(
    "test_only",
    "test_only_host_rpc",
    "This scheme is for tests; that it connects proves nothing about a host.",
)
_UNSUPPORTED = _Verdict(
    "unsupported",
    "unsupported_host_rpc_scheme",
    "The sidecar has no client for this scheme: it can enter a row to be looked at, and dispatch "
    "nothing. Use {}.".format(_WHAT_TO_USE),
)


def sidecar_host_rpc_dispatch_contract(host_rpc: Any) -> Dict[str, Any]:
    """Return whether a sidecar with that ``--host-rpc`` can become ready, and if not, why.

    ``status`` is ``dispatch_capable``, ``test_only``, ``unsupported`` or ``invalid``; only with the
    first is ``dispatch_ready_capable`` True. ``scheme`` is in lower case, None without one.
    ``validation_error`` is a sentence where an address of a known scheme is not well-formed. Raises
    nothing, whatever ``host_rpc`` is.
    """
    uri = "" if host_rpc is None else str(host_rpc).strip()
    scheme, separator, rest = uri.partition("://")
    known: Optional[str] = scheme.lower() if separator else None
    error: Optional[str] = None
    if not uri:
        verdict = _MISSING
    elif known is None:
        error = "host_rpc needs a scheme: {}.".format(_WHAT_TO_USE)
        verdict = _Verdict("invalid", "missing_scheme", error)
    elif known in TEST_ONLY_SCHEMES:
        verdict = _TEST_ONLY
    elif known in SUPPORTED_SCHEMES:
        problem = _problem(rest, web=known in _WEB_SCHEMES)
        verdict = _CAPABLE
        if problem is not None:
            error = "A {} host_rpc {}.".format(known, problem)
            verdict = _Verdict("invalid", "invalid_host_rpc_uri", error)
    else:
        verdict = _UNSUPPORTED
    return {
        "host_rpc": uri,
        "scheme": known,
        "supported_schemes": list(SUPPORTED_SCHEMES),
        "test_only_schemes": list(TEST_ONLY_SCHEMES),
        "uri_valid": verdict in (_CAPABLE, _TEST_ONLY),
        "validation_error": error,
        "status": verdict.status,
        "dispatch_ready_capable": verdict is _CAPABLE,
        "test_only": verdict is _TEST_ONLY,
        "reason": verdict.reason,
        "message": verdict.message,
    }


def _problem(rest: str, web: bool) -> Optional[str]:
    """Return what is wrong with an address after its scheme, to follow "A qtserver host_rpc"."""
    if _BLANK.search(rest):
        return "has no blanks or control characters in it"
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # The sidecar takes what follows "://" to the letter. The reference lets a user and an empty
    # query or fragment pass, by which it never arrives.
    if not web and (authority != rest or "@" in rest):
        return "is host:port only, without a user, a path, a query or a fragment"
    place = authority.rpartition("@")[2]
    if place.startswith("["):
        host, bracket, after = place[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            return "has an IPv6 host between brackets that is not one"
        port = after[1:] if after else None
    else:
        host, colon, digits = place.partition(":")
        port = digits if colon else None
    if not host:
        return "needs a host"
    return _port_problem(port, web)


def _port_problem(port: Optional[str], optional: bool) -> Optional[str]:
    if not port:
        # Nothing after a colon stands for none, as everywhere in URIs.
        return None if optional else "needs a port"
    # As text first: an int of thousands of digits is refused by new Pythons, and slow in old ones.
    if not _PORT.fullmatch(port) or len(port.lstrip("0")) > len(str(_LAST_PORT)):
        return "has a port that is no number from 1 to {}".format(_LAST_PORT)
    if not 0 < int(port) <= _LAST_PORT:
        return "has a port from 1 to {}".format(_LAST_PORT)
    return None
