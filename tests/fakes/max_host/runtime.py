"""pymxs.runtime: the globals of MAXScript."""

from __future__ import annotations

import ast
import os
from typing import Any, List, Optional, Tuple

from . import files, rows
from .allowed import GLOBALS
from .classes import CLASSES
from .faults import MaxError
from .named import Named
from .nodes import Class, Controller, Node, Root, Set, Thing, name_of, wrap
from .scene import SELECTION
from .structs import STRUCTS, Value
from .values import Array, Color, Interval, Matrix3, MXSWrapperBase, Name, Point3, Time, vector

__all__ = ["Runtime"]


class Runtime(Named):
    """``rt``."""

    _names = GLOBALS

    def _look_up(self, name: str) -> str:
        # What a script has declared, pymxs finds as well ("Using pymxs: MAXScript globals").
        if name.lower() in self._host.globals:
            self._host.faults.on_main_thread(name)
            return name.lower()
        return super()._look_up(name)

    def _get(self, name: str) -> Any:
        if name in self._host.globals:
            return self._host.globals[name]
        if name in STRUCTS:
            return STRUCTS[name](self._host)
        return super()._get(name)

    # -- values -------------------------------------------------------------------------------

    def _fn_maxversion(self) -> Array:
        year = self._host.year
        if year < 2020:
            return Array(self._host, [(year - 1998) * 1000, 55, 0])
        release = (year - 1998) * 1000
        return Array(self._host, [release, 68, 0, release // 1000, 0, 0, 0, year, ""])

    def _fn_getdir(self, which: Any) -> str:
        below = {"userscripts": ("scripts",), "userstartupscripts": ("scripts", "startup")}
        if not isinstance(which, Name) or name_of(which) not in below:
            raise self._host.faults.wrong("getDir: there is no {}".format(which))
        return os.path.join(self._host.user_folder, *below[name_of(which)])

    def _fn_name(self, text: Any) -> Name:
        return Name(self._host, name_of(text) if isinstance(text, Name) else str(text))

    def _fn_array(self, *items: Any) -> Array:
        return Array(self._host, items)

    def _fn_append(self, array: Any, item: Any) -> Array:
        array[len(array)] = item
        return array  # type: ignore[no-any-return]

    def _fn_point3(self, x: Any, y: Any, z: Any) -> Point3:
        return Point3(self._host, x, y, z)

    def _fn_color(self, r: Any, g: Any, b: Any) -> Color:
        return Color(self._host, r, g, b)

    def _fn_matrix3(self, *given: Any) -> Matrix3:
        if given == (1,):
            return Matrix3(self._host, rows.IDENTITY)
        first, second, third, fourth = (vector(row) for row in given)
        return Matrix3(self._host, (first, second, third, fourth))

    def _fn_inverse(self, matrix: Any) -> Matrix3:
        try:
            return Matrix3(self._host, rows.inverse(matrix._rows))
        except ZeroDivisionError:
            raise MaxError("the matrix has no inverse") from None

    def _fn_interval(self, start: Any, end: Any) -> Interval:
        return Interval(self._host, float(start), float(end))

    # -- nodes --------------------------------------------------------------------------------

    def _get_rootnode(self) -> Root:
        return Root(self._host)

    def _get_objects(self) -> Set:
        return Set(self._host, list(self._host.scene.nodes()))

    def _get_selection(self) -> Set:
        return Set(self._host, self._host.scene.selection)

    def _fn_getcurrentselection(self) -> Array:
        return self._wrapped(self._host.scene.selection)

    def _fn_select(self, what: Any) -> None:
        self._choose([one._key for one in _nodes(what)])

    def _fn_selectmore(self, what: Any) -> None:
        self._choose([*self._host.scene.selection, *(one._key for one in _nodes(what))])

    def _fn_clearselection(self) -> None:
        self._choose([])

    def _choose(self, keys: List[int]) -> None:
        for key in keys:
            self._host.scene.data(key)
        self._host.hold.put(SELECTION, tuple(dict.fromkeys(keys)))

    def _fn_delete(self, what: Any) -> None:
        for one in _nodes(what):
            self._host.scene.data(one._key)
            self._host.scene.delete(one._key)

    def _fn_hide(self, what: Any) -> None:
        for one in _nodes(what):
            one.isHidden = True

    def _fn_unhide(self, what: Any) -> None:
        for one in _nodes(what):
            one.isHidden = False

    def _fn_isvalidnode(self, value: Any) -> bool:
        return isinstance(value, Node) and self._host.scene.is_node(value._key)

    def _fn_uniquename(self, prefix: Any) -> str:
        return str(self._host.scene.unique_name(prefix))

    def _fn_getnodebyname(
        self, name: Any, exact: Any = False, ignorecase: Any = True, all: Any = False
    ) -> Any:
        found = [k for k in self._host.scene.nodes() if self._fits(k, name, exact, ignorecase)]
        if all:
            return self._wrapped(found)
        return wrap(self._host, found[0]) if found else None

    def _fits(self, key: int, wanted: str, exact: bool, fold: bool) -> bool:
        name = str(self._host.scene.data(key)["name"])
        if fold:
            name, wanted = name.lower(), wanted.lower()
        return name == wanted if exact else name.startswith(wanted)

    def _wrapped(self, keys: Any) -> Array:
        return Array(self._host, [wrap(self._host, key) for key in keys])

    # -- classes and properties ---------------------------------------------------------------

    def _classes(self, value: Any) -> Tuple[Class, Class]:
        if isinstance(value, Value):
            return value._classes
        if isinstance(value, Thing):
            data = value._data()
            found = CLASSES[data["class"]]
            # A node is of the class that its modifiers have made of it; its base object is not.
            above = isinstance(value, Node) and data["modifiers"]
            name = "Editable_mesh" if above else found.name
            return Class(self._host, name), Class(self._host, found.superclass)
        if isinstance(value, Class) and str(value).lower() in CLASSES:
            above = CLASSES[str(value).lower()].superclass
            return Class(self._host, above), Class(self._host, "MAXClass")
        name = type(value).__name__ if isinstance(value, MXSWrapperBase) else "UndefinedClass"
        return Class(self._host, name), Class(self._host, "Value")

    def _fn_classof(self, value: Any) -> Class:
        return self._classes(value)[0]

    def _fn_superclassof(self, value: Any) -> Class:
        return self._classes(value)[1]

    def _fn_getpropnames(self, value: Any) -> Array:
        params = value._data()["params"]
        return Array(self._host, [Name(self._host, name) for name in params])

    def _fn_isproperty(self, value: Any, name: Any) -> bool:
        return name_of(name) in value._data()["params"]

    def _fn_getproperty(self, value: Any, name: Any) -> Any:
        return value._get(value._look_up(name_of(name)))

    def _fn_setproperty(self, value: Any, name: Any, to: Any) -> None:
        value._set(value._look_up(name_of(name)), to)

    def _fn_getclassinstances(self, of: Any) -> Array:
        return self._wrapped(self._host.scene.things(str(of).lower()))

    def _fn_addmodifier(self, node: Any, modifier: Any) -> None:
        modifiers = self._host.scene.data(node._key)["modifiers"]
        self._host.scene.change(node._key, modifiers=(modifier._key, *modifiers))

    def _fn_getpropertycontroller(self, of: Any, name: Any) -> Optional[Controller]:
        return of.below(name_of(name)) if isinstance(of, Controller) else None

    def _fn_addnewkey(self, controller: Any, frame: Any) -> None:
        controller.add_key(float(frame))

    # -- the scene ----------------------------------------------------------------------------

    def _get_maxfilepath(self) -> str:
        return str(files.folder_of(self._host.scene.file))

    def _get_maxfilename(self) -> str:
        return str(files.name_of(self._host.scene.file))

    def _fn_getsaverequired(self) -> bool:
        return bool(self._host.hold.dirty)

    def _fn_setsaverequired(self, on: Any) -> None:
        self._host.hold.dirty = bool(on)

    def _fn_resetmaxfile(self, option: Any = None) -> bool:
        if not isinstance(option, Name) or name_of(option) != "noprompt":
            raise self._host.faults.wrong("resetMaxFile asks without #noPrompt")
        files.reset(self._host)
        return True

    def _fn_loadmaxfile(
        self, path: Any, quiet: Any = False, usefileunits: Any = False, allowprompts: Any = False
    ) -> bool:
        if quiet is not True or allowprompts:
            raise self._host.faults.wrong("loadMaxFile asks without quiet=True")
        return files.load(self._host, path)

    def _fn_savemaxfile(
        self,
        path: Any,
        clearneedsaveflag: Any = True,
        usenewfile: Any = True,
        quiet: Any = False,
    ) -> bool:
        if quiet is not True:
            raise self._host.faults.wrong("saveMaxFile asks without quiet=True")
        return files.save(self._host, path, bool(clearneedsaveflag), bool(usenewfile))

    def _get_framerate(self) -> int:
        return int(self._host.scene.frame_rate)

    def _set_framerate(self, value: Any) -> None:
        self._host.scene.settings["rate"] = int(value)

    def _get_animationrange(self) -> Interval:
        return Interval(self._host, *self._host.scene.settings["range"])

    def _set_animationrange(self, value: Any) -> None:
        self._host.scene.settings["range"] = value._ends

    def _get_slidertime(self) -> Time:
        return Time(self._host, self._host.scene.settings["time"])

    def _set_slidertime(self, value: Any) -> None:
        self._host.scene.settings["time"] = float(value)

    def _get_currenttime(self) -> Time:
        return Time(self._host, self._host.time)

    def _get_renderwidth(self) -> int:
        return int(self._host.scene.settings["size"][0])

    def _get_renderheight(self) -> int:
        return int(self._host.scene.settings["size"][1])

    def _fn_getactivecamera(self) -> None:
        return None

    def _fn_redrawviews(self) -> None:
        self._host.redraws += 1

    def _fn_execute(self, text: Any) -> Any:
        """Take what MAXScript and Python write alike: a literal or a sum; fail for the rest."""
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            raise MaxError(
                "MAXScript exception raised.\n-- Syntax error: {}".format(error)
            ) from None
        kinds = (ast.Expression, ast.BinOp, ast.Add, ast.Constant, ast.operator)
        if not all(isinstance(part, kinds) or _is_constant(part) for part in ast.walk(tree)):
            raise MaxError("MAXScript exception raised.\n-- Unknown: {}".format(text))
        return eval(compile(tree, "<MAXScript>", "eval"), {})


def _is_constant(part: Any) -> bool:
    # What literals are in the tree of Python 3.7.
    return type(part).__name__ in ("Num", "Str")


def _nodes(what: Any) -> List[Node]:
    many = what if isinstance(what, (Array, Set, list, tuple)) else [what]
    found = list(many)
    if not all(isinstance(one, Node) for one in found):
        raise TypeError("{!r} is no node and no array of nodes".format(what))
    return found
