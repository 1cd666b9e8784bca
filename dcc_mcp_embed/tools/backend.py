"""What a host's scene must be able to do, so that the scene tools are written only once.

The tools in ``scene_read.py`` and ``scene_write.py`` do the arguments, the paging, the filters,
the evidence and the wording; a backend does what only the host can. All methods run on the host's
main thread, a write inside the undo chunk that the dispatcher opened for it. Objects are named by
*path*, the host's own full name; a backend also takes a short name as long as it fits one object
only.

Shapes. A *row* is ``{"id", "path", "name", "type", "parent", "visible"}``: ``id`` is text that
stays the same for one object as long as the host runs, ``parent`` a path or None, ``visible``
whether it shows (its own switch and those above it). A *transform* is
``{"translate": [x, y, z], "rotate": [x, y, z], "scale": [x, y, z], "matrix": [[4]*4]}`` with
rotation in degrees about X, then Y, then Z, and a matrix of four rows that multiplies column
vectors (translation in the last column); ``matrix.py`` does its arithmetic. Lengths are in the
scene's own linear unit. Where a matrix holds shear (turned below an uneven scale), ``matrix`` is
the truth and the three others are the nearest that there is.

After a write a backend's own reads show its effect at once: the tools read back what they did.
"""

from __future__ import annotations

import difflib
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..errors import Ambiguous, InvalidArgument, NotFound, Unsupported

__all__ = ["COMMON_KINDS", "LazyRow", "SceneBackend", "check_params", "find_path", "nearest"]

Row = Mapping[str, Any]
Transform = Dict[str, Any]
SceneError = Dict[str, str]

#: What ``create_object`` makes in every host that has the notion, with the params it takes and
#: their defaults. Lengths are in the scene's linear unit; solids are centred on their origin and
#: round ones stand along the scene's up axis. A host may take more params and more kinds.
COMMON_KINDS: Dict[str, Dict[str, Any]] = {
    "empty": {},
    "group": {},
    "cube": {"size": 1.0},
    "sphere": {"radius": 0.5},
    "plane": {"size": 1.0},
    "cylinder": {"radius": 0.5, "height": 1.0},
    "cone": {"radius": 0.5, "height": 1.0},
    "torus": {"radius": 0.5, "minor_radius": 0.125},
    "camera": {"focal_length": 35.0},
    "light": {"type": "point", "intensity": 1.0, "color": [1.0, 1.0, 1.0]},
}

#: A longer name is not compared: the search is quadratic in it, and a client chose it.
MAX_COMPARED = 64

#: Beyond this many candidates the search for a nearest name costs the host's main thread more
#: than the hint is worth (about 20 microseconds each).
MAX_CANDIDATES = 2000


class LazyRow(Mapping[str, Any]):
    """A row of which a listing knows a part; the host is asked for the rest when that is needed.

    Of a hundred thousand objects a page shows fifty. Only for use within the call that listed it.
    """

    __slots__ = ("_known", "_read")

    def __init__(self, known: Row, read: Callable[[], Row]) -> None:
        """``read()`` returns the whole row."""
        self._known = known
        self._read: Optional[Callable[[], Row]] = read

    def __getitem__(self, name: str) -> Any:
        return self._known[name] if name in self._known else self._whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def _whole(self) -> Row:
        if self._read is not None:
            self._known, self._read = self._read(), None
        return self._known


class SceneBackend:
    """The contract. The in-memory scene of the standalone adapter is its reference."""

    #: What ``create_object`` can make here, as the shared tool spells it.
    kinds: Tuple[str, ...] = ()

    #: Whether :meth:`key_transform` works here.
    keys = False

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        """Describe the scene.

        Always: ``file`` ("" if never saved), ``dirty``, ``up_axis`` ("y" or "z"),
        ``units`` ({"linear", "angle"}), ``selection_count``. By ``include``: ``counts`` (type ->
        number), ``time`` ({"fps", "start", "end", "current"}), ``render`` ({"engine", "width",
        "height", "camera"}), ``plugins`` (names). A part the host has no notion of is left out.
        """
        raise NotImplementedError

    def rows(self) -> Iterator[Row]:
        """Yield a row for each object of the scene, parents before children, in a stable order.

        What takes a call of the host for each object is better left to a :class:`LazyRow`.
        """
        raise NotImplementedError

    def resolve(self, path: str) -> str:
        """Return the full path of the object that ``path`` names.

        Raises NotFound (with the nearest names as hint) or Ambiguous (naming the candidates);
        :func:`find_path` does both.
        """
        raise NotImplementedError

    def row(self, path: str) -> Row:
        """Return one object's row. ``path`` is resolved."""
        raise NotImplementedError

    def transform(self, path: str, space: str) -> Transform:
        """Return the transform of a resolved ``path`` in ``space`` ("local" or "world")."""
        raise NotImplementedError

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        """Set the given parts of a transform, leaving the others of that space as they are.

        Raises InvalidArgument where a parent flattens space, so that world values cannot be met.
        What the host cannot hold exactly is held as nearly as it can; the tool reads it back and
        says so.
        """
        raise NotImplementedError

    def key_transform(self, path: str, parts: Sequence[str], frame: float) -> None:
        """Set keys on ``frame`` for these parts of a transform, at their current values.

        Called only where :attr:`keys` is true.
        """
        raise Unsupported(
            "This host's backend sets no keyframes.", hint="Leave out 'frame'.", state="not_started"
        )

    def detail(self, path: str, part: str) -> Any:
        """Return one part of an object's card.

        ``bbox``: {"min": [3], "max": [3]} in world space of the object and all below it, None if
        nothing there has geometry; ``attributes``: name -> JSON value; ``materials``: names;
        ``history``: [{"name", "type"}] (modifiers, construction history); ``children``: paths.
        Raises Unsupported for a part the host has no notion of.
        """
        raise NotImplementedError

    def create(
        self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]
    ) -> str:
        """Make one object and return its path.

        ``kind`` is one of :attr:`kinds`; ``parent`` is resolved; the host may make the name
        unique. Raises InvalidArgument for params the kind does not take, naming those it does
        (:func:`check_params`).
        """
        raise NotImplementedError

    def rename(self, path: str, new_name: str) -> str:
        """Rename a resolved object and return its new path; the host may make the name unique.

        Raises InvalidArgument for a name the host cannot hold at all.
        """
        raise NotImplementedError

    def delete(self, paths: Sequence[str]) -> List[str]:
        """Delete resolved objects and everything below them; return every path that went."""
        raise NotImplementedError

    def descendants(self, path: str) -> List[str]:
        """Return the paths below a resolved object, what :meth:`delete` would take with it."""
        raise NotImplementedError

    def selection(self) -> List[str]:
        """Return the selected paths in the host's order."""
        raise NotImplementedError

    def select(self, paths: Sequence[str]) -> None:
        """Make exactly these resolved objects the selection."""
        raise NotImplementedError

    def undo_label(self) -> Optional[str]:
        """Return the label of the step that undo would take back, None if none or not known."""
        return None

    def redo_label(self) -> Optional[str]:
        """Return the label of the step that redo would bring back, None if none or not known."""
        return None

    def undo(self) -> bool:
        """Take back one step; False when there is none. Raises Unsupported without an undo stack.

        Runs outside any undo chunk, as :meth:`redo` does.
        """
        raise NotImplementedError

    def redo(self) -> bool:
        """Bring back one step; False when there is none. Raises Unsupported without a stack."""
        raise NotImplementedError

    def new_scene(self) -> None:
        """Open an empty scene without asking, dropping what is there, saved or not.

        Runs outside any undo chunk, as :meth:`open_scene` does.
        """
        raise Unsupported("This host's backend opens no new scene.", state="not_started")

    def open_scene(self, path: str) -> None:
        """Open a file without asking, dropping what is there, saved or not.

        Scripts that the file holds are not run where the host can leave that out.
        """
        raise Unsupported("This host's backend opens no files.", state="not_started")

    def namespace(self) -> Dict[str, Any]:
        """Return the names that ``execute_python`` starts with (the host's modules)."""
        return {}

    def errors(self) -> Iterator[Optional[SceneError]]:
        """Yield what is wrong with the scene, and None after each thing that is in order.

        An error is ``{"kind", "name", "file", "message"}``: ``kind`` as in "missing_file", ``name``
        what the host calls the thing, ``file`` the path as the scene holds it ("" if none). The
        steps may be far apart: no host object is held from one to the next, and a step asks for
        one file at most, which may be on a slow disk. Raises Unsupported where the host cannot
        tell, as this default does.
        """
        raise Unsupported("This host's backend cannot tell what is wrong with its scene.")


def nearest(wanted: str, known: Iterable[str], count: int = 3) -> List[str]:
    """Return up to ``count`` of the ``known`` names that look like ``wanted``, best first.

    For paths the last part decides: ``/group/cub`` is near ``/other/cube``.
    """
    tail = wanted.rsplit("/", 1)[-1].lower()
    if len(tail) > MAX_COMPARED:
        return []
    by_tail: Dict[str, List[str]] = {}
    for number, path in enumerate(known):
        if number < MAX_CANDIDATES or path.rsplit("/", 1)[-1].lower() == tail:
            by_tail.setdefault(path.rsplit("/", 1)[-1].lower(), []).append(path)
    found: List[str] = []
    for name in difflib.get_close_matches(tail, by_tail, n=count):
        # Among equal names the one in the most similar place comes first.
        same = by_tail[name][:MAX_COMPARED]
        found.extend(difflib.get_close_matches(wanted[-200:], same, n=count, cutoff=0.0))
    return found[:count]


def did_you_mean(names: Sequence[str], otherwise: str) -> str:
    """Return a hint that offers ``names``, or ``otherwise`` if there are none."""
    if not names:
        return otherwise
    return "Did you mean {}?".format(" or ".join("'{}'".format(name) for name in names))


def find_path(path: str, known: Iterable[str]) -> str:
    """Return the one of the ``known`` full paths that ``path`` names.

    A full path fits itself; anything else fits by its last parts (``b`` and ``a/b`` fit
    ``/a/b``). Raises NotFound or Ambiguous.
    """
    paths = list(known)
    if path in paths:
        return path
    tail = "/" + path.lstrip("/")
    # A leading slash claims to be complete, so that a mistyped place is not guessed at.
    found = [] if path.startswith("/") or not path else [p for p in paths if p.endswith(tail)]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join("'{}'".format(p) for p in found[:5])
        more = " and {} more".format(len(found) - 5) if len(found) > 5 else ""
        raise Ambiguous(
            "'{}' fits {} objects: {}{}.".format(path, len(found), shown, more),
            hint="Pass the full path of the one you mean.",
            details={"candidates": found[:20]},
        )
    raise NotFound(
        "No object '{}'.".format(path),
        hint=did_you_mean(nearest(path, paths), "Call list_objects to see what there is."),
    )


def check_params(kind: str, params: Dict[str, Any], defaults: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``defaults`` overlaid with ``params``, each like its default in kind.

    Numbers become float and must be finite and not negative; text must be text; a list of numbers
    must have as many. Raises InvalidArgument for unknown names and wrong values.
    """
    values = dict(defaults)
    for name, value in params.items():
        if name not in defaults:
            takes = ", ".join(sorted(defaults)) or "none"
            raise InvalidArgument(
                "A {} takes no param '{}'. It takes: {}.".format(kind, name, takes),
                hint=did_you_mean(nearest(name, defaults), "Leave it out."),
            )
        values[name] = _like(defaults[name], value, "params.{}".format(name))
    return values


def _like(default: Any, value: Any, label: str) -> Any:
    if isinstance(default, str):
        if not isinstance(value, str):
            raise InvalidArgument("'{}' must be text, not {!r}.".format(label, value))
        return value
    if isinstance(default, list):
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            raise InvalidArgument("'{}' must be {} numbers.".format(label, len(default)))
        return [_like(item, part, label) for item, part in zip(default, value)]
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument("'{}' must be a number, not {!r}.".format(label, value)) from None
    if not 0.0 <= number < float("inf"):
        raise InvalidArgument("'{}' is {}; it must be 0 or more.".format(label, value))
    return number
