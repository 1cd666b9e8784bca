"""Our NamedTuple makes what that of the standard library makes."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any, List, Optional

import pytest

from dcc_mcp_embed import records
from dcc_mcp_embed._compat import get_type_hints


class Ours(records.NamedTuple):
    """A point, perhaps with a name."""

    x: int
    #: Another.
    y: List[Any]
    name: Optional[str] = None
    size: float = 1.0

    @property
    def double(self) -> int:
        """Twice as far."""
        return 2 * self.x

    def moved(self, by: int) -> Ours:
        """Return one further on."""
        return self._replace(x=self.x + by)

    @classmethod
    def origin(cls) -> Ours:
        """Return the first."""
        return cls(0, [])


class Theirs(typing.NamedTuple):
    """A point, perhaps with a name."""

    x: int
    y: List[Any]
    name: Optional[str] = None
    size: float = 1.0


class Nothing(records.NamedTuple):
    """A record without fields."""


def test_fields_and_defaults_are_those_of_the_standard_library() -> None:
    assert Ours._fields == Theirs._fields
    assert Ours._field_defaults == Theirs._field_defaults
    assert (Ours.__doc__, Ours.__module__) == (Theirs.__doc__, Theirs.__module__)
    assert (Ours.__name__, Ours.__qualname__) == ("Ours", "Ours")
    assert get_type_hints(Ours) == get_type_hints(Theirs)
    assert Ours(1, [2], size=3.0) == Theirs(1, [2], size=3.0) == (1, [2], None, 3.0)
    assert repr(Ours(1, [2])) == repr(Theirs(1, [2])).replace("Theirs", "Ours")
    assert issubclass(Ours, tuple)
    assert not hasattr(Ours(1, []), "__dict__")


def test_what_is_defined_in_the_body_is_kept() -> None:
    assert Ours(3, []).double == 6
    assert Ours(3, []).moved(4) == (7, [], None, 1.0)
    assert Ours.origin() == (0, [], None, 1.0)


def test_a_record_may_have_one_field_or_none() -> None:
    class One(records.NamedTuple):
        only: int

    assert (One(1), One(only=2), Nothing()) == ((1,), (2,), ())
    assert (repr(One(1)), repr(Nothing())) == ("One(only=1)", "Nothing()")
    assert Nothing()._replace() == Nothing()


def test_it_is_changed_and_shown_as_that_of_the_standard_library() -> None:
    assert Ours(1, [])._replace(name="new") == Theirs(1, [])._replace(name="new")
    assert dict(Ours(1, [])._asdict()) == dict(Theirs(1, [])._asdict())
    assert Ours._make([1, 2, 3, 4]) == Theirs._make([1, 2, 3, 4])
    with pytest.raises(TypeError):
        Ours._make([1])
    with pytest.raises((TypeError, ValueError)):
        Ours(1, [])._replace(color="red")
    assert Ours.size.__get__(Ours(1, [])) == 1.0  # type: ignore[attr-defined]
    assert Ours(1, []) == Ours(1, []) and hash(Nothing()) == hash(())


def test_missing_and_unknown_fields_are_type_errors() -> None:
    with pytest.raises(TypeError):
        Ours(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Ours(1, [], color="red")  # type: ignore[call-arg]


def test_it_is_copied_and_pickled() -> None:
    one = Ours(1, [2], "three")
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert type(pickle.loads(pickle.dumps(one))) is Ours


def test_a_class_may_be_made_from_one() -> None:
    class Named(Ours):
        __slots__ = ()

        def __new__(cls, name: str) -> Named:
            return super().__new__(cls, 0, [], name)

    assert Named("one").name == "one"
    assert isinstance(Named("one").moved(1), Named)
