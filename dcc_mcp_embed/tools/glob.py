"""Shell patterns that cannot be made slow.

``fnmatch`` turns a pattern into a regular expression, and before Python 3.9 one with many stars
can take exponential time, here on the host's main thread. This matcher is linear in pattern times
name.
"""

from __future__ import annotations

from typing import Callable, FrozenSet, List, Optional, Set, Tuple

__all__ = ["glob"]

#: One place of a pattern: None is a star; otherwise the characters it takes (None: any), or, when
#: the flag is set, the ones it does not take.
Place = Optional[Tuple[bool, Optional[FrozenSet[str]]]]

ANY: Place = (False, None)


def glob(pattern: str) -> Callable[[str], bool]:
    """Return a matcher for ``*``, ``?``, ``[abc]``, ``[a-z]`` and ``[!abc]``; case does not count.

    A bracket that is never closed stands for itself.
    """
    places = _places(pattern.lower())

    def matches(name: str) -> bool:
        return _matches(places, name.lower())

    return matches


def _places(pattern: str) -> List[Place]:
    places: List[Place] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            if not places or places[-1] is not None:
                places.append(None)
        elif character == "?":
            places.append(ANY)
        elif character == "[":
            # A bracket right after the opening one, or its "!", is a member of the set.
            first = at + 1 if pattern[at : at + 1] == "!" else at
            end = pattern.find("]", first + 1)
            if end < 0:
                places.append((False, frozenset("[")))
            else:
                places.append((first > at, _members(pattern[first:end])))
                at = end + 1
        else:
            places.append((False, frozenset(character)))
    return places


def _members(text: str) -> FrozenSet[str]:
    members: Set[str] = set()
    at = 0
    while at < len(text):
        if at + 2 < len(text) and text[at + 1] == "-":
            low, high = ord(text[at]), ord(text[at + 2])
            # Names are short; a range over all of Unicode would only cost memory.
            members.update(chr(code) for code in range(low, min(high, low + 1024) + 1))
            at += 3
        else:
            members.add(text[at])
            at += 1
    return frozenset(members)


def _takes(place: Place, character: str) -> bool:
    if place is None:
        return False
    inverted, members = place
    return members is None or (character in members) != inverted


def _matches(places: List[Place], name: str) -> bool:
    at = here = 0
    star = -1
    retry = 0
    while here < len(name):
        if at < len(places) and _takes(places[at], name[here]):
            at += 1
            here += 1
        elif at < len(places) and places[at] is None:
            star, retry = at, here
            at += 1
        elif star >= 0:
            # Only the last star ever needs to grow: this is what keeps it linear.
            retry += 1
            at, here = star + 1, retry
        else:
            return False
    return all(place is None for place in places[at:])
