"""``demo``: a host, a client, a small scene built by tool calls, each shown with its answer."""

from __future__ import annotations

import json
import threading
from typing import Any, Dict, List, Tuple

from .. import embed
from ..mcp.http_client import HttpClient
from .signals import ends_on_signals

__all__ = ["client_config", "run"]

_BALL = "/still_life/ball"
_STORY: Tuple[Tuple[str, str, Dict[str, Any]], ...] = (
    ("What is open?", "get_scene_info", {"include": ["counts"]}),
    (
        "Make a group to keep things together.",
        "create_object",
        {"kind": "group", "name": "still_life"},
    ),
    (
        "A table top.",
        "create_object",
        {
            "kind": "cube",
            "name": "table",
            "parent": "/still_life",
            "transform": {"scale": [2, 0.1, 2]},
        },
    ),
    (
        "A ball on it.",
        "create_object",
        {
            "kind": "sphere",
            "name": "ball",
            "parent": "/still_life",
            "transform": {"translate": [0, 1.1, 0]},
        },
    ),
    (
        "Move the ball to the edge.",
        "set_transform",
        {"path": _BALL, "translate": [0.8, 1.1, 0], "space": "world"},
    ),
    ("Did it really move?", "get_object", {"path": _BALL, "include": ["transform", "bbox"]}),
    ("No: take that back.", "undo", {}),
    ("What is there now?", "list_objects", {"parent": "/still_life"}),
    ("A wrong name is answered with the right one.", "get_object", {"path": "/still_life/bal"}),
    ("Who has the main thread, and for how long?", "get_status", {}),
)
_WIDTH = 96


def client_config(server: embed.EmbeddedServer) -> Dict[str, Any]:
    """Return the block that most MCP clients take in their configuration."""
    entry: Dict[str, Any] = {"type": "http", "url": server.plain_url}
    if server.token is not None:
        entry["headers"] = {"Authorization": "Bearer " + server.token}
    return {"mcpServers": {"dcc-" + server.dcc_type: entry}}


def run(options: Any) -> int:
    """Show the product at work, then serve until Ctrl-C (or end, with ``--once``)."""
    server = embed.start(adapter="standalone", port=options.port)
    failures: List[Exception] = []
    ended = threading.Event()
    # Before the server's own, which breaks off what the guide has under way.
    server.adapter.on_exit(ended.set)
    try:
        with ends_on_signals(server):
            print("A host with an empty scene listens at {}\n".format(server.plain_url), flush=True)
            guide = threading.Thread(
                target=_guide,
                args=(server, failures, ended, options.once),
                name="demo",
                daemon=True,
            )
            guide.start()
            server.serve_forever()
            guide.join(5.0)
    finally:
        server.stop()
    if failures:
        raise failures[0]
    return 0


def _guide(
    server: embed.EmbeddedServer, failures: List[Exception], ended: threading.Event, once: bool
) -> None:
    """Tell the story from another thread: the main one belongs to the host."""
    try:
        with HttpClient(server.plain_url, server.token, name="demo") as client:
            for number, (why, tool, arguments) in enumerate(_STORY, 1):
                print("{:2}. {}".format(number, why))
                print("    -> {} {}".format(tool, json.dumps(arguments)))
                result = client.call_tool(tool, arguments)
                print(_shown(result), flush=True)
        if once:
            return
        print("Connect your own client; paste this into its configuration:\n")
        print(json.dumps(client_config(server), indent=2))
        print("\nor give it this URL:  {}".format(server.url))
        print("\nThe host keeps serving. Ctrl-C ends it.", flush=True)
    except Exception as error:
        # Of whatever kind: this thread has nobody to tell, and the main one raises it. None is one
        # once somebody has ended the host: its port is closed.
        if not ended.is_set():
            failures.append(error)
    finally:
        if once or failures:
            server.adapter.close()


def _shown(result: Dict[str, Any]) -> str:
    """Return an answer in a few readable lines."""
    envelope = result.get("structuredContent") or {}
    mark = "!!" if result.get("isError") else "<-"
    body = envelope.get("error") if result.get("isError") else envelope.get("data")
    lines = []
    for key, value in (body or {}).items():
        text = json.dumps(value)
        if len(text) > _WIDTH:
            text = text[: _WIDTH - 3] + "..."
        if value not in (None, [], {}, "", False, 0):
            lines.append("    {} {}: {}".format(mark, key, text))
    undo = envelope.get("undo")
    if undo:
        lines.append("       one undo step: {}".format(undo["label"]))
    return "\n".join(lines) + "\n"
