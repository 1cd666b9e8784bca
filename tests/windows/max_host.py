"""A 3ds Max with our server in it: ``python -m windows.max_host``.

Each line on stdin is a call, JSON ``[name, *arguments]``, of one of the functions below; its result
is the JSON line that answers. The first line on stdout tells where the server is. It ends when it
is told to quit, as 3ds Max does, or when its stdin ends.
"""

from __future__ import annotations

import ctypes
import json
import sys

from dcc_mcp_embed import embed
from fakes.max_host.stage import MaxStage


class Person:
    """Who sits at it. Not on the main thread."""

    def __init__(self, stage):
        self._stage = stage

    def modal(self, title):
        """Open a dialog of Qt's; None closes it."""
        if title is None:
            self._stage.close_modal()
        else:
            self._stage.open_modal(title)

    def enable(self, on):
        """Do to the main window what one of Windows' own modal dialogs does."""
        window = ctypes.c_void_p(self._stage.host.window_id)
        self._stage.on_main(lambda: ctypes.windll.user32.EnableWindow(window, on))

    def labels(self):
        """Return what the undo menu offers."""
        return [label for label, _ in self._stage.host.hold.done]

    def nodes(self):
        scene = self._stage.host.scene
        return [scene.data(key)["name"] for key in scene.nodes()]

    def answer(self, choice):
        self._stage.answer(choice)

    def quit(self):
        self._stage.quit()


#: The parent of windows that are on no screen.
HWND_MESSAGE = -3


def window():
    """Make a window of Windows' own, to stand for the main one; return its handle."""
    create = ctypes.windll.user32.CreateWindowExW
    create.restype = ctypes.c_void_p
    nothing = ctypes.c_void_p(0)
    parent = ctypes.c_void_p(HWND_MESSAGE)
    made = create(0, "STATIC", "3ds Max", 0, 0, 0, 0, 0, parent, nothing, nothing, nothing)
    assert made, ctypes.WinError()
    return made


def main():
    answers = sys.stdout
    with MaxStage() as stage:
        stage.host.window_id = window()
        server = embed.start(adapter=stage.adapter, port=0)
        server.wait_registered(20.0)
        person = Person(stage)

        def tell(value):
            print(json.dumps(value), file=answers, flush=True)

        def body():
            tell({"port": server.port, "token": server.token, "interpreter": sys.executable})
            for line in sys.stdin:
                name, *arguments = json.loads(line)
                tell(getattr(person, name)(*arguments))

        stage.run(body, 60.0)


if __name__ == "__main__":
    main()
