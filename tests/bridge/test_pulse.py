"""When a host that owes an answer is asked for a sign of life, and when it is given up."""

from __future__ import annotations

from dcc_mcp_embed.bridge.pulse import PACE, Pulses


def test_nobody_wonders_about_a_short_call():
    pulses = Pulses()
    assert pulses.next({}) is None
    assert pulses.next({"a": 100.0}) == 115.0
    assert pulses.to_ask(114.0, {"a": 100.0}) == []
    assert pulses.to_ask(115.0, {"a": 100.0}) == ["a"]


def test_one_question_at_a_time():
    pulses = Pulses()
    oldest = {"a": 0.0, "b": 0.0}
    assert sorted(pulses.to_ask(15.0, oldest)) == ["a", "b"]
    assert pulses.to_ask(16.0, oldest) == []
    assert pulses.next(oldest) is None
    pulses.answered(16.0, "a", True)
    assert pulses.next(oldest) == 26.0
    assert pulses.to_ask(26.0, oldest) == ["a"]


def test_one_that_lives_is_never_given_up():
    pulses = Pulses()
    now = 15.0
    for _ in range(50):
        assert pulses.to_ask(now, {"a": 0.0}) == ["a"]
        pulses.answered(now, "a", True)
        assert not pulses.lost(now, "a", 0.0)
        now = pulses.next({"a": 0.0})


def test_one_that_is_silent_is_given_up_before_a_client_loses_patience():
    pulses = Pulses()
    now, lost_at = 15.0, None
    while lost_at is None:
        assert pulses.to_ask(now, {"a": 0.0}) == ["a"]
        now += PACE.answer
        pulses.answered(now, "a", False)
        if pulses.lost(now, "a", 0.0):
            lost_at = now
        # A younger call to the same host gets its time.
        assert not pulses.lost(now, "a", now - 20.0)
        now = pulses.next({"a": 0.0})
    assert 45.0 <= lost_at < 60.0


def test_a_sign_of_life_makes_good_for_silence():
    pulses = Pulses()
    for alive in (False, True, False):
        assert pulses.to_ask(1000.0, {"a": 0.0}) == ["a"]
        pulses.answered(900.0, "a", alive)
    assert not pulses.lost(1000.0, "a", 0.0)


def test_what_was_known_goes_with_the_last_call():
    pulses = Pulses()
    pulses.to_ask(15.0, {"a": 0.0})
    pulses.to_ask(16.0, {})
    pulses.answered(17.0, "a", False)
    assert not pulses.lost(1000.0, "a", 0.0)
    assert pulses.to_ask(40.0, {"a": 20.0}) == ["a"]
