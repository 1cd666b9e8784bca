"""Commands that make shapes, and what a shape's box is."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any, Callable, Dict, List, Tuple

from . import matrices, plugs
from .cmds_nodes import make_name, selected, shape_name
from .commands import Flags, played
from .host import MayaHost
from .node_types import TYPES, bounds, is_a, own
from .plugs import CENTIMETRES
from .scene import Path, Scene


def shaped(host: MayaHost, kind: str, name: str, select: bool = True) -> Tuple[Path, Path]:
    """Make a transform with a shape below it."""
    scene = host.scene
    transform = scene.add("transform", make_name(host, name))
    shape = scene.add(kind, shape_name(scene.node(transform)["name"]), transform)
    if select:
        scene.state["selection"] = [transform]
    return transform, shape


#: Command -> the name it gives, faces and points of what it makes by default.
_POLYGONS = {
    "polyCube": ("pCube1", 6, 8),
    "polySphere": ("pSphere1", 400, 382),
    "polyPlane": ("pPlane1", 100, 121),
    "polyCylinder": ("pCylinder1", 60, 42),
    "polyCone": ("pCone1", 21, 21),
    "polyTorus": ("pTorus1", 400, 400),
}


def _polygon(command: str) -> Callable[..., List[str]]:
    default = _POLYGONS[command][0]

    def play(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> List[str]:
        scene = host.scene
        transform, shape = shaped(host, "mesh", flags.get("name") or default)
        made = [scene.short(transform)]
        maker = scene.add(command, command + "1")
        values = scene.node(maker)["attrs"]
        unit = CENTIMETRES[scene.state["linear"]]
        for name in (one.name for one in own(command)):
            if name in flags and name != "axis":
                values[name] = float(flags.get(name)) * unit
        # Autodesk: "the primitive's axis", Y unless said otherwise.
        values["axis"] = [float(one) for one in flags.get("axis", (0, 1, 0))]
        faces, points = _POLYGONS[command][1:]
        across = flags.get("subdivisionsX"), flags.get("subdivisionsY")
        if command == "polyPlane" and None not in across:
            faces, points = across[0] * across[1], (across[0] + 1) * (across[1] + 1)
        scene.node(shape)["attrs"].update(faces=faces, points=points)
        scene.connect(maker[-1], "output", shape[-1], "inMesh")
        group = scene.named("initialShadingGroup")[-1]
        scene.state["sets"][group].append(shape[-1])
        if flags.get("constructionHistory", True):
            made.append(scene.node(maker)["name"])
        else:
            scene.freeze_history(shape, scene.node(maker))
        return made

    return play


_SHORT = {"n": "name", "ch": "constructionHistory", "sx": "subdivisionsX", "sy": "subdivisionsY"}
for _command in _POLYGONS:
    _own = {one.short: one.name for one in TYPES[_command].attributes}
    played(_command, undoable=True, ax="axis", **dict(_SHORT, **_own))(_polygon(_command))


@played("polyEvaluate", v="vertex", f="face")
def poly_evaluate(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    scene = host.scene
    path = selected(host, arguments)[0]
    shapes = [path, *((*path, one) for one in scene.children(path))]
    for shape in shapes:
        attrs = scene.node(shape)["attrs"]
        if scene.node(shape)["type"] == "mesh":
            flags.get("face")
            return attrs["points"] if flags.get("vertex") else attrs["faces"]
    # Autodesk: a text, not an error.
    return "Nothing counted : no polygonal object is selected."


@played("spaceLocator", undoable=True, n="name")
def space_locator(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> List[str]:
    transform, _ = shaped(host, "locator", flags.get("name") or "locator1")
    return [host.scene.short(transform)]


@played("camera", undoable=True, fl="focalLength", n="name")
def camera(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> List[str]:
    scene = host.scene
    transform, shape = shaped(host, "camera", flags.get("name") or "camera1")
    scene.node(shape)["attrs"]["focalLength"] = float(flags.get("focalLength", 35.0))
    scene.node(shape)["attrs"]["renderable"] = False
    return [scene.short(transform), scene.short(shape)]


@played("shadingNode", undoable=True, n="name", al="asLight", ss="skipSelect")
def shading_node(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> str:
    scene, kind = host.scene, arguments[0]
    if kind not in TYPES:
        raise RuntimeError("Unknown object type: {}".format(kind))
    select = not flags.get("skipSelect")
    flags.get("asShader")
    flags.get("asTexture")
    if flags.get("asLight"):
        transform, _ = shaped(host, kind, flags.get("name") or kind + "1", select)
        return scene.short(transform)
    return str(
        scene.node(scene.add(kind, make_name(host, flags.get("name") or kind + "1")))["name"]
    )


def box(scene: Scene, paths: List[Path]) -> Any:
    """Return the corners around the shapes at and below these paths, None where there is none."""
    low, high = [float("inf")] * 3, [float("-inf")] * 3
    for path in [one for top in paths for one in [top, *scene.below(top)]]:
        node = scene.node(path)
        if not is_a(node["type"], "shape") or node["attrs"]["intermediateObject"]:
            continue
        for corner in _corners(scene, path):
            for k in range(3):
                low[k], high[k] = min(low[k], corner[k]), max(high[k], corner[k])
    return (low, high) if low[0] <= high[0] else None


def _corners(scene: Scene, path: Path) -> List[Tuple[float, ...]]:
    node = scene.node(path)
    made: Dict[str, Any] = dict(node["attrs"].get("made", {}))
    kind = made.get("kind", node["type"])
    for maker in scene.inputs(path[-1]):
        if is_a(maker["type"], "polyPrimitive"):
            made, kind = maker["attrs"], maker["type"]
    low, high = bounds(kind, made)
    world = plugs.world_matrix(scene, path[:-1])
    every = [
        (x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])
    ]
    return [matrices.point(world, one) for one in every]


@played("exactWorldBoundingBox")
def exact_world_bounding_box(
    host: MayaHost, mode: str, arguments: List[str], flags: Flags
) -> List[float]:
    scene = host.scene
    found = box(scene, selected(host, arguments))
    if found is None:
        return [1e20] * 3 + [-1e20] * 3
    unit = CENTIMETRES[scene.state["linear"]]
    return [value / unit for corner in found for value in corner]


@played(
    "playblast",
    fmt="format",
    c="compression",
    fr="frame",
    cf="completeFilename",
    v="viewer",
    fo="forceOverwrite",
    os="offScreen",
    p="percent",
    wh="widthHeight",
    orn="showOrnaments",
)
def playblast(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> str:
    """Write a picture of one colour. Needs a view, which a Maya without a window has not."""
    if host.batch:
        raise RuntimeError("playblast: no model panel to draw")
    path = flags.get("completeFilename")
    width, height = flags.get("widthHeight", (64, 64))
    for name in ("format", "compression", "frame", "viewer", "offScreen", "percent"):
        flags.get(name)
    flags.get("showOrnaments")
    force = flags.get("forceOverwrite")
    if os.path.exists(path) and not force:
        raise RuntimeError("{} exists".format(path))
    rows = zlib.compress((b"\0" + b"\x40\x80\xc0" * width) * height)
    with open(path, "wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", rows),
            (b"IEND", b""),
        ):
            stream.write(struct.pack(">I", len(body)) + kind + body)
            stream.write(struct.pack(">I", zlib.crc32(kind + body) & 0xFFFFFFFF))
    return str(path)
