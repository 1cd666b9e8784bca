"""Inside a Blender with a window: install our add-on as a user does, call it, disable, remove it.

Prints ``RESULT`` and a JSON object. The archive is the last argument.
"""

import json
import os
import sys
import threading
import urllib.request

import addon_utils
import bpy

ADDON = "dcc_mcp_embed_blender"
MODULE = "dcc_mcp_embed"
archive = sys.argv[sys.argv.index("--") + 1]
found = {}
over = threading.Event()


def loaded():
    return sorted(name for name in sys.modules if name.partition(".")[0] == MODULE)


def ask(url, method, params):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    request = urllib.request.Request(url, json.dumps(body).encode("utf-8"), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read().decode("utf-8"))["result"]


def client(url):
    try:
        found["made"] = ask(
            url, "tools/call", {"name": "create_object", "arguments": {"kind": "cube"}}
        )["isError"]
        listed = ask(url, "tools/call", {"name": "list_objects", "arguments": {}})
        found["objects"] = len(json.loads(listed["content"][0]["text"])["items"])
    except Exception as error:
        found["error"] = repr(error)
    finally:
        over.set()


def when_it_serves():
    from dcc_mcp_embed.embed.place import PLACE

    if PLACE.server is None:
        return 0.05
    threading.Thread(target=client, args=(PLACE.server.url,)).start()
    bpy.app.timers.register(when_it_was_called, first_interval=0.05)
    return None


def in_the_bar():
    """Return whether our menu is there, and what stands in the top bar beside Blender's own."""
    drawn = getattr(bpy.types.TOPBAR_MT_editor_menus.draw, "_draw_funcs", [])
    return hasattr(bpy.types, "TOPBAR_MT_dcc_mcp"), len(drawn)


def choose(label):
    from dcc_mcp_embed.installers import menu_labels

    numbers = sorted(bpy.types.DCC_MCP_OT_choose.calls)
    bpy.ops.dcc_mcp.choose(number=numbers[list(menu_labels.ENTRIES.values()).index(label)])


def when_it_was_called():
    if not over.is_set():
        return 0.05
    found["menu"] = in_the_bar()
    bpy.context.window_manager.clipboard = ""
    for label in ("Status", "Log", "Uninstall...", "Copy Client Configuration"):
        choose(label)
    bpy.app.timers.register(when_it_was_copied, first_interval=0.05)
    return None


def when_it_was_copied():
    copied = bpy.context.window_manager.clipboard
    if not copied:
        return 0.05
    from dcc_mcp_embed.embed.place import PLACE

    found["copied"] = [PLACE.server.plain_url in copied, PLACE.server.token in copied]
    try:
        leave()
    except Exception as error:
        found["error"] = repr(error)
    print("RESULT " + json.dumps(found), flush=True)
    bpy.ops.wm.quit_blender()
    return None


def leave():
    bpy.ops.preferences.addon_disable(module=ADDON)
    found["loaded"] = loaded()
    found["menu_after"] = in_the_bar()
    found["threads"] = sorted(one.name for one in threading.enumerate())
    # In again and out again: what was left would show here.
    bpy.ops.preferences.addon_enable(module=ADDON)
    found["again"] = bool(loaded())
    bpy.ops.preferences.addon_disable(module=ADDON)
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    with bpy.context.temp_override(window=window, screen=window.screen, area=area):
        bpy.ops.preferences.addon_remove(module=ADDON)
    found["left"] = os.listdir(bpy.utils.user_resource("SCRIPTS", path="addons"))
    found["known"] = ADDON in [one.__name__ for one in addon_utils.modules()]


bpy.ops.preferences.addon_install(filepath=archive, overwrite=True)
bpy.ops.preferences.addon_enable(module=ADDON)
found["enabled"] = addon_utils.check(ADDON)[1]
bpy.app.timers.register(when_it_serves, first_interval=0.05)
