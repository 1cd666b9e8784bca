"""A conversation in whichever era: how it begins, what is asked and answered, what ends."""

from __future__ import annotations

import threading
from typing import Any, Dict, List

import pytest

from dcc_mcp_embed.errors import RemoteProtocolError
from dcc_mcp_embed.mcp import session as session_module
from dcc_mcp_embed.mcp.answering import ELICITATION, ROOTS, SAMPLING, Answering
from dcc_mcp_embed.mcp.connection import Broken
from dcc_mcp_embed.mcp.session import RpcFailed, Session
from dcc_mcp_embed.mcp.wire import HttpFailed, Refused
from dcc_mcp_embed.net.tasks import Cut, Wait
from dcc_mcp_embed.wire.jsonrpc import Fault
from fakes.scripted_wire import SILENCE, ScriptedWire, failure, result
from fakes.turning import Turning

CLIENT = {"name": "test", "version": "1"}
META = "io.modelcontextprotocol/"
#: What a server of each era says first.
DISCOVERED = result(
    resultType="complete",
    supportedVersions=["2026-07-28"],
    capabilities={"tools": {}},
    _meta={META + "serverInfo": {"name": "new", "version": "2"}},
)
AGREED = result(
    protocolVersion="2025-11-25", capabilities={"tools": {}}, serverInfo={"name": "old"}
)


class Talk:
    """A session over a scripted wire, on a loop whose clock jumps, unless threads are at work."""

    def __init__(self, wire: ScriptedWire, probe: bool = True, **options: Any) -> None:
        self.wire = wire
        self.changes = 0
        self.turning = Turning(jumping=options.pop("jumping", True))
        self.functions: Dict[str, Any] = options
        loop = self.turning.loop
        answering = Answering(loop, self.functions, lambda: None)
        self.session = Session(
            loop, wire, answering, CLIENT, self._changed, self.turning.failed, probe
        )

    def _changed(self) -> None:
        self.changes += 1

    def open(self) -> Talk:
        self.turning.run(self.session.open())
        return self

    def run(self, coroutine: Any) -> Any:
        return self.turning.run(coroutine)

    def say(self, **message: Any) -> None:
        """Have the server say something, and hear what comes of it."""
        self.wire.heard(dict(message, jsonrpc="2.0"))
        self.turning.turn(20)

    def close(self) -> None:
        self.session.close()
        self.turning.close()


@pytest.fixture
def talk():
    talks: List[Talk] = []

    def make(wire: ScriptedWire, probe: bool = True, **options: Any) -> Talk:
        talks.append(Talk(wire, probe, **options))
        return talks[-1]

    yield make
    for one in talks:
        one.close()


def modern(has_headers: bool = True, **script: Any) -> ScriptedWire:
    return ScriptedWire(has_headers, server__discover=DISCOVERED, **script)


def legacy(**script: Any) -> ScriptedWire:
    return ScriptedWire(**dict({"initialize": AGREED}, **script))


# -- how it begins --------------------------------------------------------------------------------


def test_a_server_of_the_stateless_era_is_asked_for_no_handshake(talk):
    found = talk(modern()).open()
    assert found.wire.methods == ["server/discover"]
    assert found.session.stateless and found.session.version == "2026-07-28"
    assert found.session.server == {"name": "new", "version": "2"}
    assert found.session.capabilities == {"tools": {}}
    assert (found.wire.told, found.wire.listens) == ([], 0)
    assert found.wire.asked[0]["params"] == {
        "_meta": {
            META + "protocolVersion": "2026-07-28",
            META + "clientCapabilities": {},
            META + "clientInfo": CLIENT,
        }
    }
    assert dict(found.wire.fields[0]) == {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "server/discover",
    }


@pytest.mark.parametrize(
    "reply",
    [
        failure(-32601),
        failure(-32000, "Bad Request: no session"),
        failure(-32022, data={"supported": ["2099-01-01"]}),
        failure(-32022),
        {"error": "a text"},
        {"result": "a text"},
        {"result": {}},
        result(supportedVersions="2026-07-28"),
        result(supportedVersions=["2099-01-01", 7]),
        HttpFailed(400, "what"),
        HttpFailed(404, ""),
        HttpFailed(500, "oh"),
        RemoteProtocolError("what"),
        Broken("it hung up", True),
        SILENCE,
    ],
    ids=repr,
)
def test_a_server_that_knows_no_discovery_is_given_a_hand(talk, reply):
    found = talk(legacy(server__discover=reply)).open()
    assert (found.wire.methods, found.wire.opens) == (["server/discover", "initialize"], 1)
    assert found.wire.asked[1]["params"] == {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": CLIENT,
    }
    assert found.wire.fields[1] == ()
    assert [one["method"] for one in found.wire.told] == ["notifications/initialized"]
    assert (found.session.version, found.wire.version) == ("2025-11-25", "2025-11-25")
    assert not found.session.stateless and found.session.server == {"name": "old"}
    found.turning.turn(20)
    assert found.wire.listens == 1


@pytest.mark.parametrize(
    ("reply", "kind"), [(Refused(401, ""), Refused), (Broken("nobody there", False), Broken)]
)
def test_who_lets_nobody_in_or_is_not_there_is_asked_nothing_more(talk, reply, kind):
    found = talk(legacy(server__discover=reply))
    with pytest.raises(kind):
        found.open()
    assert found.wire.methods == ["server/discover"]


def test_a_program_that_ends_for_want_of_a_handshake_is_started_again(talk):
    def die(message: Any) -> Exception:
        found.wire.lost = True
        return Broken("it has ended", True)

    found = talk(legacy(server__discover=die))
    found.open()
    assert (found.wire.opens, found.session.version) == (2, "2025-11-25")


def test_a_slow_server_that_shakes_no_hands_is_asked_again(talk):
    wire = ScriptedWire(server__discover=[SILENCE, DISCOVERED], initialize=failure(-32601))
    found = talk(wire).open()
    assert found.wire.methods == ["server/discover", "initialize", "server/discover"]
    assert found.session.stateless


@pytest.mark.parametrize(("has_headers", "seconds"), [(True, 20.0), (False, 5.0)])
def test_where_a_server_would_say_at_once_that_it_knows_no_discovery_it_is_given_longer(
    talk, has_headers, seconds
):
    wire = ScriptedWire(has_headers, server__discover=SILENCE, initialize=AGREED)
    found = talk(wire)
    began = found.turning.clock.monotonic()
    found.open()
    assert seconds <= found.turning.clock.monotonic() - began < seconds + 1.0


@pytest.mark.parametrize(("all_of_it", "seconds"), [(3.0, 1.5), (100.0, 20.0)])
def test_where_there_is_little_time_some_is_left_for_a_handshake(talk, all_of_it, seconds):
    wire = ScriptedWire(server__discover=SILENCE, initialize=AGREED)
    found = talk(wire)
    began = found.turning.clock.monotonic()
    found.run(found.session.open(all_of_it))
    assert seconds <= found.turning.clock.monotonic() - began < seconds + 1.0
    assert found.session.version == "2025-11-25"


@pytest.mark.parametrize("reply", [SILENCE, failure(-32601)], ids=["slow", "at once"])
def test_a_handshake_that_is_refused_is_told(talk, reply):
    wire = ScriptedWire(
        server__discover=[reply, failure(-32601)], initialize=failure(-32603, "not today")
    )
    with pytest.raises(RpcFailed, match="not today"):
        talk(wire).open()


def test_a_slow_server_is_not_told_that_the_question_is_called_off(talk):
    wire = ScriptedWire(False, server__discover=SILENCE, initialize=SILENCE)
    found = talk(wire)
    task, over = found.turning.begin(found.session.open())
    found.turning.pass_time(60.0)
    assert wire.methods == ["server/discover", "initialize"]
    task.cancel()
    found.turning.until(lambda: over)
    found.turning.turn(20)
    assert wire.told == []


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_revision_with_a_handshake_is_spoken(talk, version):
    found = talk(legacy(initialize=result(protocolVersion=version)), probe=False).open()
    assert found.wire.methods == ["initialize"]
    assert (found.session.version, found.wire.version) == (version, version)
    assert (found.session.server, found.session.capabilities) == ({}, {})


@pytest.mark.parametrize("version", ["2026-07-28", "1.0", None, ["2025-11-25"]])
def test_a_handshake_on_no_revision_of_ours_is_none(talk, version):
    with pytest.raises(RemoteProtocolError, match="none of 2024-11-05"):
        talk(ScriptedWire(initialize=result(protocolVersion=version)), probe=False).open()


def test_what_breaks_at_the_beginning_has_brought_the_server_no_call(talk):
    with pytest.raises(Broken) as caught:
        talk(ScriptedWire(initialize=Broken("gone", True))).open()
    assert (caught.value.reason, caught.value.sent) == ("gone", False)


# -- another revision -----------------------------------------------------------------------------

UNSUPPORTED = failure(-32022, "another one, please", {"supported": ["2026-07-28"]})


def test_a_revision_that_we_speak_is_tried_once_more(talk):
    found = talk(modern(tools__list=[UNSUPPORTED, result(tools=[])])).open()
    assert found.run(found.session.list_tools()) == []
    first, second = found.wire.asked[1:]
    assert first["id"] != second["id"]
    assert first["params"] == second["params"]


def test_and_not_for_ever(talk):
    found = talk(modern(tools__list=UNSUPPORTED)).open()
    with pytest.raises(RpcFailed, match="another one, please") as caught:
        found.run(found.session.list_tools())
    assert caught.value.code == -32022
    assert found.wire.methods == ["server/discover", "tools/list", "tools/list"]


@pytest.mark.parametrize("error", ["a text", None, {"code": "x", "message": None}, {}])
def test_an_error_that_is_none_is_still_one(talk, error):
    found = talk(legacy(tools__list={"error": error} if error is not None else {"error": 0})).open()
    with pytest.raises(RpcFailed) as caught:
        found.run(found.session.list_tools())
    assert caught.value.code == -32603


# -- what a server asks for on the way ------------------------------------------------------------

CONFIRM = {"confirm": {"method": "elicitation/create", "params": {"message": "sure?"}}}
STATE = ' {"a":  1, "\u00e9\u4e16": "\\u0000\U0001f600"}\n'


def demand(**found: Any) -> Dict[str, Any]:
    return result(resultType="input_required", **found)


def test_a_demand_is_met_and_its_state_comes_back_as_it_was(talk):
    wire = modern(
        tools__list=result(tools=[]),
        tools__call=[demand(inputRequests=CONFIRM, requestState=STATE), result(content=[])],
    )
    found = talk(wire, jumping=False, **{ELICITATION: lambda params: {"said": params["message"]}})
    found.open()
    assert found.run(found.session.call_tool("t", {"a": 1})) == {"content": []}
    asked = [one for one in wire.asked if one["method"] == "tools/call"]
    assert asked[0]["id"] != asked[1]["id"]
    assert wire.params("tools/call") == [
        {"name": "t", "arguments": {"a": 1}},
        {
            "name": "t",
            "arguments": {"a": 1},
            "inputResponses": {"confirm": {"action": "accept", "content": {"said": "sure?"}}},
            "requestState": STATE,
        },
    ]
    assert wire.headers("tools/call")[1]["Mcp-Name"] == "t"


def test_where_it_breaks_after_a_demand_part_of_it_may_be_done(talk):
    demand = result(resultType="input_required", requestState="s")
    found = talk(modern(False, tools__call=[demand, Broken("gone", False)])).open()
    with pytest.raises(Broken) as caught:
        found.run(found.session.call_tool("t", {}))
    assert (caught.value.reason, caught.value.sent) == ("gone", True)


def test_no_state_is_sent_where_none_was_given_and_nothing_with_another_call(talk):
    wire = modern(
        tools__list=result(tools=[]),
        tools__call=[
            demand(inputRequests={}),
            result(content=[]),
            demand(requestState="s"),
            result(content=[]),
            result(content=[]),
        ],
    )
    found = talk(wire).open()
    for name in ("a", "b", "c"):
        found.run(found.session.call_tool(name, {}))
    assert [set(one) - {"name", "arguments"} for one in wire.params("tools/call")] == [
        set(),
        {"inputResponses"},
        set(),
        {"requestState"},
        set(),
    ]


def test_each_round_is_answered_by_itself(talk):
    wire = modern(
        tools__list=result(tools=[]),
        tools__call=[
            demand(requestState="first", inputRequests={}),
            demand(requestState="second"),
            demand(inputRequests={}),
            result(content=[]),
        ],
    )
    found = talk(wire).open()
    found.run(found.session.call_tool("t", {}))
    call = {"name": "t", "arguments": {}}
    assert wire.params("tools/call") == [
        call,
        dict(call, requestState="first", inputResponses={}),
        dict(call, requestState="second"),
        dict(call, inputResponses={}),
    ]


def test_a_result_without_a_type_is_complete(talk):
    found = talk(modern(tools__list=result(tools=[]), tools__call=result(content=[1]))).open()
    assert found.run(found.session.call_tool("t", {})) == {"content": [1]}


def test_a_server_that_asks_for_ever_is_left(talk):
    wire = modern(tools__list=result(tools=[]), tools__call=demand(requestState="more"))
    found = talk(wire).open()
    with pytest.raises(RemoteProtocolError, match="more and more"):
        found.run(found.session.call_tool("t", {}))
    assert wire.methods.count("tools/call") == 11


@pytest.mark.parametrize(
    ("demands", "code"),
    [
        ({"x": {"method": "tasks/steal"}}, -32601),
        ({"x": {"method": "elicitation/create", "params": {}}}, -1),
        ({"x": "a text"}, -32601),
        ({str(number): CONFIRM["confirm"] for number in range(101)}, -32600),
    ],
    ids=["unknown", "nobody", "a text", "101"],
)
def test_what_cannot_be_met_is_told_to_the_caller(talk, demands, code):
    wire = modern(tools__list=result(tools=[]), tools__call=demand(inputRequests=demands))
    found = talk(wire).open()
    with pytest.raises(Fault) as caught:
        found.run(found.session.call_tool("t", {}))
    assert caught.value.code == code
    assert wire.methods.count("tools/call") == 1


def test_in_the_other_era_such_a_result_is_a_result(talk):
    found = talk(legacy(tools__call=demand(requestState="s"))).open()
    assert found.run(found.session.call_tool("t", {}))["requestState"] == "s"


# -- progress -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [legacy, modern], ids=["handshake", "stateless"])
def test_progress_goes_to_who_called(talk, wire):
    waits = [Wait[Any](), Wait[Any]()]
    script = wire(tools__list=result(tools=[]), tools__call=[*waits, result()])
    found = talk(script).open()
    found.run(found.session.list_tools())
    told: Dict[str, List[int]] = {"a": [], "b": []}
    for name in told:
        hear = lambda params, name=name: told[name].append(params["progress"])  # noqa: E731
        found.turning.begin(found.session.call_tool(name, {}, hear))
    found.turning.turn(20)
    calls = [one for one in script.asked if one["method"] == "tools/call"]
    tokens = [one["params"]["_meta"]["progressToken"] for one in calls]
    assert len(set(tokens)) == 2
    for token in (tokens[1], tokens[0], tokens[1], "x", None, [1]):
        found.say(method="notifications/progress", params={"progressToken": token, "progress": 1})
    found.say(method="notifications/progress", params="none")
    assert told == {"a": [1], "b": [1, 1]}
    for wait in waits:
        wait.settle(result(content=[]))
    found.turning.turn(20)
    found.say(method="notifications/progress", params={"progressToken": tokens[0], "progress": 2})
    assert told == {"a": [1], "b": [1, 1]}


# -- calling off ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (lambda **script: legacy(**script), True),
        (lambda **script: modern(False, **script), True),
        # There the end of the connection says so.
        (lambda **script: modern(True, **script), False),
    ],
    ids=["handshake", "stateless by lines", "stateless by HTTP"],
)
def test_a_call_that_is_given_up_is_called_off(talk, wire, told):
    script = wire(tools__list=result(tools=[]), tools__call=SILENCE)
    found = talk(script).open()
    found.run(found.session.list_tools())
    task, over = found.turning.begin(found.session.call_tool("t", {}))
    found.turning.turn(20)
    task.cancel()
    found.turning.until(lambda: over)
    assert isinstance(over[0][1], Cut)
    found.turning.turn(20)
    ident = script.asked[-1]["id"]
    notices = [one for one in script.told if one["method"] == "notifications/cancelled"]
    assert [one["params"]["requestId"] for one in notices] == ([ident] if told else [])


# -- what a server asks of its own accord ---------------------------------------------------------


def test_what_a_server_asks_is_answered(talk):
    found = talk(
        legacy(),
        jumping=False,
        **{
            SAMPLING: lambda params: "a thought",
            ELICITATION: lambda params: {"name": "Ann"},
            ROOTS: lambda: ["file:///a"],
        },
    )
    found.open()
    assert found.wire.asked[-1]["params"]["capabilities"] == {
        "sampling": {},
        "elicitation": {"form": {}},
        "roots": {},
    }
    del found.wire.told[:]
    for ident, method in enumerate(("ping", SAMPLING, ELICITATION, ROOTS, "tasks/steal")):
        found.say(id=ident, method=method, params={} if ident % 2 else None)
    found.turning.until(lambda: len(found.wire.told) == 5)
    answers = {one["id"]: one for one in found.wire.told}
    assert answers[0]["result"] == {}
    assert answers[1]["result"]["content"] == {"type": "text", "text": "a thought"}
    assert answers[2]["result"] == {"action": "accept", "content": {"name": "Ann"}}
    assert answers[3]["result"] == {"roots": [{"uri": "file:///a"}]}
    assert answers[4]["error"]["code"] == -32601


def test_what_nobody_answers_is_refused_and_not_offered(talk):
    found = talk(legacy()).open()
    found.say(id="x", method=SAMPLING, params={})
    assert found.wire.told[-1]["error"]["code"] == -1
    assert found.wire.asked[-1]["params"]["capabilities"] == {}


def test_of_too_many_questions_some_are_refused_and_a_ping_is_none(talk):
    gate = threading.Event()
    found = talk(legacy(), jumping=False, **{SAMPLING: lambda params: gate.wait(20) and "late"})
    found.open()
    del found.wire.told[:]
    try:
        for ident in range(18):
            found.say(id=ident, method=SAMPLING, params={})
        found.say(id="ping", method="ping")
        early = {one["id"]: one for one in found.wire.told}
        assert early.keys() == {16, 17, "ping"}
        assert early[16]["error"]["code"] == early[17]["error"]["code"] == -32603
        assert early["ping"]["result"] == {}
    finally:
        gate.set()
    found.turning.until(lambda: len(found.wire.told) == 19)
    found.say(id="next", method=SAMPLING, params={})
    found.turning.until(lambda: len(found.wire.told) == 20)
    assert "result" in found.wire.told[-1]


def test_who_takes_no_answers_gets_no_more_than_can_be_borne(talk, monkeypatch):
    monkeypatch.setattr(session_module, "_MOST_WAITING", 100)
    found = talk(legacy()).open()
    taken, under_way = [], []

    async def tell(message, fields):
        taken.append(message["id"])
        under_way.append(Wait())
        await under_way[-1]

    found.wire.tell = tell
    for ident in range(200):
        found.say(id=ident, method=("ping", SAMPLING)[ident % 2])
    assert taken == list(range(16))
    while under_way:
        under_way.pop(0).settle()
        found.turning.turn(3)
    assert taken == list(range(116)), "and each that has been taken makes room"
    found.say(id="next", method="ping")
    assert taken[-1] == "next"


def test_in_the_stateless_era_no_such_question_is_one(talk):
    found = talk(modern(), **{SAMPLING: lambda params: "a thought"}).open()
    for method in ("ping", SAMPLING):
        found.say(id=1, method=method, params={})
    assert found.wire.told == []


@pytest.mark.parametrize(
    "message",
    [
        {"id": 77, "result": {}},
        {"id": 77, "error": {"code": 1, "message": "m"}},
        {"id": None, "method": "ping"},
        {"id": [1], "method": "ping"},
        {"method": 7},
        {"method": "notifications/unheard-of", "params": {}},
        {},
    ],
)
def test_what_concerns_nobody_is_passed_over(talk, message):
    found = talk(legacy()).open()
    del found.wire.told[:]
    found.say(**message)
    assert found.wire.told == []
    assert found.changes == 0


# -- tools that change ----------------------------------------------------------------------------

CHANGED = "notifications/tools/list_changed"


def test_a_change_is_told_in_the_era_of_handshakes(talk):
    found = talk(legacy(tools__list=result(tools=[]))).open()
    found.run(found.session.list_tools())
    assert found.wire.methods[-1] == "tools/list"
    found.say(method=CHANGED)
    assert found.changes == 1


def listening(**script: Any) -> ScriptedWire:
    said = dict(DISCOVERED["result"], capabilities={"tools": {"listChanged": True}})
    return ScriptedWire(server__discover=result(**said), tools__list=result(tools=[]), **script)


def test_in_the_stateless_era_changes_are_listened_for_once(talk):
    found = talk(listening(subscriptions__listen=SILENCE)).open()
    for _ in range(2):
        found.run(found.session.list_tools())
    found.turning.turn(20)
    assert found.wire.methods.count("subscriptions/listen") == 1
    assert found.wire.params("subscriptions/listen") == [
        {"notifications": {"toolsListChanged": True}}
    ]
    found.say(method="notifications/subscriptions/acknowledged", params={})
    assert found.changes == 0
    found.say(method=CHANGED, params={"_meta": {META + "subscriptionId": 3}})
    assert found.changes == 1


@pytest.mark.parametrize("end", [Broken("gone", True), result()], ids=["broken", "ended"])
def test_an_end_of_that_is_no_end_and_what_came_meanwhile_may_be_a_change(talk, end):
    found = talk(listening(subscriptions__listen=[end, end, SILENCE])).open()
    found.run(found.session.list_tools())
    found.turning.pass_time(30.0)
    assert found.wire.methods.count("subscriptions/listen") == 3
    assert found.changes == 2


@pytest.mark.parametrize("end", [failure(-32601), HttpFailed(404, "")], ids=repr)
def test_a_server_that_tells_no_changes_is_not_asked_again(talk, end):
    found = talk(listening(subscriptions__listen=end)).open()
    found.run(found.session.list_tools())
    found.turning.pass_time(300.0)
    assert found.wire.methods.count("subscriptions/listen") == 1


def test_one_that_says_so_is_not_asked_at_all(talk):
    found = talk(modern(tools__list=result(tools=[]), subscriptions__listen=SILENCE)).open()
    found.run(found.session.list_tools())
    found.turning.turn(20)
    assert "subscriptions/listen" not in found.wire.methods


def test_nobody_listens_on_a_wire_that_is_lost(talk):
    def die(message: Any) -> Exception:
        found.wire.lost = True
        return Broken("gone", True)

    found = talk(listening(subscriptions__listen=die))
    found.open()
    found.run(found.session.list_tools())
    found.turning.pass_time(300.0)
    assert found.wire.methods.count("subscriptions/listen") == 1


# -- lists ----------------------------------------------------------------------------------------


def tool(name: str, **more: Any) -> Dict[str, Any]:
    return dict({"name": name, "inputSchema": {"type": "object"}}, **more)


def test_all_pages_are_read(talk):
    wire = legacy(
        tools__list=[
            result(tools=[tool("a")], nextCursor="1"),
            result(tools=[], nextCursor="2"),
            result(tools=[tool("b")], nextCursor=""),
        ]
    )
    found = talk(wire).open()
    assert [one["name"] for one in found.run(found.session.list_tools())] == ["a", "b"]
    assert wire.params("tools/list") == [{}, {"cursor": "1"}, {"cursor": "2"}]


@pytest.mark.parametrize("next_cursor", [7, None, {}])
def test_a_cursor_that_is_none_ends_the_list(talk, next_cursor):
    found = talk(legacy(tools__list=result(tools=[tool("a")], nextCursor=next_cursor))).open()
    assert len(found.run(found.session.list_tools())) == 1


def test_a_list_that_goes_round_ends(talk):
    wire = legacy(tools__list=result(tools=[tool("a")], nextCursor="again"))
    found = talk(wire).open()
    found.run(found.session.list_tools())
    assert wire.methods.count("tools/list") == 2


@pytest.mark.parametrize(("limit", "pages"), [("_MOST_PAGES", 5), ("_MOST_ENTRIES", 6)])
def test_an_endless_list_ends(talk, monkeypatch, limit, pages):
    monkeypatch.setattr(session_module, limit, 5)
    wire = legacy(
        tools__list=lambda message: result(
            tools=[tool("a")], nextCursor="c{}".format(message["id"])
        )
    )
    found = talk(wire).open()
    assert len(found.run(found.session.list_tools())) == pages


@pytest.mark.parametrize("tools", [None, {}, "a", [1], [{}], [{"name": 7}], [tool("a"), None]])
def test_what_is_no_list_of_tools_is_told(talk, tools):
    found = talk(legacy(tools__list=result(tools=tools))).open()
    with pytest.raises(RemoteProtocolError, match="no list of tools"):
        found.run(found.session.list_tools())


# -- arguments in headers -------------------------------------------------------------------------


def annotated(header: Any, kind: str = "string") -> Dict[str, Any]:
    return {"type": "object", "properties": {"r": {"type": kind, "x-mcp-header": header}}}


TOOLS = result(
    tools=[
        tool("good", inputSchema=annotated("Region")),
        tool("bad", inputSchema=annotated("My Region")),
        tool("number", inputSchema=annotated("N", "number")),
        tool("none", inputSchema=None),
    ]
)


def test_arguments_stand_in_headers_too_and_tools_that_cannot_say_so_are_dropped(talk):
    found = talk(modern(tools__list=TOOLS, tools__call=result(content=[]))).open()
    listed = found.run(found.session.list_tools())
    assert [one["name"] for one in listed] == ["good", "none"]
    for value in ("eu", "Gr\u00fc\u00dfe", None):
        found.run(found.session.call_tool("good", {"r": value}))
    found.run(found.session.call_tool("none", {"r": "eu"}))
    sent = [
        {name: value for name, value in one.items() if name != "MCP-Protocol-Version"}
        for one in found.wire.headers("tools/call")
    ]
    method = {"Mcp-Method": "tools/call"}
    assert sent == [
        dict(method, **{"Mcp-Name": "good", "Mcp-Param-Region": "eu"}),
        dict(method, **{"Mcp-Name": "good", "Mcp-Param-Region": "=?base64?R3LDvMOfZQ==?="}),
        dict(method, **{"Mcp-Name": "good"}),
        dict(method, **{"Mcp-Name": "none"}),
    ]


def test_what_was_dropped_cannot_be_called_until_it_is_mended(talk):
    bad = result(tools=[tool("t", inputSchema=annotated("My Region"))])
    good = result(tools=[tool("t", inputSchema=annotated("Region"))])
    wire = modern(tools__list=[good, bad, good], tools__call=result(content=[]))
    found = talk(wire).open()
    for calls in (1, 1, 2):
        found.run(found.session.list_tools())
        if len(wire.methods) == 4:
            with pytest.raises(RemoteProtocolError, match="'t' has the x-mcp-header 'My Region'"):
                found.run(found.session.call_tool("t", {"r": "eu"}))
        else:
            found.run(found.session.call_tool("t", {"r": "eu"}))
        assert wire.methods.count("tools/call") == calls


def test_a_call_looks_first_which_arguments_these_are(talk):
    found = talk(modern(tools__list=TOOLS, tools__call=result(content=[]))).open()
    found.run(found.session.call_tool("good", {"r": "eu"}))
    assert found.wire.methods == ["server/discover", "tools/list", "tools/call"]
    assert found.wire.headers("tools/call")[0]["Mcp-Param-Region"] == "eu"


def test_where_that_breaks_nothing_of_the_call_has_been_sent(talk):
    found = talk(modern(tools__list=Broken("gone", True))).open()
    with pytest.raises(Broken) as caught:
        found.run(found.session.call_tool("good", {}))
    assert (caught.value.reason, caught.value.sent) == ("gone", False)


@pytest.mark.parametrize("wire", [legacy, lambda **script: modern(False, **script)])
def test_where_there_are_no_headers_all_tools_are_good(talk, wire):
    found = talk(wire(tools__list=TOOLS, tools__call=result(content=[]))).open()
    found.run(found.session.call_tool("bad", {}))
    assert "tools/list" not in found.wire.methods
    assert len(found.run(found.session.list_tools())) == 4


@pytest.mark.parametrize(
    ("hints", "harmless"),
    [
        ({"readOnlyHint": True}, True),
        ({"idempotentHint": True}, True),
        ({"readOnlyHint": False, "idempotentHint": False}, False),
        ({"readOnlyHint": "true", "idempotentHint": 1}, False),
        ({}, False),
        (None, False),
        ("read", False),
    ],
)
def test_what_may_be_called_twice_says_so_itself(talk, hints, harmless):
    found = talk(legacy(tools__list=result(tools=[tool("t", annotations=hints)]))).open()
    assert not found.session.is_harmless("t")
    found.run(found.session.list_tools())
    assert found.session.is_harmless("t") is harmless
    assert not found.session.is_harmless("another")


# -- the end --------------------------------------------------------------------------------------


def test_leaving_says_goodbye_closes_and_ends_what_is_beside(talk):
    found = talk(listening(subscriptions__listen=SILENCE)).open()
    found.run(found.session.list_tools())
    found.turning.turn(20)
    found.run(found.session.leave())
    assert (found.wire.left, found.wire.closed) == (1, 1)
    found.turning.turn(20)
    found.say(id=1, method="ping")
    assert found.wire.told == []
