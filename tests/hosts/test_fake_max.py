"""The 3ds Max that tests play does what Autodesk says of the real one. Each test names the page.

Here are its calls, values, threads and the process; test_fake_max_scene.py has the scene.

Pages are of Autodesk's help: "Python" those of the 3ds Max Python API, "MAXScript" those of the
MAXScript Help.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from fakes.max_host import allowed
from fakes.max_host.faults import MaxError
from fakes.max_host.install import install
from fakes.max_host.listener import Listener


@pytest.fixture
def host():
    with install() as made:
        yield made


@pytest.fixture
def rt(host):
    import pymxs

    return pymxs.runtime


def refused(host, call, *arguments):
    """Call it; return what it was refused for. It is forgiven."""
    with pytest.raises((MaxError, AttributeError)):
        call(*arguments)
    assert len(host.faults.found) == 1
    return host.faults.found.pop()


def on_a_thread(call):
    raised = []

    def run():
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="a thread of Python")
    thread.start()
    thread.join()
    return raised


# Strictness.


def test_what_is_not_in_the_list_fails_also_if_the_error_is_swallowed():
    def probe():
        with install():
            import pymxs

            assert getattr(pymxs.runtime, "captureScreen", None) is None

    with pytest.raises(AssertionError, match="captureScreen"):
        probe()


@pytest.mark.parametrize(
    "call",
    [
        lambda rt: rt.Box(size=2),
        lambda rt: rt.Box().radius,
        lambda rt: rt.Point3(1, 2, 3).w,
        lambda rt: rt.theHold.Commit(),
        lambda rt: rt.select(1),
        lambda rt: rt.clearSelection(1),
        lambda rt: rt.uniqueName(prefix="a", wrong=1),
        lambda rt: setattr(rt.Box(), "length", "wide"),
        lambda rt: setattr(rt.Box(), "transform", [1, 2]),
        lambda rt: setattr(rt.Box(), "min", rt.Point3(0, 0, 0)),
        lambda rt: rt.callbacks.addScript(rt.Name("filePostOpen"), print),
        lambda rt: rt.callbacks.addScript(rt.Name("fileOpened"), print, id=rt.Name("a")),
        lambda rt: rt.callbacks.addScript(rt.Name("filePostOpen"), "print 1", id=rt.Name("a")),
        lambda rt: rt.callbacks.addScript(
            rt.Name("filePostOpen"), lambda needed: None, id=rt.Name("a")
        ),
        lambda rt: rt.callbacks.removeScripts(),
        lambda rt: rt.resetMaxFile(),
        lambda rt: rt.loadMaxFile("a.max"),
        lambda rt: rt.theHold.Accept("a"),
    ],
)
def test_wrong_calls_are_refused(host, rt, call):
    refused(host, call, rt)


def test_every_name_has_a_source_and_is_built(host, rt):
    tables = [allowed.GLOBALS, *allowed.MEMBERS.values(), *allowed.PROPERTIES.values()]
    for table in tables:
        for name, source in table.items():
            assert name == name.lower() and source.startswith("Autodesk's"), name
    taken = [rt, *(getattr(rt, name) for name in allowed.MEMBERS)]
    for value, names in zip(taken, [allowed.GLOBALS, *allowed.MEMBERS.values()]):
        for name in names:
            getattr(value, name)


@pytest.mark.parametrize(
    ("leave", "what"),
    [
        (lambda pymxs: pymxs.runtime.theHold.Begin(), "hold"),
        (lambda pymxs: pymxs.quiet(True).__enter__(), "quiet"),
        (
            lambda pymxs: pymxs.runtime.callbacks.addScript(
                pymxs.runtime.Name("filePostOpen"), lambda: None, id=pymxs.runtime.Name("left")
            ),
            "left",
        ),
    ],
)
def test_what_is_left_behind_fails(leave, what):
    def go():
        with install():
            import pymxs

            leave(pymxs)

    program = sys.executable
    with pytest.raises(AssertionError, match=what):
        go()
    assert ("pymxs" in sys.modules, sys.executable) == (False, program)


# Threads. Python, "Threading": no call of pymxs may come from a thread of Python's.


@pytest.mark.parametrize(
    "call",
    [
        lambda pymxs, box: pymxs.runtime.maxFileName,
        lambda pymxs, box: box.name,
        lambda pymxs, box: setattr(box, "name", "b"),
        lambda pymxs, box: pymxs.undo(True, "a"),
        lambda pymxs, box: pymxs.run_undo(),
        lambda pymxs, box: pymxs.print_("a"),
        lambda pymxs, box: pymxs.runtime.objects,
    ],
)
def test_any_call_off_the_main_thread_fails(host, rt, call):
    import pymxs

    box = rt.Box()
    raised = on_a_thread(lambda: call(pymxs, box))
    assert len(raised) == 1
    assert "on the thread 'a thread of Python'" in host.faults.found.pop()


def test_a_function_that_was_looked_up_before_fails_there_too(host, rt):
    select = rt.clearSelection
    assert len(on_a_thread(select)) == 1
    host.faults.found.pop()


def test_what_a_thread_prints_does_not_reach_the_listener():
    # Python, "Threading".
    listener = Listener()
    print("seen", file=listener)
    on_a_thread(lambda: print("lost", file=listener))
    assert (listener.text, "".join(listener.lost)) == ("seen\n", "lost\n")


# Values.


def test_names_have_no_case(rt):
    # Python, "Using pymxs: Case Sensitivity".
    box = rt.bOX(LENGTH=4.0)
    assert (box.Length, box.length, rt.MAXVERSION()[0]) == (4.0, 4.0, rt.maxVersion()[0])
    assert rt.Name("NoPrompt") == rt.Name("noprompt")


def test_indices_count_from_zero_and_arguments_from_one(host, rt):
    # Python, "Using pymxs: Indices".
    array = rt.Array("a", "b")
    assert (array[0], array.count, len(array)) == ("a", 2, 2)
    array[3] = "d"
    assert list(array) == ["a", "b", None, "d"]
    assert "no index" in refused(host, array.__getitem__, -1)
    host.scene.xrefs = ["first.max"]
    assert rt.xrefs.getXRefFile(1).filename == "first.max"
    refused(host, rt.xrefs.getXRefFile, 0)


@pytest.mark.parametrize("year", [2019, 2021, 2027])
def test_the_version_is_an_array_with_the_year_at_its_eighth_place_since_2020(year):
    # MAXScript, "System Information: maxVersion".
    with install(year=year):
        import pymxs

        told = list(pymxs.runtime.maxVersion())
    assert told[0] == (year - 1998) * 1000
    assert (told[7:8] or [None])[0] == (None if year < 2020 else year)


def test_wrappers_are_equal_but_never_the_same(rt):
    # Python, "MAXScript Values in pymxs": nodes can be keys of dictionaries.
    box = rt.Box(name="a")
    again = rt.getNodeByName("A", exact=True)
    assert again == box and again is not box and {box: 1}[again] == 1
    with pytest.raises(TypeError):
        hash(rt.Point3(1, 2, 3))


def test_a_matrix_has_row_vectors_and_the_first_factor_is_done_first(rt):
    # MAXScript, "Matrix3 Values".
    axes = [rt.Point3(2, 0, 0), rt.Point3(0, 2, 0), rt.Point3(0, 0, 2)]
    scale = rt.Matrix3(*axes, rt.Point3(0, 0, 0))
    move = rt.Matrix3(1)
    move.row4 = rt.Point3(1, 0, 0)
    assert (scale * move).row4 == rt.Point3(1, 0, 0)
    assert (move * scale).row4 == rt.Point3(2, 0, 0)
    assert move * rt.inverse(move) == rt.Matrix3(1)


def test_a_flat_matrix_has_no_inverse(rt):
    flat = rt.Matrix3(*[rt.Point3(0, 0, 0)] * 4)
    with pytest.raises(MaxError):
        rt.inverse(flat)


# The process.


def test_the_program_is_3ds_max_itself(host):
    # Python, "Using pymxs": the interpreter is another file, in the folder Python.
    assert sys.executable.endswith("\\3dsmax.exe")
    with pytest.raises(OSError):
        subprocess.call([sys.executable, "-c", ""])


def test_batch_has_no_window(monkeypatch):
    # "3ds Max Batch": it loads no user interface.
    with install(batch=True):
        import pymxs

        assert sys.executable.endswith("\\3dsmaxbatch.exe")
        assert pymxs.runtime.maxOps.isInNonInteractiveMode() is True
        with pytest.raises(ImportError):
            __import__("qtmax")
