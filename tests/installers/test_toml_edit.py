"""TOML is read as Python 3.11 and newer read it, and one table is changed and nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from dcc_mcp_embed.installers.toml_edit import drop, get, put, rendered
from dcc_mcp_embed.installers.toml_parse import Literal, parse
from hypothesis import example, given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError
from fakes.texts import is_toml, toml_files

PATH = ("mcp_servers", "dcc")
ENTRY = {
    "command": "C:\\py \u00e9\x07",
    "args": ["-m", '"x"'],
    "env": {"A B": "1", "C": "\U0001f600"},
}
OWN = ("command", "args", "env", "url")


@given(toml_files())
def test_putting_and_dropping_gives_back_the_same_text(text):
    after = put(text, PATH, ENTRY, OWN)
    assert after.startswith(text)
    assert get(after, PATH) == ENTRY
    assert drop(after, PATH) == text


LATER = ["[later]\nx = 1\n", "\n[[later]]\n", "# about it\n[later.still]", "\n\n# the end"]


@given(toml_files(), st.sampled_from(LATER))
def test_what_is_added_later_stays(text, later):
    if text.endswith("\n"):
        assert drop(put(text, PATH, ENTRY, OWN) + later, PATH) == text + later


FRAGMENTS = [
    "a",
    "b.c",
    '"d"',
    "''",
    " = ",
    "=",
    "1",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
]
FRAGMENTS += [
    "# c",
    '"x\\n"',
    '"""',
    "'''",
    "\\",
    '"',
    "true",
    "1979-05-27",
    "07:32:00",
    "0x1F",
    "1_0",
]
FRAGMENTS += ["+", "inf", ".5", "e3", "\t", " ", "\r", "\x01", "é", "\\u00e9", "\\ud800", "a = 1\n"]
FRAGMENTS += ["[a]\n", "[a.b]\n", "[[a]]\n", "a.b = 1\n", "a = {b = 1}\n", "a = {}\n", "a = []\n"]

if sys.version_info >= (3, 11):
    import tomllib

    def plain(value: Any) -> Any:
        """Return a value of tomllib as ours: what is no text, list or table is not compared."""
        if isinstance(value, dict):
            return {key: plain(value[key]) for key in value}
        if isinstance(value, list):
            return [plain(one) for one in value]
        return _one_break(value) if isinstance(value, str) else None

    def ours(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ours(value[key]) for key in value}
        if isinstance(value, list):
            return [ours(one) for one in value]
        return None if isinstance(value, Literal) else _one_break(value)

    def _one_break(text: str) -> str:
        # How a line ends inside a text is left open by TOML.
        return text.replace("\r\n", "\n")

    def agree(text):
        try:
            expected = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            assert not is_toml(text), text
            return
        statements = parse(text)
        if not any(one.kind == "array of tables" for one in statements):
            for key in expected:
                assert ours(get(text, (key,))) == plain(expected[key]), text

    @given(st.lists(st.sampled_from(FRAGMENTS), max_size=10).map("".join))
    @example("a = " + "[" * 100000)
    def test_a_text_is_taken_if_it_is_toml(text):
        agree(text)

    @given(toml_files(), st.data())
    def test_a_text_with_a_slip_is_taken_if_it_is_still_toml(text, data):
        at = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(at, min(len(text), at + 3)))
        agree(text[:at] + data.draw(st.sampled_from(["", *FRAGMENTS])) + text[stop:])

    @given(st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
    def test_what_is_written_is_read_back(value):
        assert tomllib.loads("x = " + rendered(value)) == {"x": value}

    @given(toml_files())
    def test_everything_else_says_what_it_said(text):
        expected = tomllib.loads(text)
        expected.setdefault("mcp_servers", {})["dcc"] = ENTRY
        assert tomllib.loads(put(text, PATH, ENTRY, OWN)) == expected


VALID = {
    "strings": 'a = "\\u00e9\\""\nb = \'c:\\x\'\n'
    "c = \"\"\"\n x\\\n   y\"\"\"\"\"\nd = '''''x'''''\n",
    "numbers": "a = [0, -0, +1_0, 0xAf_0, 0o7, 0b1, 1e5, 6.2_5e-3, inf, -nan]\n",
    "dates": "a = 1979-05-27T07:32:00.5-07:00\nb = 1979-05-27 07:32:00\n"
    "c = 07:32:00\nd = 1979-05-27\n",
    "subtable of dotted keys": "[f]\na.b = 1\n[f.a.c]\nx = 1\n",
    "a table after its subtable": "[a.b]\n[a]\nc = 1\n",
    "tables in a list": "[[a]]\nb.c = 1\n[a.d]\n[[a]]\nb.c = 1\n[a.d]\n",
    "no end of line": "a = 1",
}
INVALID = {
    "a key twice": "a = 1\na = 2\n",
    "a table twice": "[a]\n[a]\n",
    "a table that dotted keys made": "[f]\na.b = 1\n[f.a]\n",
    "dotted keys into a table": "[a.b]\n[a]\nb.c = 1\n",
    "a table over a value": "a = 1\n[a]\n",
    "a table in braces, added to": "a = {b = 1}\n[a.c]\n",
    "dotted keys in braces, added to": "a = {b.c = 1}\n[a.b.d]\n",
    "braces in braces, added to": "a = {b = {c.d = 1}, b.c.e = 2}\n",
    "a list, added to": "a = []\n[[a]]\n",
    "leading zero": "a = 01\n",
    "no value": "a =\n",
    "two on a line": "a = 1 b = 2\n",
    "open string": 'a = "x\n',
    "open text": 'a = """x\n',
    "open list": "a = [1,\n",
    "comma in braces": "a = {b = 1,}\n",
    "line break in braces": "a = {b = 1,\n c = 2}\n",
    "half a pair of surrogates": 'a = "\\ud800"\n',
    "a return alone": "a = 1\rb = 2\n",
    "a control character": "a = 1 # \x07\n",
    "thirteenth month": "a = 1979-13-01\n",
    "half a header": "[a\n",
    "spaces in a header": "[[a] ]\n",
}


@pytest.mark.parametrize("case", VALID)
def test_toml_is_taken(case):
    assert parse(VALID[case])


@pytest.mark.parametrize("case", INVALID)
def test_what_is_no_toml_is_refused(case):
    for change in (lambda text: put(text, PATH, ENTRY, OWN), lambda text: drop(text, PATH)):
        with pytest.raises(ConfigError):
            change(INVALID[case])


def test_texts_are_read():
    assert get(VALID["strings"], ("a",)) == 'é"'
    assert get(VALID["strings"], ("b",)) == "c:\\x"
    assert get(VALID["strings"], ("c",)) == ' xy""'
    assert get(VALID["strings"], ("d",)) == "''x''"


#: As Codex writes it itself, with something of the user's.
THEIRS = """model = "m"

[mcp_servers.dcc]
command = "old" # why
tool_timeout_sec = 600
args = [
  "x",
]

# the next one

[mcp_servers.dcc.env]
A = "1"

[mcp_servers.dcc.tools.x]
approval_mode = "approve"

[tui]
a = 1
"""


def test_what_the_user_has_set_in_the_table_stays():
    after = put(THEIRS, PATH, {"command": "new", "args": ["y"], "env": {"B": "2"}}, OWN)
    assert after == THEIRS.replace(
        'command = "old" # why\ntool_timeout_sec = 600\nargs = [\n  "x",\n]\n',
        'command = "new"\nargs = ["y"]\nenv = { B = "2" }\ntool_timeout_sec = 600\n',
    ).replace('\n[mcp_servers.dcc.env]\nA = "1"\n', "")


def test_everything_of_the_table_goes():
    after = drop(THEIRS, PATH)
    assert after == 'model = "m"\n\n# the next one\n\n[tui]\na = 1\n'


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { a = { command = "x" } }\n',
        "mcp_servers = 1\n",
        "[[mcp_servers]]\n",
        "[[mcp_servers.dcc]]\n",
        '[mcp_servers]\ndcc = { command = "x" }\n',
        'mcp_servers.dcc.command = "x"\n',
    ],
)
def test_a_form_to_which_nothing_can_be_added_is_refused(text):
    with pytest.raises(ConfigError):
        put(text, PATH, ENTRY, OWN)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('[mcp_servers]\na.b = 1\ndcc = { command = "x" }\n', "[mcp_servers]\na.b = 1\n"),
        ('mcp_servers.dcc.command = "x"\nb = 1\n', "b = 1\n"),
        ('a = 1\n[mcp_servers.dcc]\ncommand = "x"', "a = 1"),
        ('[mcp_servers.dcc]\r\ncommand = "x"\r\n', ""),
        ('a = 1\n[mcp_servers.dcc]\ncommand = "x"\n[b]\n', "a = 1\n[b]\n"),
    ],
)
def test_other_forms_are_dropped_too(text, after):
    assert drop(text, PATH) == after


def test_lines_end_as_the_others_do():
    after = put("a = 1\r\n", PATH, ENTRY, OWN)
    assert "\n" not in after.replace("\r\n", "")
    assert "\n" not in put(after, PATH, {"url": "x"}, OWN).replace("\r\n", "")


def test_a_form_that_cannot_be_dropped_is_refused():
    with pytest.raises(ConfigError):
        drop('mcp_servers = { dcc = { command = "x" } }\n', PATH)
