"""The registry's file, read only: bytes to rows by the rules of ``registry/``, none of its code.

What a program that crashed or two that wrote at once leave behind is no reason to know nothing: of
a damaged file every row is taken that is still whole, and it is said that it is damaged.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat

from .exclusive import open_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional, Tuple

    Row = Dict[str, Any]
    Key = Optional[Tuple[str, str]]

__all__ = ["FILE", "Found", "key_of", "moment", "parse", "read"]

FILE = "services.json"
#: Bytes; what is longer is damaged. A registry of a thousand hosts has an eighth.
_LIMIT = 16 * 1024 * 1024
#: Rows that are believed.
_ROWS = 100_000
#: Levels of JSON in one row; nobody's has more than three.
_DEPTH = 64
#: What the search in a damaged file may cost, each about a nanosecond, and what costs how much: a
#: string or bracket, a row that is tried, each of its characters.
_BUDGET, _TOKEN_COST, _TRY_COST, _CHARACTER_COST = 800_000_000, 100, 3_000, 16
#: Seconds between looks at a file that is damaged or held: somebody may be writing it right now.
_RETRIES = (0.005, 0.010, 0.015, 0.020)
#: What opening a link without following it ends in; the second on BSD.
_LINK = (errno.ELOOP, errno.EMLINK)
#: The newest ``schema_version`` whose meaning we know; a missing one counts as it.
_SCHEMA = 1
_BLANK = re.compile(r"[ \t\r\n]*")
#: In a text without escapes: a string, perhaps without an end, or a bracket.
_TOKEN = re.compile(r'"[^"]*"?|[{}\[\]]')
_STEP = {"{": 1, "[": 1, "}": -1, "]": -1}
#: Marks of encodings; the one of UTF-32 begins with that of UTF-16, so it stands before it.
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_UUID = re.compile(
    r"(?:urn:uuid:|(?P<brace>\{))?"
    r"([0-9a-f]{8})(?P<hyphen>-?)([0-9a-f]{4})(?P=hyphen)([0-9a-f]{4})(?P=hyphen)"
    r"([0-9a-f]{4})(?P=hyphen)([0-9a-f]{12})(?(brace)\})",
    re.IGNORECASE,
)
_U64, _U32 = 2**64 - 1, 2**32 - 1


class Found:
    """What a file says. ``rows``: (key, row) in the file's order, one for each key.

    A key is (dcc_type, instance id as lower-case UUID); None for a row of a valid file that has
    none and cannot be addressed. ``damage``: why the file is not valid, if so. ``newer``: that a
    newer program wrote it, if so; rows that only such a program understands are left out.
    """

    def __init__(
        self,
        rows: List[Tuple[Key, Row]],
        damage: Optional[str] = None,
        newer: Optional[str] = None,
    ) -> None:
        self.rows = rows
        self.damage = damage
        self.newer = newer


def read(directory: str, sleep: Callable[[float], None]) -> Found:
    """Return what the file in ``directory`` says; no rows where there is none. Raises OSError.

    Takes no lock. A damaged file is looked at again, for 50 ms in all: others than us overwrite it.
    Only then it is searched for rows, which takes up to a second of computing, two in UTF-16.
    """
    path = os.path.join(directory, FILE)
    before: Optional[bytes] = None
    try:
        for pause in _RETRIES:
            try:
                data = _content(path)
            except PermissionError:
                # Windows, while another process replaces it; elsewhere it stays like that.
                if os.name != "nt":
                    raise
            else:
                if data != before:
                    found = parse(data, budget=0)
                    if found.damage is None:
                        return found
                before = data
            sleep(pause)
        return parse(_content(path))
    except _NoFile as error:
        return Found([], damage=str(error))


class _NoFile(Exception):
    """What has the file's name is something else."""


def _content(path: str) -> bytes:
    """Return the file's bytes, none of one that is not there. Raises OSError, _NoFile."""
    try:
        handle = open_plain(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if error.errno in _LINK:
            raise _NoFile("it is a link") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _NoFile("it is not a file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(_LIMIT)
    finally:
        os.close(handle)


def parse(data: bytes, budget: int = _BUDGET) -> Found:
    """Return what a file's content says; never raises. An empty file has no rows.

    ``budget``: how many steps the search in a damaged one may take; with 0 there is none.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
        rows = list(_rows_of(text)) if text.strip() else []
    except _NewerLayout as error:
        return Found([], newer=str(error))
    except (ValueError, RecursionError) as error:
        damage = str(error)
    else:
        return Found(_last_of_each(rows), None, _newer(rows))
    # Bytes that are no text become surrogates here, and spoil the row they are in.
    rows = list(_search(data.decode("utf-8", "surrogateescape"), budget))
    if not rows and encoding in ("utf-16", "utf-32"):
        rows = list(_search(data.decode(encoding, "replace"), budget))
    newer = _newer(rows)
    return Found(_last_of_each(rows) if newer else _youngest_of_each(rows), damage, newer)


class _NewerLayout(Exception):
    """The file is valid, and not an array."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError("{} is not JSON".format(name))


# Not as json.loads does by itself: no other reader of the file knows NaN and the infinities.
_value_of = json.JSONDecoder(parse_constant=_no_constant).decode


def _rows_of(text: str) -> Iterator[Row]:
    """Yield the rows of a valid file. Raises ValueError, RecursionError, _NewerLayout."""
    plain = _without_escapes(text)
    at = _after_blanks(text, 0)
    if text[at] != "[":
        if text[at] == "{":
            _end_of(plain, at)
        if isinstance(_value_of(text), dict):
            raise _NewerLayout("its top level is an object, not an array")
        raise ValueError("its top level is not an array")
    count = 0
    at = _after_blanks(text, at + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        if text[at : at + 1] != "{":
            raise ValueError("an object is missing at character {}".format(at))
        end = _end_of(plain, at)
        yield _value_of(text[at:end])
        count += 1
        if count > _ROWS:
            raise ValueError("it has more than {} rows".format(_ROWS))
        at = _after_blanks(text, end)
        closed = text[at : at + 1] == "]"
        if not closed:
            if text[at : at + 1] != ",":
                raise ValueError("a comma is missing at character {}".format(at))
            at = _after_blanks(text, at + 1)
    if _after_blanks(text, at + 1) != len(text):
        raise ValueError("something follows the array at character {}".format(at + 1))


def _without_escapes(text: str) -> str:
    """Return a text of the same length whose quotation marks all begin or end a string."""
    return text.replace("\\\\", "__").replace('\\"', "__")


def _after_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _end_of(plain: str, at: int) -> int:
    """Return where the object that begins there ends. Raises ValueError."""
    end, _cost = _span(plain, at, float("inf"))
    if end is None:
        raise ValueError("what begins at character {} has no end, or is too deep".format(at))
    return end


def _span(plain: str, at: int, budget: float) -> Tuple[Optional[int], int]:
    """Return where the value there ends, None if it does not or is too deep, and the cost."""
    depth = cost = 0
    for tokens, token in enumerate(_TOKEN.finditer(plain, at), 1):
        cost = tokens * _TOKEN_COST + token.end() - at
        depth += _STEP.get(plain[token.start()], 0)
        if depth == 0:
            return token.end(), cost
        if depth > _DEPTH or cost > budget:
            return None, cost
    return None, cost


def _search(text: str, budget: int) -> Iterator[Row]:
    """Yield every whole row in a damaged text, as far as the budget goes."""
    plain = _without_escapes(text)
    at = text.find("{")
    while at >= 0 and budget > 0:
        end, cost = _span(plain, at, budget)
        budget -= _TRY_COST + cost
        row = None
        if end is not None:
            budget -= (end - at) * _CHARACTER_COST
            row = _row_in(text[at:end])
        if row is not None and end is not None:
            if _is_text(text[at:end]):
                yield row
            at = text.find("{", end)
        else:
            # Perhaps an inner object is a row, and this one has lost its beginning or its end.
            at = text.find("{", at + 1)


def _row_in(text: str) -> Optional[Row]:
    try:
        value = _value_of(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and key_of(value) is not None else None


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _newer(rows: List[Row]) -> Optional[str]:
    for row in rows:
        if _is_newer(row):
            return "it has rows of schema {}".format(row["schema_version"])
    return None


def _is_newer(row: Row) -> bool:
    version = row.get("schema_version", _SCHEMA)
    return isinstance(version, (int, float)) and version > _SCHEMA


def _last_of_each(rows: List[Row]) -> List[Tuple[Key, Row]]:
    """Return one row for each key, the last, where the first stood; those without key as well."""
    places: Dict[Key, int] = {}
    listed: List[Tuple[Key, Row]] = []
    for row in rows:
        if _is_newer(row):
            continue
        key = key_of(row)
        if key is not None and key in places:
            listed[places[key]] = (key, row)
            continue
        if key is not None:
            places[key] = len(listed)
        listed.append((key, row))
    return listed


def _youngest_of_each(rows: List[Row]) -> List[Tuple[Key, Row]]:
    """Return one row for each key, the one that beat last.

    A short array written over a longer one without cutting it leaves old rows behind the new.
    """
    youngest: Dict[Key, Row] = {}
    for row in rows:
        key = key_of(row)
        other = youngest.get(key)
        if other is None or _last_heartbeat(other) < _last_heartbeat(row):
            youngest[key] = row
    return list(youngest.items())


def _last_heartbeat(row: Row) -> float:
    return moment(row.get("last_heartbeat")) or 0.0


def key_of(row: Row) -> Key:
    """Return a row's key; None for a row that cannot be addressed."""
    kind, ident = row.get("dcc_type"), row.get("instance_id")
    if not isinstance(kind, str) or not isinstance(ident, str):
        return None
    found = _UUID.fullmatch(ident)
    return (kind, "-".join(found.group(2, 4, 5, 6, 7)).lower()) if found else None


def moment(value: object) -> Optional[float]:
    """Return seconds since the epoch of a row's timestamp: the object, or a bare number.

    None for what is no moment, among it a number that no reader has room for.
    """
    if isinstance(value, dict):
        whole, nanos = value.get("secs_since_epoch"), value.get("nanos_since_epoch", 0)
        if _fits(whole, _U64) and _fits(nanos, _U32):
            return float(whole + nanos / 1e9)
        return None
    return float(value) if _fits(value, _U64) else None  # type: ignore[arg-type]


def _fits(value: Any, limit: int) -> bool:
    # Compared before it is converted: a whole number may be longer than any float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= limit
