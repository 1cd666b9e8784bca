"""Our menu in Blender's top bar, and how Blender shows, asks and copies. Main thread.

The operator behind the entries stays registered until Blender ends, as that of ``questions`` does
and for the same reason: an open menu holds a bare pointer to it. Without a menu it does nothing.
"""

from __future__ import annotations

import textwrap
from typing import Any, Callable, List, Sequence, Tuple

__all__ = ["Menu", "ask_later", "copy", "show"]

#: The names under which Blender knows our classes.
MENU = "TOPBAR_MT_dcc_mcp"
OPERATOR = "dcc_mcp.choose"
OPERATOR_CLASS = "DCC_MCP_OT_choose"
#: Characters in a line of a popup: longer ones are cut at the window's edge.
WIDTH = 100

Entries = Sequence[Tuple[str, Callable[[], Any]]]


def _operator() -> Any:
    """Return the operator class of this Blender, registered when it is first asked for.

    It outlives us and may be of an older version of ours, so what it needs is little: ``calls``,
    number -> what an entry calls, ``count``, how many numbers were given, and ``bar``, what draws
    the menu that stands in the top bar, None without one. No number comes again.
    """
    import bpy

    known = getattr(bpy.types, OPERATOR_CLASS, None)
    if known is not None:
        return known

    def execute(operator: Any, context: Any) -> Any:
        call = type(operator).calls.get(operator.number)
        if call is None:
            return {"CANCELLED"}

        def later() -> None:
            call()

        # When the menu is closed, and this operator done: the entry may take the menu away.
        bpy.app.timers.register(later, first_interval=0.0)
        return {"FINISHED"}

    made = type(
        OPERATOR_CLASS,
        (bpy.types.Operator,),
        {
            "bl_idname": OPERATOR,
            "bl_label": "Choose from the MCP menu",
            "bl_description": "The MCP server of this Blender",
            # Not part of the user's undo history, and not searchable.
            "bl_options": {"INTERNAL"},
            "__annotations__": {"number": bpy.props.IntProperty()},
            "execute": execute,
            "calls": {},
            "count": 0,
            "bar": None,
        },
    )
    bpy.utils.register_class(made)
    return made


def _numbered(entries: Entries) -> List[Tuple[str, int]]:
    """Return the entries' labels with the numbers by which the operator knows what to call."""
    operator, numbered = _operator(), []
    for label, call in entries:
        operator.count += 1
        operator.calls[operator.count] = call
        numbered.append((label, operator.count))
    return numbered


def _draw(layout: Any, numbered: Sequence[Tuple[str, int]]) -> None:
    for label, number in numbered:
        layout.operator(OPERATOR, text=label).number = number


class Menu:
    """A menu with these entries: (label, what to call)."""

    def __init__(self, title: str, entries: Entries) -> None:
        import bpy

        _take_away()
        numbered = _numbered(entries)

        def draw(menu: Any, context: Any) -> None:
            _draw(menu.layout, numbered)

        def draw_bar(bar: Any, context: Any) -> None:
            bar.layout.menu(MENU)

        made = type(MENU, (bpy.types.Menu,), {"bl_idname": MENU, "bl_label": title, "draw": draw})
        bpy.utils.register_class(made)
        bpy.types.TOPBAR_MT_editor_menus.append(draw_bar)
        _operator().bar = draw_bar

    def close(self) -> None:
        """Take it away. Twice is fine."""
        _take_away()


def _take_away() -> None:
    """Take away the menu that is there, an older version's too."""
    import bpy

    operator = _operator()
    operator.calls.clear()
    if operator.bar is not None:
        bpy.types.TOPBAR_MT_editor_menus.remove(operator.bar)
        operator.bar = None
    known = getattr(bpy.types, MENU, None)
    if known is not None:
        bpy.utils.unregister_class(known)


def show(title: str, text: str) -> None:
    """Show a text at the mouse until it moves away; where that cannot be, in the console."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH) or [""]]

    def draw(menu: Any, context: Any) -> None:
        for line in lines:
            menu.layout.label(text=line)

    if not _popup(draw, title, "INFO"):
        print("{}\n{}".format(title, text))


def ask_later(title: str, text: str, yes: Callable[[], Any]) -> None:
    """Show a question at the mouse; ``yes()`` is called once if the person says so."""
    operator = _operator()
    numbered: List[Tuple[str, int]] = []

    def said(agreed: bool) -> None:
        for _, number in numbered:
            operator.calls.pop(number, None)
        if agreed:
            yes()

    # The menu opens under the mouse: what a click in flight hits must be harmless.
    numbered += _numbered([("No", lambda: said(False)), ("Yes", lambda: said(True))])

    def draw(menu: Any, context: Any) -> None:
        for line in text.splitlines():
            for part in textwrap.wrap(line, WIDTH):
                menu.layout.label(text=part)
        _draw(menu.layout, numbered)

    if not _popup(draw, title, "QUESTION"):
        print("{}\n{}\nThis Blender has no way to ask.".format(title, text))


def _popup(draw: Callable[[Any, Any], None], title: str, icon: str) -> bool:
    """Open a popup; return False where none can be opened from a timer, before Blender 3.2."""
    import bpy

    manager = bpy.context.window_manager
    windows = list(manager.windows)
    if not windows or not hasattr(bpy.context, "temp_override"):
        return False
    # A timer has no window of its own to open the menu in.
    with bpy.context.temp_override(window=windows[0]):
        manager.popup_menu(draw, title=title, icon=icon)
    return True


def copy(text: str) -> None:
    """Put a text on the clipboard."""
    import bpy

    bpy.context.window_manager.clipboard = text
