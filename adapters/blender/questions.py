"""Ask the person at Blender without stopping anything: a panel, a status line, a menu that may go.

Open questions stand in the sidebar of the 3D view (tab MCP) until they are answered. A menu shows
the newest one at once; it vanishes when the mouse leaves it, which is no answer.

The operator behind the buttons stays registered until Blender ends. An open menu holds a bare
pointer to it and nothing can close a menu, so Blender 3.4.1 crashed in the next round of its loop
when the operator went first. Without questions it does nothing.
"""

from __future__ import annotations

import textwrap
from typing import Any, Dict

from ...host.adapter import Question

__all__ = ["Questions"]

#: The names under which Blender knows our classes.
PANEL = "VIEW3D_PT_dcc_mcp_questions"
OPERATOR = "dcc_mcp.answer"
OPERATOR_CLASS = "DCC_MCP_OT_answer"
LATER = "later"
#: Characters in a line: the panel cuts longer ones, and what is asked must not be cut.
WIDTH = 36


def _operator() -> Any:
    """Return the operator class of this Blender, registered when it is first asked for.

    It outlives us and may be of an older version of ours, so what it needs is little: ``asking``,
    number -> ``answer(number, choice) -> bool`` of each open question, and ``count``, the questions
    asked so far in this Blender. A menu may stay open when its adapter is gone; a number that came
    again would let its click consent to a question of somebody else.
    """
    import bpy

    known = getattr(bpy.types, OPERATOR_CLASS, None)
    if known is not None:
        return known

    def execute(operator: Any, context: Any) -> Any:
        answer = type(operator).asking.get(operator.number)
        taken = answer is not None and answer(operator.number, operator.choice)
        return {"FINISHED"} if taken else {"CANCELLED"}

    made = type(
        OPERATOR_CLASS,
        (bpy.types.Operator,),
        {
            "bl_idname": OPERATOR,
            "bl_label": "Answer an agent's question",
            "bl_description": "Tell the agent that asks whether it may",
            # Not part of the user's undo history, and not searchable.
            "bl_options": {"INTERNAL"},
            "__annotations__": {
                "number": bpy.props.IntProperty(),
                "choice": bpy.props.StringProperty(),
            },
            "execute": execute,
            "asking": {},
            "count": 0,
        },
    )
    bpy.utils.register_class(made)
    return made


class Questions:
    """The open questions of one Blender. Main thread."""

    def __init__(self) -> None:
        self._open: Dict[int, Question] = {}
        self._operator: Any = None
        self._panel: Any = None

    def ask(self, question: Question) -> None:
        """Show ``question`` until it is answered."""
        if self._panel is None:
            self._register()
        self._operator.count += 1
        number = self._operator.count
        self._open[number] = question
        self._operator.asking[number] = self.answer
        self._draw_attention(number)

    def answer(self, number: int, choice: str) -> bool:
        """Take the answer to an open question; False if it is not open any more.

        :data:`LATER` is no answer: the question stays open.
        """
        if choice == LATER:
            return True
        question = self._open.pop(number, None)
        if question is None:
            return False
        del self._operator.asking[number]
        self._status()
        question.answer(choice)
        return True

    def close(self) -> None:
        """Take everything out of Blender's interface; open questions stay unanswered."""
        import bpy

        if self._panel is None:
            return
        for number in self._open:
            del self._operator.asking[number]
        self._open.clear()
        self._status()
        bpy.utils.unregister_class(self._panel)
        self._operator = self._panel = None

    # -- inside -------------------------------------------------------------------------------

    def _register(self) -> None:
        import bpy

        questions = self

        def draw(panel: Any, context: Any) -> None:
            for number in list(questions._open):
                questions._draw(panel.layout.box(), number)

        self._panel = type(
            PANEL,
            (bpy.types.Panel,),
            {
                "bl_idname": PANEL,
                "bl_label": "Questions of agents",
                "bl_space_type": "VIEW_3D",
                "bl_region_type": "UI",
                "bl_category": "MCP",
                "poll": classmethod(lambda cls, context: bool(questions._open)),
                "draw": draw,
            },
        )
        bpy.utils.register_class(self._panel)
        self._operator = _operator()

    def _draw(self, layout: Any, number: int) -> None:
        question = self._open[number]
        layout.label(text=question.title, icon="QUESTION")
        for line in textwrap.wrap(question.text, WIDTH):
            layout.label(text=line)
        for choice, label in question.choices:
            button = layout.operator(OPERATOR, text=label)
            button.number = number
            button.choice = choice

    def _draw_attention(self, number: int) -> None:
        import bpy

        self._status()
        questions = self

        def draw_menu(menu: Any, context: Any) -> None:
            if number in questions._open:
                # The menu opens under the mouse: what a click in flight hits must be harmless.
                button = menu.layout.operator(OPERATOR, text="Decide later", icon="QUESTION")
                button.number = number
                button.choice = LATER
                questions._draw(menu.layout, number)

        manager = bpy.context.window_manager
        for window in manager.windows:
            for area in window.screen.areas:
                if area.type != "VIEW_3D":
                    continue
                space = area.spaces.active
                space.show_region_ui = True
                area.tag_redraw()
        windows = list(manager.windows)
        if windows and hasattr(bpy.context, "temp_override"):
            # A timer has no window of its own to open the menu in.
            with bpy.context.temp_override(window=windows[0]):
                manager.popup_menu(draw_menu, title="An agent asks", icon="QUESTION")

    def _status(self) -> None:
        """Say in the status bar that a question is open; give the bar back when none is."""
        import bpy

        text = None
        if self._open:
            text = "An agent asks for your consent: see the sidebar of the 3D view (N), tab MCP"
        for workspace in bpy.data.workspaces:
            workspace.status_text_set(text)
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
