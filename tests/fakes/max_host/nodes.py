"""The wrappers of what a scene holds. Each read makes a new one: equal, never identical."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Sequence

from .allowed import PROPERTIES
from .classes import CLASSES
from .faults import MaxError
from .values import Array, Color, Matrix3, MXSWrapperBase, Name, Point3, Time, plain, vector

__all__ = ["Class", "Node", "Root", "Set", "Thing", "wrap"]


class Class(MXSWrapperBase):
    """A class, which makes objects when it is called; or the name of a superclass."""

    _kind = "class"

    def __init__(self, host: Any, text: str) -> None:
        super().__init__(host)
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Class) and other._text == self._text

    def __call__(self, **params: Any) -> Thing:
        self._host.faults.on_main_thread(self._text)
        found = CLASSES.get(self._text.lower())
        if found is None:
            raise self._host.faults.wrong("{} cannot be made".format(self._text))
        params = {name.lower(): value for name, value in params.items()}
        own = {name: params.pop(name) for name in list(params) if name in found.params}
        scene = self._host.scene
        node = found.superclass in ("GeometryClass", "helper", "camera", "light")
        wrong = [name for name in params if name not in (_MAKING if node else ("name",))]
        if wrong:
            text = "{} takes no {}".format(self._text, ", ".join(wrong))
            raise self._host.faults.wrong(text)
        values = dict(found.params)
        values.update((name, checked(self._host, values[name], own[name], name)) for name in own)
        name = params.pop("name", None) or scene.unique_name(found.name)
        made = wrap(self._host, scene.add(found.name.lower(), name, values))
        for name, value in params.items():
            setattr(made, name, value)
        return made


#: What can be given besides an object's own parameters when a node is made.
_MAKING = ("name", "pos", "position", "transform", "parent", "wirecolor", "material", "ishidden")


def checked(host: Any, like: Any, value: Any, name: str) -> Any:
    """Return a parameter's value as the scene keeps it."""
    fits = {
        bool: lambda: isinstance(value, bool),
        float: lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        int: lambda: isinstance(value, int) and not isinstance(value, bool),
        str: lambda: isinstance(value, str),
        tuple: lambda: isinstance(value, (Point3, Color)),
    }.get(type(like), lambda: True)
    if not fits():
        raise host.faults.wrong("{} is set to {!r}".format(name, value))
    return float(value) if isinstance(like, float) else plain(value)


class Thing(MXSWrapperBase):
    """A material, a map, a modifier; or the base object of a node."""

    _kind = "thing"

    def __init__(self, host: Any, key: int) -> None:
        super().__init__(host)
        self._key = key

    def _data(self) -> Dict[str, Any]:
        found: Dict[str, Any] = self._host.scene.data(self._key)
        return found

    def _look_up(self, name: str) -> str:
        lower = name.lower()
        if lower not in PROPERTIES[self._kind]:
            self._host.faults.on_main_thread("{}.{}".format(self._kind, name))
            if lower in self._data()["params"]:
                return lower
        return super()._look_up(name)

    def _get(self, name: str) -> Any:
        # A Teapot, for one, has a property 'handle', and then a node is known by another name.
        params = self._data()["params"]
        if name not in params:
            return super()._get(name)
        value = params[name]
        if isinstance(value, tuple):
            kind = Color if name == "rgb" else Point3
            return kind(self._host, *value)
        return value

    def _set(self, name: str, value: Any) -> None:
        if name in PROPERTIES[self._kind]:
            super()._set(name, value)
            return
        params = dict(self._data()["params"])
        params[name] = checked(self._host, params[name], value, name)
        self._host.scene.change(self._key, params=params)

    def _get_name(self) -> str:
        return str(self._data()["name"])

    def _set_name(self, value: Any) -> None:
        if not isinstance(value, str):
            raise self._host.faults.wrong("a name is set to {!r}".format(value))
        self._host.scene.change(self._key, name=value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._key == self._key  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self._kind, self._key))

    def __str__(self) -> str:
        return "{}:{}".format(CLASSES[self._data()["class"]].name, self._data()["name"])


class Node(Thing):
    """A node of the scene, with what its object takes."""

    _kind = "node"

    def _get_handle(self) -> int:
        self._data()
        return self._key

    def _get_parent(self) -> Optional[Thing]:
        parent = self._data()["parent"]
        return None if parent is None else wrap(self._host, parent)

    def _set_parent(self, value: Any) -> None:
        if value is not None and not isinstance(value, Node):
            raise self._host.faults.wrong("a parent is set to {!r}".format(value))
        self._host.scene.attach(self._key, None if value is None else value._key)

    def _get_children(self) -> Set:
        self._data()
        return Set(self._host, self._host.scene.children(self._key))

    def _get_ishidden(self) -> bool:
        return bool(self._data()["hidden"])

    def _set_ishidden(self, value: Any) -> None:
        self._host.scene.change(self._key, hidden=bool(value))

    _get_ishiddeninvpt = _get_ishidden

    def _get_isselected(self) -> bool:
        return self._key in self._host.scene.selection

    def _get_material(self) -> Optional[Thing]:
        key = self._data()["material"]
        return None if key is None else wrap(self._host, key)

    def _set_material(self, value: Any) -> None:
        self._host.scene.change(self._key, material=None if value is None else value._key)

    def _get_modifiers(self) -> Array:
        return Array(self._host, [wrap(self._host, key) for key in self._data()["modifiers"]])

    def _get_baseobject(self) -> Thing:
        return Thing(self._host, self._key)

    def _get_wirecolor(self) -> Color:
        return Color(self._host, *self._data()["wire"])

    def _set_wirecolor(self, value: Any) -> None:
        self._host.scene.change(self._key, wire=vector(value))

    def _get_transform(self) -> Matrix3:
        return Matrix3(self._host, self._host.scene.world(self._key))

    def _set_transform(self, value: Any) -> None:
        if not isinstance(value, Matrix3):
            raise self._host.faults.wrong("a transform is set to {!r}".format(value))
        self._host.scene.move(self._key, value._rows)
        self._host.key(self._key, ("position", "rotation", "scale"))

    def _get_pos(self) -> Point3:
        return Point3(self._host, *self._host.scene.world(self._key)[3])

    def _set_pos(self, value: Any) -> None:
        world = self._host.scene.world(self._key)
        self._host.scene.move(self._key, (*world[:3], vector(value)))
        self._host.key(self._key, ("position",))

    _get_position, _set_position = _get_pos, _set_pos

    def _get_objectoffsetpos(self) -> Point3:
        return Point3(self._host, *self._data()["offset"])

    def _set_objectoffsetpos(self, value: Any) -> None:
        self._host.scene.change(self._key, offset=vector(value))

    def _get_min(self) -> Point3:
        return Point3(self._host, *self._host.scene.box(self._key)[0])

    def _get_max(self) -> Point3:
        return Point3(self._host, *self._host.scene.box(self._key)[1])

    def _get_center(self) -> Point3:
        low, high = self._host.scene.box(self._key)
        return Point3(self._host, *((a + b) / 2 for a, b in zip(low, high)))

    def _get_controller(self) -> Controller:
        return Controller(self._host, self._key, "transform")

    def _get_inode(self) -> INode:
        return INode(self._host, self._get_handle())

    def _get_layer(self) -> Layer:
        self._data()
        return Layer(self._host)


class INode(MXSWrapperBase):
    """A node without what its object has."""

    _kind = "inode"

    def __init__(self, host: Any, handle: int) -> None:
        super().__init__(host)
        self._handle = handle

    def _get_handle(self) -> int:
        return self._handle


class Layer(MXSWrapperBase):
    _kind = "layer"

    def _get_name(self) -> str:
        return "0"


class Root(MXSWrapperBase):
    """What all nodes without a parent stand below."""

    _kind = "root"

    def _get_name(self) -> str:
        return "Scene Root"

    def _get_handle(self) -> int:
        return 0

    def _get_children(self) -> Set:
        return Set(self._host, self._host.scene.children(None))


class Set(MXSWrapperBase):
    """The objects, a selection, children: indices count from 0."""

    _kind = "set"

    def __init__(self, host: Any, keys: Sequence[int]) -> None:
        super().__init__(host)
        self._keys: List[int] = list(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def _get_count(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Thing]:
        self._host.faults.on_main_thread("a set of nodes")
        return iter([wrap(self._host, key) for key in self._keys])

    def __getitem__(self, index: Any) -> Thing:
        if not isinstance(index, int) or index < 0:
            raise self._host.faults.wrong("a set of nodes has no index {!r}".format(index))
        return wrap(self._host, self._keys[index])


class Controller(MXSWrapperBase):
    """The controller of a node's transform, or of one part of it."""

    _kind = "controller"

    def __init__(self, host: Any, key: int, part: str) -> None:
        super().__init__(host)
        self._key, self._part = key, part

    def below(self, part: str) -> Optional[Controller]:
        known = self._part == "transform" and part in ("position", "rotation", "scale")
        return Controller(self._host, self._key, part) if known else None

    def frames(self) -> List[float]:
        return sorted(self._host.scene.data(self._key)["keys"].get(self._part, ()))

    def add_key(self, frame: float) -> None:
        if self._part == "transform":
            raise MaxError("A PRS controller has no keys of its own")
        self._host.add_keys(self._key, (self._part,), frame)

    def _get_value(self) -> Any:
        """Return the place below the parent; of the other parts, something to be set again."""
        local = self._host.scene.data(self._key)["local"]
        if self._part == "position":
            return Point3(self._host, *local[3])
        return Held(self._host, local[:3])

    def _set_value(self, value: Any) -> None:
        local = self._host.scene.data(self._key)["local"]
        if self._part == "position":
            local = (*local[:3], vector(value))
        elif isinstance(value, Held):
            local = (*value._axes, local[3])
        else:
            raise self._host.faults.wrong("{} is set to {!r}".format(self._part, value))
        self._host.scene.change(self._key, local=local)
        self._host.key(self._key, (self._part,))

    def _get_keys(self) -> Array:
        return Array(self._host, [Time(self._host, frame) for frame in self.frames()])


class Held(MXSWrapperBase):
    """A rotation or a scale, of which nobody looks at the parts."""

    def __init__(self, host: Any, axes: Any) -> None:
        super().__init__(host)
        self._axes = axes


def wrap(host: Any, key: int) -> Thing:
    """Return a wrapper of a node or of what a node has."""
    return Node(host, key) if host.scene.is_node(key) else Thing(host, key)


def name_of(value: Any) -> str:
    """Return the text of a name or a string, in lower case."""
    if isinstance(value, (Name, str)):
        return str(value).lower()
    raise TypeError("{!r} is no name".format(value))
