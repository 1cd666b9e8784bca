"""What a person may start a conversation with, in every host; it names the shared tools only."""

from __future__ import annotations

from .declare import prompt

__all__ = [
    "debug_scene",
    "explore_scene",
    "look_dev",
    "model_from_reference",
    "prepare_export",
]

_EXPLORE = """\
Look around in the scene that is open and tell me what is in it.

1. get_scene_info: file, units, up axis, what there is of each type.
2. list_objects, page by page, until you know how it is organised; get_object for what stands out.
3. Tell me in a few sentences what the scene shows, how it is built, and what looks unfinished. \
Name objects by their path. Change nothing.
"""
_DEBUG = """\
Something is wrong in the scene that is open: {problem}

1. get_status and get_log: is the host healthy, and what went wrong lately? The resource \
scene://errors names files that are missing.
2. get_scene_info, then list_objects and get_object for what may be involved: hidden objects, \
scales of zero or below, transforms far from the origin, empty groups, names that clash.
3. Say what you found, with paths and values, and what you would change. Ask before you change \
anything; each change is one undo step.
"""
_EXPORT = """\
Get {what} ready for export{target}.

1. get_scene_info: units and up axis, and whether they suit the target.
2. list_objects and get_object for everything that is meant: names without blanks and clashes, \
transforms frozen or at least sane, nothing hidden that must not go along, no empty groups.
3. List what has to change, with paths. Change it only when I agree, then read it back.
"""
_MODEL = """\
Build a model after {reference}, in parts that I can go on working with.

1. get_scene_info: units and up axis. Everything below is in these units. list_objects: what is \
there already stays as it is.
2. Before you build, tell me in a few lines what you see: the parts, which of them repeat, and \
their sizes and proportions in scene units. Ask me for one real size if nothing shows the scale.
3. create_object with kind 'group' for the whole, then its parts below it (parent), with names \
that say what they are. Make the large forms first. One batch for each group of parts: it is one \
undo step.
4. Kinds that create_object has not are made by other tools of this host, which search_tools \
finds ('extrude', 'curve'), or by execute_python, if I allow it.
5. get_object on each part: compare its bounding box with the sizes of step 2, and see that parts \
that touch do touch. Correct what is off with set_transform; do not build it a second time.
6. Say what you built, with paths and sizes, and where it is simpler than the reference.
{detail}"""
_LOOK = """\
Work on the look of {what}{style}.

1. get_scene_info (render engine, size, camera), list_objects with type 'light' and 'camera', and \
get_object for what is meant: the materials that it has now. The resource scene://errors names \
textures that are missing.
2. Tell me in a few lines what you would change: materials, lights, camera. Wait until I agree.
3. Lights and a camera if there is none: create_object, then set_transform. Begin with one key \
light and judge its direction and size; add fill and rim light only for a reason that you can \
name.
4. Materials are made and assigned by tools of this host, which search_tools finds ('material', \
'assign'), or by execute_python, if I allow it. Base colour and roughness first; no pure black or \
white, and metal is either 0 or 1.
5. One change at a time, read back with get_object. If search_tools finds a tool that renders or \
captures the viewport, look at a small picture after each step; otherwise say that you cannot see \
the result and ask me what I see.
6. Say what you changed, with paths and values, and which undo steps take it back.
"""


@prompt(title="Explore the scene", thread="loop")
def explore_scene(focus: str = "") -> str:
    """Look around in the open scene and tell what is in it.

    Args:
        focus: What to look at in particular, such as a path, a type or a question
    """
    return _EXPLORE + ("\nLook at this in particular: {}\n".format(focus) if focus else "")


@prompt(title="Find what is wrong", thread="loop")
def debug_scene(problem: str) -> str:
    """Find out what is wrong in the open scene, without changing it.

    Args:
        problem: What goes wrong, in your words
    """
    return _DEBUG.format(problem=problem)


@prompt(title="Prepare an export", thread="loop")
def prepare_export(objects: str = "", target: str = "") -> str:
    """Check what has to be in order before something is exported.

    Args:
        objects: Paths of the objects that are meant; without it, everything
        target: Where it goes, such as a game engine or a file format
    """
    return _EXPORT.format(
        what=objects or "the whole scene", target=" to {}".format(target) if target else ""
    )


@prompt(title="Model from a reference", thread="loop")
def model_from_reference(reference: str, detail: str = "") -> str:
    """Build a model after a picture, a drawing or a description.

    Args:
        reference: What to build: a description, or which picture of this conversation shows it
        detail: How far to go, such as a rough block-out, a size, or a number of polygons
    """
    return _MODEL.format(
        reference=reference,
        detail="\nHow far to go: {}\n".format(detail) if detail else "",
    )


@prompt(title="Work on the look", thread="loop")
def look_dev(objects: str = "", style: str = "") -> str:
    """Work on materials, lights and camera, one change at a time.

    Args:
        objects: Paths of the objects that are meant; without it, everything
        style: What it shall look like, in your words
    """
    return _LOOK.format(
        what=objects or "the whole scene",
        style=", which shall look like this: {}".format(style) if style else "",
    )
