"""The registry's file as text: bytes to rows and back. No input or output.

A row that nobody has changed is written as the very characters it was read as: numbers, key order
and fields that only its owner understands survive. Of a damaged file every row is kept that is
still whole.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Dict, Iterable, List, NamedTuple, NoReturn, Optional, Tuple

from . import rows

__all__ = ["Document", "Row", "parse", "render", "row_of"]

#: Attempts at finding a row in a damaged file. Each stands at a brace; a file of a thousand rows
#: has fewer, and one that was made to have more does not deserve the time.
_ATTEMPTS = 10_000
_SPACE = re.compile(r"[ \t\r\n]*")
_BOMS = (
    # The longer first: the mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Row(NamedTuple):
    """One row: its text as it stands in the file, and what that means; never changed.

    ``key`` is None for what we cannot read. Such a row is left as it is.
    """

    text: str
    value: Dict[str, Any]
    key: Optional[rows.Key]


class Document(NamedTuple):
    """What a file says. ``damage``: why it is not valid. ``newer``: why we must not write it."""

    rows: Tuple[Row, ...] = ()
    damage: Optional[str] = None
    newer: Optional[str] = None


def _no_constant(name: str) -> NoReturn:
    raise ValueError("{} is not JSON".format(name))


# Unlike json.loads, NaN and the infinities are refused: no other reader of the file knows them.
_scan = json.JSONDecoder(parse_constant=_no_constant).raw_decode


def row_of(value: Dict[str, Any]) -> Row:
    """Return a row to be written. One line per row: the fast encoder does not indent."""
    return _row(json.dumps(value, ensure_ascii=False, allow_nan=False), value)


def _row(text: str, value: Dict[str, Any]) -> Row:
    return Row(text, value, None if rows.is_newer(value) else rows.key_of(value))


def render(all_rows: Iterable[Row]) -> bytes:
    """Return the file's content: a JSON array."""
    text = ",\n".join(row.text for row in all_rows)
    return ("[\n" + text + "\n]" if text else "[]").encode("utf-8")


def parse(data: bytes) -> Document:
    """Return what a file's content says; never raises. An empty file has no rows."""
    text, damage = _decode(data)
    if not damage and not text.strip():
        return Document()
    if not damage:
        try:
            return _judge(_whole_array(text), None)
        except _NewerLayout as error:
            return Document(newer=str(error))
        except (ValueError, RecursionError) as error:
            damage = str(error)
    return _judge(_salvage(text), damage)


def _decode(data: bytes) -> Tuple[str, Optional[str]]:
    """Return the text and what was wrong with it; bytes that are no text become surrogates."""
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding), None
    except UnicodeDecodeError as error:
        if encoding == "utf-8-sig":
            data = data[len(codecs.BOM_UTF8) :]
        # "surrogateescape" cannot stand for half a unit of the wider ones.
        wide = encoding in ("utf-16", "utf-32")
        return data.decode(
            encoding if wide else "utf-8", "replace" if wide else "surrogateescape"
        ), str(error)


class _NewerLayout(Exception):
    """The file is valid, and not an array."""


def _whole_array(text: str) -> List[Row]:
    """Return the rows of a valid file. Raises ValueError, RecursionError, _NewerLayout."""
    position = _skip(text, 0)
    if text[position : position + 1] != "[":
        value = json.loads(text, parse_constant=_no_constant)
        if isinstance(value, dict):
            raise _NewerLayout("its top level is an object, not an array")
        raise ValueError("its top level is {!r}, not an array".format(value)[:200])
    found: List[Row] = []
    position = _skip(text, position + 1)
    if text[position : position + 1] == "]":
        _at_end(text, position)
        return found
    while True:
        value, end = _scan(text, position)
        if not isinstance(value, dict):
            raise ValueError("there is a row that is no object at character {}".format(position))
        found.append(_row(text[position:end], value))
        position = _skip(text, end)
        mark = text[position : position + 1]
        if mark == "]":
            _at_end(text, position)
            return found
        if mark != ",":
            raise ValueError("a comma is missing at character {}".format(position))
        position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _at_end(text: str, position: int) -> None:
    if _skip(text, position + 1) != len(text):
        raise ValueError("something follows the array at character {}".format(position + 1))


def _salvage(text: str) -> List[Row]:
    """Return every whole row in a damaged text; of two with one key, the one that beat last.

    (A short array written over a longer one without cutting it leaves old rows behind the new.)
    """
    found: Dict[rows.Key, Row] = {}
    position = 0
    for _ in range(_ATTEMPTS):
        position = text.find("{", position)
        if position < 0:
            break
        try:
            value, end = _scan(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        key = rows.key_of(value)
        if key is None:
            # Perhaps an inner object of a row that has lost its beginning or its end.
            position += 1
            continue
        row = _row(text[position:end], value)
        position = end
        other = found.get(key)
        if _is_text(row.text) and (other is None or _beat(other) < _beat(row)):
            found[key] = row
    return list(found.values())


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _beat(row: Row) -> float:
    return rows.seconds_of(row.value.get("last_heartbeat")) or 0.0


def _judge(found: List[Row], damage: Optional[str]) -> Document:
    newer = [row for row in found if rows.is_newer(row.value)]
    if newer:
        version = newer[0].value["schema_version"]
        return Document(tuple(found), damage, "it has rows of schema {}".format(version))
    return Document(tuple(found), damage)
