"""Our MAC is the one of the standard library, with and without the interpreter's own SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed import digest
from helpers import ROOT


@given(key=st.binary(max_size=150), text=st.binary(max_size=200))
def test_mac_is_that_of_the_standard_library(key: bytes, text: bytes) -> None:
    assert digest.hmac_sha256(key, text) == hmac.new(key, text, hashlib.sha256).digest()


def test_mac_of_the_specification() -> None:
    # RFC 4231, cases 2 and 6: a short key, and one longer than a block.
    assert digest.hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    long = digest.hmac_sha256(
        b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"
    )
    assert long.hex() == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"


def test_comparison_tells_equal_from_different() -> None:
    assert digest.compare_digest(b"same", b"same")
    assert not digest.compare_digest(b"same", b"samE")
    assert not digest.compare_digest(b"same", b"sam")
    assert digest.compare_digest("a", "a")


def test_python_without_its_own_falls_back_on_openssl() -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['_sha2', '_sha256', '_sha512']))\n"
        "from dcc_mcp_embed import digest\n"
        "import hmac\n"
        "assert digest.compare_digest is hmac.compare_digest\n"
        "print(digest.hmac_sha256(b'key', b'text').hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=ROOT),
        check=True,
    )
    expected = hmac.new(b"key", b"text", hashlib.sha256).hexdigest()
    assert done.stdout.decode("ascii").strip() == expected
