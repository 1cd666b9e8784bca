"""One long conversation about everything there is, in each revision and over each way to a server.

What is said is held to the specification's schemas (see ``watch``); here it is only said.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from conformance.specification import REVISIONS
from conformance.talks import (
    HANDSHAKE,
    STATELESS,
    Framed,
    Legacy,
    Modern,
    ModernPiped,
    Piped,
    Talk,
    converse,
)
from fakes.bridged import Web, Within
from fakes.live import starting
from fakes.served import Served
from helpers import require

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "fixture.py")
SERVE = ("--tools", FIXTURE, "--profile", "full", "--no-auth")


@pytest.fixture(scope="module", params=[(), ("--always-stream",)], ids=["usual", "streams"])
def server(request, tmp_path_factory):
    require(find_spec("jsonschema"), "jsonschema")
    with Served(str(tmp_path_factory.mktemp("home")), *SERVE, *request.param) as served:
        yield served


@pytest.mark.parametrize("revision", HANDSHAKE)
def test_over_http(server, monkeypatch, revision):
    asked = {"sampling/createMessage", "roots/list"}
    if revision >= "2025-06-18":
        asked.add("elicitation/create")
    converse(monkeypatch, Talk(server, revision), "result of initialize", *asked)


@pytest.mark.parametrize("revision", HANDSHAKE)
def test_over_http_and_sse(server, monkeypatch, revision):
    converse(monkeypatch, Legacy(server, revision), "result of initialize")


def test_in_the_stateless_era(server, monkeypatch):
    converse(
        monkeypatch,
        Modern(server, STATELESS),
        "result of server/discover",
        "notifications/subscriptions/acknowledged",
    )


# -- over the framed wire, and through the bridge -----------------------------------------------


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A host in this process, so that what is said in frames is seen too."""
    require(find_spec("jsonschema"), "jsonschema")
    with starting(str(tmp_path), monkeypatch) as start:
        yield start(tools=[FIXTURE], profile="full")


def test_over_the_framed_wire(live, monkeypatch):
    heard = ("result of server/discover", "notifications/subscriptions/acknowledged")
    converse(monkeypatch, Framed(live), *heard)


@pytest.mark.parametrize("revision", REVISIONS)
def test_through_the_bridge_at_its_pipes(live, tmp_path, monkeypatch, revision):
    bridge = Within(str(tmp_path), monkeypatch)
    talk = (ModernPiped if revision == STATELESS else Piped)(bridge, revision)
    watch = converse(monkeypatch, talk)
    assert (STATELESS, "result of tools/call") in watch.kinds, "in the frames behind it"


@pytest.mark.parametrize("revision", REVISIONS)
def test_through_the_bridge_over_http(live, tmp_path, monkeypatch, revision):
    with Web(str(tmp_path), monkeypatch) as bridge:
        watch = converse(monkeypatch, (Modern if revision == STATELESS else Talk)(bridge, revision))
    assert (STATELESS, "result of tools/call") in watch.kinds, "in the frames behind it"
