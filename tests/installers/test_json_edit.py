"""One member of a JSON text is changed and nothing else, in every layout and dialect."""

from __future__ import annotations

import json

import pytest
from dcc_mcp_embed.installers.json_edit import (
    JSONC,
    STRICT,
    WITH_COMMENTS,
    drop,
    get,
    is_empty,
    put,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError
from examples import examples
from fakes.texts import NAME, json_files

PATH = ("mcpServers", NAME)
ENTRY = {"command": "py", "args": ["-m", "x"], "env": {"A": "é"}}
DIALECTS = {"strict": STRICT, "comments": WITH_COMMENTS, "jsonc": JSONC}


def written(*lines):
    return "\n".join(lines)


# -- what it looks like -----------------------------------------------------------------------

LOOKS = {
    "no file": (
        "",
        written("{", '  "mcpServers": {', '    "dcc": [', "      1", "    ]", "  }", "}\n"),
    ),
    "an empty object": (
        "{}\n",
        written('{"mcpServers": {', '  "dcc": [', "    1", "  ]", "}}\n"),
    ),
    "no section": (
        written("{", '    "a": 1', "}"),
        written(
            "{",
            '    "a": 1,',
            '    "mcpServers": {',
            '        "dcc": [',
            "            1",
            "        ]",
            "    }",
            "}",
        ),
    ),
    "an empty section": (
        written("{", '  "mcpServers": {}', "}"),
        written("{", '  "mcpServers": {"dcc": [', "    1", "  ]}", "}"),
    ),
    "other servers": (
        written("{", '\t"mcpServers": {', '\t\t"a": 1', "\t}", "}"),
        written(
            "{", '\t"mcpServers": {', '\t\t"a": 1,', '\t\t"dcc": [', "\t\t\t1", "\t\t]", "\t}", "}"
        ),
    ),
    "one line": (
        '{"a": 1, "mcpServers": {"b": 2}}',
        '{"a": 1, "mcpServers": {"b": 2, "dcc": [1]}}',
    ),
    "a comment about the last server": (
        written("{", '  "mcpServers": {', '    "a": 1 // mine', "    // end", "  }", "}"),
        written(
            "{",
            '  "mcpServers": {',
            '    "a": 1, // mine',
            '    "dcc": [',
            "      1",
            "    ]",
            "    // end",
            "  }",
            "}",
        ),
    ),
    "a trailing comma": (
        written("{", '  "mcpServers": {', '    "a": 1,', "  },", "}"),
        written(
            "{",
            '  "mcpServers": {',
            '    "a": 1,',
            '    "dcc": [',
            "      1",
            "    ],",
            "  },",
            "}",
        ),
    ),
}


@pytest.mark.parametrize("case", LOOKS)
def test_what_is_put_in_looks_like_what_is_around_it(case):
    before, after = LOOKS[case]
    assert put(before, JSONC, PATH, [1]) == after


# -- properties -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=examples(50))
@given(data=st.data())
def test_putting_and_dropping_gives_back_the_same_text(name, data):
    dialect = DIALECTS[name]
    text, value = data.draw(json_files(dialect, "mcpServers"))
    after = put(text, dialect, PATH, ENTRY)
    assert get(after, dialect, PATH) == ENTRY
    assert drop(after, dialect, PATH) == text
    for other in value.get("mcpServers", {}):
        assert get(after, dialect, ("mcpServers", other)) == value["mcpServers"][other]


def test_a_comment_behind_what_is_dropped_does_not_become_part_of_the_one_before():
    text = '{"mcpServers": {// first\n"a": 1/* of\n a */,\n"b": 2}}'
    after = drop(text, JSONC, ("mcpServers", "a"))
    assert after == '{"mcpServers": {// first\n/* of\n a */\n"b": 2}}'
    assert get(after, JSONC, ("mcpServers", "b")) == 2


@given(json_files(STRICT, "mcpServers"))
def test_everything_else_says_what_it_said(drawn):
    expected = dict(drawn.value)
    expected["mcpServers"] = dict(expected.get("mcpServers", {}), dcc=ENTRY)
    after = put(drawn.text, STRICT, PATH, ENTRY)
    assert json.loads(after) == expected
    changed = put(after, STRICT, PATH, {"other": 1})
    expected["mcpServers"]["dcc"] = {"other": 1}
    assert json.loads(changed) == expected


@given(json_files(JSONC, "mcpServers"), st.data())
def test_what_is_dropped_may_stand_anywhere(drawn, data):
    servers = drawn.value.get("mcpServers", {})
    if not servers:
        return
    gone = data.draw(st.sampled_from(sorted(servers)))
    after = drop(drawn.text, JSONC, ("mcpServers", gone))
    assert get(after, JSONC, ("mcpServers", gone)) is None
    for other in set(servers) - {gone}:
        assert get(after, JSONC, ("mcpServers", other)) == servers[other]


def is_json(text):
    def never(name):
        raise ValueError(name)

    try:
        return isinstance(json.loads(text, parse_constant=never), dict)
    except (ValueError, RecursionError):
        return False


FRAGMENTS = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"',
    "1",
    "-",
    "null",
    "NaN",
    "\\",
    " ",
    "\n",
    "x",
]
FRAGMENTS += ["//", "/*", "*/", '{"a": 1}', '"b": [2],', "\u00a0", "\x00", "{}"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join))
@example('{"a": NaN}')
@example('{"a": 01}')
@example('{"a": "\t"}')
@example("[" * 100000)
def test_a_text_is_taken_if_it_is_json(text):
    if not text.strip(" \t\r\n"):
        return
    try:
        put(text, STRICT, PATH, ENTRY)
    except ConfigError:
        accepted = False
    else:
        accepted = True
    assert accepted == is_json(text)


BAD = {
    "a comment": ('{"a": 1 // x\n}', [STRICT]),
    "a trailing comma": ('{"a": 1,}', [STRICT, WITH_COMMENTS]),
    "a comma and nothing": ("{,}", list(DIALECTS.values())),
    "two commas": ('{"a": 1,,}', list(DIALECTS.values())),
    "a comma in an empty list": ('{"a": [,]}', list(DIALECTS.values())),
    "a comma in place of a value": ('{"a":,}', list(DIALECTS.values())),
    "a comment that does not end": ('{"a": 1} /*', list(DIALECTS.values())),
    "half a file": ('{"mcpServers": {', list(DIALECTS.values())),
    "two files": ("{}{}", list(DIALECTS.values())),
    "a list": ("[]", list(DIALECTS.values())),
    "a section that is a list": ('{"mcpServers": []}', list(DIALECTS.values())),
    "two sections": ('{"mcpServers": {}, "mcpServers": {}}', list(DIALECTS.values())),
    "two of that name": ('{"mcpServers": {"dcc": 1, "d\\u0063c": 2}}', list(DIALECTS.values())),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_parsed_or_means_two_things_is_refused(case):
    text, dialects = BAD[case]
    for dialect in dialects:
        with pytest.raises(ConfigError):
            put(text, dialect, PATH, 1)
        with pytest.raises(ConfigError):
            drop(text, dialect, PATH)


TOO_MUCH = [
    ('{"a": 1 // x\n}', STRICT, "comments"),
    ('/* http://x */ {"a": 1}', STRICT, "comments"),
    ('{"a": "//",}', STRICT, "a comma behind a last member"),
    ('{"a": 1, // x\n}', STRICT, "comments, a comma behind a last member"),
    ('{"a": 1, // x\n}', WITH_COMMENTS, "a comma behind a last member"),
    ('{"a": // x', STRICT, None),
    ("a // x", STRICT, None),
    ("{,}", STRICT, None),
    ("[] // x", STRICT, None),
]


@pytest.mark.parametrize(("text", "dialect", "named"), TOO_MUCH, ids=repr)
def test_it_is_said_that_only_comments_or_commas_are_in_the_way(text, dialect, named):
    for act in (lambda: put(text, dialect, PATH, 1), lambda: get(text, dialect, PATH)):
        with pytest.raises(ConfigError) as caught:
            act()
        found = str(caught.value).partition("It has ")[2]
        assert found.partition("; take")[0] == (named or "")


def test_a_comment_swallows_nothing():
    text = '{"mcpServers": {"a": 1 // x\n}}'
    after = put(text, JSONC, PATH, 2)
    assert get(after, JSONC, PATH) == 2
    assert drop(after, JSONC, PATH) == text
    text = '{"mcpServers": { // x\n"dcc": 2, "a": 1}}'
    assert get(drop(text, JSONC, PATH), JSONC, ("mcpServers", "a")) == 1


def test_a_comment_of_the_user_s_stays_when_an_entry_goes():
    text = '{"mcpServers": {\n  "dcc": 1 // mine\n}}'
    assert drop(text, JSONC, PATH) == '{"mcpServers": { // mine\n}}'


def test_lines_end_as_the_others_do():
    text = '{\r\n  "a": 1\r\n}\r\n'
    assert "\n" not in put(text, STRICT, PATH, ENTRY).replace("\r\n", "")


def test_a_file_that_says_nothing_is_empty():
    assert all(is_empty(text, JSONC) for text in ("", " \n", "{}", "{\n}\n"))
    assert not any(is_empty(text, JSONC) for text in ('{"a": 1}', "{} // mine", "{/**/}"))


def test_dropping_what_is_not_there_changes_nothing():
    for text in ("", "{}", '{"mcpServers": {}}', '{"mcpServers": {"a": 1}}'):
        assert drop(text, STRICT, PATH) == text
