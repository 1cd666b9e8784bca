"""Change one member of an object in a JSON text; every other character stays.

Putting a member into a text and dropping it again gives the text back as it was. For that the
layout says what there was before: an object that was made for the member stands on lines of its
own, one that was there and empty hugs it (``{}``) or has a blank line in front of it (a line break
between the braces).
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, List, NamedTuple, NoReturn, Optional, Tuple

from ..errors import ConfigError

__all__ = ["JSONC", "STRICT", "WITH_COMMENTS", "Dialect", "drop", "get", "is_empty", "put"]


class Dialect(NamedTuple):
    """What a program takes besides JSON."""

    comments: bool = False
    trailing_commas: bool = False


STRICT = Dialect()
WITH_COMMENTS = Dialect(comments=True)
JSONC = Dialect(comments=True, trailing_commas=True)

#: What may be in the way of reading a text, the least first; and what each field means in words.
_MORE = (WITH_COMMENTS, Dialect(trailing_commas=True), JSONC)
_IN_WORDS = ("comments", "a comma behind a last member")

_SPACE = " \t\r\n"
_DEFAULT_UNIT = "  "
_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(_STRING + r"|(?P<comment>//[^\r\n]*|/\*.*?\*/)", re.DOTALL)
_TRAILING = re.compile(_STRING + r"|(?P<comma>,)(?=[ \t\r\n]*[}\]])", re.DOTALL)
#: A line break and an indentation, nothing else.
_ONE_BREAK = re.compile(r"(?:\r\n|\r|\n)[ \t]*")
_BREAK = re.compile(r"\r\n|\r|\n")
_NOT_BREAK = re.compile(r"[^\r\n]")


class _Member(NamedTuple):
    """``start`` is where the key begins; the value is ``text[value_start:end]``."""

    key: str
    start: int
    value_start: int
    end: int


class _Object(NamedTuple):
    """An object in the text: ``text[start]`` is its brace, ``text[end - 1]`` the closing one."""

    start: int
    end: int
    members: List[_Member]


class _Span(NamedTuple):
    start: int
    end: int


def _no_constant(name: str) -> NoReturn:
    raise ValueError("{} is no JSON".format(name))


#: Numbers stay texts: they are only compared, and may be too long for Python.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


class _Document:
    """A JSON text with positions. Raises ConfigError for what is none in its dialect."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text = text
        self.comments: List[_Span] = []
        self._trailing: List[int] = []
        #: The text with blanks in place of comments, and of trailing commas too.
        self.uncommented = self._without_comments(text) if dialect.comments else text
        self.plain = self.uncommented
        if dialect.trailing_commas:
            self.plain = self._without_trailing_commas(self.uncommented)
        self.nl = next(iter(_BREAK.findall(text)), "\n")
        try:
            start = self._skip(0)
            self.value, end = _DECODER.raw_decode(self.plain, start)
            if self._skip(end) != len(self.plain):
                raise ValueError("something follows its end, at character {}".format(end))
            if not isinstance(self.value, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            # A RecursionError says nothing about the text.
            why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise ConfigError("it is not valid: {}".format(why)) from None
        self.root = self.object_at(start)

    def _without_comments(self, text: str) -> str:
        def blank(match: Any) -> str:
            found: str = match.group()
            if match.group("comment") is None:
                return found
            self.comments.append(_Span(*match.span()))
            return _NOT_BREAK.sub(" ", found)

        return _COMMENT.sub(blank, text)

    def _without_trailing_commas(self, text: str) -> str:
        def blank(match: Any) -> str:
            found: str = match.group()
            if match.group("comma") is None:
                return found
            before = match.start() - 1
            while before >= 0 and text[before] in _SPACE:
                before -= 1
            if before < 0 or text[before] in "{[,:":
                return found
            self._trailing.append(match.start())
            return " "

        return _TRAILING.sub(blank, text)

    def _skip(self, index: int) -> int:
        """Return where the next thing begins that is neither blank nor comment."""
        while index < len(self.plain) and self.plain[index] in _SPACE:
            index += 1
        return index

    def object_at(self, start: int) -> _Object:
        """Return the object whose brace is at ``start``; the text is known to be valid."""
        members: List[_Member] = []
        index = self._skip(start + 1)
        while self.plain[index] != "}":
            if self.plain[index] == ",":
                index = self._skip(index + 1)
            key, end = _DECODER.raw_decode(self.plain, index)
            value_start = self._skip(self._skip(end) + 1)
            _, end = _DECODER.raw_decode(self.plain, value_start)
            members.append(_Member(key, index, value_start, end))
            index = self._skip(end)
        return _Object(start, index + 1, members)

    def member(self, owner: _Object, key: str) -> Optional[_Member]:
        """Return the member called ``key``. Raises ConfigError if there are several."""
        found = [member for member in owner.members if member.key == key]
        if len(found) > 1:
            raise ConfigError("it has {!r} {} times".format(key, len(found)))
        return found[0] if found else None

    def find(self, path: Iterable[str]) -> Tuple[List[_Object], Optional[_Member]]:
        """Return the objects along ``path`` as far as they are there, and the last member."""
        owners, member = [self.root], None
        for key in path:
            if member is not None:
                if self.plain[member.value_start] != "{":
                    raise ConfigError("its {!r} is no object".format(member.key))
                owners.append(self.object_at(member.value_start))
            member = self.member(owners[-1], key)
            if member is None:
                break
        return owners, member

    def lead(self, index: int) -> str:
        """Return the blanks in front of ``index``."""
        start = index
        while start and self.text[start - 1] in _SPACE:
            start -= 1
        return self.text[start:index]

    def indent_of_line(self, index: int) -> str:
        """Return how the line that ``index`` stands in is indented."""
        start = max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1
        end = start
        while end < index and self.text[end] in " \t":
            end += 1
        return self.text[start:end]

    def unit(self) -> str:
        """Return what one step of indentation is here."""
        for member in self.root.members:
            own_line = _last_line(self.lead(member.start))
            if own_line:
                return own_line
        return _DEFAULT_UNIT

    def comma_after(self, member: _Member) -> Optional[int]:
        """Return where the comma behind a member is, a trailing one too."""
        index = member.end
        while self.uncommented[index] in _SPACE:
            index += 1
        return index if self.uncommented[index] == "," else None

    def comments_between(self, start: int, end: int) -> List[_Span]:
        """Return the comments that begin there."""
        return [span for span in self.comments if start <= span.start < end]

    def after_comments_of_line(self, index: int) -> int:
        """Return the end of what is said about ``index`` on its own line."""
        for span in self.comments:
            if span.start >= index and not self.text[index : span.start].strip(" \t"):
                index = span.end
        return index

    def ends_line_comment(self, index: int) -> bool:
        """Return whether what is put at ``index`` would be part of a comment."""
        return any(
            span.end == index and self.text.startswith("//", span.start) for span in self.comments
        )


def _last_line(lead: str) -> Optional[str]:
    """Return what stands in front of something on its line, None if it does not begin one."""
    parts = _BREAK.split(lead)
    return parts[-1] if len(parts) > 1 else None


def _rendered(value: Any, indent: Optional[str], unit: str, nl: str) -> str:
    """Return ``value`` as JSON in ASCII: in lines that go on at ``indent``, or in one."""
    if indent is None:
        return json.dumps(value)
    lines = json.dumps(value, indent=unit).split("\n")
    return (nl + indent).join(lines)


def _read(text: str, dialect: Dialect) -> _Document:
    """Return the document, or say what else is in it if that is all that is wrong."""
    try:
        return _Document(text, dialect)
    except ConfigError as error:
        for more in _MORE:
            if _is_valid(text, more):
                pairs = zip(_IN_WORDS, more, dialect)
                extra = [words for words, there, here in pairs if there and not here]
                said = "{}. It has {}; take that out first".format(error, ", ".join(extra))
                raise ConfigError(said) from None
        raise


def _is_valid(text: str, dialect: Dialect) -> bool:
    try:
        _Document(text, dialect)
    except ConfigError:
        return False
    return True


def get(text: str, dialect: Dialect, path: Tuple[str, ...]) -> Any:
    """Return the value at ``path``, None if there is none.

    Raises ConfigError, as all do here, for a text that is not valid or means two things; the
    message goes on after the name of the file.
    """
    if not text.strip(_SPACE):
        return None
    document = _read(text, dialect)
    owners, member = document.find(path)
    if member is None or len(owners) < len(path):
        return None
    try:
        return json.loads(document.plain[member.value_start : member.end])
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(str(error)) from None


def is_empty(text: str, dialect: Dialect) -> bool:
    """Return whether nothing is said: no member, no comment."""
    if not text.strip(_SPACE):
        return True
    document = _read(text, dialect)
    return not document.value and not document.comments


def put(text: str, dialect: Dialect, path: Tuple[str, ...], value: Any) -> str:
    """Return the text with ``value`` at ``path``; what is missing on the way is made."""
    if not text.strip(_SPACE):
        for key in reversed(path):
            value = {key: value}
        return _rendered(value, "", _DEFAULT_UNIT, "\n") + (text or "\n")
    document = _read(text, dialect)
    owners, member = document.find(path)
    depth = len(owners)
    if depth == len(path) and member is not None:
        indent = document.indent_of_line(member.start)
        new = _rendered(value, indent, document.unit(), document.nl)
        result = text[: member.value_start] + new + text[member.end :]
    else:
        made = depth < len(path)
        for key in reversed(path[depth:]):
            value = {key: value}
        result = _inserted(document, owners[-1], path[depth - 1], value, made)
    _check(document.value, _Document(result, dialect).value, path)
    return result


def _inserted(document: _Document, owner: _Object, key: str, value: Any, made: bool) -> str:
    """Put a member at the end of ``owner``. ``made``: its value is on lines of its own."""
    text, nl, unit = document.text, document.nl, document.unit()
    if owner.members:
        last = owner.members[-1]
        own_line = _last_line(document.lead(last.start))
        comma = document.comma_after(last)
        place = document.after_comments_of_line(last.end if comma is None else comma + 1)
        if own_line is not None:
            lead, indent = nl + own_line, own_line
        else:
            # Between two members, as between those that are there.
            lead = document.lead(last.start) if len(owner.members) > 1 else " "
            indent = document.indent_of_line(owner.start)
            if document.ends_line_comment(place):
                lead = nl + indent
        one_line = own_line is None and not made
        new = lead + _pair(key, value, None if one_line else indent, unit, nl)
        if comma is not None:
            return text[:place] + new + "," + text[place:]
        return text[: last.end] + "," + text[last.end : place] + new + text[place:]
    indent = document.indent_of_line(owner.start)
    inside = document.comments_between(owner.start, owner.end)
    place = inside[-1].end if inside else owner.start + 1
    rest = text[place : owner.end - 1]
    if _BREAK.search(rest):
        indent += unit
        # A blank line tells it from an object that was made for the member.
        lead = (nl if inside else nl + nl) + indent
    else:
        lead = " " if inside else ""
    return text[:place] + lead + _pair(key, value, indent, unit, nl) + text[place:]


def _pair(key: str, value: Any, indent: Optional[str], unit: str, nl: str) -> str:
    return "{}: {}".format(json.dumps(key), _rendered(value, indent, unit, nl))


def drop(text: str, dialect: Dialect, path: Tuple[str, ...]) -> str:
    """Return the text without the member at ``path``, and without the object made for it."""
    if not text.strip(_SPACE):
        return text
    document = _read(text, dialect)
    owners, member = document.find(path)
    if member is None or len(owners) < len(path):
        return text
    depth = len(path)
    while depth > 1 and _is_made(document, owners[depth - 1]):
        depth -= 1
        member = document.member(owners[depth - 1], path[depth - 1])
    assert member is not None
    result = _removed(document, owners[depth - 1], member)
    _check(document.value, _Document(result, dialect).value, path)
    return result


def _is_made(document: _Document, owner: _Object) -> bool:
    """Return whether an object looks as if it had been made for its only member."""
    if len(owner.members) != 1 or document.comma_after(owner.members[0]) is not None:
        return False
    only = owner.members[0]
    before = document.text[owner.start + 1 : only.start]
    after = document.text[only.end : owner.end - 1]
    return all(_ONE_BREAK.fullmatch(blank) for blank in (before, after))


def _removed(document: _Document, owner: _Object, member: _Member) -> str:
    text = document.text
    start = member.start - len(document.lead(member.start))
    cuts = [_Span(start, member.end)]
    comma = document.comma_after(member)
    position = owner.members.index(member)
    if comma is not None:
        cuts.append(_Span(comma, comma + 1))
    elif position:
        comma = document.plain.index(",", owner.members[position - 1].end)
        cuts.append(_Span(comma, comma + 1))
    left = text[member.end :]
    if comma is not None and comma >= member.end:
        # A comment may stand in front of the comma.
        left = text[member.end : comma] + text[comma + 1 :]
    if document.ends_line_comment(start) and not _BREAK.match(left.lstrip(" \t")):
        # What follows on the line must not become part of that comment.
        cuts[0] = _Span(member.start, member.end)
    for cut in sorted(cuts, reverse=True):
        text = text[: cut.start] + text[cut.end :]
    return text


def _check(before: Dict[str, Any], after: Dict[str, Any], path: Tuple[str, ...]) -> None:
    """Raise ConfigError unless both say the same but for what is at ``path``."""
    if _without(before, path) != _without(after, path):
        raise ConfigError("it could not be changed without touching something else in it")


def _without(value: Dict[str, Any], path: Tuple[str, ...]) -> Dict[str, Any]:
    inner = value.get(path[0])
    rest = {key: value[key] for key in value if key != path[0]}
    if len(path) > 1 and isinstance(inner, dict):
        inner = _without(inner, path[1:])
        if inner:
            rest[path[0]] = inner
    return rest
