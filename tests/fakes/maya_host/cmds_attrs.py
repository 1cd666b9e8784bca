"""Commands on attributes: values, locks, connections, keys, transforms."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from . import matrices, plugs
from .cmds_nodes import or_none, selected, set_world
from .commands import Flags, played
from .host import MayaHost
from .node_types import Attribute, is_a, own
from .plugs import Plug, named_plug
from .scene import Path, Scene


def _locked(scene: Scene, plug: Plug) -> bool:
    locks = scene.node(plug.path)["locks"]
    return plug.name in locks or plug.attribute.name in locks


def _driven(scene: Scene, plug: Plug) -> bool:
    """Return whether another node sets it; a key does not count, Maya lets it be overridden."""
    for source, _, target, into in scene.state["connections"]:
        keyed = is_a(scene.nodes[source]["type"], "animCurve")
        if target == plug.path[-1] and into in (plug.name, plug.attribute.name) and not keyed:
            return True
    return False


@played("getAttr", l="lock", se="settable", typ="type", mi="multiIndices")
def get_attr(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    plug = named_plug(scene, arguments[0])
    if flags.get("lock"):
        return _locked(scene, plug)
    if flags.get("settable"):
        return not _locked(scene, plug) and not _driven(scene, plug)
    if flags.get("type"):
        kind = plug.attribute.kind
        return kind.rstrip("3") if plug.part is not None and plug.attribute.parts else kind
    if flags.get("keyable"):
        return plug.attribute.keyable
    if flags.get("multiIndices"):
        return None
    if "time" in flags:
        return _at(scene, plug, flags.get("time"))
    flags.get("silent")
    flags.get("asString")
    return plugs.read(scene, plug)


@played("setAttr", undoable=True, l="lock", typ="type", k="keyable")
def set_attr(host: MayaHost, mode: str, arguments: List[Any], flags: Flags) -> None:
    scene = host.scene
    plug = named_plug(scene, arguments[0])
    node = scene.node(plug.path)
    if "lock" in flags:
        node["locks"] = [one for one in node["locks"] if one != plug.name]
        node["locks"] += [plug.name] if flags.get("lock") else []
        return
    flags.get("keyable")
    kind = flags.get("type")
    values = arguments[1:]
    need = 3 if plug.attribute.parts and plug.part is None else 1
    need = 16 if plug.attribute.kind == "matrix" else need
    if len(values) != need or (plug.attribute.kind == "string") != (kind == "string"):
        raise RuntimeError("setAttr: Error reading data element number 1: {!r}".format(values))
    if _locked(scene, plug) or _driven(scene, plug):
        raise RuntimeError(
            "setAttr: The attribute '{}' is locked or connected and cannot be modified.".format(
                arguments[0]
            )
        )
    plugs.write(scene, plug, values)


@played(
    "addAttr",
    undoable=True,
    ln="longName",
    sn="shortName",
    at="attributeType",
    dt="dataType",
    dv="defaultValue",
)
def add_attr(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    name, kind = flags.get("longName"), flags.get("attributeType") or flags.get("dataType")
    default = flags.get("defaultValue", "" if kind == "string" else 0.0)
    default = {"bool": bool, "long": int, "enum": int}.get(kind, lambda one: one)(default)
    for path in selected(host, arguments):
        node = host.scene.node(path)
        keyable = bool(flags.get("keyable"))
        node["extra"][name] = (name, flags.get("shortName") or name, kind, default, keyable)
        node["attrs"][name] = default


@played("listAttr", k="keyable", ud="userDefined")
def list_attr(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    found: List[str] = []
    for path in selected(host, arguments):
        node = host.scene.node(path)
        extra = [Attribute(*one) for one in node["extra"].values()]
        every = [] if flags.get("userDefined") else own(node["type"])
        for one in every + extra:
            if flags.get("keyable") and not one.keyable:
                continue
            found.extend(
                one.parts if one.parts and flags.get("keyable") else (one.name, *one.parts)
            )
    return or_none(found)


@played("attributeQuery", n="node", ex="exists")
def attribute_query(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    path = scene.named(flags.get("node"))
    try:
        plug = named_plug(scene, "{}.{}".format(scene.long(path), arguments[0]))
    except ValueError:
        if flags.get("exists"):
            return False
        raise RuntimeError("attribute not found") from None
    return True if flags.get("exists") else plug.attribute.kind


@played("connectAttr", undoable=True, f="force")
def connect_attr(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    flags.get("force")
    ends = [named_plug(host.scene, one) for one in arguments]
    host.scene.connect(ends[0].path[-1], ends[0].name, ends[1].path[-1], ends[1].name)


@played("listConnections", s="source", d="destination", p="plugs", t="type")
def list_connections(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene, found = host.scene, []
    for name in ("source", "destination", "plugs", "type"):
        flags.get(name)
    for text in arguments:
        name, _, attribute = text.partition(".")
        ident = scene.named(name)[-1]
        ends = []
        for source, out, target, into in scene.state["connections"]:
            if target == ident and flags.get("source", True) and attribute in ("", into):
                ends.append((source, out))
            if source == ident and flags.get("destination", True) and attribute in ("", out):
                ends.append((target, into))
        if flags.get("destination", True):
            ends += [(one, "dagSetMembers") for one, m in scene.state["sets"].items() if ident in m]
        for other, plug in ends:
            node = scene.nodes[other]
            if flags.get("type") and not is_a(node["type"], flags.get("type")):
                continue
            label = scene.short(scene.paths(other)[0])
            found.append("{}.{}".format(label, plug) if flags.get("plugs") else label)
    return or_none(found)


@played("sets", undoable=True, fe="forceElement")
def sets(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    if mode == "query":
        members = scene.state["sets"].get(scene.named(arguments[0])[-1], [])
        return or_none([scene.short(scene.paths(one)[0]) for one in members])
    target = scene.named(flags.get("forceElement"))[-1]
    for path in selected(host, arguments):
        ident = path[-1]
        shapes = [
            one for one in [ident, *scene.children(path)] if is_a(scene.nodes[one]["type"], "shape")
        ]
        for members in scene.state["sets"].values():
            members[:] = [one for one in members if one not in shapes]
        scene.state["sets"].setdefault(target, []).extend(shapes)
    return scene.node(scene.named(flags.get("forceElement")))["name"]


# -- keys -----------------------------------------------------------------------------------------


def _at(scene: Scene, plug: Plug, frame: float) -> Any:
    keys = scene.node(plug.path)["keys"].get(plug.name)
    if not keys:
        return plugs.read(scene, plug)
    before = [one for one in sorted(keys) if one <= frame]
    after = [one for one in sorted(keys) if one >= frame]
    if not before or not after or before[-1] == after[0]:
        return keys[before[-1] if before else after[0]]
    part = (frame - before[-1]) / (after[0] - before[-1])
    return keys[before[-1]] + (keys[after[0]] - keys[before[-1]]) * part


def _curves(scene: Scene, path: Path, names: Optional[Sequence[str]]) -> List[Plug]:
    node = scene.node(path)
    wanted = names or [p for a in own(node["type"]) if a.keyable for p in a.parts or (a.name,)]
    found = [
        named_plug(scene, "{}.{}".format(scene.long(path), one)) for one in dict.fromkeys(wanted)
    ]
    whole = [
        named_plug(scene, "{}.{}".format(scene.long(path), part))
        for plug in found
        for part in (plug.attribute.parts if plug.part is None else ())
    ]
    return [one for one in found if one.part is not None or not one.attribute.parts] + whole


@played("setKeyframe", undoable=True, at="attribute", t="time", v="value")
def set_keyframe(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> int:
    scene, count = host.scene, 0
    named = flags.get("attribute")
    named = [named] if isinstance(named, str) else named
    times = flags.get("time", scene.state["time"])
    for path in selected(host, arguments):
        for plug in _curves(scene, path, named):
            if _locked(scene, plug):
                continue
            keys: Dict[float, Any] = scene.node(plug.path)["keys"].setdefault(plug.name, {})
            if not keys:
                kind = {"doubleLinear": "TL", "doubleAngle": "TA"}.get(
                    plug.attribute.kind.rstrip("3"), "TU"
                )
                name = "{}_{}".format(scene.node(path)["name"], plug.name)
                curve = scene.add("animCurve" + kind, name)
                scene.connect(curve[-1], "output", plug.path[-1], plug.name)
            for time in times if isinstance(times, (list, tuple)) else [times]:
                keys[float(time)] = flags.get("value", plugs.read(scene, plug))
                count += 1
    return count


@played("keyframe", at="attribute", t="time", vc="valueChange", tc="timeChange", kc="keyframeCount")
def keyframe(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    named = flags.get("attribute")
    named = [named] if isinstance(named, str) else named
    span = flags.get("time")
    found = [
        (time, value)
        for path in selected(host, arguments)
        for plug in _curves(scene, path, named)
        for time, value in sorted(scene.node(path)["keys"].get(plug.name, {}).items())
        if span is None or span[0] <= time <= span[1]
    ]
    if flags.get("keyframeCount"):
        return len(found)
    flags.get("timeChange")
    return or_none([one[1] if flags.get("valueChange") else one[0] for one in found])


@played("currentTime", undoable=True)
def current_time(host: MayaHost, mode: str, arguments: List[Any], flags: Flags) -> float:
    scene = host.scene
    if mode != "query":
        scene.state["time"] = float(arguments[0])
        for ident, node in scene.nodes.items():
            for name in node["keys"]:
                plug = named_plug(scene, "{}.{}".format(ident, name))
                plugs.write(scene, plug, [_at(scene, plug, scene.state["time"])])
    return float(scene.state["time"])


# -- transforms -----------------------------------------------------------------------------------


@played(
    "xform",
    undoable=True,
    ws="worldSpace",
    os="objectSpace",
    t="translation",
    ro="rotation",
    s="scale",
    m="matrix",
    r="relative",
)
def xform(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    path = selected(host, arguments)[0]
    world = bool(flags.get("worldSpace"))
    flags.get("objectSpace")
    unit = plugs.CENTIMETRES[scene.state["linear"]]
    order = matrices.ORDERS[scene.node(path)["attrs"]["rotateOrder"]]
    matrix = plugs.world_matrix(scene, path) if world else plugs.local_matrix(scene, path)
    parts = list(matrices.decompose(matrix, order))
    names = ("translation", "rotation", "scale")
    if mode == "query":
        if flags.get("matrix"):
            return [value for row in matrix for value in row]
        if flags.get("rotateOrder"):
            return order
        for number, name in enumerate(names):
            if flags.get(name):
                return [value / unit for value in parts[0]] if number == 0 else parts[number]
        return None
    for number, name in enumerate(names):
        if name in flags:
            parts[number] = [value * (unit if number == 0 else 1.0) for value in flags.get(name)]
    if "matrix" in flags:
        values = list(flags.get("matrix"))
        matrix = [[float(one) for one in values[n : n + 4]] for n in range(0, 16, 4)]
    else:
        matrix = matrices.compose(parts[0], parts[1], parts[2], parts[3], order)
    if world:
        set_world(scene, path, matrix)
    else:
        plugs.settle(scene, path, matrix)
    return None
