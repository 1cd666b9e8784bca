"""Checks of the scene tools and of undo, each in objects of its own. In a new scene."""

from __future__ import annotations

from typing import Any, Dict, List

from ...errors import NotFound, Unsupported
from .queue_checks import expect, raised
from .world import LeftOut, World

__all__ = [
    "create",
    "delete",
    "failed_call",
    "move",
    "one_step",
    "reading_is_no_step",
    "rename",
    "resources",
    "select",
]

#: Names of what the checks make.
STEM = "selftest"
#: Hosts hold single precision.
NEAR = 1e-4
PLACE = [1.0, -2.0, 3.5]


def _made(world: World, **more: Any) -> Dict[str, Any]:
    kind = "cube" if "cube" in world.backend.kinds else world.backend.kinds[0]
    made: Dict[str, Any] = world.call("create_object", dict({"kind": kind, "name": STEM}, **more))
    return made


def _is_there(world: World, path: str) -> bool:
    try:
        world.run(lambda: world.backend.resolve(path))
    except NotFound:
        return False
    return True


def _near(found: Any, wanted: Any) -> bool:
    return len(found) == len(wanted) and all(
        abs(a - b) <= NEAR * max(1.0, abs(b)) for a, b in zip(found, wanted)
    )


def _paths(world: World) -> List[str]:
    return list(world.run(lambda: [row["path"] for row in world.backend.rows()]))


def create(world: World) -> str:
    before = len(_paths(world))
    made = _made(world, transform={"translate": PLACE})
    expect(len(_paths(world)) == before + 1, "the scene has not one object more")
    card = world.call("get_object", {"path": made["path"], "include": ["transform"]})
    expect(card["id"] == made["id"] and card["type"] == made["type"], "another one was read")
    found = card["transform"]["world"]["translate"]
    expect(_near(found, PLACE), "made at {}, it stands at {}".format(PLACE, found))
    return "{} is a {}".format(made["path"], made["type"])


def move(world: World) -> None:
    made = _made(world)
    asked = {"path": made["path"], "translate": PLACE, "rotate": [10.0, 20.0, 30.0]}
    world.call("set_transform", dict(asked, scale=[1.0, 2.0, 0.5]))
    card = world.call("get_object", {"path": made["path"], "include": ["transform"]})
    for part, wanted in (("translate", PLACE), ("scale", [1.0, 2.0, 0.5])):
        found = card["transform"]["local"][part]
        expect(_near(found, wanted), "{} is {} instead of {}".format(part, found, wanted))
    found = card["transform"]["local"]["rotate"]
    expect(_near(found, [10.0, 20.0, 30.0]), "rotate is {}".format(found))


def rename(world: World) -> None:
    made = _made(world)
    new = world.call("rename_object", {"path": made["path"], "new_name": STEM + "_renamed"})["new"]
    row = world.run(lambda: world.backend.row(new))
    expect(row["id"] == made["id"], "another object has the new name")
    expect(row["name"] == STEM + "_renamed", "its name is {!r}".format(row["name"]))
    expect(not _is_there(world, made["path"]), "the old name is still there")


def select(world: World) -> None:
    paths = [_made(world)["path"], _made(world)["path"]]
    world.call("set_selection", {"paths": paths})
    found = sorted(row["path"] for row in world.call("get_selection")["items"])
    expect(found == sorted(paths), "selected are {}".format(found))
    world.call("set_selection", {"paths": []})
    expect(world.call("get_selection")["total"] == 0, "the selection is not cleared")


def delete(world: World) -> None:
    made = _made(world)
    beside = _made(world)
    gone = world.call("delete_objects", {"paths": [made["path"]]})
    expect(gone["deleted"] == [made["path"]], "deleted were {}".format(gone["deleted"]))
    expect(not _is_there(world, made["path"]), "it is still there")
    expect(_is_there(world, beside["path"]), "the one beside it went, too")


def resources(world: World) -> None:
    made = _made(world)
    info = world.read("scene://info")
    expect(isinstance(info, dict) and "up_axis" in info, "scene://info is {!r}".format(info))
    tree = world.read("scene://tree")
    expect(world.call("get_object", {"path": made["path"], "include": []})["name"] in tree, tree)
    world.call("set_selection", {"paths": [made["path"]]})
    found = [row["path"] for row in world.read("scene://selection")["items"]]
    expect(found == [made["path"]], "scene://selection is {}".format(found))


def _undo(world: World) -> bool:
    """Take back one step of the host's. Raises LeftOut where it has none to take back."""
    try:
        return bool(world.run(world.backend.undo, writes=True))
    except Unsupported as error:
        raise LeftOut("No undo here: {}".format(error.message)) from None


def one_step(world: World) -> None:
    first = _made(world)["path"]
    paths: List[str] = []

    def several() -> None:
        """As a tool with more than one edit would."""
        backend = world.backend
        kind = "cube" if "cube" in backend.kinds else backend.kinds[0]
        paths.append(backend.create(kind, STEM, None, {}))
        backend.set_transform(paths[0], PLACE, None, None, "local")
        paths.append(backend.create(kind, STEM, None, {}))

    call = world.start(several, writes=True, undo_label="MCP: selftest")
    call.wait()
    steps = call.report.undo_steps if call.report is not None else None
    undone = _undo(world)
    expect(steps == 1, "the call is {} steps".format(steps))
    expect(undone, "there was nothing to undo")
    left = [path for path in paths if _is_there(world, path)]
    expect(not left, "one undo left {}".format(left))
    expect(_is_there(world, first), "one undo took back the call before, too")
    expect(_undo(world), "the call before is no step of its own")
    expect(not _is_there(world, first), "the second undo left {}".format(first))


def reading_is_no_step(world: World) -> None:
    made = _made(world)["path"]
    world.call("get_object", {"path": made})
    world.call("list_objects")
    call = world.start(
        lambda: len([dict(one) for one in world.backend.rows()]),
        writes=True,
        undo_label="MCP: selftest",
    )
    call.wait()
    steps = call.report.undo_steps if call.report is not None else None
    expect(steps == 0, "a call that changed nothing is {} steps".format(steps))
    expect(_undo(world), "there was nothing to undo")
    expect(not _is_there(world, made), "something came between the write and its undo")


def failed_call(world: World) -> str:
    kept = _made(world)["path"]
    before = _paths(world)

    def breaks() -> None:
        backend = world.backend
        kind = "cube" if "cube" in backend.kinds else backend.kinds[0]
        backend.create(kind, STEM, None, {})
        backend.set_transform(kept, PLACE, None, None, "local")
        raise ValueError("on purpose")

    call = world.start(breaks, writes=True, undo_label="MCP: selftest fails")
    raised(ValueError, call)
    steps = call.report.undo_steps if call.report is not None else None
    told = "it is undone at once"
    if steps == 1:
        # A host that cannot take it back itself has it be one step of the user's.
        told = "it is a step of its own"
        expect(_undo(world), "there was nothing to undo")
    elif _paths(world) != before:
        _undo(world)
        raise AssertionError("what it made before it failed stays, with {} steps".format(steps))
    expect(_paths(world) == before, "it left {}".format(sorted(set(_paths(world)) - set(before))))
    at = world.run(lambda: world.backend.transform(kept, "local"))["translate"]
    expect(_near(at, [0.0, 0.0, 0.0]), "what it moved stays at {}".format(at))
    return told
