"""The gate: off refuses, on lets through, confirm waits for the person and remembers."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.errors import ExecDisabled, HostBusy, PermissionDenied
from dcc_mcp_embed.server import exec_gate
from dcc_mcp_embed.server.exec_gate import ExecGate
from fakes.clock import FakeClock


class Person:
    """Keeps the questions until the test answers one."""

    def __init__(self, mode="confirm"):
        self.questions = []
        self.clock = FakeClock()
        self.gate = ExecGate(mode, lambda *question: self.questions.append(question), self.clock)

    def call(self, client="claude"):
        verdicts = []
        self.gate.enter(client, "a name", verdicts.append)
        return verdicts

    def answer(self, choice):
        self.questions.pop(0)[1](choice)


def test_off_and_on_ask_nobody():
    assert isinstance(Person("off").call()[0], ExecDisabled)
    assert Person("on").call() == [None]


def test_without_anybody_to_ask_confirm_is_off():
    verdicts = []
    ExecGate("confirm", None, FakeClock()).enter("claude", "a name", verdicts.append)
    assert isinstance(verdicts[0], ExecDisabled)
    assert "DCC_MCP_EMBED_EXEC" in verdicts[0].hint


def test_a_call_waits_for_the_answer():
    person = Person()
    verdicts = person.call()
    assert verdicts == []
    person.answer("once")
    assert verdicts == [None]
    assert person.call() == [], "once is once"


@pytest.mark.parametrize(
    ("choice", "same", "other"),
    [("client", [None], []), ("process", [None], [None]), ("once", [], [])],
)
def test_how_far_a_consent_goes(choice, same, other):
    person = Person()
    person.call("claude")
    person.answer(choice)
    assert person.call("claude") == same
    assert person.call("gemini") == other


def test_never_is_remembered_for_that_client():
    person = Person()
    first = person.call()
    person.answer("never")
    assert isinstance(first[0], PermissionDenied)
    assert isinstance(person.call()[0], PermissionDenied)
    assert person.questions == []
    assert person.call("gemini") == []


def test_calls_of_one_client_share_a_question_and_one_consent_lets_one_through():
    person = Person()
    first, second = person.call(), person.call()
    assert len(person.questions) == 1
    person.answer("once")
    assert (first, second) == ([None], [])
    assert len(person.questions) == 1
    person.answer("never")
    assert isinstance(second[0], PermissionDenied)


def test_a_consent_that_came_too_late_is_good_for_the_next_call_only():
    person = Person()
    verdicts = []
    person.gate.enter("claude", "a name", verdicts.append)
    assert person.gate.leave("claude", verdicts.append)
    assert not person.gate.leave("claude", verdicts.append)
    person.answer("once")
    assert verdicts == []
    assert person.call() == [None]
    assert person.call() == []


def test_a_question_that_cannot_be_shown_refuses_and_the_next_call_asks_again():
    person = Person()
    verdicts = person.call()
    person.questions.pop(0)[2](HostBusy("no"))
    assert isinstance(verdicts[0], HostBusy)
    person.call()
    assert len(person.questions) == 1


def test_a_late_consent_does_not_last():
    person = Person()
    verdicts = []
    person.gate.enter("claude", "a name", verdicts.append)
    person.gate.leave("claude", verdicts.append)
    person.answer("once")
    person.clock.advance(exec_gate.CREDIT)
    assert person.call() == []


def test_a_client_that_invents_names_does_not_bury_the_user_in_questions():
    person = Person()
    answers = [person.call("client {}".format(number)) for number in range(100)]
    assert len(person.questions) == exec_gate.MAX_OPEN
    assert isinstance(answers[-1][0], PermissionDenied)
    person.answer("once")
    assert person.call("another") == []
