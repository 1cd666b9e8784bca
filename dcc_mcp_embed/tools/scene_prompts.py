"""What a person may start a conversation with, in every host; it names the shared tools only."""

from __future__ import annotations

from .declare import prompt

__all__ = ["debug_scene", "explore_scene", "prepare_export"]

_EXPLORE = """\
Look around in the scene that is open and tell me what is in it.

1. get_scene_info: file, units, up axis, what there is of each type.
2. list_objects, page by page, until you know how it is organised; get_object for what stands out.
3. Tell me in a few sentences what the scene shows, how it is built, and what looks unfinished. \
Name objects by their path. Change nothing.
"""
_DEBUG = """\
Something is wrong in the scene that is open: {problem}

1. get_status and get_log: is the host healthy, and what went wrong lately?
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
