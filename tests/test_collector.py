"""A collection that starts on one of our threads all the same finds nothing of the host's."""

from __future__ import annotations

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
import gc, threading
from dcc_mcp_embed import collector
collector.hold()
gc.enable()
enabled = gc.isenabled
ran = []
def handler():
    gc.isenabled = enabled
    ours = collector.Thread(ran.append, "ours", (1,))
    ours.start()
    ours.join()
    collector.pause(anyway=True)
    assert not gc.isenabled()
    collector.resume()
    return enabled()
# Which is asked in the middle.
gc.isenabled = handler
collector.pause()
assert gc.isenabled is enabled and ran == [1] and not gc.isenabled()
collector.resume()
assert gc.isenabled()
"""


def test_who_is_interrupted_while_it_pauses_may_be_by_a_thread_of_ours_and_a_pause(tmp_path):
    done = run(INTERRUPTED, str(tmp_path))
    assert done.returncode == 0, done.stderr


TRACED = """
import threading
from dcc_mcp_embed import collector
def tracer(frame, event, argument):
    threading.current_thread()
    return tracer
threading.settrace(tracer)
for kind in (threading.Thread, collector.Thread):
    before = threading.active_count()
    # At the same time, so that none has the ident of another.
    together = threading.Barrier(20)
    those = [kind(target=together.wait, name="one") for _ in range(20)]
    for one in those:
        one.start()
    for one in those:
        one.join()
    print(threading.active_count() - before)
"""


def test_a_tracer_leaves_no_more_behind_than_with_any_thread(tmp_path):
    done = run(TRACED, str(tmp_path))
    assert done.returncode == 0, done.stderr
    others, ours = (int(count) for count in done.stdout.split())
    assert ours <= others + 2, "a thread may come to its end after it was joined"
