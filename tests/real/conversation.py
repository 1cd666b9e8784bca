"""What an agent does first, through an official client: make a cube, move it, take it back.

The client runs in an environment of its own (``conversation_client.py``); here are the steps and
what has to come of them. Nothing here knows which host answers but for :class:`Host`.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import helpers
from real.processes import DEADLINE, Process

__all__ = ["CLIENTS", "NAME", "PEERS", "Client", "ClientKind", "Host", "converse", "good"]

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conversation_client.py")

#: The Python the peers run on: both SDKs need at least 3.10.
PEER_PYTHON = "3.11"
PEERS = {"1.x": "mcp==1.30.0", "2.x": "mcp==2.3.0"}

NAME = "conversation_cube"
AT_ONCE = (0.0, 0.0, 0.0)
MOVED = (1.0, 2.5, -3.0)
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
SCENE_TOOLS = {
    "get_scene_info",
    "list_objects",
    "get_object",
    "create_object",
    "set_transform",
    "rename_object",
    "delete_objects",
    "get_selection",
    "set_selection",
    "undo",
    "redo",
    "execute_python",
    "get_status",
    "search_tools",
    "describe_tool",
    "call_tool",
    "batch",
}


class ClientKind(NamedTuple):
    """An SDK, how it is told to negotiate, and the revision that has to come of it."""

    sdk: str
    mode: str
    revision: str
    #: Whether it gets a session id and sends it from then on.
    session: bool


CLIENTS = {
    "2.x auto": ClientKind("2.x", "auto", "2026-07-28", False),
    "2.x legacy": ClientKind("2.x", "legacy", "2025-11-25", True),
    "2.x modern": ClientKind("2.x", "2026-07-28", "2026-07-28", False),
    "1.x": ClientKind("1.x", "auto", "2025-11-25", True),
}


class Host(NamedTuple):
    """What is known of the other side. ``ready``: the JSON line of the server."""

    dcc: str
    ready: Dict[str, Any]
    #: Whether an undo step can be taken back here, and whether the host can name its steps.
    undoes: bool
    names_steps: bool


class Client:
    """One SDK client, connected. ``token_in``: "header" (as configured by hand) or "path"."""

    def __init__(self, kind: str, ready: Dict[str, Any], token_in: str = "path") -> None:
        self.kind = CLIENTS[kind]
        python = helpers.peer_venv(
            "mcp-" + self.kind.sdk, [PEERS[self.kind.sdk]], helpers.python(PEER_PYTHON)
        )
        where = (
            [ready["url"]]
            if token_in == "path"
            else [ready["plain_url"], "--token", ready["token"]]
        )
        self.process = Process(
            [python, CLIENT, *where, "--mode", self.kind.mode], name="client " + kind
        )
        try:
            self.agreed = self.process.json_line()
            assert "protocol" in self.agreed, self.process.problem("did not connect")
        except BaseException:
            self.close()
            raise

    def ask(self, **command: Any) -> Dict[str, Any]:
        answer: Dict[str, Any] = self.process.ask(command)
        return answer

    def call(self, tool_name: str, **arguments: Any) -> Dict[str, Any]:
        """Call a tool and return its whole result, an error result too."""
        answer = self.ask(do="call", name=tool_name, arguments=arguments)
        assert "structuredContent" in answer, (tool_name, answer)
        return answer

    def wire(self) -> List[Dict[str, Any]]:
        """Return the HTTP exchanges since the last time."""
        found: List[Dict[str, Any]] = self.ask(do="wire")["wire"]
        return found

    def end(self) -> None:
        """Let the client close its session as it does, and see that it ends well."""
        assert self.ask(do="end") == {"ended": None}
        assert self.process.wait(DEADLINE) == 0, self.process.problem("ended badly")

    def close(self) -> None:
        self.process.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def good(answer: Dict[str, Any], host: Host) -> Dict[str, Any]:
    """Return the data of a result that must be no error and must name its instance."""
    envelope = answer["structuredContent"]
    assert not answer["isError"] and envelope["ok"] is True, answer
    _names_its_instance(envelope, host)
    assert any(block["type"] == "text" and block["text"] for block in answer["content"])
    data: Dict[str, Any] = envelope["data"]
    return data


def bad(answer: Dict[str, Any], host: Host) -> Dict[str, Any]:
    """Return the error of a result that must be one: with a code, a hint, and in the text too."""
    envelope = answer["structuredContent"]
    assert answer["isError"] is True and envelope["ok"] is False, answer
    _names_its_instance(envelope, host)
    error: Dict[str, Any] = envelope["error"]
    assert error["code"] and error["message"] and error["hint"], error
    assert error["code"] in answer["content"][0]["text"], answer
    return error


def _names_its_instance(envelope: Dict[str, Any], host: Host) -> None:
    instance = envelope["instance"]
    assert instance["id"] and host.ready["instance_id"].startswith(instance["id"]), instance
    assert (instance["dcc"], instance["pid"]) == (host.dcc, host.ready["pid"]), instance
    assert instance["version"]


def converse(
    client: Client, host: Host, look: Optional[Callable[[], Dict[str, Any]]] = None
) -> None:
    """Hold the whole conversation and check every answer.

    ``look`` returns name -> position of every object as the host itself has them, asked by another
    way than the scene tools; it must agree after each step.
    """
    _check_agreed(client, host)
    _check_tools(client.ask(do="tools")["tools"])
    before = _names(client, host)

    def agrees(position: Any) -> None:
        """Check that our tools, and the host itself, have the cube there (None: nowhere)."""
        if position is None:
            assert bad(client.call("get_object", path=path), host)["code"] == "not_found"
        else:
            card = good(client.call("get_object", path=path), host)
            _near(card["transform"]["world"]["translate"], position)
        if look is not None:
            seen = look()
            assert (name in seen) == (position is not None), (name, seen)
            if position is not None:
                _near(seen[name], position)

    made = client.call("create_object", kind="cube", name=NAME)
    path, name = good(made, host)["path"], good(made, host)["name"]
    assert good(made, host)["type"], made
    agrees(AT_ONCE)

    moved = client.call("set_transform", path=path, translate=list(MOVED))
    _near(good(moved, host)["before"]["translate"], AT_ONCE)
    _near(good(moved, host)["after"]["translate"], MOVED)
    agrees(MOVED)

    _take_back(client, host, moved["structuredContent"]["undo"])
    agrees(AT_ONCE if host.undoes else MOVED)

    gone = client.call("delete_objects", paths=[path])
    assert path in str(good(gone, host)), gone
    agrees(None)
    assert _names(client, host) == before

    nothing = bad(client.call("get_object", path="/no/such/thing"), host)
    assert nothing["code"] == "not_found"
    assert bad(client.call("create_object", kind="cub"), host)["code"] == "invalid_argument"


def _take_back(client: Client, host: Host, step: Dict[str, Any]) -> None:
    if not host.undoes:
        assert bad(client.call("undo"), host)["code"] == "unsupported"
        return
    assert step["steps"] == 1 and "set_transform" in step["label"], step
    refused = client.call("undo", expected_label="something the artist did since")
    bad(refused, host)
    undone = good(client.call("undo", steps=1), host)
    assert undone["steps"] == 1
    assert undone["labels"] == ([step["label"]] if host.names_steps else [None])


def _check_agreed(client: Client, host: Host) -> None:
    agreed = client.agreed
    assert agreed["sdk"] == PEERS[client.kind.sdk].split("==")[1]
    assert agreed["protocol"] == client.kind.revision, agreed
    # In the stateless revision a client that asks for no discovery is told no name.
    if client.kind.mode != client.kind.revision:
        assert host.dcc in agreed["server"]["name"], agreed
        assert agreed["instructions"]


def _check_tools(tools: List[Dict[str, Any]]) -> None:
    assert {tool["name"] for tool in tools} >= SCENE_TOOLS
    for tool in tools:
        assert tool["title"] and tool["description"], tool
        assert all(isinstance(tool["annotations"][hint], bool) for hint in HINTS), tool
        assert tool["inputSchema"]["type"] == "object", tool
        assert isinstance(tool["inputSchema"]["properties"], dict), tool


def _names(client: Client, host: Host) -> List[str]:
    items = good(client.call("list_objects"), host)["items"]
    return sorted(item["path"] for item in items)


def _near(found: Any, wanted: Any) -> None:
    # Hosts keep positions in single precision.
    assert len(found) == 3, found
    assert all(abs(a - b) < 1e-4 for a, b in zip(found, wanted)), (found, wanted)
