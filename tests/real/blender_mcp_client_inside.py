"""Runs inside Blender for test_blender_mcp_client.py: prints one line ``RESULT {json}`` and leaves.

The facade, blocking Blender's main thread: as the example does, and against this very Blender.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
import traceback
from contextlib import redirect_stdout
from typing import Any, Dict, List, Set

import bpy

# The checkout is run where it lies, and tests leave nothing there.
sys.dont_write_bytecode = True
OPTIONS = json.loads(os.environ["DCC_MCP_EMBED_TEST_OPTIONS"])
sys.path.insert(0, OPTIONS["root"])

import dcc_mcp_embed
from dcc_mcp_embed.errors import WouldDeadlock
from dcc_mcp_embed.mcp import MCPClientFacade, MCPPluginConfig

FOUND: Dict[str, Any] = {}


def left(before: Set[threading.Thread]) -> List[str]:
    """Return which threads are new, and do not end."""
    fresh = set(threading.enumerate()) - before
    for thread in fresh:
        thread.join(2.0)
    return [one.name for one in fresh if one.is_alive()]


def the_example() -> None:
    before = set(threading.enumerate())
    with open(OPTIONS["example"], encoding="utf-8") as file:
        code = file.read().replace(OPTIONS["instead_of"], OPTIONS["url"])
    shown = io.StringIO()
    with redirect_stdout(shown):
        exec(compile(code, OPTIONS["example"], "exec"), {"__name__": "__main__"})
    FOUND["example"] = shown.getvalue().splitlines()
    FOUND["left"] = left(before)


def this_very_blender() -> None:
    before = set(threading.enumerate())
    server = dcc_mcp_embed.start("blender", port=0)
    facade = MCPClientFacade()
    FOUND["registered"] = facade.register_sync(MCPPluginConfig("me", "blender", server.url))
    FOUND["tools"] = [one["name"] for one in facade.get_tools_sync("me", "blender")]
    FOUND["loop"] = facade.call_tool_sync("me", "blender", "get_status") is not None
    began = time.monotonic()
    try:
        facade.call_tool_sync("me", "blender", "get_scene_info")
    except WouldDeadlock as error:
        FOUND["main"] = [error.code, time.monotonic() - began]
    facade.cleanup_sync()
    server.stop()
    FOUND["left after all"] = left(before)


def run() -> None:
    try:
        the_example()
        this_very_blender()
    except BaseException:
        FOUND["error"] = traceback.format_exc()
    print("\nRESULT " + json.dumps(FOUND), flush=True)
    if not bpy.app.background:
        bpy.ops.wm.quit_blender()


if bpy.app.background:
    run()
else:
    bpy.app.timers.register(run, first_interval=1.0)
