"""Tools that ask their client: the generator waits for the answer, in both eras, and runs once."""

from __future__ import annotations

import socket
import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.errors import ToolError
from dcc_mcp_embed.server import dialogue
from dcc_mcp_embed.server.channel import Channel
from fakes.live import starting, tries
from fakes.stage import declared_among
from fakes.streaming import Streaming, initialize

MODERN = "2026-07-28"
DEADLINE = 10.0
ALL = {"elicitation": {}, "sampling": {}, "roots": {}}
CAPABILITIES = (
    "elicitation",
    "elicitation.url",
    "sampling",
    "sampling.tools",
    "sampling.context",
    "roots",
)
LOGIN = "https://example.org/login?state=1"
NAN = {"type": "number", "default": float("nan")}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def accepted(**content):
    return {"action": "accept", "content": content}


class Stage:
    """Tools that ask, and what became of them."""

    def __init__(self):
        self.done = []
        self.ended = threading.Semaphore(0)
        self.go_on = threading.Event()
        done, ended, pause = self.done, self.ended, threading.Event()

        @dcc_mcp_embed.tool
        def greet(ctx, greeting: str = "Hello"):
            """Ask for a name and greet."""
            try:
                done.append("began")
                answer = yield ctx.elicit("Your name?", NAME, key="user_name")
                if answer["action"] != "accept":
                    return answer["action"]
                return "{}, {}!".format(greeting, answer["content"]["name"])
            finally:
                done.append("left")
                ended.release()

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def think(ctx):
            """Ask the model, then for the roots."""
            thought = yield ctx.sample("Think", max_tokens=5, systemPrompt="Be short")
            roots = yield ctx.roots()
            return {"thought": thought["content"]["text"], "roots": [one["uri"] for one in roots]}

        @dcc_mcp_embed.tool(read_only=True)
        def survey(ctx):
            """Ask three things at once."""
            answers = yield [ctx.elicit("Name?", NAME, key="a"), ctx.sample("x"), ctx.roots()]
            return {
                "name": answers[0]["content"]["name"],
                "model": answers[1]["model"],
                "roots": len(answers[2]),
            }

        @dcc_mcp_embed.tool(read_only=True)
        def careful(ctx):
            """Go on when the client refuses."""
            try:
                yield ctx.elicit("Name?", NAME)
            except ToolError as error:
                # It has begun: nobody may be told that nothing was changed.
                return (
                    "told: {}".format(error.message) if error.state == "finished" else error.state
                )

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def hesitate(ctx):
            """Ask when the test lets go."""
            assert self.go_on.wait(DEADLINE)
            try:
                yield ctx.roots()
            except ToolError as error:
                done.append(error.message)
            finally:
                ended.release()

        @dcc_mcp_embed.tool(read_only=True)
        def unsayable(ctx, how: str):
            """Ask what JSON cannot say."""
            try:
                if how == "nan":
                    one = ctx.elicit("Size?", {"type": "object", "properties": {"a": NAN}})
                elif how == "bytes":
                    one = ctx.sample([{"role": "user", "content": {"data": b"abc"}}])
                else:
                    one = ctx.roots()
                    one.params["changed"] = {"since"}
                yield one
            except (ValueError, ToolError) as error:
                return "told: {}".format(error)

        @dcc_mcp_embed.tool(read_only=True)
        def reason(ctx):
            """Ask the model, with tools and all that it has in mind."""
            tools = [{"name": "t", "inputSchema": {"type": "object"}}]
            thought = yield ctx.sample("x", tools=tools, includeContext="allServers")
            return thought["content"]["text"]

        @dcc_mcp_embed.tool(read_only=True)
        def sign_in(ctx):
            """Send the person to a page, and wait until it was used."""
            asked = ctx.elicit_url("Sign in", LOGIN, key="login")
            answer = yield asked
            ctx.elicited(asked)
            return answer["action"]

        @dcc_mcp_embed.tool(read_only=True)
        def adapt(ctx):
            """Ask only for what the client offers."""
            offered = [one for one in CAPABILITIES if ctx.offers(one)]
            return ",".join(offered)

        @dcc_mcp_embed.tool(read_only=True, thread="worker")
        def twice(ctx):
            """Ask twice under one key."""
            yield [ctx.roots(key="a"), ctx.roots(key="a")]

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def endless(ctx):
            """Ask, then go on for as long as somebody waits."""
            yield ctx.roots(key="a")
            try:
                done.append("answered")
                for step in range(1000):
                    yield dcc_mcp_embed.Progress(step)
                    pause.wait(0.01)
            finally:
                done.append("left")
                ended.release()

        @dcc_mcp_embed.tool(timeout=0.4)
        def late(ctx):
            """Ask when the caller has been told that it takes too long."""
            assert ended.acquire(timeout=DEADLINE)
            try:
                yield ctx.roots()
            except ToolError as error:
                done.append(error.message)
                ended.release()

        @dcc_mcp_embed.tool(read_only=True)
        def loud(ctx):
            """Log."""
            ctx.log("error", "hear")
            return "heard"

        @dcc_mcp_embed.tool
        def act() -> str:
            """Change something."""
            done.append("acted")
            return "acted"

        @dcc_mcp_embed.prompt
        def ask_prompt(ctx):
            """Ask for a name, then make a prompt of it."""
            answer = yield ctx.elicit("Your name?", NAME, key="user_name")
            return "Prompt for {}".format(answer["content"]["name"])

        @dcc_mcp_embed.resource("test://asked")
        def asked(ctx):
            """Ask for a name, then be its resource."""
            answer = yield ctx.elicit("Your name?", NAME, key="user_name")
            return "Resource of {}".format(answer["content"]["name"])

        self.tools = declared_among(locals())


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with starting(str(tmp_path), monkeypatch, tools=[stage.tools]) as one_more:
        yield lambda **limits: one_more(limits=Limits(**limits))


def waiting(live):
    endpoint = live.server._server
    return len(endpoint.questions)


def until(true):
    for _ in tries(DEADLINE):
        if true():
            return
    raise AssertionError("it did not become true")


def text(result):
    return result["content"][0]["text"]


# -- the handshake era --------------------------------------------------------------------------


def call(wire, session, name, arguments=None, ident=7):
    params = {"name": name, "arguments": arguments or {}}
    return wire.rpc("tools/call", params, ident=ident, headers=session)


def test_a_client_is_asked_on_the_stream_of_the_call(live, stage, connect):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "greet", {"greeting": "Hi"})
    question = wire.message()
    assert question["method"] == "elicitation/create"
    assert question["params"] == {"message": "Your name?", "requestedSchema": NAME}
    assert waiting(live) == 1
    # It holds neither the thread nor the place of the writer.
    assert text(other.tool("act")) == "acted"
    answer = other.answer(question["id"], accepted(name="Ann"), headers=session)
    assert (answer.status, answer.body) == (202, b"")
    (result,) = wire.messages()
    assert (result["id"], text(result["result"])) == (7, "Hi, Ann!")
    assert stage.done == ["began", "acted", "left"]
    assert waiting(live) == 0
    # The answer counts once.
    assert other.answer(question["id"], accepted(name="Bob"), headers=session).status == 202


def test_models_and_roots_are_asked_for_one_after_the_other(connect):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "think")
    question = wire.message()
    assert question["method"] == "sampling/createMessage"
    assert question["params"] == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Think"}}],
        "maxTokens": 5,
        "systemPrompt": "Be short",
    }
    thought = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
    other.answer(question["id"], thought, headers=session)
    question = wire.message()
    assert (question["method"], question["params"]) == ("roots/list", {})
    other.answer(question["id"], {"roots": [{"uri": "file:///a"}]}, headers=session)
    (result,) = wire.messages()
    assert result["result"]["structuredContent"]["data"] == {
        "thought": "hm",
        "roots": ["file:///a"],
    }


def test_several_things_are_asked_at_once(connect):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "survey")
    asked = {one["method"]: one["id"] for one in (wire.message(), wire.message(), wire.message())}
    answers = {
        "roots/list": {"roots": []},
        "sampling/createMessage": {"role": "assistant", "content": {}, "model": "m"},
        "elicitation/create": accepted(name="Ann"),
    }
    for method in answers:
        other.answer(asked[method], answers[method], headers=session)
    (result,) = wire.messages()
    found = result["result"]["structuredContent"]["data"]
    assert found == {"name": "Ann", "model": "m", "roots": 0}


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_people_may_refuse(connect, action):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "greet")
    other.answer(wire.message()["id"], {"action": action}, headers=session)
    assert text(wire.messages()[0]["result"]) == action


@pytest.mark.parametrize(
    ("result", "error", "told"),
    [
        (None, {"code": -1, "message": "not now"}, "The client did not answer: not now"),
        (None, "strange", "The client did not answer: no reason"),
        (None, None, "The answer has no action; it is accept, decline or cancel."),
        ({"action": "maybe"}, None, "The answer has no action; it is accept, decline or cancel."),
        ({"action": "accept"}, None, "The answer lacks 'name'; it needs name."),
        ({"action": "accept", "content": []}, None, "The content of the answer is no object."),
        (accepted(name=5), None, "'name' of the answer must be text, not 5."),
    ],
)
def test_what_is_no_answer_is_raised_in_the_tool(connect, result, error, told):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "careful")
    other.answer(wire.message()["id"], result, error, headers=session)
    assert text(wire.messages()[0]["result"]) == "told: " + told


def test_an_answer_of_another_session_does_not_count(connect):
    wire, other = connect(), connect()
    session, foreign = initialize(wire, ALL), initialize(other, ALL)
    call(wire, session, "greet")
    question = wire.message()
    for headers in (foreign, {}, {"Mcp-Session-Id": "guessed"}):
        assert other.answer(question["id"], accepted(name="Eve"), headers=headers).status == 202
    for ident in (None, 5, ["a"], {}):
        other.answer(ident, accepted(name="Eve"), headers=session)
    other.answer(question["id"], accepted(name="Ann"), headers=session)
    assert text(wire.messages()[0]["result"]) == "Hello, Ann!"


@pytest.mark.parametrize(
    ("name", "capabilities", "lacking"),
    [
        ("greet", {}, "elicitation"),
        ("greet", {"sampling": {}}, "elicitation"),
        ("greet", {"elicitation": {"url": {}}}, "elicitation"),
        ("greet", {"elicitation": True}, "elicitation"),
        ("think", {"elicitation": {}}, "sampling"),
        ("reason", {"sampling": {"tools": {}}}, "sampling.context"),
        ("reason", {"sampling": {"context": {}}}, "sampling.tools"),
        ("sign_in", {"elicitation": {}}, "elicitation.url"),
        ("sign_in", {"elicitation": {"form": {}}}, "elicitation.url"),
    ],
)
def test_who_does_not_offer_it_is_not_asked(connect, name, capabilities, lacking):
    wire = connect()
    answer = call(wire, initialize(wire, capabilities), name)
    assert answer.json["result"]["isError"]
    error = answer.json["result"]["structuredContent"]["error"]
    assert (error["code"], error["details"]) == (
        "unsupported",
        {"required_capabilities": written(lacking)},
    )
    assert lacking in error["message"]


def written(capability):
    """Return a capability, perhaps a part of one, as clients declare it."""
    name, _, part = capability.partition(".")
    return {name: {part: {}} if part else {}}


@pytest.mark.parametrize(
    ("version", "declared", "offered"),
    [
        ("2025-11-25", {"elicitation": {}}, "elicitation"),
        ("2025-11-25", {"elicitation": {"url": {}}}, "elicitation.url"),
        ("2025-11-25", {"sampling": {}}, "sampling"),
        ("2025-11-25", {"sampling": {"tools": {}}}, "sampling,sampling.tools"),
        # Before there were parts, the whole meant this one.
        ("2025-06-18", {"sampling": {}}, "sampling,sampling.context"),
    ],
)
def test_parts_are_offered_by_name(connect, version, declared, offered):
    wire = connect()
    session = initialize(wire, declared, version)
    assert text(call(wire, session, "adapt").json["result"]) == offered


def test_a_form_is_what_an_empty_capability_means(connect):
    wire, other = connect(), connect()
    session = initialize(wire, {"elicitation": {"form": {}}})
    call(wire, session, "greet")
    other.answer(wire.message()["id"], accepted(name="Ann"), headers=session)
    assert text(wire.messages()[0]["result"]) == "Hello, Ann!"


def test_who_has_no_session_cannot_be_asked(connect):
    answer = call(connect(), {}, "greet")
    assert "does not offer" in text(answer.json["result"])


def test_a_tool_asks_for_what_is_offered(connect):
    wire = connect()
    session = initialize(wire, {"sampling": {}, "roots": {}})
    assert text(call(wire, session, "adapt").json["result"]) == "sampling,roots"


def test_who_takes_no_stream_is_asked_on_the_standing_one(connect):
    wire, ears = connect(), connect()
    session = initialize(wire, ALL)
    plain = dict(session, Accept="application/json")
    assert "takes no stream" in text(call(wire, plain, "careful").json["result"])
    ears.listen(session)
    done = []
    caller = threading.Thread(target=lambda: done.append(call(wire, plain, "greet").json["result"]))
    caller.start()
    connect().answer(ears.message()["id"], accepted(name="Ann"), headers=session)
    caller.join(DEADLINE)
    assert text(done[0]) == "Hello, Ann!"


def test_a_question_that_was_lost_comes_again(stage, connect):
    wire, again = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "greet")
    first = wire.event().id
    assert wire.message()["method"] == "elicitation/create"
    wire.close()
    again.listen(session, first)
    question = again.message()
    assert question["method"] == "elicitation/create"
    connect().answer(question["id"], accepted(name="Ann"), headers=session)
    assert text(again.messages()[0]["result"]) == "Hello, Ann!"
    assert stage.done == ["began", "left"]


def test_who_does_not_come_back_ends_the_call(live, stage, connect, monkeypatch):
    monkeypatch.setattr("dcc_mcp_embed.server.dialogue.COME_BACK", 0.05)
    wire = connect()
    call(wire, initialize(wire, ALL), "greet")
    wire.message()
    wire.close()
    assert stage.ended.acquire(timeout=DEADLINE)
    until(lambda: waiting(live) == 0)


def test_who_is_gone_when_it_is_asked_has_that_time_too(live, stage, connect, monkeypatch):
    monkeypatch.setattr("dcc_mcp_embed.server.dialogue.COME_BACK", 0.05)
    send = Channel.next_id

    def lose(channel, number):
        for connection in list(live.server._server.front.streaming):
            connection.stream.abort()
        return send(channel, number)

    monkeypatch.setattr(Channel, "next_id", lose)
    wire = connect()
    session = initialize(wire, ALL)
    wire.read = lambda method="GET": None
    call(wire, session, "greet")
    assert stage.ended.acquire(timeout=DEADLINE)
    until(lambda: waiting(live) == 0)


def test_each_leaving_has_all_of_the_time_to_come_back(live, stage, connect, monkeypatch):
    timers = []
    real = live.server._loop.call_later

    def call_later(delay, *callback):
        timer = real(delay, *callback)
        if delay == dialogue.COME_BACK:
            timers.append(timer)
        return timer

    monkeypatch.setattr(live.server._loop, "call_later", call_later)
    wire, again, third = connect(), connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "greet")
    first = wire.event().id
    question = wire.message()
    wire.close()
    until(lambda: len(timers) == 1)
    again.listen(session, first)
    assert again.message() == question
    again.close()
    until(lambda: len(timers) == 2)
    assert [one.cancelled for one in timers] == [True, False]
    third.listen(session, first)
    assert third.message() == question
    connect().answer(question["id"], accepted(name="Ann"), headers=session)
    assert text(third.messages()[0]["result"]) == "Hello, Ann!"
    assert [one.cancelled for one in timers] == [True, True]


UNSAYABLE = [
    ("nan", "told: JSON cannot say what is asked: Out of range float values"),
    ("bytes", "told: JSON cannot say what is asked: Object of type bytes"),
    ("changed", "told: The client could not be asked: TypeError('Object of type set"),
]


@pytest.mark.parametrize(("how", "told"), UNSAYABLE)
def test_what_json_cannot_say_is_not_asked(live, connect, how, told):
    wire = connect()
    answer = call(wire, initialize(wire, ALL), "unsayable", {"how": how})
    result = answer.json if answer.body else wire.message()
    assert text(result["result"]).startswith(told)
    assert waiting(live) == 0
    # The other era.
    answer = ask(connect(), "unsayable", arguments={"how": how})
    assert text(given(answer)).startswith(told)
    assert waiting(live) == 0


def test_a_person_is_sent_to_a_page_and_the_client_told_when_it_was_used(connect):
    wire, other = connect(), connect()
    session = initialize(wire, {"elicitation": {"url": {}}})
    call(wire, session, "sign_in")
    question = wire.message()
    asked = dict(question["params"])
    ident = asked.pop("elicitationId")
    assert question["method"] == "elicitation/create"
    assert asked == {"mode": "url", "message": "Sign in", "url": LOGIN}
    other.answer(question["id"], {"action": "accept"}, headers=session)
    done, result = wire.messages()
    assert (done["method"], done["params"]) == (
        "notifications/elicitation/complete",
        {"elicitationId": ident},
    )
    assert text(result["result"]) == "accept"


def test_cancelling_closes_the_generator(live, stage, connect):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "greet")
    question = wire.message()
    other.rpc("notifications/cancelled", {"requestId": 7}, None, session)
    assert stage.ended.acquire(timeout=DEADLINE)
    taken_back, result = wire.messages()
    assert taken_back["method"] == "notifications/cancelled"
    assert taken_back["params"]["requestId"] == question["id"]
    assert result["result"]["structuredContent"]["error"]["code"] == "cancelled"
    assert waiting(live) == 0


def test_the_end_of_the_session_ends_the_call(live, stage, connect):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    call(wire, session, "greet")
    wire.message()
    assert other.request("DELETE", "/mcp", session).status == 200
    assert wire.messages() == []
    assert stage.ended.acquire(timeout=DEADLINE)
    until(lambda: waiting(live) == 0)


def test_nothing_is_asked_in_a_session_that_has_ended(live, stage, connect):
    wire, other = connect(), connect()
    session = initialize(wire, ALL)
    wire.read = lambda method="GET": None
    call(wire, session, "hesitate")
    until(lambda: live.server._lanes["worker"].jobs())
    assert other.request("DELETE", "/mcp", session).status == 200
    stage.go_on.set()
    assert stage.ended.acquire(timeout=DEADLINE)
    assert stage.done == ["The client did not answer: the session was ended"]
    assert waiting(live) == 0


def test_patience_has_an_end(start, stage):
    with Streaming(start(answer_timeout=0.05)) as wire:
        call(wire, initialize(wire, ALL), "careful")
        question, taken_back, result = wire.messages()
        assert taken_back["params"]["requestId"] == question["id"]
        assert text(result["result"]) == "told: The client has not answered within 0.05 s."


def test_waiting_for_a_person_is_not_running_out_of_time(start, stage):
    live = start(call_timeout=0.4)
    with Streaming(live) as wire, Streaming(live) as other:
        session = initialize(wire, ALL)
        call(wire, session, "greet")
        question = wire.message()
        waited = threading.Event()
        live.server._loop.call_soon(live.server._loop.call_later, 0.4, waited.set)
        assert waited.wait(DEADLINE)
        other.answer(question["id"], accepted(name="Ann"), headers=session)
        assert text(wire.messages()[0]["result"]) == "Hello, Ann!"


def test_whoever_was_answered_has_only_the_time_of_any_call(start, stage):
    live = start(call_timeout=2.0)
    with Streaming(live) as wire, Streaming(live) as other:
        session = initialize(wire, ALL)
        call(wire, session, "endless")
        other.answer(wire.message()["id"], {"roots": []}, headers=session)
        error = wire.messages()[-1]["result"]["structuredContent"]["error"]
        assert error["code"] == "timeout_running"


def test_a_call_that_outlived_its_caller_cannot_ask(live, stage, connect):
    wire = connect()
    answer = call(wire, initialize(wire, ALL), "late")
    assert answer.json["result"]["structuredContent"]["error"]["code"] == "timeout_running"
    stage.ended.release()
    until(lambda: stage.done)
    assert stage.done == ["The call has outlived its caller: nobody can be asked."]
    assert waiting(live) == 0


def test_few_calls_wait_at_once(start, stage):
    live = start(asking_calls=1)
    with Streaming(live) as wire, Streaming(live) as other:
        session = initialize(wire, ALL)
        call(wire, session, "greet")
        question = wire.message()
        refused = call(other, session, "careful", ident=8).json["result"]
        assert text(refused).startswith("told: Too many calls wait")
        other.answer(question["id"], accepted(name="Ann"), headers=session)
        assert text(wire.messages()[0]["result"]) == "Hello, Ann!"


def test_the_same_key_twice_is_the_tool_s_error(connect):
    wire = connect()
    answer = call(wire, initialize(wire, ALL), "twice")
    found = answer.json["result"]
    assert "same key" in text(found)
    # Not the caller's mistake.
    assert found["structuredContent"]["error"]["code"] == "host_error"


def test_stopping_settles_a_call_that_waits(start, stage):
    live = start()
    with Streaming(live) as wire:
        call(wire, initialize(wire, ALL), "greet")
        wire.message()
        live.close()
        messages = wire.messages()
    assert messages[-1]["result"]["structuredContent"]["error"]["code"] == "host_shutting_down"
    assert stage.done == ["began", "left"]


def test_other_ways_to_call_cannot_ask(live, stage):
    with pytest.raises(ToolError, match="cannot be asked"):
        live.server.call("greet")
    assert stage.done == ["began", "left"]


# -- the stateless era --------------------------------------------------------------------------


def ask(
    wire, name, capabilities=None, method="tools/call", client="test", arguments=None, **params
):
    member = "uri" if method == "resources/read" else "name"
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, "Mcp-Name": name}
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": ALL if capabilities is None else capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": client, "version": "1"},
    }
    found = dict({member: name, "_meta": meta}, **params)
    if arguments is not None:
        found["arguments"] = arguments
    return wire.rpc(method, found, headers=headers)


def demanded(answer):
    """Return (input requests, state) of a result that demands input."""
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    result = answer.json["result"]
    assert result["resultType"] == "input_required"
    return result["inputRequests"], result["requestState"]


def given(answer):
    result = answer.json["result"]
    assert result["resultType"] == "complete", result
    return result


def test_a_call_demands_input_and_goes_on_with_it(live, stage, connect):
    wire, other = connect(), connect()
    asked, state = demanded(ask(wire, "greet", arguments={"greeting": "Hi"}))
    assert asked == {
        "user_name": {
            "method": "elicitation/create",
            "params": {"message": "Your name?", "requestedSchema": NAME},
        }
    }
    assert waiting(live) == 1
    assert text(other.tool("act")) == "acted"
    # Over another connection too: clients do not keep one open while a person thinks.
    answers = {"user_name": accepted(name="Ann"), "more": {"x": 1}}
    again = ask(
        other, "greet", arguments={"greeting": "Hi"}, inputResponses=answers, requestState=state
    )
    assert text(given(again)) == "Hi, Ann!"
    assert stage.done == ["began", "acted", "left"]
    assert waiting(live) == 0


def test_round_after_round(connect):
    wire = connect()
    asked, first = demanded(ask(wire, "think"))
    assert asked["input_1"]["method"] == "sampling/createMessage"
    thought = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
    asked, second = demanded(
        ask(wire, "think", inputResponses={"input_1": thought}, requestState=first)
    )
    assert asked == {"input_2": {"method": "roots/list", "params": {}}}
    assert second != first
    answers = {"input_2": {"roots": [{"uri": "file:///a"}]}}
    found = given(ask(wire, "think", inputResponses=answers, requestState=second))
    assert found["structuredContent"]["data"] == {"thought": "hm", "roots": ["file:///a"]}


def test_the_stateless_era_has_no_name_for_a_page_and_no_word_for_its_end(connect):
    wire, url = connect(), {"elicitation": {"url": {}}}
    asked, state = demanded(ask(wire, "sign_in", url))
    assert asked == {
        "login": {
            "method": "elicitation/create",
            "params": {"mode": "url", "message": "Sign in", "url": LOGIN},
        }
    }
    answers = {"login": {"action": "accept"}}
    answer = ask(wire, "sign_in", url, inputResponses=answers, requestState=state)
    assert text(given(answer)) == "accept"


def test_what_is_missing_is_demanded_again(connect):
    wire = connect()
    asked, state = demanded(ask(wire, "survey"))
    assert sorted(asked) == ["a", "input_1", "input_2"]
    answers = {"a": accepted(name="Ann"), "input_1": 12345, "wrong": {}}
    asked, state = demanded(ask(wire, "survey", inputResponses=answers, requestState=state))
    assert sorted(asked) == ["input_1", "input_2"]
    used, (asked, state) = state, demanded(ask(wire, "survey", requestState=state))
    assert sorted(asked) == ["input_1", "input_2"]
    assert "used already" in refused(ask(wire, "survey", requestState=used))
    answers = {
        "input_1": {"role": "assistant", "content": {}, "model": "m"},
        "input_2": {"roots": []},
    }
    found = given(ask(wire, "survey", inputResponses=answers, requestState=state))
    assert found["structuredContent"]["data"] == {"name": "Ann", "model": "m", "roots": 0}


def test_answers_that_come_with_the_first_call_are_taken(stage, connect):
    answers = {"user_name": accepted(name="Ann"), "more": 1}
    assert text(given(ask(connect(), "greet", inputResponses=answers))) == "Hello, Ann!"
    assert stage.done == ["began", "left"]


@pytest.mark.parametrize(
    ("method", "name", "found"),
    [
        ("prompts/get", "ask_prompt", lambda one: one["messages"][0]["content"]["text"]),
        ("resources/read", "test://asked", lambda one: one["contents"][0]["text"]),
    ],
)
def test_prompts_and_resources_ask_too(connect, method, name, found):
    wire = connect()
    asked, state = demanded(ask(wire, name, method=method))
    assert list(asked) == ["user_name"]
    answers = {"user_name": accepted(name="Ann")}
    result = given(ask(wire, name, method=method, inputResponses=answers, requestState=state))
    assert found(result).endswith("Ann")


def refused(answer):
    assert (answer.status, answer.code) == (400, -32602)
    return answer.json["error"]["message"]


def test_a_state_is_for_the_very_call_and_client(stage, connect):
    wire = connect()
    state = demanded(ask(wire, "greet", arguments={"greeting": "Hi"}))[1]
    ident, _, signature = state.partition(".")
    for bad in (
        state + "-TAMPERED",
        "",
        "x",
        "." + signature,
        ident + ".",
        ident,
        "f" + state[1:] if state[0] != "f" else "0" + state[1:],
        5,
        None,
        "\u00fc",
        "x" * 1000,
    ):
        answers = {"user_name": accepted(name="Eve")}
        answer = ask(
            wire,
            "greet",
            arguments={"greeting": "Hi"},
            inputResponses=answers,
            requestState=bad,
        )
        assert "none that was given out here" in refused(answer)
    for changed in (
        {"arguments": {"greeting": "Ho"}},
        {"arguments": {"greeting": "Hi"}, "client": "other"},
        {},
    ):
        assert "none that was given out" in refused(
            ask(wire, "greet", requestState=state, **changed)
        )
    assert "none that was given out" in refused(ask(wire, "careful", requestState=state))
    # The call still waits for its own client.
    answers = {"user_name": accepted(name="Ann")}
    good = {"arguments": {"greeting": "Hi"}, "inputResponses": answers, "requestState": state}
    assert text(given(ask(wire, "greet", **good))) == "Hi, Ann!"
    assert "used already" in refused(ask(wire, "greet", **good))
    assert stage.done == ["began", "left"]


def test_a_state_of_another_start_is_refused(start, stage):
    first = start()
    with Streaming(first) as wire:
        state = demanded(ask(wire, "greet"))[1]
    first.close()
    with Streaming(start()) as wire:
        assert "none that was given out here" in refused(ask(wire, "greet", requestState=state))


def test_a_state_expires_and_its_generator_is_closed(start, stage):
    live = start(answer_timeout=0.05)
    with Streaming(live) as wire:
        state = demanded(ask(wire, "greet"))[1]
        assert stage.ended.acquire(timeout=DEADLINE)
        until(lambda: waiting(live) == 0)
        assert "expired" in refused(ask(wire, "greet", requestState=state))
    assert stage.done == ["began", "left"]


def test_calling_again_without_answers_gains_no_time(start, stage):
    live = start(answer_timeout=0.3)
    with Streaming(live) as wire:
        state = demanded(ask(wire, "greet"))[1]
        while not stage.ended.acquire(timeout=0.02):
            answer = ask(wire, "greet", requestState=state)
            if answer.status == 400:
                break
            if answer.json["result"]["resultType"] == "complete":
                break
            state = answer.json["result"]["requestState"]
        until(lambda: waiting(live) == 0)
    assert stage.done == ["began", "left"]


@pytest.mark.parametrize(
    ("name", "capabilities", "lacking"),
    [
        ("greet", {}, "elicitation"),
        ("think", {"elicitation": {}}, "sampling"),
        ("reason", {"sampling": {"context": {}}}, "sampling.tools"),
        ("reason", {"sampling": {}}, "sampling.context"),
        ("sign_in", {"elicitation": {}}, "elicitation.url"),
    ],
)
def test_a_capability_that_is_lacking_is_an_error_of_the_protocol(
    connect, name, capabilities, lacking
):
    answer = ask(connect(), name, capabilities)
    assert (answer.status, answer.code) == (400, -32021)
    assert answer.json["error"]["data"] == {"requiredCapabilities": written(lacking)}


def test_who_leaves_while_the_call_goes_on_ends_it(stage, connect):
    wire, other = connect(), connect()
    state = demanded(ask(wire, "endless"))[1]
    answers = {"a": {"roots": []}}
    caller = threading.Thread(
        target=lambda: pytest.raises(
            (EOFError, OSError), ask, other, "endless", inputResponses=answers, requestState=state
        )
    )
    caller.start()
    until(lambda: "answered" in stage.done)
    other.sock.shutdown(socket.SHUT_RDWR)
    assert stage.ended.acquire(timeout=DEADLINE)
    caller.join(DEADLINE)
    assert stage.done == ["answered", "left"]


def test_a_session_id_means_nothing_to_a_stateless_call(connect):
    wire = connect()
    session = initialize(wire, ALL)
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "adapt"}
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
    }
    answer = wire.rpc(
        "tools/call", {"name": "adapt", "_meta": meta}, headers=dict(headers, **session)
    )
    assert text(answer.json["result"]) == "roots"
    # Not even where its answer is a stream.
    headers["Mcp-Name"] = "loud"
    meta["io.modelcontextprotocol/logLevel"] = "info"
    wire.rpc("tools/call", {"name": "loud", "_meta": meta}, headers=dict(headers, **session))
    said, result = wire.messages()
    assert (said["params"]["data"], text(result["result"])) == ("hear", "heard")
    assert [(one.id, one.retry) for one in wire.seen] == [(None, None)] * 2
