"""Ask the person at Blender without stopping anything: a panel, a status line, a menu that may go.

Open questions stand in the sidebar of the 3D view (tab MCP) until they are answered. A menu shows
the newest one at once; it vanishes when the mouse leaves it, which is no answer.
"""

from __future__ import annotations

import textwrap
from typing import Any, Dict, List

from ...host.adapter import Question

__all__ = ["Questions"]

#: The names under which Blender knows our classes.
PANEL = "VIEW3D_PT_dcc_mcp_questions"
OPERATOR = "dcc_mcp.answer"
LATER = "later"
#: Characters in a line: the panel cuts longer ones, and what is asked must not be cut.
WIDTH = 36


class Questions:
    """The open questions of one Blender. Main thread."""

    def __init__(self) -> None:
        self._open: Dict[int, Question] = {}
        self._count = 0
        self._classes: List[Any] = []

    def ask(self, question: Question) -> None:
        """Show ``question`` until it is answered."""
        if not self._classes:
            self._register()
        self._count += 1
        self._open[self._count] = question
        self._draw_attention(self._count)

    def answer(self, number: int, choice: str) -> bool:
        """Take the answer to an open question; False if it is not open any more.

        :data:`LATER` is no answer: the question stays open.
        """
        if choice == LATER:
            return True
        question = self._open.pop(number, None)
        self._status()
        if question is None:
            return False
        question.answer(choice)
        return True

    def close(self) -> None:
        """Take everything out of Blender's interface; open questions stay unanswered."""
        import bpy

        self._open.clear()
        if self._classes:
            self._status()
        for cls in reversed(self._classes):
            bpy.utils.unregister_class(cls)
        self._classes = []

    # -- inside -------------------------------------------------------------------------------

    def _register(self) -> None:
        import bpy

        questions = self

        def execute(operator: Any, context: Any) -> Any:
            known = questions.answer(operator.number, operator.choice)
            return {"FINISHED"} if known else {"CANCELLED"}

        def draw(panel: Any, context: Any) -> None:
            for number in list(questions._open):
                questions._draw(panel.layout.box(), number)

        operator = type(
            "DCC_MCP_OT_answer",
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
            },
        )
        panel = type(
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
        for cls in (operator, panel):
            bpy.utils.register_class(cls)
            self._classes.append(cls)

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
