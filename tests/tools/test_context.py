"""What a tool tells through its context is kept for the result."""

from __future__ import annotations

from dcc_mcp_embed.tools.context import ToolContext


def test_warnings_and_evidence_are_collected_per_call():
    first, second = ToolContext(client="a"), ToolContext()
    first.warn("careful")
    first.warn(5)
    first.evidence(before=1, after=2)
    first.evidence(after=3)
    assert first.warnings == ["careful", "5"]
    assert first.facts == {"before": 1, "after": 3}
    assert (second.warnings, second.facts) == ([], {})


def test_cancelled_asks_whoever_knows():
    answers = [False, True]
    context = ToolContext(cancelled=lambda: answers.pop(0))
    assert [context.cancelled(), context.cancelled()] == [False, True]
    assert ToolContext().cancelled() is False
