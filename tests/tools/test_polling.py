"""What a tool returns whose work goes on by itself."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.tools.entries import Progress
from dcc_mcp_embed.tools.polling import Poll


def test_it_has_no_result_until_the_check_has_one():
    answers = [None, Progress(1, 3, "a"), None, {"done": True}]
    poll = Poll(lambda: answers.pop(0))
    assert poll() is None
    assert poll.latest is None
    assert poll() is None
    assert poll.latest == Progress(1, 3, "a")
    assert poll() is None
    assert poll.latest == Progress(1, 3, "a")
    assert poll() == {"done": True}


def test_it_is_closed_once():
    closed = []
    poll = Poll(lambda: None, close=lambda: closed.append(1))
    poll.close()
    poll.close()
    assert closed == [1]
    Poll(lambda: None).close()


@pytest.mark.parametrize("every", [0, 0.001, 61, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(every):
    with pytest.raises(ValueError, match="every"):
        Poll(lambda: 1, every=every)


@pytest.mark.parametrize("given", [(None,), (lambda: 1, 1, "close")])
def test_what_is_no_function_is_refused(given):
    with pytest.raises(TypeError, match="functions"):
        Poll(*given)
