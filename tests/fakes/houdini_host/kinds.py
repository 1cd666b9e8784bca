"""The node types of the fake and their parameters, as SideFX's node documentation lists them.

https://www.sidefx.com/docs/houdini/nodes/obj/ (geo, null, subnet, cam, hlight, ambient),
.../nodes/sop/ (box, sphere, grid, tube, torus, null, merge, xform, file) and
https://www.sidefx.com/docs/houdini/nodes/obj/geo.html#parms for what all objects share. A parm is
(name, kind, defaults, tokens); the names of its components come from its own name and a suffix.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

__all__ = ["CATEGORIES", "Kind", "Spec", "find"]


class Spec:
    """One parameter tuple of a node type."""

    def __init__(
        self,
        name: str,
        kind: str,
        defaults: Sequence[Any],
        tokens: Sequence[str] = (),
        suffix: Optional[Sequence[str]] = None,
        tags: Optional[Dict[str, str]] = None,
    ) -> None:
        self.name = name
        self.tags = tags or {}
        #: A value of hou.parmTemplateType.
        self.kind = kind
        self.defaults = list(defaults)
        self.tokens = list(tokens)
        if suffix is None:
            suffix = "xyzw" if len(self.defaults) > 1 else ("",)
        self.names = [name + suffix[number] for number in range(len(self.defaults))]


class Kind:
    """One node type."""

    def __init__(
        self, category: str, name: str, specs: Sequence[Spec], inside: Optional[str], inputs: int
    ) -> None:
        self.category = category
        self.name = name
        self.specs = list(specs)
        #: The category of what it can contain, None if nothing.
        self.inside = inside
        self.inputs = inputs

    def locate(self, parm: str) -> Optional[Tuple[Spec, int]]:
        for spec in self.specs:
            if parm in spec.names:
                return spec, spec.names.index(parm)
        return None


def floats(name: str, *defaults: float, **options: Any) -> Spec:
    return Spec(name, "Float", defaults, **options)


def whole(name: str, *defaults: int, **options: Any) -> Spec:
    return Spec(name, "Int", defaults, **options)


def toggle(name: str, on: int) -> Spec:
    return Spec(name, "Toggle", (on,))


def text(name: str, default: str = "", **options: Any) -> Spec:
    return Spec(name, "String", (default,), **options)


def menu(name: str, *tokens: str) -> Spec:
    return Spec(name, "Menu", tokens[:1], tokens)


_RGB = ("r", "g", "b")
_OBJECT = [
    menu("xOrd", "srt", "str", "rst", "rts", "tsr", "trs"),
    menu("rOrd", "xyz", "xzy", "yxz", "yzx", "zxy", "zyx"),
    floats("t", 0, 0, 0),
    floats("r", 0, 0, 0),
    floats("s", 1, 1, 1),
    floats("p", 0, 0, 0),
    floats("pr", 0, 0, 0),
    floats("scale", 1),
    toggle("keeppos", 0),
    toggle("childcomp", 0),
    text("constraints_path"),
    text("lookatpath"),
    toggle("tdisplay", 0),
    toggle("display", 1),
]
_AXIS = ("x", "y", "z")


def _obj(name: str, *specs: Spec, inside: Optional[str] = "Sop", inputs: int = 1) -> Kind:
    return Kind("Object", name, _OBJECT + list(specs), inside, inputs)


def _sop(name: str, *specs: Spec, inputs: int = 0) -> Kind:
    return Kind("Sop", name, specs, None, inputs)


def _manager(name: str, inside: str) -> Kind:
    return Kind("Manager", name, (), inside, 0)


_LIST: List[Kind] = [
    Kind("Director", "root", (), "Manager", 0),
    _manager("obj", "Object"),
    _manager("out", "Driver"),
    _manager("mat", "Vop"),
    _manager("stage", "Lop"),
    _manager("tasks", "TopNet"),
    _obj("geo", text("shop_materialpath"), toggle("viewportlod", 0)),
    _obj("null", floats("geoscale", 1)),
    # Networks of other things may stand among the objects; they are none.
    Kind("Object", "ropnet", (), "Driver", 0),
    # https://www.sidefx.com/docs/houdini/nodes/obj/subnet.html: four inputs, objects inside.
    _obj("subnet", inside="Object", inputs=4),
    _obj(
        "cam",
        floats("focal", 50),
        floats("aperture", 41.4214),
        whole("res", 1280, 720),
        floats("near", 0.001),
        floats("far", 10000),
        menu("projection", "perspective", "ortho"),
    ),
    # https://www.sidefx.com/docs/houdini/nodes/obj/hlight.html; "hlight" alone is an older one.
    _obj(
        "hlight::2.0",
        menu(
            "light_type", "point", "line", "grid", "disk", "sphere", "tube", "geo", "distant", "sun"
        ),
        floats("light_color", 1, 1, 1, suffix=_RGB),
        floats("light_intensity", 1),
        floats("light_exposure", 0),
        toggle("light_enable", 1),
        toggle("coneenable", 0),
        floats("coneangle", 45),
    ),
    _obj("ambient", floats("light_color", 1, 1, 1, suffix=_RGB), floats("light_intensity", 1)),
    _sop(
        "box",
        menu("type", "polymesh", "poly", "mesh", "nurbs", "bezier"),
        floats("size", 1, 1, 1),
        floats("t", 0, 0, 0),
        floats("r", 0, 0, 0),
        floats("scale", 1),
    ),
    _sop(
        "sphere",
        menu("type", "prim", "poly", "polymesh", "mesh", "nurbs", "bezier"),
        floats("rad", 1, 1, 1),
        floats("t", 0, 0, 0),
        floats("scale", 1),
        menu("orient", "y", "x", "z"),
        whole("freq", 2),
        whole("rows", 13),
        whole("cols", 24),
    ),
    _sop(
        "grid",
        menu("type", "poly", "mesh", "nurbs", "bezier", "points"),
        menu("orient", "zx", "xy", "yz"),
        floats("size", 10, 10),
        floats("t", 0, 0, 0),
        whole("rows", 10),
        whole("cols", 10),
    ),
    _sop(
        "tube",
        menu("type", "prim", "poly", "polymesh", "mesh", "nurbs", "bezier"),
        toggle("cap", 0),
        menu("orient", "y", "x", "z"),
        floats("t", 0, 0, 0),
        floats("rad", 1, 1, suffix=("1", "2")),
        floats("radscale", 1),
        floats("height", 1),
        whole("rows", 2),
        whole("cols", 12),
    ),
    _sop(
        "torus",
        menu("type", "poly", "polymesh", "mesh", "nurbs", "bezier"),
        menu("orient", "y", "x", "z"),
        floats("rad", 1, 0.5),
        floats("t", 0, 0, 0),
        floats("scale", 1),
        whole("rows", 12),
        whole("cols", 24),
    ),
    _sop("null", inputs=1),
    _sop("merge", inputs=9999),
    _sop("material", text("shop_materialpath1"), inputs=1),
    _sop("xform", floats("t", 0, 0, 0), floats("r", 0, 0, 0), floats("s", 1, 1, 1), inputs=1),
    _sop(
        "file",
        menu("filemode", "auto", "read", "write", "none"),
        text("file", "default.bgeo"),
        inputs=1,
    ),
    Kind(
        "Driver",
        "geometry",
        [text("sopoutput", "$HIP/$OS.bgeo.sc", tags={"filechooser_mode": "write"})],
        None,
        9999,
    ),
    Kind(
        "Vop", "principledshader::2.0", [floats("basecolor", 0.2, 0.2, 0.2, suffix=_RGB)], None, 0
    ),
]

CATEGORIES: Dict[str, Dict[str, Kind]] = {}
for _kind in _LIST:
    CATEGORIES.setdefault(_kind.category, {})[_kind.name] = _kind


def find(category: str, name: str, exact: bool = False) -> Optional[Kind]:
    """Return the type that ``name`` means where things of ``category`` can be made.

    "a preferred operator type that matches the given node_type_name may be used. For example, the
    given hda may match a newer version hda::2.0" (docstring of hou.Node.createNode).
    """
    known = CATEGORIES.get(category, {})
    if name in known or exact:
        return known.get(name)
    versions = sorted(one for one in known if one.split("::")[0] == name)
    return known[versions[-1]] if versions else None
