"""A scene in memory: a hierarchy of named objects with transforms, a selection, and undo.

Everything the scene holds is a table of immutable values, key -> value, changed in one place only
(:meth:`Scene._put`) through the journal; so undo, redo and the roll-back of a failed chunk are
exact by construction. Not for several threads.
"""

from __future__ import annotations

from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    cast,
)

from ...errors import InvalidArgument, NotFound, Unsupported
from ...tools import matrix as m
from ...tools.backend import check_params, did_you_mean, find_path, nearest
from .items import Item, Seen, checked_name, vector
from .journal import Journal
from .shapes import KINDS, Box, bounds, union

__all__ = ["ROOT", "Scene"]

#: The key of what stands above the top-level objects; its path is "/".
ROOT = ""
SELECTION = ("selection",)

Edit = TypeVar("Edit", bound=Callable[..., Any])


def _edit(method: Edit) -> Edit:
    """Make a method one undo step of its own, or part of the chunk that is open."""

    def edit(self: Scene, *arguments: Any, **named: Any) -> Any:
        self.open_chunk(method.__name__.replace("_", " ").capitalize())
        try:
            result = method(self, *arguments, **named)
        except BaseException:
            # Ctrl-C too: nothing stays half done, and the error goes on to the caller.
            self.roll_back_chunk()
            raise
        self.close_chunk()
        return result

    edit.__name__, edit.__doc__ = method.__name__, method.__doc__
    return cast(Edit, edit)


class Scene:
    """The scene. Objects are named by path (``/group/cube``), or by any unique end of one.

    Every edit made while no chunk is open is an undo step of its own.
    """

    def __init__(self) -> None:
        self._table: Dict[Any, Any] = {ROOT: Item("", "root", None), SELECTION: ()}
        #: (parent key, name) -> key: derived from the table, kept by _put alone.
        self._named: Dict[Tuple[Optional[str], str], str] = {}
        self._journal = Journal(self._table.get, self._put)
        self._last_id = 0
        self._saved = dict(self._table)
        #: The file the scene was saved to; nothing here saves it yet.
        self.file = ""

    # reading

    def __len__(self) -> int:
        return len(self._table) - 2

    @property
    def dirty(self) -> bool:
        """Whether any object differs from what was last saved; the selection does not count."""
        now = {key: value for key, value in self._table.items() if key != SELECTION}
        saved = {key: value for key, value in self._saved.items() if key != SELECTION}
        return now != saved

    def state(self) -> Dict[Any, Any]:
        """Return everything the scene holds, to compare; its values are immutable."""
        return dict(self._table)

    def walk(self, top: str = ROOT) -> Iterator[Seen]:
        """Yield all objects below the key ``top``, parents first, siblings in order of making."""
        shown, world = self._above(top)
        base = "" if top == ROOT else self._path(top)
        pending = [(key, base, shown, world) for key in reversed(self._item(top).children)]
        while pending:
            key, above, above_shown, above_world = pending.pop()
            item = self._item(key)
            seen = Seen(
                key,
                above + "/" + item.name,
                item,
                above_shown and item.visible,
                m.multiply(above_world, m.compose(*item.local)),
            )
            yield seen
            pending.extend(
                (child, seen.path, seen.shown, seen.world) for child in reversed(item.children)
            )

    def paths(self) -> List[str]:
        """Return every object's path, parents first."""
        return [seen.path for seen in self.walk()]

    def find(self, path: str) -> str:
        """Return the full path that ``path`` names. Raises NotFound or Ambiguous."""
        return self._path(self._key(path))

    def look(self, path: str) -> Seen:
        """Return one object as a walk would show it."""
        key = self._key(path)
        shown, world = self._above(key)
        return Seen(key, self._path(key), self._item(key), shown, world)

    def children(self, path: str) -> List[str]:
        """Return the paths right below an object."""
        key = self._key(path)
        base = self._path(key)
        return [base + "/" + self._item(child).name for child in self._item(key).children]

    def below(self, path: str) -> List[str]:
        """Return every path below an object, parents first."""
        return [seen.path for seen in self.walk(self._key(path))]

    def box(self, path: str) -> Optional[Box]:
        """Return the world box of an object and all below it, None if nothing has geometry."""
        top = self.look(path)
        boxes = [bounds(top.item.kind, top.item.params, top.world)]
        boxes.extend(bounds(s.item.kind, s.item.params, s.world) for s in self.walk(top.key))
        return union([box for box in boxes if box is not None])

    def transform(self, path: str, world: bool = False) -> Tuple[m.Parts, m.Matrix]:
        """Return an object's transform below its parent or in the world, as parts and matrix.

        Local parts are returned as they were set. World parts are worked out; below a turned and
        unevenly scaled parent the matrix holds shear, which the parts cannot show.
        """
        item = self._item(self._key(path))
        local = m.compose(*item.local)
        above = self._above(cast(str, item.parent))[1]
        if not world or above == m.IDENTITY:
            return item.local, local
        whole = m.multiply(above, local)
        return m.decompose(whole), whole

    @property
    def selection(self) -> List[str]:
        """The selected paths, in the order of selecting."""
        return [self._path(key) for key in self._table[SELECTION]]

    # editing

    @_edit
    def create(
        self,
        kind: str,
        name: Optional[str] = None,
        parent: Optional[str] = None,
        params: Optional[Dict[str, Any]] = None,
    ) -> str:
        """Make an object and return its path; a taken name gets a number."""
        if kind not in KINDS:
            raise InvalidArgument(
                "There is no kind '{}'. There are: {}.".format(kind, ", ".join(KINDS)),
                hint=did_you_mean(nearest(kind, KINDS), "Use one of these."),
            )
        values = check_params(kind, params or {}, KINDS[kind])
        above = ROOT if parent is None else self._key(parent)
        self._last_id += 1
        key = "o{}".format(self._last_id)
        item = Item(self._free(above, checked_name(name or kind)), kind, above, params=values)
        self._set(key, item)
        holder = self._item(above)
        self._set(above, holder._replace(children=holder.children + (key,)))
        return self._path(key)

    @_edit
    def rename(self, path: str, name: str) -> str:
        """Rename an object and return its new path; a name a sibling has gets a number."""
        key = self._key(path)
        item = self._item(key)
        name = checked_name(name)
        if name != item.name:
            self._set(key, item._replace(name=self._free(item.parent, name)))
        return self._path(key)

    @_edit
    def delete(self, *paths: str) -> List[str]:
        """Delete objects and all below them; return what went, parents first."""
        tops = {self._key(path) for path in paths}
        gone: Dict[str, str] = {}
        for top in tops:
            gone[top] = self._path(top)
            gone.update((seen.key, seen.path) for seen in self.walk(top))
        order = [seen.path for seen in self.walk() if seen.key in gone]
        for top in tops:
            parent = cast(str, self._item(top).parent)
            if parent not in gone:
                holder = self._item(parent)
                rest = tuple(key for key in holder.children if key != top)
                self._set(parent, holder._replace(children=rest))
        kept = tuple(key for key in self._table[SELECTION] if key not in gone)
        self._set(SELECTION, kept)
        for key in gone:
            self._set(key, None)
        return order

    @_edit
    def place(
        self,
        path: str,
        translate: Optional[Sequence[float]] = None,
        rotate: Optional[Sequence[float]] = None,
        scale: Optional[Sequence[float]] = None,
        world: bool = False,
    ) -> None:
        """Set parts of a transform, below the parent or in the world; the others stay.

        An object holds no shear. Where a world rotation or scale would need it (below a turned
        and unevenly scaled parent), the nearest without shear is held: X keeps its direction, all
        axes keep their lengths in the parent's space. A world translation is always met.
        """
        given = (vector(translate), vector(rotate), vector(scale))
        key = self._key(path)
        item = self._item(key)
        above = self._above(cast(str, item.parent))[1]
        if not world or above == m.IDENTITY:
            self._set(key, item._replace(local=m.overlay(item.local, given)))
            return
        back = m.inverse(above)
        if back is None:
            raise InvalidArgument(
                "'{}' stands below a scale of zero, where no world value can be met.".format(path),
                hint="Give the parent a scale other than zero, or pass space='local'.",
            )
        whole = m.multiply(above, m.compose(*item.local))
        wanted = m.overlay(m.decompose(whole), given)
        found = m.decompose(m.multiply(back, m.compose(*wanted)))
        turned = given[1] is not None or given[2] is not None
        local = m.Parts(
            found.translate if given[0] is not None else item.local.translate,
            found.rotate if turned else item.local.rotate,
            found.scale if turned else item.local.scale,
        )
        self._set(key, item._replace(local=local))

    @_edit
    def show(self, path: str, visible: bool = True) -> None:
        """Show or hide an object; what stands below a hidden one does not show either."""
        key = self._key(path)
        self._set(key, self._item(key)._replace(visible=bool(visible)))

    @_edit
    def assign(self, path: str, *materials: str) -> None:
        """Give an object these materials, by name."""
        key = self._key(path)
        self._set(key, self._item(key)._replace(materials=tuple(materials)))

    @_edit
    def select(self, *paths: str) -> None:
        """Make exactly these objects the selection."""
        self._set(SELECTION, tuple(dict.fromkeys(self._key(path) for path in paths)))

    # undo

    def open_chunk(self, label: str) -> None:
        """Begin a chunk: all edits until it is closed are one undo step. Chunks nest."""
        self._journal.open(label)

    def close_chunk(self) -> int:
        """End the innermost chunk; return how many undo steps the user has from it (0 or 1)."""
        return self._journal.close()

    def roll_back_chunk(self) -> None:
        """End the innermost chunk and put back everything that was changed in it."""
        self._journal.roll_back()

    @property
    def undo_labels(self) -> List[str]:
        """The labels of what can be undone, oldest first."""
        return self._journal.done

    @property
    def redo_labels(self) -> List[str]:
        """The labels of what can be redone, the next one last."""
        return self._journal.undone

    def undo(self) -> Optional[str]:
        """Take back the last step and return its label, None if there is none."""
        self._refuse_in_chunk("undo")
        step = self._journal.undo()
        return None if step is None else step.label

    def redo(self) -> Optional[str]:
        """Bring back the step undone last and return its label, None if there is none."""
        self._refuse_in_chunk("redo")
        step = self._journal.redo()
        return None if step is None else step.label

    def clear(self) -> None:
        """Begin anew: nothing in it, nothing to undo. Ids are not given twice."""
        self._refuse_in_chunk("clear")
        self._table = {ROOT: Item("", "root", None), SELECTION: ()}
        self._named = {}
        self._journal = Journal(self._table.get, self._put)
        self.file = ""

    def _refuse_in_chunk(self, what: str) -> None:
        if self._journal.is_open:
            raise Unsupported(
                "{} cannot run inside an undo chunk: the chunk's own step is not finished.".format(
                    what.capitalize()
                ),
                hint="Call the tool '{}' instead, after this call.".format(what),
            )

    # the table

    def _set(self, key: Any, value: Any) -> None:
        self._journal.put(key, value)

    def _put(self, key: Any, value: Any) -> None:
        """Store one value, None removes it, and keep the index of names."""
        old = self._table.get(key)
        if isinstance(old, Item):
            place = (old.parent, old.name)
            # A restore may have put another object there already.
            if self._named.get(place) == key:
                del self._named[place]
        if value is None:
            # Not there either if it was made and deleted within one chunk that failed.
            self._table.pop(key, None)
            return
        self._table[key] = value
        if isinstance(value, Item) and key != ROOT:
            self._named[(value.parent, value.name)] = key

    def _item(self, key: str) -> Item:
        return cast(Item, self._table[key])

    def _key(self, path: str) -> str:
        if not isinstance(path, str):
            raise InvalidArgument("A path must be text, not {!r}.".format(path))
        key = self._descend(path)
        if key is None:
            key = self._descend(find_path(path, self.paths()))
        if key is None or key == ROOT:
            raise NotFound("No object '{}'.".format(path), hint="'/' is the scene itself.")
        return key

    def _descend(self, path: str) -> Optional[str]:
        key: Optional[str] = ROOT
        for name in path.split("/")[1:]:
            key = self._named.get((key, name))
            if key is None:
                return None
        return key if path.startswith("/") else None

    def _lineage(self, key: str) -> Iterable[Item]:
        """Yield an object and what is above it, the scene itself left out."""
        while key != ROOT:
            item = self._item(key)
            yield item
            key = cast(str, item.parent)

    def _path(self, key: str) -> str:
        names = [item.name for item in self._lineage(key)]
        return "/" + "/".join(reversed(names))

    def _above(self, key: str) -> Tuple[bool, m.Matrix]:
        """Return whether an object shows and its world matrix."""
        shown, world = True, m.IDENTITY
        for item in reversed(list(self._lineage(key))):
            shown = shown and item.visible
            world = m.multiply(world, m.compose(*item.local))
        return shown, world

    def _free(self, parent: Optional[str], name: str) -> str:
        if (parent, name) not in self._named:
            return name
        stem = name.rstrip("0123456789") or name
        number = 1
        while (parent, stem + str(number)) in self._named:
            number += 1
        return stem + str(number)
