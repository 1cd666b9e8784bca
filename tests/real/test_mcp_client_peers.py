"""Our client and servers that others wrote, and our own: each by each way that it can be reached.

The client's side is ``peers_talk.py``, a program of its own, on the oldest Python and on the
newest. ``PLACES`` says which servers there are, what is called there and what comes of it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest

import helpers
from conformance import fixture
from fakes.served import environment
from fakes.waiting import until
from real import peers_npm
from real.conversation import PEER_PYTHON
from real.peers import Config, SdkServers, at, program, reserved_port, sdk
from real.processes import DEADLINE, Process

pytestmark = pytest.mark.heavy

HERE = os.path.dirname(os.path.abspath(__file__))
TALK = os.path.join(HERE, "peers_talk.py")
#: What the client runs on.
VERSIONS = ("3.7", "3.13")
USER, PLUGIN = "me", "peer"


# -- what is called -----------------------------------------------------------------------------


class Call(NamedTuple):
    """A call and what comes of it: ``wants`` judges the value; with ``error``, the message."""

    tool: str
    arguments: Dict[str, Any]
    wants: Callable[[Any], bool]
    error: Optional[str] = None
    #: The progress that is told; None: it is not asked for.
    progress: Optional[List[float]] = None


def text(wanted: str) -> Callable[[Any], bool]:
    return lambda value: value == wanted


def like(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.search(pattern, value, re.S) is not None


def image(value: Any) -> bool:
    """Return whether it is the dict of an image, of a PNG."""
    return (
        set(value) == {"type", "data", "mimeType"}
        and (value["type"], value["mimeType"]) == ("image", "image/png")
        and base64.b64decode(value["data"]).startswith(b"\x89PNG")
    )


def data(wanted: Any) -> Callable[[Any], bool]:
    """Judge a text that is JSON."""
    return lambda value: json.loads(value) == wanted


UMLAUTS = "Gr\u00fc\u00dfe \U0001f980 \u2028"

SDK = (
    Call("echo", {"text": UMLAUTS}, text(UMLAUTS)),
    Call("echo", {"text": "x" * 300_000}, text("x" * 300_000)),
    Call("picture", {}, image),
    Call("several", {}, lambda value: value[0] == "a text" and image(value[1]) and len(value) == 2),
    Call("structured", {"a": 1, "b": 2}, lambda value: value == {"sum": 3}),
    # The SDK's 2.x says no more.
    Call("fail", {}, like("[Ee]rror executing tool fail"), error="tool_error"),
    Call("nonesuch", {}, like("nonesuch"), error="tool_error"),
    Call("steps", {"count": 3}, text("done"), progress=[1, 2, 3]),
)

EVERYTHING = (
    Call("echo", {"message": UMLAUTS}, like(re.escape(UMLAUTS))),
    Call("get-sum", {"a": 2, "b": 3}, like(r"\b5\b")),
    Call("get-tiny-image", {}, lambda value: image(next(v for v in value if type(v) is dict))),
    Call(
        "get-structured-content",
        {"location": "Chicago"},
        lambda value: "temperature" in json.loads(value),
    ),
    Call("get-sum", {"a": "no number"}, like("."), error="tool_error"),
    Call(
        "trigger-long-running-operation",
        {"duration": 0.3, "steps": 3},
        like("completed"),
        progress=[1, 2, 3],
    ),
    Call("trigger-sampling-request", {"prompt": "p", "maxTokens": 10}, like("a thought")),
    Call("get-roots-list", {}, like("file:///tmp")),
    # With the defaults of its form.
    Call("trigger-elicitation-request", {}, lambda value: "Favorite Integer: 42" in value[1]),
)

DCC = (
    Call("echo", {"text": "plain"}, data("plain")),
    Call("structured", {}, data({"sum": 3})),
    # It makes a job of what is asked for progress (not so in the batch), and tells of none.
    Call("echo", {"text": "plain"}, like(r'^"plain"$|^Core job \S+ queued'), progress=[]),
    Call("fail", {}, like("on purpose"), error="tool_error"),
    Call("nonesuch", {}, like("nonesuch"), error="tool_error"),
)

OURS = (
    Call("test_simple_text", {}, text("This is a simple text response for testing.")),
    Call("test_image_content", {}, image),
    Call(
        "test_multiple_content_types",
        {},
        lambda value: [type(one) for one in value] == [str, dict, dict] and image(value[1]),
    ),
    Call("get_scene_info", {}, lambda value: json.loads(value)["up_axis"] == "y"),
    Call("test_error_handling", {}, like("intentionally"), error="tool_error"),
    Call(
        "test_tool_with_progress",
        {},
        text("Tool with progress executed successfully"),
        progress=[0, 50, 100],
    ),
    Call("test_sampling", {"prompt": "p"}, like("a thought")),
    Call("test_elicitation_sep1034_defaults", {}, like("accept.*John Doe")),
)


# -- servers ------------------------------------------------------------------------------------


@contextlib.contextmanager
def on_sdk(line: str, transport: str, home: str) -> Iterator[Config]:
    if transport == "stdio":
        yield program(sdk(line, transport))
        return
    with SdkServers(line) as servers, reserved_port() as port:
        servers.start(transport, port)
        yield at(port, transport)


@contextlib.contextmanager
def everything(transport: str, home: str) -> Iterator[Config]:
    command = peers_npm.everything()
    if transport == "stdio":
        yield program([*command, "stdio"])
        return
    with reserved_port() as port:
        with Process([*command, transport], {"PORT": str(port)}, name="everything"):
            until(lambda: listens(port), "server-everything listens", DEADLINE, pause=0.05)
            yield at(port, transport)


@contextlib.contextmanager
def dcc(home: str) -> Iterator[Config]:
    python = helpers.peer_venv(
        "dcc-mcp-core", ["dcc-mcp-core==0.20.49"], helpers.python(PEER_PYTHON)
    )
    command = [python, os.path.join(HERE, "peers_dcc.py")]
    with Process(command, {"HOME": home, "TMPDIR": home}, name="dcc-mcp-core") as server:
        yield {"url": server.json_line()["url"]}


@contextlib.contextmanager
def ours(transport: str, home: str) -> Iterator[Config]:
    more = ("--tools", fixture.__file__, "--profile", "full")
    line = [sys.executable, "-m", "dcc_mcp_embed", "serve", "--port", "0", *more]
    env = dict(environment(home), PYTHONPATH=helpers.ROOT)
    with Process(line, env, helpers.ROOT, "ours") as server:
        facts = server.json_line()
        if transport == "stdio":
            yield program([sys.executable, "-m", "dcc_mcp_embed", "bridge"], **env)
        elif transport == "sse":
            url = facts["plain_url"].replace("/mcp", "/sse")
            headers = {"Authorization": "Bearer " + facts["token"]}
            yield {"url": url, "plugin_type": "sse", "headers": headers}
        else:
            yield {"url": facts["url"]}


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Place(NamedTuple):
    """A server and the way to it. ``version``: what has to be spoken there."""

    name: str
    version: str
    calls: Any
    #: What it asks of its client on the way.
    asks: List[str]
    serve: Callable[[str], Any]


MODERN, LATEST = "2026-07-28", "2025-11-25"


def _places() -> Iterator[Place]:
    for line, modern in (("2.x", MODERN), ("1.x", LATEST)):
        for transport in ("stateful", "stateless", "sse", "stdio"):
            yield Place(
                "sdk-{}-{}".format(line, transport),
                LATEST if transport == "sse" else modern,
                SDK,
                [],
                lambda home, line=line, transport=transport: on_sdk(line, transport, home),
            )
    for transport in ("streamableHttp", "sse", "stdio"):
        yield Place(
            "everything-" + transport,
            LATEST,
            EVERYTHING,
            ["sampling", "elicitation", "roots"],
            lambda home, transport=transport: everything(transport, home),
        )
    yield Place("dcc-mcp-core", MODERN, DCC, [], dcc)
    for transport, version in (("http", MODERN), ("sse", LATEST), ("stdio", MODERN)):
        yield Place(
            "ours-" + transport,
            version,
            OURS,
            ["sampling", "elicitation"],
            lambda home, transport=transport: ours(transport, home),
        )


PLACES = list(_places())


# -- the tests ----------------------------------------------------------------------------------


def talked(version: str, config: Config, calls: Any) -> Dict[str, Any]:
    """Have the program talk to a server; return what it tells."""
    order = {
        "config": dict(config, user_id=USER, plugin_name=PLUGIN),
        "calls": [
            {
                "tool": one.tool,
                "arguments": one.arguments,
                "progress": one.progress is not None,
            }
            for one in calls
        ],
    }
    done = subprocess.run(
        [helpers.python(version), "-W", "error", TALK],
        input=json.dumps(order).encode("ascii"),
        env=dict(os.environ, PYTHONPATH=helpers.ROOT, PYTHONDONTWRITEBYTECODE="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    errors = done.stderr.decode("utf-8", "replace")
    assert (done.returncode, errors) == (0, ""), errors
    told: Dict[str, Any] = json.loads(done.stdout.decode("ascii"))
    return told


@pytest.mark.parametrize("place", PLACES, ids=[place.name for place in PLACES])
def test_a_server_of_others(place, tmp_path):
    with place.serve(str(tmp_path)) as config:
        # At once: they wait for much the same, and mean nothing to each other.
        with ThreadPoolExecutor(len(VERSIONS)) as pool:
            stories = [pool.submit(talked, one, config, place.calls) for one in VERSIONS]
    for version, story in zip(VERSIONS, stories):
        told = story.result()
        assert ".".join(str(part) for part in told["python"]) == version
        assert told["asyncio"] is False
        for face in ("sync", "async"):
            check(place, told[face])


def check(place: Place, told: Dict[str, Any]) -> None:
    assert told["events"][0] == ["inactive", "active", "connected"], told["events"]
    assert told["registered"] is True and told["again"] is True
    assert told["as_before"] is True
    assert told["version"] == place.version
    assert [event[:2] for event in told["events"]] == [
        ["inactive", "active"],
        ["active", "inactive"],
        ["inactive", "active"],
        ["active", "inactive"],
    ], told["events"]
    listed = told["tools"]
    assert {one.tool for one in place.calls} - {"nonesuch"} <= set(listed)
    for tool in listed.values():
        assert set(tool) == {"name", "description", "inputSchema"}
        assert tool["inputSchema"]["type"] == "object"
    tested = told["tested"]
    assert tested["success"] is True and tested["tools_count"] == len(listed), tested
    assert len(told["calls"]) == len(told["batch"]) == len(place.calls)
    for wanted, came, message in zip(place.calls, told["calls"], told["batch"]):
        assert came.get("error") == wanted.error, (wanted.tool, came)
        found = came["value"] if wanted.error is None else came["message"]
        assert wanted.wants(found), (wanted.tool, found)
        steps = [one["progress"] for one in came["progress"]]
        assert steps == (wanted.progress or []), (wanted.tool, steps)
        # In the batch just the same came of it, in its place.
        assert message["role"] == "tool"
        assert message["success"] is (wanted.error is None), message
        if wanted.error is None:
            assert wanted.wants(json.loads(message["content"])), message
        else:
            assert wanted.wants(message["error"]), message
    assert [one["tool_call_id"] for one in told["batch"]] == [
        "call-{}".format(place) for place in range(len(place.calls))
    ]
    assert set(told["asked"]) >= set(place.asks), told["asked"]
    calls = {one.tool for one in place.calls}
    assert set(told["metrics"]) == {"{}.{}".format(PLUGIN, tool) for tool in calls}
    assert told["status"] == "active"
    assert told["left"] == []
