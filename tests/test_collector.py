"""A collection that starts on one of our threads all the same finds nothing of the host's."""

from __future__ import annotations

import os

import pytest

from server.forking import run

SCENE = """
import collections, gc, threading
from dcc_mcp_embed import collector
gc.disable()
if {held}:
    collector.hold()
# Python 3.12 keeps what never dies among the frozen.
gc.collect()
frozen = gc.get_freeze_count()
finalised = collections.Counter()
class Node:
    def __del__(self):
        finalised[threading.current_thread().name] += 1
def litter():
    for _ in range(100):
        node = Node()
        node.itself = node
def collect():
    if {ours}:
        collector.guard()
    try:
        gc.collect()
    finally:
        if {ours}:
            collector.unguard()
litter()
other = threading.Thread(target=collect, name="other")
other.start()
other.join()
litter()
gc.collect()
assert not gc.callbacks and gc.get_freeze_count() == frozen
print(finalised["other"], finalised["MainThread"])
"""


@pytest.mark.parametrize(
    ("held", "ours", "there", "here"),
    [(True, True, 0, 200), (True, False, 100, 100), (False, True, 100, 100)],
    ids=["ours in a host", "another in a host", "ours in a script"],
)
def test_where_the_objects_of_a_host_are_finalised(tmp_path, held, ours, there, here):
    done = run(SCENE.format(held=held, ours=ours), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [int(count) for count in done.stdout.split()] == [there, here]


RACE = """
import collections, gc, threading
from dcc_mcp_embed import collector
gc.disable()
collector.hold()
finalised = collections.Counter()
class Node:
    def __del__(self):
        finalised[threading.current_thread().name] += 1
def litter():
    node = Node()
    node.itself = node
def leave():
    gc.callbacks.remove(another_gets_its_turn)
def another_gets_its_turn(phase, info):
    if phase == "start" and threading.current_thread().name == "ours":
        other = threading.Thread(target={other})
        other.start()
        other.join()
def collect():
    litter()
    collector.guard()
    gc.callbacks.append(another_gets_its_turn)
    gc.collect()
    gc.collect()
    if another_gets_its_turn in gc.callbacks:
        leave()
    collector.unguard()
ours = threading.Thread(target=collect, name="ours")
ours.start()
ours.join()
gc.collect()
assert not gc.callbacks, gc.callbacks
print(finalised["ours"], finalised["MainThread"])
"""


@pytest.mark.parametrize(
    ("other", "dropped"),
    [("litter", 3), ("leave", 1)],
    ids=["another drops something just before", "another's callback goes just before"],
)
def test_nothing_is_found_whatever_another_thread_does_in_between(tmp_path, other, dropped):
    done = run(RACE.format(other=other), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", str(dropped)]


BEFORE_AND_AFTER = """
import collections, gc, threading
from dcc_mcp_embed import collector
gc.disable()
collector.hold()
finalised = collections.Counter()
here = threading.get_ident()
class Node:
    def __del__(self):
        finalised["here" if threading.get_ident() == here else "there"] += 1
def litter():
    for _ in range(100):
        node = Node()
        node.itself = node
class Ours(collector.Thread):
    def _bootstrap_inner(self):
        # As whatever it allocates may make a collection due.
        gc.collect()
        super()._bootstrap_inner()
        gc.collect()
litter()
ran = []
ours = Ours(ran.append, "ours", (1,))
assert ours.daemon and ours.name == "ours"
ours.start()
ours.join()
assert ran == [1] and not gc.callbacks
gc.collect()
print(finalised["there"], finalised["here"])
"""


def test_a_thread_of_ours_is_guarded_before_its_first_line_and_after_its_last(tmp_path):
    done = run(BEFORE_AND_AFTER, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "100"]


INTERRUPTED = """
import gc, os, sys, threading
from dcc_mcp_embed import collector
if {held}:
    collector.hold()
{outer}
before, ran = gc.isenabled(), []
class Handler:
    # Called at one line of ``watched`` after another, as a signal handler might be.
    def __init__(self, watched, number):
        self.watched, self.left, self.wrong = watched.__code__, number, []
    def trace(self, frame, event, argument):
        if frame.f_code is self.watched:
            return self.line
    def line(self, frame, event, argument):
        self.left -= 1
        if self.left == 0:
            collector.pause(anyway=True)
            if gc.isenabled():
                self.wrong.append(frame.f_lineno)
            collector.resume()
            ours = collector.Thread(ran.append, "ours", (1,))
            ours.start()
            ours.join()
        return self.line
for watched in (collector.pause, collector.resume):
    for number in range(1, 12):
        handler = Handler(watched, number)
        sys.settrace(handler.trace)
        collector.pause({options})
        sys.settrace(None)
        assert {on} or not gc.isenabled(), (watched, number)
        sys.settrace(handler.trace)
        collector.resume()
        sys.settrace(None)
        assert handler.wrong == [], (watched, handler.wrong)
        assert gc.isenabled() is before and not collector._pausing - {depth}, (watched, number)
assert len(ran) > 8, ran
"""


@pytest.mark.parametrize("outer", ["", "gc.disable()", "collector.pause(anyway=True)"])
@pytest.mark.parametrize(
    ("held", "options", "on"),
    [(False, "anyway=True", False), (True, "", False), (False, "", True)],
    ids=["anyway", "a host's", "a script's"],
)
def test_who_is_interrupted_while_it_pauses_leaves_all_as_it_was(
    tmp_path, outer, held, options, on
):
    depth = int("pause" in outer)
    code = INTERRUPTED.format(outer=outer, held=held, options=options, on=on, depth=depth)
    done = run(code, str(tmp_path))
    assert done.returncode == 0, done.stderr


FORKED = """
import gc, os, sys, threading
from dcc_mcp_embed import collector
class Child:
    # Made by another thread at one line of ``watched`` after another.
    def __init__(self, watched, number):
        self.watched, self.left, self.ended = watched.__code__, number, []
    def trace(self, frame, event, argument):
        if frame.f_code is self.watched:
            return self.line
    def line(self, frame, event, argument):
        self.left -= 1
        if self.left == 0:
            other = threading.Thread(target=self.fork)
            other.start()
            other.join()
        return self.line
    def fork(self):
        pid = os.fork()
        if not pid:
            found = [gc.isenabled()]
            for options in ({{}}, {{"anyway": True}}):
                collector.pause(**options)
                found.append(gc.isenabled())
                collector.resume()
                found.append(gc.isenabled())
            os._exit(found != [True, True, True, False, True])
        self.ended.append(os.waitpid(pid, 0)[1])
first = collector.Thread(len, "first", ("",))
first.start()
first.join()
ended = []
for watched in (collector.pause, collector.resume):
    for number in range(1, 12):
        child = Child(watched, number)
        sys.settrace(child.trace)
        collector.pause(anyway=True)
        collector.resume()
        sys.settrace(None)
        assert not any(child.ended), (watched, number)
        ended += child.ended
        assert gc.isenabled()
assert len(ended) > 8, ended
def work():
    collector.pause(anyway=True)
    pid = os.fork()
    if not pid:
        off = not gc.isenabled()
        collector.resume()
        os._exit(not (off and gc.isenabled()))
    ended.append(os.waitpid(pid, 0)[1])
    collector.resume()
ours = collector.Thread(work, "ours")
ours.start()
ours.join()
assert ended[-1] == 0 and gc.isenabled()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_child_that_is_forked_at_any_moment_of_a_pause_has_the_collector_back(tmp_path):
    done = run(FORKED.format(), str(tmp_path))
    assert done.returncode == 0, done.stderr
