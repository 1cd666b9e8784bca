"""SHA-256, a MAC with it, and a comparison that takes the same time for all texts.

``hashlib`` and ``hmac`` load OpenSSL, which is 4 MB and 3 ms for the few short digests of a start.
Python itself holds what is needed here; ``random`` takes its SHA-512 the same way.
"""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["compare_digest", "hmac_sha256", "sha256"]

try:
    from _operator import _compare_digest as compare_digest

    sha256 = import_module("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
except ImportError:
    # A Python that was built without.
    from hashlib import sha256
    from hmac import compare_digest

_BLOCK = 64


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    """Return the MAC of ``text`` (RFC 2104): 32 bytes."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    block = key.ljust(_BLOCK, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in block) + text).digest()
    digest: bytes = sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()
    return digest
