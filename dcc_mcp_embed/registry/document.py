"""The registry's file as text: bytes to rows and back. No input or output.

A row that nobody has changed is written as the very characters it was read as: numbers, key order
and fields that only its owner understands survive. Of a damaged file every row is kept that is
still whole.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from contextlib import suppress
from typing import Any, Dict, Iterable, List, NoReturn, Optional, Tuple

from ..records import NamedTuple
from . import rows

__all__ = ["Document", "Row", "parse", "render", "row_of"]

#: Rows that are believed; a thousand hosts would be many. Each costs some microseconds.
_ROWS = 100_000
#: Steps that the search for rows in a damaged file may take, each about a nanosecond. Sixteen
#: megabytes of ordinary rows need two thirds of them; a file that was made to need more gets no
#: more.
_BUDGET = 800_000_000
#: Steps of an attempt at a row as such, and of each character that it takes in. One that fails
#: also looks at all that is before it, at one step a character: its error counts lines.
_ATTEMPT, _CHARACTER = 3_000, 16
#: Steps of each string or bracket, besides one a character, in the look for depth before it.
_LOOK = 100
#: How deep a row may be; none of anybody's is deeper than three. Up to Python 3.8 a callback of the
#: garbage collector that comes when the stack is full ends the process, so the parser is not let
#: that far.
_DEPTH = 64
#: What is looked for in a text without escapes.
_TOKEN = re.compile(r'"[^"]*"?|[{}\[\]]')
#: Characters in which most rows end.
_PIECE = 4096
_STEP = {"{": 1, "[": 1, "}": -1, "]": -1}
_SPACE = re.compile(r"[ \t\r\n]*")
_BOMS = (
    # The longer first: the mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ("utf-16", "utf-32")


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
    """Return a row to be written. Raises ValueError unless every program can read it.

    One line per row: the fast encoder does not indent.
    """
    rows.check(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode("utf-8")
    return _row(text, value)


def _row(text: str, value: Dict[str, Any]) -> Row:
    return Row(text, value, None if rows.is_newer(value) else rows.key_of(value))


def render(all_rows: Iterable[Row]) -> bytes:
    """Return the file's content: a JSON array."""
    text = ",\n".join(row.text for row in all_rows)
    return ("[\n" + text + "\n]" if text else "[]").encode("utf-8")


def parse(data: bytes, budget: int = _BUDGET) -> Document:
    """Return what a file's content says; never raises. An empty file has no rows.

    ``budget``: how many steps may be spent on a damaged one, each about a nanosecond. The last
    attempt may take as many more as reading a valid file of this length does.
    """
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
        return _judge(_whole_array(text)) if text.strip() else Document()
    except _NewerLayout as error:
        return Document(newer=str(error))
    except (ValueError, RecursionError) as error:
        damage = str(error)
    # Bytes that are no text become surrogates here, and spoil the row they are in.
    found = _salvage(data.decode("utf-8", "surrogateescape"), budget)
    if not found and encoding in _WIDE:
        found = _salvage(data.decode(encoding, "replace"), budget)
    document = _judge(found, damage)
    return document if document.newer else document._replace(rows=_latest(found))


class _NewerLayout(Exception):
    """The file is valid, and not an array."""


def _whole_array(text: str) -> Tuple[Row, ...]:
    """Return the rows of a valid file. Raises ValueError, _NewerLayout."""
    position = _skip(text, 0)
    plain = _without_escapes(text)
    if text[position : position + 1] != "[":
        _demand_shallow(plain, position)
        value = json.loads(text, parse_constant=_no_constant)
        if isinstance(value, dict):
            raise _NewerLayout("its top level is an object, not an array")
        raise ValueError("its top level is {!r}, not an array".format(value)[:200])
    found: List[Row] = []
    position = _skip(text, position + 1)
    if text[position : position + 1] == "]":
        _at_end(text, position)
        return ()
    while True:
        if text[position : position + 1] != "{":
            raise ValueError("an object is missing at character {}".format(position))
        value, end = _scan_shallow(text, plain, position)
        found.append(_row(text[position:end], value))
        if len(found) > _ROWS:
            raise ValueError("it has more than {} rows".format(_ROWS))
        position = _skip(text, end)
        mark = text[position : position + 1]
        if mark == "]":
            _at_end(text, position)
            return tuple(found)
        if mark != ",":
            raise ValueError("a comma is missing at character {}".format(position))
        position = _skip(text, position + 1)


def _scan_shallow(text: str, plain: str, position: int) -> Tuple[Any, int]:
    """Return a value and its end. Raises ValueError, also if it is too deep."""
    piece = text[position : position + _PIECE]
    if piece.count("{") + piece.count("[") <= _DEPTH:
        # What ends there is not deep. To look at every string takes longer than to read them.
        with suppress(ValueError):
            value, length = _scan(piece)
            return value, position + length
    _demand_shallow(plain, position)
    return _scan(text, position)


def _without_escapes(text: str) -> str:
    """Return a text of the same length whose quotation marks all begin or end a string."""
    return text.replace("\\\\", "__").replace('\\"', "__")


def _demand_shallow(plain: str, position: int) -> None:
    # Each row of a valid file is looked at once: that has its end by itself.
    if not _look(plain, position, math.inf)[0]:
        raise ValueError("it is nested too deeply at character {}".format(position))


def _look(plain: str, position: int, budget: float) -> Tuple[bool, int]:
    """Return whether the value there is known not to be too deep, and the steps that it took."""
    depth = steps = looks = 0
    for token in _TOKEN.finditer(plain, position):
        looks += _LOOK
        steps = looks + token.end() - position
        depth += _STEP.get(plain[token.start()], 0)
        if depth <= 0:
            break
        if depth > _DEPTH or steps > budget:
            return False, steps
    return True, steps


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _at_end(text: str, position: int) -> None:
    if _skip(text, position + 1) != len(text):
        raise ValueError("something follows the array at character {}".format(position + 1))


def _salvage(text: str, budget: int) -> Tuple[Row, ...]:
    """Return every whole row in a damaged text, as far as the budget goes."""
    found: List[Row] = []
    strange: List[str] = []
    # Told apart from other failures, because it says how far the attempt went.
    scan = json.JSONDecoder(parse_constant=strange.append).raw_decode
    plain = _without_escapes(text)
    position = text.find("{")
    while position >= 0 and budget > 0:
        shallow, steps = _look(plain, position, budget)
        budget -= _ATTEMPT + steps
        whole, end = False, position
        if shallow:
            try:
                value, end = scan(text, position)
                whole = not strange
            except json.JSONDecodeError as error:
                # A text without an end is said to be where it begins.
                end = len(text) if error.msg.startswith("Unterminated") else error.pos
                budget -= end
            except (ValueError, RecursionError):
                # Too long a number, or no stack left: it may have been anywhere.
                end = len(text)
        strange.clear()
        budget -= (end - position) * _CHARACTER
        if whole and rows.key_of(value) is not None:
            if _is_text(text[position:end]):
                found.append(_row(text[position:end], value))
            position = text.find("{", end)
        else:
            # Perhaps an inner object is a row, and this one has lost its beginning or its end.
            position = text.find("{", position + 1)
    return tuple(found)


def _latest(found: Iterable[Row]) -> Tuple[Row, ...]:
    """Return one row per key: the one that beat last.

    A short array written over a longer one without cutting it leaves old rows behind the new.
    """
    latest: Dict[Optional[rows.Key], Row] = {}
    for row in found:
        other = latest.get(row.key)
        if other is None or _beat(other) < _beat(row):
            latest[row.key] = row
    return tuple(latest.values())


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _beat(row: Row) -> float:
    return rows.seconds_of(row.value.get("last_heartbeat")) or 0.0


def _judge(found: Tuple[Row, ...], damage: Optional[str] = None) -> Document:
    for row in found:
        if rows.is_newer(row.value):
            version = row.value["schema_version"]
            return Document(found, damage, "it has rows of schema {}".format(version))
    return Document(found, damage)
