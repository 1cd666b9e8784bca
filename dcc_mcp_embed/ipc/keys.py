"""With which key both ends of an ipc connection say hello: from the secret that they were given."""

from __future__ import annotations

import os
import sys
from typing import Union

from ..clock import Clock
from ..config import data_dir
from ..digest import hmac_sha256
from ..errors import ConfigError
from ..secret import Secret, open_secret

__all__ = ["SecretLike", "check_secret", "key_of", "mixed"]

#: None: the user's own.
SecretLike = Union[None, str, bytes, Secret]


def check_secret(secret: SecretLike) -> None:
    """Raise ConfigError or TypeError for what is no secret."""
    if isinstance(secret, (str, bytes)):
        if not secret:
            raise ConfigError("secret is empty: leave it out for the user's own, or give a text")
    elif secret is not None and not isinstance(secret, Secret):
        raise TypeError("secret must be a text or bytes, not {}".format(type(secret).__name__))


def key_of(secret: SecretLike, clock: Clock) -> bytes:
    """Return the key; the user's own secret is read anew. Blocking, for a moment.

    Raises as ``check_secret``, and ConfigError when the user's secret cannot be read.
    """
    check_secret(secret)
    if isinstance(secret, str):
        secret = secret.encode("utf-8", "surrogatepass")
    if isinstance(secret, bytes):
        return hmac_sha256(secret, b"ipc")
    if secret is None:
        secret = open_secret(data_dir(os.environ, sys.platform), clock)
    return secret.wire_key()


def mixed(key: bytes, file_key: str) -> bytes:
    """Return the key of a place whose file has ``file_key``: neither is enough alone."""
    return hmac_sha256(key, b"ipc|" + file_key.encode("ascii"))
