"""The official conformance suite in client mode: what needs no OAuth passes, all of it.

Scenarios and their checks are counted, because the suite also passes what it had nothing to see in.
What needs OAuth fails, by name: one that passes some day is to be noticed, and told in the README.
"""

from __future__ import annotations

import os
import sys
from typing import Dict, NamedTuple, Set

import pytest

from conformance.suite import install, run_client

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
#: -S: what a site does at start, some sixty times, is nothing that the client needs.
CLIENT = (sys.executable, "-S", "-W", "error", os.path.join(HERE, "client.py"))


class Expected(NamedTuple):
    """``passed``: scenario -> how many checks it has; ``oauth``: those that need OAuth, and fail.

    What stands ``beside`` is run and reported, and demanded of nobody.
    """

    passed: Dict[str, int]
    beside: Dict[str, int]
    oauth: Set[str]
    oauth_beside: Set[str]


def auth(names: str) -> Set[str]:
    return {"auth/" + name for name in names.split()}


#: Scored in both revisions.
OAUTH = auth(
    "metadata-default metadata-var1 metadata-var2 metadata-var3 basic-cimd"
    " scope-from-www-authenticate scope-from-scopes-supported scope-omitted-when-undefined"
    " scope-step-up scope-retry-limit token-endpoint-auth-basic token-endpoint-auth-post"
    " token-endpoint-auth-none pre-registration"
)
#: And in the newer one.
NEWER_OAUTH = auth(
    "resource-mismatch offline-access-scope offline-access-not-supported"
    " authorization-server-migration iss-supported iss-not-advertised iss-supported-missing"
    " iss-wrong-issuer iss-unexpected iss-normalized metadata-issuer-mismatch"
)
#: Extensions.
OAUTH_BESIDE = auth(
    "client-credentials-jwt client-credentials-basic enterprise-managed-authorization dpop"
    " dpop-nonce wif-jwt-bearer"
)
BESIDE = {"json-schema-2020-12-preservation": 9}
EXPECTED = {
    "2025-11-25": Expected(
        {
            "initialize": 1,
            "tools_call": 2,
            "elicitation-sep1034-client-defaults": 5,
            "sse-retry": 3,
        },
        BESIDE,
        OAUTH,
        OAUTH_BESIDE,
    ),
    "2026-07-28": Expected(
        {
            "tools_call": 2,
            "request-metadata": 8,
            "sep-2322-client-request-state": 5,
            "http-standard-headers": 3,
            "http-custom-headers": 18,
            "http-invalid-tool-headers": 12,
            "json-schema-ref-no-deref": 1,
        },
        BESIDE,
        OAUTH | NEWER_OAUTH,
        OAUTH_BESIDE,
    ),
}


@pytest.mark.parametrize(("revision", "scored"), [("2025-11-25", 18), ("2026-07-28", 32)])
def test_only_what_needs_oauth_fails(tmp_path, revision, scored):
    expected = EXPECTED[revision]
    assert len(expected.passed) + len(expected.oauth) == scored
    options = ("--requirements", revision, "--timeout", "90000")
    found = run_client(install(), CLIENT, str(tmp_path), *options)
    passed = {name: good for name, (good, bad, warned) in found.items() if not bad and not warned}
    assert passed == dict(expected.passed, **expected.beside)
    assert found.keys() - passed.keys() == expected.oauth | expected.oauth_beside
