"""Change one table ``[section.name]`` in a TOML text; every other character stays.

A new table is put at the end, behind a blank line, and goes together with it. If the last line of
the text did not end, the table's does not either: that is how dropping it knows.
"""

from __future__ import annotations

import re
from typing import Any, Collection, Dict, List, Mapping, Tuple

from ..errors import ConfigError
from .toml_parse import ARRAY, PAIR, TABLE, Literal, Path, Statement, parse

__all__ = ["drop", "get", "put", "rendered"]

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
#: What a basic string does not hold as it is; the rest beyond ASCII is escaped too.
_SPECIAL = re.compile(r"[^ !#-\[\]-~]")
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def rendered(value: Any) -> str:
    """Return a text, a list or a mapping as a TOML value in ASCII."""
    if isinstance(value, Literal):
        return value
    if isinstance(value, str):
        return '"{}"'.format(_SPECIAL.sub(_escaped, value))
    if isinstance(value, Mapping):
        pairs = ["{} = {}".format(_key(key), rendered(value[key])) for key in value]
        return "{{ {} }}".format(", ".join(pairs)) if pairs else "{}"
    return "[{}]".format(", ".join(rendered(item) for item in value))


def _escaped(match: Any) -> str:
    char: str = match.group()
    short = _SHORT.get(char)
    if short is not None:
        return short
    return ("\\u{:04X}" if ord(char) < 0x10000 else "\\U{:08X}").format(ord(char))


def _key(key: str) -> str:
    return key if _BARE.match(key) else rendered(str(key))


def _lines(value: Mapping[str, Any]) -> List[str]:
    return ["{} = {}".format(_key(key), rendered(value[key])) for key in value]


def get(text: str, path: Path) -> Any:
    """Return the table at ``path``, None if there is none; what is no text is a Literal.

    Raises ConfigError, as all do here, for a text that is no TOML; the message goes on after the
    name of the file.
    """
    return _value(parse(text), path)


def _value(statements: List[Statement], path: Path) -> Any:
    found: Any = None
    for statement in statements:
        deep = statement.path[: len(path)] == path
        above = path[: len(statement.path)] == statement.path
        if statement.kind == ARRAY and (deep or above):
            raise ConfigError("its {} is a list of tables".format(".".join(statement.path)))
        if deep:
            rest = statement.path[len(path) :]
            if not rest and statement.kind == PAIR:
                return statement.value
            found = {} if found is None else found
            into = found
            for part in rest if statement.kind == TABLE else rest[:-1]:
                into = into.setdefault(part, {})
            if statement.kind == PAIR:
                into[rest[-1]] = statement.value
        elif above and statement.kind == PAIR:
            inner = statement.value
            for part in path[len(statement.path) :]:
                inner = inner.get(part) if isinstance(inner, dict) else None
            return inner
    return found


def put(text: str, path: Path, value: Mapping[str, Any], own: Collection[str]) -> str:
    """Return the text with a table at ``path``.

    If there is one, its members that are called as in ``own`` are replaced, the others stay.
    """
    statements = parse(text)
    nl = "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"
    if _value(statements, path) is None:
        block = nl.join(["[{}]".format(".".join(map(_key, path))), *_lines(value)])
        ended = not text or text.endswith("\n")
        result = text + (nl if text else "") + ("" if ended else nl) + block + (nl if ended else "")
    else:
        headers = [one for one in statements if one.kind == TABLE and one.path == path]
        if not headers:
            raise ConfigError(
                "it writes {} in a way that is not changed here; take it out first".format(
                    ".".join(path)
                )
            )
        stop = headers[0].stop
        before = text[:stop] if text[:stop].endswith("\n") else text[:stop] + nl
        inner = [(*path, name) for name in own]
        after = _without(text, [one for one in statements if one.start >= stop], inner, stop)
        result = before + "".join(line + nl for line in _lines(value)) + after
        if not text.endswith("\n") and result.endswith(nl):
            result = result[: -len(nl)]
    _check(statements, result, path)
    return result


def drop(text: str, path: Path) -> str:
    """Return the text without the table at ``path``."""
    statements = parse(text)
    if _value(statements, path) is None:
        return text
    result = _without(text, statements, [path], 0)
    _check(statements, result, path)
    if get(result, path) is not None:
        raise ConfigError("it writes {} in a way that is not changed here".format(".".join(path)))
    return result


def _without(text: str, statements: List[Statement], paths: List[Path], start: int) -> str:
    """Return ``text[start:]`` without the statements about ``paths``."""
    cuts: List[Tuple[int, int]] = []
    inside = False
    for statement in statements:
        about = any(statement.path[: len(path)] == path for path in paths)
        if statement.kind == PAIR and inside:
            cuts[-1] = (cuts[-1][0], statement.stop)
            continue
        inside = about and statement.kind == TABLE
        if inside:
            cuts.append((_with_blank_line(text, statement, statements), statement.stop))
        elif about:
            cuts.append((statement.start, statement.stop))
    for begin, end in reversed(cuts):
        text = text[: max(begin, start)] + text[end:]
    return text[start:]


def _with_blank_line(text: str, header: Statement, statements: List[Statement]) -> int:
    """Return where what was put together with a table begins."""
    stop = header.stop
    for statement in statements[statements.index(header) + 1 :]:
        if statement.kind != PAIR:
            break
        stop = statement.stop
    before = _line_break_before(text, header.start)
    if stop == len(text) and not text.endswith("\n"):
        return _line_break_before(text, before)
    return before if text.endswith("\n", 0, before) else header.start


def _line_break_before(text: str, index: int) -> int:
    if text.endswith("\r\n", 0, index):
        return index - 2
    return index - 1 if text.endswith("\n", 0, index) else index


def _check(before: List[Statement], result: str, path: Path) -> None:
    """Raise ConfigError unless both say the same but for what is at ``path``."""
    try:
        after = parse(result)
    except ConfigError:
        raise ConfigError(
            "it writes {} in a way to which nothing can be added here".format(path[0])
        ) from None
    if _others(before, path) != _others(after, path):
        raise ConfigError("it could not be changed without touching something else in it")


def _others(statements: List[Statement], path: Path) -> List[Dict[str, Any]]:
    return [
        {"kind": one.kind, "path": one.path, "value": one.value}
        for one in statements
        if one.path[: len(path)] != path
    ]
