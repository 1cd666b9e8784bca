"""Hosts as a test plays them: one contract for the fakes of all hosts and the standalone one.

A stage is a context manager, made and entered on the test's thread, which is the host's main one.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from importlib import import_module
from typing import Any, Callable, FrozenSet, List, Optional

__all__ = ["CAN", "STAGES", "StandaloneStage", "Stage", "available", "on_thread", "play", "stage"]

#: What a stage may be able to play.
CAN = frozenset(
    (
        "modal",  # open_modal(), close_modal()
        "spin",  # spin()
        "ask",  # answer()
        "quit",  # quit()
        "undo",  # its backend undoes
        "scene",  # its backend has the scene tools
        "gate",  # open_gate(): the host initialises until then
        "throttle",  # throttled(): idle events come slowly or not at all
    )
)


class Stage:
    """The contract, and what a stage says about what it cannot play."""

    name = "?"
    can: FrozenSet[str] = frozenset()
    #: The HostAdapter, after ``__enter__``.
    adapter: Any = None

    def __enter__(self) -> Stage:
        """Install the host's modules and make the adapter."""
        raise NotImplementedError

    def __exit__(self, *error: Any) -> None:
        """Close the adapter, take the modules out again, fail for calls no host would take."""
        raise NotImplementedError

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Run the host's main loop on this thread while ``body()`` runs on another.

        Returns what it returned, raises what it raised. After ``seconds`` the stacks of all threads
        are printed and the test fails. Once per stage: a host without a loop ends with it.
        """
        raise NotImplementedError

    def open_modal(self, title: str) -> None:
        """Open a modal dialog; return once it is up. Any thread but the main one."""
        raise self._cannot("modal")

    def close_modal(self) -> None:
        """Close it; return once it is gone. Any thread but the main one."""
        raise self._cannot("modal")

    def spin(self) -> None:
        """Turn the host's event loop once, nested in what runs. Main thread, inside a tool."""
        raise self._cannot("spin")

    def answer(self, choice: str) -> None:
        """Press the button of the open question that means ``choice``. Any thread."""
        raise self._cannot("ask")

    def quit(self) -> None:
        """Have the host begin to exit; :meth:`run` then returns. Any thread."""
        raise self._cannot("quit")

    def open_gate(self) -> None:
        """Let the host's initialisation end. Any thread."""
        raise self._cannot("gate")

    def throttled(self, slow: bool) -> None:
        """Have the host's idle events come slowly, or again as always. Any thread."""
        raise self._cannot("throttle")

    def _cannot(self, what: str) -> NotImplementedError:
        return NotImplementedError("the stage {!r} cannot play {!r}".format(self.name, what))


def on_thread(
    body: Callable[[], Any],
    loop: Callable[[], Any],
    end: Callable[[], None],
    seconds: float,
) -> Any:
    """Run ``loop()`` here while ``body()`` runs on a thread; ``end()`` is called when that is over.

    ``end``, on that thread, makes ``loop`` return. Returns or raises what the body did; after
    ``seconds`` all stacks are printed, the loop is ended, and this raises AssertionError. A main
    thread that is stuck for good is ended with the whole process a little later: nothing else can.
    """
    result: List[Any] = []
    problem: List[BaseException] = []
    late = threading.Event()
    over = threading.Event()

    def work() -> None:
        try:
            result.append(body())
        except BaseException as error:
            problem.append(error)
        finally:
            over.set()
            end()

    def watch() -> None:
        if not over.wait(seconds):
            late.set()
            faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
            faulthandler.dump_traceback_later(30.0, exit=True, file=sys.__stderr__)
            end()

    threads = [threading.Thread(target=one, daemon=True) for one in (work, watch)]
    for thread in threads:
        thread.start()
    try:
        loop()
        # It may have ended by itself (quit): the body has the rest of its time.
        over.wait(seconds)
    finally:
        if late.is_set():
            faulthandler.cancel_dump_traceback_later()
    if problem:
        raise problem[0]
    assert not late.is_set() and over.is_set(), "not over after {} s".format(seconds)
    for thread in threads:
        thread.join(5.0)
    return result[0]


class StandaloneStage(Stage):
    """The host without an application: its main thread is the test's while it serves."""

    name = "standalone"
    can = frozenset(("modal", "spin", "ask", "quit", "undo", "scene"))

    def __enter__(self) -> StandaloneStage:
        from dcc_mcp_embed.adapters.standalone import create

        self.adapter = create()
        self._question: Optional[Any] = None
        self._asked = threading.Event()

        def ask(question: Any) -> None:
            self._question = question
            self._asked.set()

        self.adapter.answerer = ask
        return self

    def __exit__(self, *error: Any) -> None:
        self.adapter.close()

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        return on_thread(body, self.adapter.serve_forever, self.adapter.close, seconds)

    def open_modal(self, title: str) -> None:
        self.adapter.modal = title

    def close_modal(self) -> None:
        self.adapter.modal = None

    def spin(self) -> None:
        # All that the loop of this host does is to run the pump.
        self.adapter._waiter._pump()

    def answer(self, choice: str) -> None:
        assert self._asked.wait(10.0), "nobody was asked"
        self._asked.clear()
        self._question.answer(choice)

    def quit(self) -> None:
        self.adapter.close()


#: Name -> "module:class"; the modules of the fakes come from whoever plays that host.
STAGES = {
    "standalone": "hosts.stages:StandaloneStage",
    "qt": "fakes.qt_host.stage:QtStage",
    "maya": "fakes.maya_host.stage:MayaStage",
    "mayapy": "fakes.maya_host.stage:MayapyStage",
    "houdini": "fakes.houdini_host.stage:HoudiniStage",
    "hython": "fakes.houdini_host.stage:HythonStage",
    "max": "fakes.max_host.stage:MaxStage",
    "maxbatch": "fakes.max_host.stage:MaxbatchStage",
}
#: Those that need a Qt binding.
WITH_QT = frozenset(("qt", "maya", "houdini", "max"))
#: Those whose fakes read the stubs of the real host, which are where Qt is.
WITH_STUBS = frozenset(("maya", "mayapy", "houdini", "hython"))


def stage(name: str) -> Stage:
    """Return a stage, not yet entered."""
    module, _, attribute = STAGES[name].partition(":")
    if name == "standalone":
        return StandaloneStage()
    made: Stage = getattr(import_module(module), attribute)()
    return made


def play(played: Stage, home: str, body: Callable[[Stage, Any], Any], seconds: float = 60.0) -> Any:
    """Return ``body(stage, server)``: the stage entered, and the real server in its host.

    ``home`` is a directory for the server's registry; the test has set DCC_MCP_EMBED_HOME.
    """
    from dcc_mcp_embed import embed

    with played as entered:
        server = embed.start(
            adapter=entered.adapter, port=0, registry_dir=os.path.join(home, "registry")
        )

        def whole() -> Any:
            # No thread that a start leaves to itself is still at work when the body begins.
            assert server.wait_registered(20.0)
            for thread in threading.enumerate():
                if thread.name.endswith("registry-start"):
                    thread.join(20.0)
            return body(entered, server)

        try:
            return entered.run(whole, seconds)
        finally:
            server.stop()


def available() -> List[str]:
    """Return the names of the stages whose modules are there."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = []
    for name, where in STAGES.items():
        path = where.partition(":")[0].replace(".", os.sep) + ".py"
        if os.path.exists(os.path.join(here, path)):
            found.append(name)
    return found
