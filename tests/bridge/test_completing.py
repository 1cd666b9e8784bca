"""Arguments completed through the bridge: on lines and over HTTP, in both eras."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from fakes.bridged import INITIALIZE, MODERN, Web, Within
from fakes.live import tries
from fakes.served import Served
from fakes.streaming import connecting

TOOLS = '''
import dcc_mcp_embed

def takes(value, arguments):
    """Return the takes of a shot."""
    return [arguments.get("shot", "?") + "_" + value + "01"]

@dcc_mcp_embed.prompt(complete={"shot": ["sh010", "sh020", "sq900"], "take": takes})
def review(shot: str, take: str = "") -> str:
    """Review a shot."""
    return shot + take

@dcc_mcp_embed.resource_template("show://{shot}/{take}", complete={"take": takes})
def take(shot: str, take: str) -> str:
    """A take of a shot."""
    return take
'''


@dcc_mcp_embed.prompt(complete={"shot": ["sh_ours"]})
def review(shot: str) -> str:
    """Review a shot."""
    return shot


@dcc_mcp_embed.resource_template("show://{shot}/{take}", complete={"take": ["take_ours"]})
def take(shot: str, take: str) -> str:
    """A take of a shot."""
    return take


OURS = SimpleNamespace(review=review, take=take)
PROMPT = {"type": "ref/prompt", "name": "review"}
TEMPLATE = {"type": "ref/resource", "uri": "show://{shot}/{take}"}
ERAS = pytest.mark.parametrize("stateless", [False, True], ids=["handshake", "stateless"])


class OnLines:
    """A client of the bridge that reads and writes lines."""

    def __init__(self, bridge):
        self._bridge = bridge
        self.declared = bridge.initialize()["capabilities"]

    def ask(self, method, stateless, **params):
        """Return the answer to a request of either era."""
        if stateless:
            params["_meta"] = MODERN
        return self._bridge.answer(self._bridge.begin(method, params))


class OverHttp:
    """A client of the bridge over HTTP: of a session, or of the stateless era."""

    def __init__(self, wire):
        self._wire = wire
        opened = wire.rpc("initialize", INITIALIZE)
        self._session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        self.declared = opened.json["result"]["capabilities"]

    def ask(self, method, stateless, **params):
        """Return the answer to a request of either era."""
        headers = self._session
        if stateless:
            headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
            params["_meta"] = MODERN
        return self._wire.rpc(method, params, headers=headers).json


@pytest.fixture(params=["lines", "http"])
def client(request, home, monkeypatch):
    if request.param == "lines":
        with Within(home, monkeypatch) as bridge:
            yield OnLines(bridge)
    else:
        with Web(home, monkeypatch) as web, connecting(web) as connect:
            yield OverHttp(connect())


@pytest.fixture
def theirs(home, tmp_path):
    path = tmp_path / "completing.py"
    path.write_text(TOOLS)
    with Served(home, "--tools", str(path)) as served:
        yield served


def answered(client, stateless, ref, argument, value, **given):
    """Return the answer to who types an argument, having ``given`` others."""
    params = {"ref": ref, "argument": {"name": argument, "value": value}}
    if given:
        params["context"] = {"arguments": given}
    return client.ask("completion/complete", stateless, **params)


def completed(client, stateless, *typed, **given):
    return answered(client, stateless, *typed, **given)["result"]["completion"]


def of(label, ref):
    """Return a reference as it is listed while several hosts run."""
    if "name" in ref:
        return dict(ref, name=label + "_" + ref["name"])
    return dict(ref, uri=label + "+" + ref["uri"])


def appears(client, method, member, key, name):
    """Wait until a host's prompt or template is listed."""
    for _ in tries():
        listed = client.ask(method, False)["result"][member]
        if name in [one[key] for one in listed]:
            return
    raise AssertionError(name)


@ERAS
def test_without_a_host_that_is_said(client, stateless):
    assert client.declared["completions"] == {}
    if stateless:
        found = client.ask("server/discover", True)["result"]
        assert found["capabilities"]["completions"] == {}
    for ref, argument in ((PROMPT, "shot"), (TEMPLATE, "take")):
        error = answered(client, stateless, ref, argument, "s")["error"]
        assert error["message"].startswith("No host is running, start ")
        assert (error["data"]["code"], error["data"]["state"]) == ("no_host", "not_started")


def test_of_one_host_by_its_own_names(client, theirs):
    appears(client, "prompts/list", "prompts", "name", "review")
    for stateless in (False, True):
        found = completed(client, stateless, PROMPT, "shot", "SH")
        assert found == {"values": ["sh010", "sh020"], "total": 2, "hasMore": False}
        found = completed(client, stateless, PROMPT, "take", "v", shot="sh010")
        assert found["values"] == ["sh010_v01"]
        assert completed(client, stateless, TEMPLATE, "take", "w")["values"] == ["?_w01"]
        assert completed(client, stateless, TEMPLATE, "shot", "")["values"] == []
        # As it is listed while there are several: another one may have gone a moment ago.
        spelt = of("standalone", TEMPLATE)
        assert completed(client, stateless, spelt, "take", "x", shot="a")["values"] == ["a_x01"]
        for ref, argument, words in (
            (dict(PROMPT, name="reviev"), "shot", "no prompt 'reviev'"),
            (dict(TEMPLATE, uri="show://"), "take", "no resource 'show://'"),
            (PROMPT, "frame", "no argument 'frame'"),
        ):
            error = answered(client, stateless, ref, argument, "")["error"]
            assert error["code"] == -32602 and words in error["message"]
    result = answered(client, True, PROMPT, "shot", "")["result"]
    assert result["resultType"] == "complete" and "ttlMs" not in result


def test_of_several_hosts_by_the_names_that_are_listed(client, theirs, serve):
    appears(client, "prompts/list", "prompts", "name", "review")
    serve(OURS)
    method, member = "resources/templates/list", "resourceTemplates"
    appears(client, method, member, "uriTemplate", of("standalone2", TEMPLATE)["uri"])
    for stateless in (False, True):
        for label, shots, take in (
            ("standalone", ["sh010", "sh020"], "sh010_t01"),
            ("standalone2", ["sh_ours"], "take_ours"),
        ):
            prompt, template = of(label, PROMPT), of(label, TEMPLATE)
            assert completed(client, stateless, prompt, "shot", "sh")["values"] == shots
            found = completed(client, stateless, template, "take", "t", shot="sh010")
            assert found["values"] == [take]
        for ref, argument in ((PROMPT, "shot"), (TEMPLATE, "take")):
            error = answered(client, stateless, ref, argument, "")["error"]
            assert error["data"]["code"] == "ambiguous"
            mark = "standalone2" + ("_" if ref is PROMPT else "+")
            assert mark in error["message"] + error["data"]["hint"]
