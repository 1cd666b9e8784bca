"""``NamedTuple`` for what a host's start loads: made in a third of the time that ``typing`` takes.

That compiles the annotation of each field, all of which are text here, and a constructor for each
class, most of which a start has no instance of: 3 ms of the first start(), 5 ms on 3.13. Here the
constructor is compiled for the first instance. The classes are the same but for that; so is what a
type checker knows of them.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

__all__ = ["NamedTuple"]

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    try:
        from _collections import _tuplegetter
    except ImportError:  # Python 3.7

        def _tuplegetter(place, doc):
            return property(itemgetter(place), doc=doc)

    class _Record(tuple):
        """What all of them have. Each has its own ``_fields`` and ``_field_defaults``."""

        __slots__ = ()

        def __new__(cls, *values, **named):
            """Return the first instance; from then on the class has a constructor of its own."""
            kind = next(one for one in cls.__mro__ if "_fields" in vars(one))
            kind.__new__ = staticmethod(_constructor(kind))
            return kind.__new__(cls, *values, **named)

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError("Expected {} values, got {}".format(len(cls._fields), len(made)))
            return made

        def _replace(self, **named):
            made = self._make(map(named.pop, self._fields, self))
            if named:
                raise ValueError("Got unexpected field names: {!r}".format(list(named)))
            return made

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            shown = ", ".join(map("{}={!r}".format, self._fields, self))
            return "{}({})".format(type(self).__name__, shown)

        def __getnewargs__(self):
            return tuple(self)

    def _constructor(kind):
        """Return ``__new__`` of a class: it takes the fields by place or name."""
        names = "".join(map("{}, ".format, kind._fields))
        text = "lambda _cls, {0}: _new(_cls, ({0}))".format(names)
        made = eval(text, {"_new": tuple.__new__, "__builtins__": {}})
        made.__name__ = "__new__"
        made.__defaults__ = tuple(kind._field_defaults.values())
        return made

    class _Maker(type):
        """Turn a class body, fields first, into what ``collections.namedtuple`` makes of it."""

        def __new__(mcs, name, bases, body):
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body[field] for field in fields if field in body}
            for place, field in enumerate(fields):
                body[field] = _tuplegetter(place, None)
            body.update(
                __slots__=(), _fields=fields, _field_defaults=defaults, __match_args__=fields
            )
            return type(name, (_Record,), body)

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
