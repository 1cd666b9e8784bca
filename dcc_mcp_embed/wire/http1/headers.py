"""Header fields of one message: read only, looked up without regard to case."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple, overload

__all__ = ["Headers"]


class Headers:
    """The fields in their order; names in lower case, values as Latin-1 text without outer blanks.

    Never changed after it was made, so one object may serve many requests with the same head. Its
    ``repr`` shows no values: they may be secrets, and a repr ends up in logs.
    """

    __slots__ = ("_joined", "_pairs")

    def __init__(self, pairs: Sequence[Tuple[str, str]]) -> None:
        """Take (lower-case name, value) pairs."""
        joined: Dict[str, str] = dict(pairs)
        if len(joined) != len(pairs):
            joined = {}
            for name, value in pairs:
                # RFC 9110 5.3: fields of one name mean the same as one list.
                joined[name] = joined[name] + ", " + value if name in joined else value
        self._pairs = pairs
        self._joined = joined

    @overload
    def get(self, name: str) -> Optional[str]: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return the value; the values joined with ``, `` where the name came several times."""
        # Asked in lower case almost always, and on every request.
        found = self._joined.get(name)
        return self._joined.get(name.lower(), default) if found is None else found

    def get_all(self, name: str) -> List[str]:
        """Return every value that came under ``name``, in order."""
        name = name.lower()
        if len(self._joined) == len(self._pairs):
            return [self._joined[name]] if name in self._joined else []
        return [value for found, value in self._pairs if found == name]

    def tokens(self, name: str) -> List[str]:
        """Return the members of a comma-separated list, in lower case (``Connection``)."""
        value: Optional[str] = self._joined.get(name)
        if value is None:
            return []
        return [part for part in (each.strip(" \t") for each in value.lower().split(",")) if part]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._joined

    def __iter__(self) -> Iterator[Tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return "<Headers {}>".format(", ".join(name for name, _ in self._pairs))
