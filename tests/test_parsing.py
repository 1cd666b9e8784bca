"""Text that is nested too deeply is an error, whatever watches the garbage collector meanwhile."""

from __future__ import annotations

import pytest

from dcc_mcp_embed import collector, parsing
from server.forking import run

#: A callback of the collector, at each depth around the limit in turn: a process each time, as it
#: is the process that ends.
SCENE = """
import gc, sys
from dcc_mcp_embed.parsing import loads
from dcc_mcp_embed.wire import jsonrpc
gc.callbacks.append(lambda phase, info: None)
gc.collect()
for limit in range(1, 12):
    gc.set_threshold(limit)
    for read, text in ((loads, "[" * 100_000), (jsonrpc.decode, b"[" * 100_000)):
        try:
            read(text)
        except (RecursionError, jsonrpc.Fault):
            continue
        raise AssertionError("it was read")
assert gc.isenabled()
print("done")
"""


def test_no_depth_ends_the_process(tmp_path):
    done = run(SCENE, str(tmp_path))
    assert (done.returncode, done.stdout.split()) == (0, ["done"]), done.stderr[-2000:]


@pytest.mark.parametrize("others", [0, 1])
def test_no_collection_starts_meanwhile_whoever_else_is_at_work(others):
    import gc

    for _ in range(others):
        collector.pause()
    try:
        found = parsing.undisturbed(gc.isenabled, needed=True)
        assert found() is False
        with pytest.raises(ZeroDivisionError):
            parsing.undisturbed(lambda: 1 / 0, needed=True)()
        assert parsing.undisturbed(gc.isenabled, needed=False) is gc.isenabled
    finally:
        for _ in range(others):
            collector.resume()
    assert gc.isenabled()
