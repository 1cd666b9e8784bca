"""Certificates for servers of tests, and who vouches for them: see pem/README.md."""

from __future__ import annotations

import os
import ssl

__all__ = ["AUTHORITY", "server_context"]

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pem")
#: Vouches for all of them, and is known to nobody else.
AUTHORITY = os.path.join(_FOLDER, "authority.pem")


def server_context(name: str = "good") -> ssl.SSLContext:
    """Return what a server speaks TLS with: ``good``, ``expired`` or ``elsewhere``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(_FOLDER, name + ".pem"))
    return context
