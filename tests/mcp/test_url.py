"""Where a server is: what URLs say, what is none, and where references lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError
from dcc_mcp_embed.mcp.url import Url, joined, parse

GOOD = [
    ("http://127.0.0.1:8000/mcp", Url(False, "127.0.0.1", 8000, "/mcp"), "127.0.0.1:8000"),
    ("http://h", Url(False, "h", 80, "/"), "h"),
    ("http://h:80/", Url(False, "h", 80, "/"), "h"),
    ("http://h:443/", Url(False, "h", 443, "/"), "h:443"),
    ("https://h/a?b=c&d", Url(True, "h", 443, "/a?b=c&d"), "h"),
    ("https://h:80", Url(True, "h", 80, "/"), "h:80"),
    ("HTTPS://Some.Host:8443/A%20b", Url(True, "some.host", 8443, "/A%20b"), "some.host:8443"),
    ("http://[::1]:9/x", Url(False, "::1", 9, "/x"), "[::1]:9"),
    ("https://[2001:DB8::1]", Url(True, "2001:db8::1", 443, "/"), "[2001:db8::1]"),
    ("http://h:/x", Url(False, "h", 80, "/x"), "h"),
    ("http://h?q", Url(False, "h", 80, "/?q"), "h"),
    ("http://h/a;b?", Url(False, "h", 80, "/a;b"), "h"),
    ("http://h/x#part", Url(False, "h", 80, "/x"), "h"),
    ("http://a_b.c/", Url(False, "a_b.c", 80, "/"), "a_b.c"),
]

BAD = [
    *("", "x", "127.0.0.1:8000/mcp", "//h/x", "http:/h", "http:///x", "ftp://h/", "file:///x"),
    *("http://h:99999/", "http://h:0/", "http://h:x/", "http://h:8_0/", "http://h:+80/"),
    *("http://h:-1/", "http://[::1/", "http://::1/", "http://[h]/", "http://[::1]x/"),
    *("http://u@h/", "http://u:p@h/", "http://@h/", "http://h\\@other/", "http://h h/"),
    *(" http://h/", "http://h/\n", "http://h/\tx", "http://h/\u00fc", "http://\u00fc/"),
    *("http://h%41/", "ht\ntp://h/", "http://h:80:80/", "http://<h>/"),
]


@pytest.mark.parametrize(("url", "expected", "authority"), GOOD, ids=lambda value: str(value)[:30])
def test_what_a_url_says(url, expected, authority):
    found = parse(url)
    assert found == expected
    assert found.authority == authority
    assert parse(str(found)) == found


@pytest.mark.parametrize("url", [*BAD, None, 5, b"http://h/"], ids=repr)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ConfigError, match="is not a URL like http://"):
        parse(url)


@pytest.mark.parametrize(
    "url", ["http://me:secret@h/", "http://secret@h:x/", "http://a@secret@h", "ftp://me:secret@h"]
)
def test_a_password_is_not_shown(url):
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


def test_a_long_one_is_shown_in_short():
    with pytest.raises(ConfigError) as caught:
        parse("x" * 10_000)
    assert len(str(caught.value)) < 400


BASE = parse("http://h:8000/a/mcp?q=1")


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("/mcp/", "/mcp/"),
        ("x", "/a/x"),
        ("../x", "/x"),
        ("?r=2", "/a/mcp?r=2"),
        ("http://h:8000/x", "/x"),
        ("HTTP://H:8000", "/"),
        ("//h:8000/x", "/x"),
        ("/messages/?session_id=abc", "/messages/?session_id=abc"),
    ],
)
def test_a_reference_within_the_origin(reference, target):
    found = joined(BASE, reference)
    assert found is not None
    assert (found.origin, found.target) == (BASE.origin, target)


@pytest.mark.parametrize(
    "reference",
    [
        *("https://h:8000/x", "http://h/x", "http://h:8001/", "http://other:8000/x", "//other/x"),
        *("http://h.other:8000/", "http://[::1]:8000/"),
    ],
)
def test_a_reference_to_another_origin_is_seen_to_be_one(reference):
    found = joined(BASE, reference)
    assert found is not None and found.origin != BASE.origin


@pytest.mark.parametrize(
    "reference",
    ["", "ftp://h:8000/", "http://u@h:8000/x", "http://[", "javascript:x", "a b", "http://h:x/"],
)
def test_a_reference_to_nowhere(reference):
    assert joined(BASE, reference) is None


hosts = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True) | st.ip_addresses(
    v=6
).map(lambda found: found.compressed)
targets = st.from_regex(
    r"/([!$&-.0-;=@-Z_a-z~]|/[!$&-.0-;=@-Z_a-z~])*(\?[!-\"$-~]+)?", fullmatch=True
)


@given(st.booleans(), hosts, st.integers(1, 65535), targets)
def test_a_url_is_read_as_it_is_written(secure, host, port, target):
    url = Url(secure, host, port, target)
    assert parse(str(url)) == url
    assert joined(BASE, str(url)) is not None


@given(
    st.text(max_size=40) | st.text("hpt:/[]@?#.0123456789a%\\", max_size=30).map("http://".__add__)
)
def test_whatever_it_is_it_is_read_or_refused(text):
    try:
        found = parse(text)
    except ConfigError:
        return
    assert parse(str(found)) == found
    assert 0 < found.port < 65536 and found.host and found.target.startswith("/")
    assert "@" not in found.authority
