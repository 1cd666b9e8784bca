"""Read TOML 1.0 with the place of every statement; Python itself reads it from 3.11 only."""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Tuple, Union

from ..errors import ConfigError

__all__ = ["PAIR", "TABLE", "Literal", "Statement", "parse"]

#: Kinds of statements.
TABLE, ARRAY, PAIR = "table", "array of tables", "pair"

_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_BLANK = re.compile(r"[ \t]*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n{}]*)?(?:\r\n|\n|\Z)".format(_CONTROL))
_SPACE_IN_ARRAY = re.compile(r"(?:[ \t]|\r?\n|#[^\r\n{}]*(?=\r?\n))*".format(_CONTROL))
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\\r\n{}]|\\.)*)"'.format(_CONTROL))
_LITERAL = re.compile(r"'([^'\r\n{}]*)'".format(_CONTROL))
_LONG_BASIC = re.compile(
    r'"""(?:\r?\n)?((?:[^"\\\r{}]|\r\n|\\(?:.|\r?\n)|"{{1,2}}(?!"))*"{{0,2}})"""'.format(_CONTROL),
    re.DOTALL,
)
_LONG_LITERAL = re.compile(
    r"'''(?:\r?\n)?((?:[^'\r{}]|\r\n|'{{1,2}}(?!'))*'{{0,2}})'''".format(_CONTROL)
)
_ESCAPE = re.compile(
    r'\\(?:(["\\bfnrt])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([ \t]*\r?\n[ \t\r\n]*)|)'
)
_ESCAPES = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_DIGITS = r"[0-9](?:_?[0-9])*"
_DECIMAL = r"[+-]?(?:0|[1-9](?:_?[0-9])*)"
#: The first that fits; the longer ones stand first.
_SCALAR = re.compile(
    "|".join(
        (
            _DATE + r"(?:[Tt ]" + _TIME + r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?",
            _TIME,
            r"0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*",
            r"0o[0-7](?:_?[0-7])*",
            r"0b[01](?:_?[01])*",
            _DECIMAL + r"(?:\.{0})?(?:[eE][+-]?{0})?".format(_DIGITS),
            r"[+-]?(?:inf|nan)",
            r"true|false",
        )
    )
)

Path = Tuple[str, ...]


class Literal(str):
    """A value that is neither text, list nor table, as it is written."""


class Statement(NamedTuple):
    """A header or a pair of key and value.

    ``path`` is the whole name, ``start`` where its line begins, ``stop`` where the next line does.
    """

    kind: str
    path: Path
    start: int
    stop: int
    value: Any = None


class _Table:
    """What is known of one table while the text is read."""

    __slots__ = ("how", "items")

    def __init__(self, how: object) -> None:
        #: "implied" by a header below it, "header", "inline", or the header's number under which
        #: dotted keys made it.
        self.how = how
        self.items: Dict[str, Union[_Table, List[_Table], None]] = {}


def parse(text: str) -> List[Statement]:
    """Return the statements of a text in their order. Raises ConfigError for what is no TOML."""
    try:
        return _Parser(text).statements()
    except RecursionError:
        raise ConfigError("it is not valid: it is nested too deeply") from None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._root = _Table("header")

    def statements(self) -> List[Statement]:
        """Read everything."""
        found: List[Statement] = []
        table = self._root
        path: Path = ()
        number = 0
        while self._at < len(self._text):
            start = self._at
            self._skip(_BLANK)
            char = self._text[self._at : self._at + 1]
            if char == "[":
                number += 1
                kind, path = self._header()
                self._skip_line()
                table = self._open_array(path) if kind == ARRAY else self._open_table(path)
                found.append(Statement(kind, path, start, self._at))
            elif char in "#\r\n":
                self._skip_line()
            else:
                key, value, inner = self._pair()
                self._skip_line()
                self._assign(table, key, inner, number)
                found.append(Statement(PAIR, path + key, start, self._at, value))
        return found

    # The grammar.

    def _fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        raise ConfigError("it is not valid: {} in line {}".format(what, line))

    def _skip(self, pattern: Any) -> None:
        self._at = pattern.match(self._text, self._at).end()

    def _skip_line(self) -> None:
        match = _REST_OF_LINE.match(self._text, self._at)
        if match is None:
            self._fail("something unexpected")
        self._at = match.end()

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _header(self) -> Tuple[str, Path]:
        kind, end = (ARRAY, "]]") if self._take("[[") else (TABLE, "]")
        if kind == TABLE:
            self._take("[")
        self._skip(_BLANK)
        path = self._key()
        if not self._take(end):
            self._fail("a header that does not end")
        return kind, path

    def _key(self) -> Path:
        """Read a key with its dots, and the blanks behind it."""
        parts = []
        while True:
            match = _BARE_KEY.match(self._text, self._at)
            if match is not None:
                self._at = match.end()
                parts.append(match.group())
            else:
                parts.append(self._short_string())
            self._skip(_BLANK)
            if not self._take("."):
                return tuple(parts)
            self._skip(_BLANK)

    def _pair(self) -> Tuple[Path, Any, Optional[_Table]]:
        key = self._key()
        if not self._take("="):
            self._fail("a key without a value")
        self._skip(_BLANK)
        value, inner = self._value()
        return key, value, inner

    def _value(self) -> Tuple[Any, Optional[_Table]]:
        """Read a value; return it, and what is known of it if it is a table."""
        text, at = self._text, self._at
        if text.startswith("[", at):
            return self._array(), None
        if text.startswith("{", at):
            return self._inline_table()
        for opening, pattern, escapes in (
            ('"""', _LONG_BASIC, True),
            ("'''", _LONG_LITERAL, False),
        ):
            if text.startswith(opening, at):
                match = pattern.match(text, at)
                if match is None:
                    self._fail("a text that does not end")
                self._at = match.end()
                found: str = match.group(1)
                return (self._unescaped(found, True) if escapes else found), None
        if text[at : at + 1] in ('"', "'"):
            return self._short_string(), None
        match = _SCALAR.match(text, at)
        if match is None or text[match.end() : match.end() + 1].strip(" \t\r\n,]}#"):
            self._fail("an unknown value")
        self._at = match.end()
        return Literal(match.group()), None

    def _short_string(self) -> str:
        basic = _BASIC.match(self._text, self._at)
        match = basic or _LITERAL.match(self._text, self._at)
        if match is None:
            self._fail("something that is neither a key nor a value")
        self._at = match.end()
        return self._unescaped(match.group(1), False) if basic else match.group(1)

    def _unescaped(self, text: str, long: bool) -> str:
        def plain(match: Any) -> str:
            simple, short, wide, fold = match.groups()
            if simple:
                return _ESCAPES[simple]
            if fold and long:
                return ""
            number = int(short or wide or "d800", 16)
            if 0xD800 <= number < 0xE000 or number > 0x10FFFF:
                self._fail("an unknown escape")
            return chr(number)

        return _ESCAPE.sub(plain, text)

    def _array(self) -> List[Any]:
        self._at += 1
        values: List[Any] = []
        while True:
            self._skip(_SPACE_IN_ARRAY)
            if self._take("]"):
                return values
            values.append(self._value()[0])
            self._skip(_SPACE_IN_ARRAY)
            if not self._take(","):
                if self._take("]"):
                    return values
                self._fail("a list that does not end")

    def _inline_table(self) -> Tuple[Dict[str, Any], _Table]:
        self._at += 1
        table = _Table("inline")
        result: Dict[str, Any] = {}
        self._skip(_BLANK)
        if self._take("}"):
            return result, table
        while True:
            self._skip(_BLANK)
            key, value, inner = self._pair()
            self._assign(table, key, inner, -1)
            into = result
            for part in key[:-1]:
                into = into.setdefault(part, {})
            into[key[-1]] = value
            self._skip(_BLANK)
            if self._take("}"):
                return result, table
            if not self._take(","):
                self._fail("a table in braces that does not end")

    # What may be said when.

    def _twice(self, path: Path) -> NoReturn:
        raise ConfigError("it is not valid: {!r} stands twice".format(".".join(path)))

    def _walk(self, path: Path) -> _Table:
        """Return the table above the last part of a header."""
        table = self._root
        for part in path[:-1]:
            inner = table.items.setdefault(part, _Table("implied"))
            if isinstance(inner, list):
                inner = inner[-1]
            if inner is None or inner.how == "inline":
                self._twice(path)
            table = inner
        return table

    def _open_table(self, path: Path) -> _Table:
        table = self._walk(path).items.setdefault(path[-1], _Table("implied"))
        if not isinstance(table, _Table) or table.how != "implied":
            self._twice(path)
        table.how = "header"
        return table

    def _open_array(self, path: Path) -> _Table:
        tables = self._walk(path).items.setdefault(path[-1], [])
        if not isinstance(tables, list):
            self._twice(path)
        tables.append(_Table("header"))
        return tables[-1]

    def _assign(self, table: _Table, key: Path, inner: Optional[_Table], number: int) -> None:
        for part in key[:-1]:
            below = table.items.setdefault(part, _Table(number))
            if not isinstance(below, _Table) or below.how not in ("implied", number):
                self._twice(key)
            below.how = number
            table = below
        if key[-1] in table.items:
            self._twice(key)
        table.items[key[-1]] = inner
