"""Tools that ask, through the bridge: by requests in one era, by results in the other."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.bridge import flights, questions
from fakes.bridged import INITIALIZE, MODERN, Within
from fakes.live import DEADLINE
from fakes.served import Served

pytestmark = pytest.mark.edges

CAPABILITIES = {"elicitation": {}, "sampling": {}, "roots": {}}
ASKING = dict(MODERN, **{"io.modelcontextprotocol/clientCapabilities": CAPABILITIES})
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
MANY = {
    "type": "object",
    "properties": {
        "which": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}},
    },
}
NAMED = {"action": "accept", "content": {"name": "Ann"}}
PICKED = {"action": "accept", "content": {"which": ["a", "c"]}}
DECLINED = {"action": "decline"}
PAGE = {"mode": "url", "message": "Sign in", "url": "https://example.org/login"}
THOUGHT = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
ROOTS = {"roots": [{"uri": "file:///a"}]}
TOOLS = '''
import dcc_mcp_embed

@dcc_mcp_embed.tool
def greet(ctx):
    """Ask for a name."""
    yield ctx.elicit("Your name?", {"type": "object", "properties": {}})
    return "never"
'''


class Stage:
    """Tools that ask, and what became of them."""

    def __init__(self):
        self.done = []
        self.ended = threading.Semaphore(0)

        @dcc_mcp_embed.tool
        def greet(ctx):
            """Ask for a name and greet."""
            try:
                self.done.append("began")
                ctx.progress(1, 2, "asking")
                answer = yield ctx.elicit("Your name?", NAME, key="user_name")
                ctx.progress(2, 2, "asked")
                if answer["action"] != "accept":
                    return answer["action"]
                return "Hello, {}!".format(answer["content"]["name"])
            finally:
                self.done.append("left")
                self.ended.release()

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def survey(ctx):
            """Ask three things at once, then one more."""
            answers = yield [ctx.elicit("Name?", NAME, key="a"), ctx.sample("x"), ctx.roots()]
            thought = yield ctx.sample("again")
            return {
                "name": answers[0]["content"]["name"],
                "model": answers[1]["model"],
                "roots": [one["uri"] for one in answers[2]],
                "again": thought["content"]["text"],
            }

        @dcc_mcp_embed.tool(read_only=True)
        def sign_in(ctx):
            """Send the person to a page."""
            answer = yield ctx.elicit_url(PAGE["message"], PAGE["url"])
            return answer["action"]

        @dcc_mcp_embed.tool(read_only=True)
        def pick(ctx):
            """Ask for some of many."""
            answer = yield ctx.elicit("Which?", MANY)
            return ",".join(answer["content"]["which"])

        @dcc_mcp_embed.tool(read_only=True)
        def recall(ctx):
            """Ask the model with all that it has in mind."""
            thought = yield ctx.sample("x", includeContext="allServers")
            return thought["content"]["text"]

        @dcc_mcp_embed.tool(read_only=True)
        def quiz(ctx):
            """Ask more than a client is asked the same."""
            for number in range(flights.MOST_ASKED + 1):
                yield ctx.elicit("Question {}?".format(number), NAME)
            return "passed"

        tools = (greet, survey, sign_in, pick, recall, quiz)
        self.tools = SimpleNamespace(**{"tool{}".format(n): one for n, one in enumerate(tools)})


@pytest.fixture
def stage(serve):
    stage = Stage()
    serve(stage.tools)
    return stage


@pytest.fixture
def asked(home, monkeypatch, stage):
    """Return a bridge whose client of the handshake era can be asked everything."""
    with Within(home, monkeypatch) as bridge:
        opens(bridge)
        bridge.appears("greet")
        yield bridge


def opens(bridge, capabilities=CAPABILITIES, version=INITIALIZE["protocolVersion"]):
    agreed = dict(INITIALIZE, capabilities=capabilities, protocolVersion=version)
    bridge.ask("initialize", agreed)
    bridge.notify("notifications/initialized")


def question(bridge, method, number=1):
    """Wait for the ``number``-th request of a method to the client."""

    def found():
        return [one for one in bridge.notices if one["method"] == method and "id" in one]

    return bridge.until(lambda: len(found()) >= number and found()[number - 1])


def answers(bridge, one, result):
    bridge.send({"jsonrpc": "2.0", "id": one["id"], "result": result})


def text(bridge, ident):
    return bridge.answer(ident)["result"]["content"][0]["text"]


def test_a_client_of_the_handshake_era_is_asked_by_a_request(asked, stage):
    params = {"name": "greet", "arguments": {}, "_meta": {"progressToken": "t"}}
    ident = asked.begin("tools/call", params)
    one = question(asked, "elicitation/create")
    assert one["params"]["message"] == "Your name?"
    assert one["params"]["requestedSchema"] == NAME
    # Nothing else waits for it.
    assert asked.call("list_objects")["ok"] and ident not in asked.answers
    answers(asked, one, NAMED)
    assert text(asked, ident) == "Hello, Ann!"
    assert stage.done == ["began", "left"]
    steps = [o["params"] for o in asked.notices if o["method"] == "notifications/progress"]
    assert [step["progress"] for step in steps] == [1, 2]
    assert {step["progressToken"] for step in steps} == {"t"}
    # One that is late, or nobody's, is nothing.
    answers(asked, one, NAMED)
    answers(asked, {"id": "nobody"}, NAMED)
    assert asked.ask("ping") == {}


def test_a_page_has_a_name_only_where_the_era_of_the_client_has_one(home, monkeypatch, stage):
    pages = {"elicitation": {"url": {}}}
    with Within(home, monkeypatch) as bridge:
        opens(bridge, pages)
        bridge.appears("greet")
        ident = bridge.start_call("sign_in")
        one = question(bridge, "elicitation/create")
        assert one["params"].pop("elicitationId")
        assert one["params"] == PAGE
        answers(bridge, one, {"action": "accept"})
        assert text(bridge, ident) == "accept"

        meta = dict(MODERN, **{"io.modelcontextprotocol/clientCapabilities": pages})
        params = {"name": "sign_in", "arguments": {}, "_meta": meta}
        first = bridge.ask("tools/call", params)
        ((key, one),) = first["inputRequests"].items()
        assert one == {"method": "elicitation/create", "params": PAGE}
        given = {"requestState": first["requestState"], "inputResponses": {key: DECLINED}}
        done = bridge.ask("tools/call", dict(params, **given))
        assert done["content"][0]["text"] == "decline"


def test_several_things_are_asked_at_once_and_one_after_another(asked):
    ident = asked.start_call("survey")
    for method, result in (
        ("roots/list", ROOTS),
        ("sampling/createMessage", THOUGHT),
        ("elicitation/create", NAMED),
    ):
        answers(asked, question(asked, method), result)
    answers(asked, question(asked, "sampling/createMessage", 2), THOUGHT)
    data = asked.told(ident)["data"]
    assert data == {"name": "Ann", "model": "m", "roots": ["file:///a"], "again": "hm"}


def test_a_client_that_answers_with_an_error_has_refused(asked, stage):
    ident = asked.start_call("greet")
    one = question(asked, "elicitation/create")
    asked.send({"jsonrpc": "2.0", "id": one["id"], "error": {"code": -1, "message": "not now"}})
    error = asked.told(ident)["error"]
    assert error["code"] == "permission_denied" and "not now" in error["message"]
    # The tool had begun: nobody may be told that nothing was changed.
    assert error["state"] == "finished"
    assert stage.done == ["began", "left"]


def test_a_client_that_never_answers_as_it_should_is_not_asked_for_ever(asked, stage):
    ident = asked.start_call("greet")
    for number in range(1, flights.MOST_ASKED + 1):
        one = question(asked, "elicitation/create", number)
        answers(asked, one, {"action": "accept", "content": {}})
    error = asked.told(ident)["error"]
    assert error["code"] == "permission_denied" and "does not fit" in error["message"]
    assert stage.done == ["began", "left"]
    assert len([one for one in asked.notices if one["method"] == "elicitation/create"]) == number


def test_a_client_that_answers_is_asked_as_much_as_a_tool_wants_to_know(asked):
    ident = asked.start_call("quiz")
    for number in range(1, flights.MOST_ASKED + 2):
        answers(asked, question(asked, "elicitation/create", number), NAMED)
    assert text(asked, ident) == "passed"


def test_a_client_may_answer_better_the_second_time(asked):
    ident = asked.start_call("greet")
    answers(asked, question(asked, "elicitation/create"), {"action": "accept", "content": {}})
    answers(asked, question(asked, "elicitation/create", 2), NAMED)
    assert text(asked, ident) == "Hello, Ann!"


def test_a_client_that_cancels_is_not_asked_any_more(asked, stage):
    ident = asked.start_call("greet")
    one = question(asked, "elicitation/create")
    asked.notify("notifications/cancelled", {"requestId": ident})
    assert stage.ended.acquire(timeout=DEADLINE)
    asked.until(
        lambda: any(
            note["method"] == "notifications/cancelled" and note["params"]["requestId"] == one["id"]
            for note in asked.notices
        )
    )
    assert asked.call("list_objects")["ok"] and ident not in asked.answers


def test_a_client_that_does_not_answer_in_time_has_refused(home, monkeypatch, stage):
    monkeypatch.setattr(questions, "PATIENCE_S", 0.05)
    with Within(home, monkeypatch) as bridge:
        opens(bridge)
        bridge.appears("greet")
        error = bridge.error("greet")
        assert error["code"] == "permission_denied" and "0.05 s" in error["message"]
    assert stage.done == ["began", "left"]


def test_a_client_that_cannot_be_asked_is_not(bridge, stage):
    opens(bridge, {"sampling": {}})
    bridge.appears("greet")
    error = bridge.error("greet")
    assert error["code"] == "unsupported" and "elicitation" in error["message"]


@pytest.mark.parametrize(
    ("version", "tool", "code", "words"),
    [
        # Whatever it says: its revision has no word for it.
        ("2025-03-26", "greet", "unsupported", "elicitation"),
        ("2025-06-18", "pick", "permission_denied", "many answers"),
        ("2025-11-25", "recall", "unsupported", "sampling.context"),
    ],
)
def test_a_client_is_not_asked_what_its_revision_has_no_words_for(
    bridge, stage, version, tool, code, words
):
    opens(bridge, version=version)
    bridge.appears(tool)
    error = bridge.error(tool)
    assert error["code"] == code and words in error["message"]
    assert not [one for one in bridge.notices if "id" in one]


@pytest.mark.parametrize(
    ("version", "tool", "method", "result", "said"),
    [
        ("2025-11-25", "pick", "elicitation/create", PICKED, "a,c"),
        # What is a part by now was meant by the whole.
        ("2025-06-18", "recall", "sampling/createMessage", THOUGHT, "hm"),
    ],
)
def test_a_client_is_asked_what_its_revision_has_words_for(
    bridge, stage, version, tool, method, result, said
):
    opens(bridge, version=version)
    bridge.appears(tool)
    ident = bridge.start_call(tool)
    answers(bridge, question(bridge, method), result)
    assert text(bridge, ident) == said


def test_a_client_of_the_stateless_era_calls_again(bridge, stage):
    def call(**more):
        params = dict({"name": "greet", "arguments": {}, "_meta": ASKING}, **more)
        return bridge.answer(bridge.begin("tools/call", params))

    first = call()["result"]
    assert first["resultType"] == "input_required"
    assert first["inputRequests"]["user_name"]["method"] == "elicitation/create"
    wrong = call(requestState="nothing", inputResponses={"user_name": NAMED})
    assert wrong["error"]["code"] == -32602
    state = first["requestState"]
    done = call(requestState=state, inputResponses={"user_name": NAMED})["result"]
    assert done["content"][0]["text"] == "Hello, Ann!" and done["resultType"] == "complete"
    assert stage.done == ["began", "left"]
    assert call(requestState=state)["error"]["code"] == -32602
    # What it cannot be asked, it is told in the words of its era.
    lacking = call(_meta=MODERN)["error"]
    assert lacking["code"] == -32021
    assert lacking["data"] == {"requiredCapabilities": {"elicitation": {}}}


def test_a_call_whose_host_ends_while_it_asks_is_told_so(home, tmp_path, bridge):
    path = tmp_path / "asking.py"
    path.write_text(TOOLS)
    with Served(home, "--tools", str(path)) as served:
        opens(bridge)
        bridge.appears("greet")
        ident = bridge.start_call("greet")
        one = question(bridge, "elicitation/create")
        served.end(signal.SIGKILL)
        # Nobody needs to answer: it is noticed.
        error = bridge.told(ident)["error"]
        assert error["code"] == "unknown_outcome" and "waited for an answer" in error["message"]
        answers(bridge, one, NAMED)
        assert bridge.ask("ping") == {}
