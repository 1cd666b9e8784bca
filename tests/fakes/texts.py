"""Configuration files of all kinds, for properties: every layout and comment there may be."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, NamedTuple

from dcc_mcp_embed.installers.json_edit import Dialect
from dcc_mcp_embed.installers.toml_parse import parse
from hypothesis import strategies as st

from dcc_mcp_embed.errors import ConfigError

#: The entry that properties put in; no drawn text has it in its section.
NAME = "dcc"
_WORDS = ["a", "b", "mcpServers", "servers", "x y", "é\u2028", '"', "//", "/*", "}", ",", "\n", ""]
_COMMENTS = ["/**/", '/* , } " */', '// " } ,\n', "//\r\n", "/* a\n b */", "// // x\n"]
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(_WORDS),
    st.text(max_size=5),
)
_keys = st.one_of(st.sampled_from(_WORDS), st.text(max_size=3))
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)
_servers = st.dictionaries(_keys.filter(lambda key: key != NAME), _values, max_size=3)


class Drawn(NamedTuple):
    """A text and what it says."""

    text: str
    value: Dict[str, Any]


@st.composite
def json_files(draw: Callable[..., Any], dialect: Dialect, section: str) -> Drawn:
    """Draw a file in a dialect of JSON, with or without that section, laid out in some way."""
    value: Dict[str, Any] = draw(
        st.dictionaries(_keys.filter(lambda key: key != section), _values, max_size=3)
    )
    if draw(st.booleans()):
        members = [*value.items(), (section, draw(_servers))]
        value = dict(draw(st.permutations(members)))
    pieces: List[str] = []
    # Most files are laid out by a program; people lay out the rest as they like.
    if draw(st.booleans()):
        indent = draw(st.sampled_from([None, 1, 2, 4, "\t"]))
        text = json.dumps(value, indent=indent, ensure_ascii=draw(st.booleans()))
        text += draw(st.sampled_from(["", "\n", "\n\n"]))
        return Drawn(draw(st.sampled_from([text, text.replace("\n", "\r\n")])), value)

    def gap() -> None:
        pieces.append(draw(st.text(" \t\r\n", max_size=3)))
        if dialect.comments and draw(st.integers(0, 3)) == 0:
            pieces.append(draw(st.sampled_from(_COMMENTS)))
            pieces.append(draw(st.text(" \t\r\n", max_size=2)))

    def write(one: Any) -> None:
        if not isinstance(one, (dict, list)):
            pieces.append(json.dumps(one, ensure_ascii=draw(st.booleans())))
            return
        pieces.append("{" if isinstance(one, dict) else "[")
        gap()
        for number, key in enumerate(one):
            if number:
                pieces.append(",")
                gap()
            if isinstance(one, dict):
                pieces.append(json.dumps(key))
                gap()
                pieces.append(":")
                gap()
            write(one[key] if isinstance(one, dict) else key)
            gap()
        if one and dialect.trailing_commas and draw(st.booleans()):
            pieces.append(",")
            gap()
        pieces.append("}" if isinstance(one, dict) else "]")

    gap()
    write(value)
    gap()
    return Drawn("".join(pieces), value)


#: Statements that may stand in any table, each with a name of its own.
_PAIRS = [
    'text = "[mcp_servers.dcc]"',
    "literal = '# no comment'",
    'long = """\n[mcp_servers.dcc]\ncommand = "x"\n"""',
    "raw = '''\n[[mcp_servers]]\n'' '''",
    'list = [ # a comment\n  1, "]", [ ],\n]',
    "inline = { a = 1, b.c = 'x', d = [{ e = 2 }] }",
    'dotted.key . "with dots.in" = 0xF',
    "when = 1979-05-27T07:32:00Z   # then",
    "number = -1_000.5e+3",
    "  indented = true",
    '"quoted é" = inf',
]
_BETWEEN = ["", "  ", "# [mcp_servers.dcc]"]
_HEADERS = ["[a]", "[ b . c ]", "[[list]]", "[[list]]", '["d e"]  # why', "[mcp_servers]"]
_HEADERS += ["[mcp_servers.other]", '[mcp_servers."d.c"]', "[mcp_servers.other2.env]", "[mcp]"]


def is_toml(text: str) -> bool:
    """Return whether we take a text."""
    try:
        parse(text)
    except ConfigError:
        return False
    return True


@st.composite
def toml_files(draw: Callable[..., Any]) -> str:
    """Draw a TOML file that is valid and has no server of the name that properties use."""
    lines: List[str] = []

    def fill() -> None:
        for pair in draw(st.lists(st.sampled_from(_PAIRS), unique=True, max_size=3)):
            lines.append(pair)
            lines.extend(draw(st.lists(st.sampled_from(_BETWEEN), max_size=2)))

    fill()
    headers = draw(st.permutations(_HEADERS))[: draw(st.integers(0, 6))]
    if "[[list]]" in headers and any(line.startswith("list") for line in lines):
        headers = [header for header in headers if header != "[[list]]"]
    for header in headers:
        lines.append(header)
        fill()
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n", "\n\n\n", "  ", "\n# end"]))
    return draw(st.sampled_from([text, text.replace("\n", "\r\n")]))
