"""Who may come in, decided from the head alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.server.admission import Admission, Admitted, Refused

TOKEN = "0123456789abcdef0123456789abcdef01234567"


def judge(target="/mcp", token=TOKEN, origins=(), **headers):
    admission = Admission(21344, token, ("/mcp", "/"), ("/",), origins)
    names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return admission.judge(SimpleNamespace(target=target, headers=names))


def status(verdict):
    return verdict.status if isinstance(verdict, Refused) else 200


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1:21344", 200),
        ("localhost:21344", 200),
        ("LOCALHOST:21344", 200),
        ("[::1]:21344", 200),
        ("localhost", 200),
        ("[::1]", 200),
        ("127.0.0.1:21345", 421),
        ("evil.example.com", 421),
        ("evil.example.com:21344", 421),
        ("localhost.evil.example.com:21344", 421),
        ("127.0.0.1:21344.evil.example.com", 421),
        ("127.0.0.1@evil.example.com:21344", 421),
        ("", 421),
        (":21344", 421),
    ],
)
def test_only_loopback_names_with_our_port_are_us(host, wanted):
    assert status(judge(host=host, authorization="Bearer " + TOKEN)) == wanted


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:6274", 200),
        ("https://[::1]:1", 200),
        ("http://localhost", 200),
        ("null", 403),
        ("http://evil.example.com", 403),
        ("http://localhost.evil.example.com", 403),
        ("file://", 403),
        ("http://localhost:evil", 403),
        ("chrome-extension://localhost", 403),
        ("", 403),
    ],
)
def test_only_pages_of_this_machine_may_call(origin, wanted):
    assert status(judge(origin=origin, authorization="Bearer " + TOKEN)) == wanted


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://studio.example", "https://studio.example/"),
        ("null", "null"),
        # What a page of a program made with Electron sends.
        ("file://", "file://"),
    ],
)
def test_an_allowed_origin_may_call(origin, allowed):
    verdict = judge(origin=origin, origins=(allowed,), authorization="Bearer " + TOKEN)
    assert status(verdict) == 200


@pytest.mark.parametrize(
    ("target", "authorization", "wanted"),
    [
        ("/mcp", "Bearer " + TOKEN, 200),
        ("/mcp", "bearer " + TOKEN, 200),
        ("/mcp/", "Bearer " + TOKEN, 200),
        ("/mcp?x=1", "Bearer " + TOKEN, 200),
        ("/" + TOKEN + "/mcp", None, 200),
        ("/" + TOKEN + "/mcp/", None, 200),
        ("/mcp", None, 401),
        ("/mcp", "Bearer", 401),
        ("/mcp", "Bearer " + TOKEN[:-1], 401),
        ("/mcp", "Bearer " + TOKEN + "0", 401),
        ("/mcp", "Basic " + TOKEN, 401),
        ("/mcp", "Bearer \u00e9", 401),
        ("/" + TOKEN[::-1] + "/mcp", None, 401),
        ("/" + TOKEN[::-1] + "/mcp", "Bearer " + TOKEN, 401),
        ("/" + TOKEN + "x/mcp", None, 404),
        ("/", None, 200),
        ("/nothing", "Bearer " + TOKEN, 404),
        ("/.well-known/oauth-protected-resource", None, 404),
        ("/.well-known/oauth-authorization-server/mcp", None, 404),
        ("/mcp/.well-known/openid-configuration", None, 404),
        ("/register", None, 404),
    ],
)
def test_a_token_is_a_bearer_or_the_first_segment(target, authorization, wanted):
    headers = {} if authorization is None else {"authorization": authorization}
    verdict = judge(target, **headers)
    assert status(verdict) == wanted
    if wanted == 401:
        assert ("WWW-Authenticate", "Bearer") in verdict.headers
    if wanted == 200:
        assert verdict.path in ("/mcp", "/")


@pytest.mark.parametrize("path", ["/{}x/mcp", "/{}mcp", "/x/{}", "/mcp/{}", "/{:.39}/mcp"])
def test_a_token_that_was_copied_wrongly_is_not_repeated(path):
    refused = judge(path.format(TOKEN))
    assert refused.status == 404
    assert TOKEN[:16] not in refused.message and TOKEN[-16:] not in refused.message


def test_without_authentication_everybody_of_this_machine_is_let_in():
    assert judge(token=None) == Admitted("/mcp")
    assert status(judge(token=None, host="evil.example.com")) == 421


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_guess_gets_in(target, authorization):
    verdict = judge("/" + target, authorization=authorization)
    if isinstance(verdict, Admitted):
        assert verdict.path == "/"


GUEST = "fedcba9876543210fedcba9876543210fedcba98"


@pytest.mark.parametrize(
    ("target", "shown", "token", "wanted"),
    [
        ("/mcp", TOKEN, TOKEN, Admitted("/mcp", False)),
        ("/mcp", GUEST, TOKEN, Admitted("/mcp", True)),
        ("/" + GUEST + "/mcp", None, TOKEN, Admitted("/mcp", True)),
        ("/" + GUEST + "/mcp", TOKEN, TOKEN, Admitted("/mcp", True)),
        ("/" + TOKEN + "/mcp", GUEST, TOKEN, Admitted("/mcp", False)),
        ("/mcp", GUEST[::-1], TOKEN, 401),
        ("/mcp", None, TOKEN, 401),
        ("/mcp", GUEST, None, Admitted("/mcp", True)),
        ("/mcp", None, None, Admitted("/mcp", False)),
        ("/", GUEST, TOKEN, Admitted("/", False)),
    ],
)
def test_whoever_shows_the_gateways_token_is_a_guest(target, shown, token, wanted):
    admission = Admission(21344, token, ("/mcp", "/"), ("/",), guest_token=GUEST)
    headers = {} if shown is None else {"authorization": "Bearer " + shown}
    verdict = admission.judge(SimpleNamespace(target=target, headers=headers))
    assert (verdict.status if isinstance(verdict, Refused) else verdict) == wanted


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/v1/things/one", "/v1/things/"),
        ("/v1/things/one/?x=1", "/v1/things/"),
        ("/v1/things/%2Fa", "/v1/things/"),
        ("/v1/things", None),
        ("/v1/things/", None),
        ("/v1/things/one/two", None),
        ("/mcp/one", None),
    ],
)
def test_a_path_that_ends_with_a_slash_stands_for_what_is_one_segment_below(target, wanted):
    admission = Admission(21344, None, ("/mcp", "/", "/v1/things/"), ())
    verdict = admission.judge(SimpleNamespace(target=target, headers={}))
    assert getattr(verdict, "path", None) == wanted
