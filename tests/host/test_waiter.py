"""A host without a loop: what reaches the one who called ``serve_forever``."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.host.waiter import MainThreadWaiter
from fakes.caller import Caller


def serving(run):
    """Return a waiter and calls whose dispatcher it pumps; ``run`` is the first job."""
    calls = Caller()
    waiter = MainThreadWaiter()
    calls.host.wake = waiter.wake
    calls.submit("a", run)
    return calls, waiter


def test_ctrl_c_within_a_tool_ends_serving_after_its_caller_was_told():
    def interrupted():
        raise KeyboardInterrupt

    calls, waiter = serving(interrupted)
    left = []
    waiter.on_exit(lambda: left.append(1))
    with pytest.raises(KeyboardInterrupt):
        waiter.serve_forever()
    assert calls.told["a"][0][0] == "error"
    assert left == [1]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, GeneratorExit])
def test_nothing_else_a_tool_raises_ends_it(kind):
    def leaving():
        raise kind("out")

    calls, waiter = serving(leaving)
    calls.submit("b", waiter.close)
    waiter.serve_forever()
    assert calls.told["a"][0][0] == "error"
    assert calls.told["b"] == [("value", None)]


def test_it_can_serve_again_after_ctrl_c():
    def interrupted():
        raise KeyboardInterrupt

    calls, waiter = serving(interrupted)
    with pytest.raises(KeyboardInterrupt):
        waiter.serve_forever()
    calls.submit("b", waiter.close)
    waiter.serve_forever()
    assert calls.told["b"] == [("value", None)]
