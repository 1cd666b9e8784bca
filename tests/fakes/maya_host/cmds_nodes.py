"""Commands that list, make, name, move and delete nodes."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional

from . import matrices, plugs
from .commands import Flags, played
from .host import MayaHost
from .node_types import TYPES, inherited, is_a
from .scene import Path, Scene, legal

_LS = {
    "l": "long",
    "ap": "allPaths",
    "typ": "type",
    "sl": "selection",
    "s": "shapes",
    "tr": "transforms",
    "ca": "cameras",
    "mat": "materials",
    "ni": "noIntermediate",
    "o": "objectsOnly",
    "et": "exactType",
    "st": "showType",
}


def names(scene: Scene, paths: Iterable[Path], long: bool) -> List[str]:
    return [scene.long(path) if long else scene.short(path) for path in paths]


def or_none(found: List[Any]) -> Optional[List[Any]]:
    """Return what commands other than ls do: None where there is nothing."""
    return found or None


def make_name(host: MayaHost, name: str) -> str:
    space, leaf = legal(name)
    if space and space not in host.scene.state["namespaces"]:
        raise RuntimeError("The namespace '{}' does not exist.".format(space))
    return "{}:{}".format(space, leaf) if space else leaf


def shape_name(transform: str) -> str:
    """Return what Maya calls the shape of a transform: pCube1 has pCubeShape1."""
    stem = transform.rstrip("0123456789")
    return "{}Shape{}".format(stem, transform[len(stem) :])


def selected(host: MayaHost, arguments: List[str]) -> List[Path]:
    """Return what the names name, the selection where there are none."""
    if not arguments:
        return list(host.scene.state["selection"])
    return [host.scene.named(one) for one in arguments]


@played("ls", **_LS)
def ls(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> List[str]:
    scene = host.scene
    if flags.get("selection"):
        found = list(scene.state["selection"])
    elif arguments:
        found = [path for one in arguments for path in scene.matching(one)]
    else:
        found = list(scene.in_order())
    if flags.get("dag"):
        dag = [path for path in found if scene.node(path)["dag"]]
        found = [one for path in dag for one in [path, *scene.below(path)]]
    flags.get("objectsOnly")
    wanted = flags.get("type")
    kinds = [wanted] if isinstance(wanted, str) else list(wanted or [])
    kinds += ["transform"] if flags.get("transforms") else []
    kinds += ["shape"] if flags.get("shapes") else []
    kinds += ["camera"] if flags.get("cameras") else []
    kinds += ["lambert", "standardSurface"] if flags.get("materials") else []
    exact = flags.get("exactType")
    for kind in [*kinds, *([exact] if exact else [])]:
        if kind not in TYPES:
            raise RuntimeError("Unknown object type: {}".format(kind))
    if flags.get("shapes") and wanted:
        kinds.remove("shape")
    every, paths, seen = flags.get("allPaths"), [], set()
    whole = flags.get("noIntermediate")
    top = flags.get("assemblies")
    for path in found:
        node = scene.node(path)
        if kinds and not any(is_a(node["type"], kind) for kind in kinds):
            continue
        if exact and node["type"] != exact:
            continue
        if whole and node["attrs"].get("intermediateObject"):
            continue
        if top and (len(path) > 1 or not node["dag"]):
            continue
        if path in seen or (not every and path[-1] in seen):
            continue
        seen.update((path, path[-1]))
        paths.append(path)
    if flags.get("uuid"):
        return [path[-1] for path in paths]
    shown = names(scene, paths, bool(flags.get("long")))
    if flags.get("showType"):
        return [
            text for name, path in zip(shown, paths) for text in (name, scene.node(path)["type"])
        ]
    return shown


@played(
    "listRelatives",
    c="children",
    s="shapes",
    p="parent",
    ad="allDescendents",
    f="fullPath",
    ni="noIntermediate",
)
def list_relatives(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene, found = host.scene, []
    for name in ("shapes", "noIntermediate", "type"):
        flags.get(name)
    for path in selected(host, arguments):
        if flags.get("parent"):
            near = [path[:-1]] if len(path) > 1 else []
        elif flags.get("allParents"):
            near = [one[:-1] for one in scene.paths(path[-1]) if len(one) > 1]
        elif flags.get("allDescendents"):
            # Autodesk: the deepest first.
            near = list(scene.below(path))[::-1]
        else:
            near = [(*path, ident) for ident in scene.children(path)]
        for one in near:
            node = scene.node(one)
            if flags.get("shapes") and not is_a(node["type"], "shape"):
                continue
            if flags.get("noIntermediate") and node["attrs"].get("intermediateObject"):
                continue
            if flags.get("type") and not is_a(node["type"], flags.get("type")):
                continue
            found.append(one)
    return or_none(names(scene, found, bool(flags.get("fullPath") or flags.get("path"))))


@played("objExists")
def obj_exists(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> bool:
    try:
        if "." in arguments[0]:
            plugs.named_plug(host.scene, arguments[0])
            return True
    except ValueError:
        return False
    return bool(host.scene.matching(arguments[0]))


@played("nodeType")
def node_type(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    kind = host.scene.node(host.scene.named(arguments[0].partition(".")[0]))["type"]
    return inherited(kind)[1:] if flags.get("inherited") else kind


@played("objectType")
def object_type(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    kind = host.scene.node(host.scene.named(arguments[0]))["type"]
    return is_a(kind, flags.get("isAType")) if "isAType" in flags else kind


@played("allNodeTypes")
def all_node_types(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> List[str]:
    abstract = {kind.parent for kind in TYPES.values()}
    if flags.get("includeAbstract"):
        return sorted(TYPES)
    return sorted(one for one in TYPES if one not in abstract or one in ("transform", "objectSet"))


@played("createNode", undoable=True, n="name", p="parent", ss="skipSelect")
def create_node(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> str:
    scene, kind = host.scene, arguments[0]
    if kind not in TYPES:
        raise RuntimeError("Unknown object type: {}".format(kind))
    parent = scene.named(flags.get("parent")) if "parent" in flags else ()
    name = flags.get("name") or kind + "1"
    name = name[:-1] if name.endswith("#") else name
    if is_a(kind, "shape") and not parent:
        parent = scene.add("transform", kind + "1")
        name = flags.get("name") or scene.node(parent)["name"] + "Shape"
    path = scene.add(kind, make_name(host, name), parent)
    if not flags.get("skipSelect"):
        scene.state["selection"] = [path]
    return scene.short(path)


@played("group", undoable=True, em="empty", n="name", p="parent", w="world")
def group(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> str:
    scene = host.scene
    members = [] if flags.get("empty") else selected(host, arguments)
    if not members and not flags.get("empty"):
        raise RuntimeError("Not enough objects or values.")
    parent = scene.named(flags.get("parent")) if "parent" in flags else ()
    flags.get("world")
    path = scene.add("transform", make_name(host, flags.get("name") or "group1"), parent)
    for one in members:
        scene.move(one, path)
    scene.state["selection"] = [path]
    return scene.short(path)


@played("rename", undoable=True)
def rename(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> str:
    scene = host.scene
    path, new = scene.named(arguments[0]), arguments[1]
    node, old = scene.node(path), scene.node(path)["name"]
    if node["default"] and not node["dag"]:
        raise RuntimeError("Cannot rename a locked or read only node.")
    node["name"] = scene.unique(make_name(host, new), path[:-1], node["dag"], but=path[-1])
    for ident in node["children"]:
        shape = scene.nodes[ident]
        # A shape that is called after its transform follows it.
        if shape["name"] == shape_name(old) and not flags.get("ignoreShape"):
            shape["name"] = scene.unique(shape_name(node["name"]), path, True, ident)
    return scene.short(path)


@played("parent", undoable=True, w="world", r="relative", a="absolute", add="addObject")
def parent(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    paths = [scene.named(one) for one in arguments]
    above: Path = () if flags.get("world") else paths.pop()
    flags.get("absolute")
    moved = []
    for path in paths:
        if path[-1] in above:
            raise RuntimeError("Cannot parent an object to one of its children.")
        if path[:-1] == above:
            continue
        if flags.get("addObject"):
            scene.children(above).append(path[-1])
            moved.append((*above, path[-1]))
            continue
        world = plugs.world_matrix(scene, path)
        path = scene.move(path, above)
        if not flags.get("relative"):
            set_world(scene, path, world)
        moved.append(path)
    return names(scene, moved, long=False)


def set_world(scene: Scene, path: Path, world: matrices.Matrix) -> None:
    """Give a transform the values that put it where ``world`` says."""
    above = matrices.multiply(plugs.offset(scene, path), plugs.parent_matrix(scene, path))
    undone = matrices.inverse(above)
    if undone is not None:
        plugs.settle(scene, path, matrices.multiply(world, undone))


@played("delete", undoable=True, ch="constructionHistory")
def delete(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    scene = host.scene
    paths = selected(host, arguments)
    for path in paths:
        if scene.node(path)["default"]:
            name = scene.node(path)["name"]
            raise RuntimeError("Non-deletable node '{}' cannot be deleted.".format(name))
    for path in paths:
        if flags.get("constructionHistory"):
            for one in [path, *scene.below(path)]:
                for maker in scene.inputs(one[-1]):
                    scene.freeze_history(one, maker)
        elif all(ident in scene.nodes for ident in path):
            scene.remove(path)


@played("instance", undoable=True, n="name")
def instance(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> List[str]:
    """A new transform that shares what is below the given one (Autodesk: "instance")."""
    scene = host.scene
    made = []
    for path in selected(host, arguments):
        name = flags.get("name") or scene.node(path)["name"]
        copy = scene.add("transform", make_name(host, name), path[:-1])
        scene.node(copy)["children"] = list(scene.children(path))
        made.append(copy)
    return names(scene, made, long=False)


@played("listHistory", pdo="pruneDagObjects", il="interestLevel")
def list_history(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene, found = host.scene, []
    flags.get("interestLevel")
    flags.get("pruneDagObjects")
    for path in selected(host, arguments):
        shapes = [path, *((*path, one) for one in scene.children(path))]
        for shape in shapes:
            if is_a(scene.node(shape)["type"], "shape") and not flags.get("pruneDagObjects"):
                found.append(scene.short(shape))
            found += [
                one["name"] for one in scene.inputs(shape[-1]) if is_a(one["type"], "polyPrimitive")
            ]
    return or_none(found)


@played("select", undoable=True, r="replace", cl="clear", ne="noExpand", d="deselect")
def select(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    scene = host.scene
    if flags.get("clear"):
        scene.state["selection"] = []
        return
    flags.get("noExpand")
    paths = [scene.named(one) for one in arguments]
    now = list(scene.state["selection"])
    if flags.get("deselect"):
        scene.state["selection"] = [one for one in now if one not in paths]
    elif flags.get("add"):
        scene.state["selection"] = now + [one for one in paths if one not in now]
    else:
        flags.get("replace")
        scene.state["selection"] = list(dict.fromkeys(paths))
