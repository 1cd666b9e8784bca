"""The extension in a real Blender without a window: the ``bpy`` of PyPI, 4.2 or later.

By hand, because it is 350 MB and of one Python each (bpy 4.2: 3.11)::

    python3.11 -m venv /tmp/bpy; /tmp/bpy/bin/pip install bpy==4.2.0
    python3 -m dcc_mcp_embed.installers bundle --out dist
    /tmp/bpy/bin/python tests/real/bpy_extension_inside.py dist/*-blender-extension.zip

It is checked by Blender's own validation, installed by its own operator into a user folder of
nobody's, enabled, served for ever and called by a client in another process, disabled, removed;
then the user folder is looked at. Prints what it found as JSON; ends with 1 if anything is amiss.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

#: Asks as any MCP client would, in a process of its own; prints the answers and ends the serving.
CLIENT = """
import json, sys, urllib.request

def ask(method, params):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(sys.argv[1], json.dumps(body).encode("utf-8"), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read().decode("utf-8"))["result"]

began = ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                           "clientInfo": {"name": "by hand", "version": "1"}})
tools = ask("tools/list", {})["tools"]
made = ask("tools/call", {"name": "create_object", "arguments": {"kind": "cube"}})
told = {"text": made["content"][0]["text"][:100], "isError": made.get("isError", False)}
print(json.dumps({"server": began["serverInfo"], "tools": len(tools), "made": told}))
"""


def below(folder):
    """Return every file and empty folder below one."""
    found = []
    for where, folders, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder) for name in names]
        if not folders and not names:
            found.append(os.path.relpath(where, folder) + os.sep)
    return sorted(found)


def validated(bpy, archive):
    """Return what Blender's command line says of the archive."""
    scripts = os.path.join(bpy.utils.resource_path("LOCAL"), "scripts", "addons_core")
    command = os.path.join(scripts, "bl_pkg", "cli", "blender_ext.py")
    done = subprocess.run(
        [sys.executable, command, "validate", archive],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return {"status": done.returncode, "said": done.stdout.strip()}


def served(bpy, found):
    """Serve until a client in another process has called, and note what it was told."""
    import dcc_mcp_embed

    began = time.perf_counter()
    server = dcc_mcp_embed.start(port=0)
    found["start_ms"] = round((time.perf_counter() - began) * 1000.0, 1)
    client = subprocess.Popen([sys.executable, "-c", CLIENT, server.url], stdout=subprocess.PIPE)

    def wait():
        found["client"] = json.loads(client.communicate()[0].decode("utf-8"))
        server.stop()

    waiting = threading.Thread(target=wait)
    waiting.start()
    server.serve_forever()
    waiting.join()
    found["objects"] = sorted(one.name for one in bpy.data.objects)
    found["file"] = dcc_mcp_embed.__file__


def main(archive):
    archive = os.path.abspath(archive)
    scratch = tempfile.mkdtemp()
    os.environ.update(
        HOME=scratch,
        BLENDER_USER_RESOURCES=os.path.join(scratch, "user"),
        DCC_MCP_EMBED_HOME=os.path.join(scratch, "home"),
        DCC_MCP_REGISTRY_DIR=os.path.join(scratch, "registry"),
    )
    import bpy

    found = {"blender": bpy.app.version_string, "python": sys.version.split()[0]}
    user = os.environ["BLENDER_USER_RESOURCES"]
    # Once without us, so that what Blender itself leaves is known.
    bpy.ops.wm.save_userpref()
    before = below(user)
    found["validation"] = validated(bpy, archive)
    began = time.perf_counter()
    done = bpy.ops.extensions.package_install_files(
        filepath=archive, repo="user_default", enable_on_install=True
    )
    found["install_ms"] = round((time.perf_counter() - began) * 1000.0, 1)
    found["installed"] = sorted(done)
    module = "bl_ext.user_default.dcc_mcp_embed"
    found["enabled"] = module in bpy.context.preferences.addons
    served(bpy, found)
    # Disabled while it serves, as a user does.
    sys.modules["dcc_mcp_embed"].start(port=0).wait_registered(10.0)
    began = time.perf_counter()
    bpy.ops.preferences.addon_disable(module=module)
    found["disable_ms"] = round((time.perf_counter() - began) * 1000.0, 1)
    found["loaded"] = sorted(one for one in sys.modules if one.partition(".")[0] == "dcc_mcp_embed")
    found["disabled"] = module not in bpy.context.preferences.addons
    index = [one.module for one in bpy.context.preferences.extensions.repos].index("user_default")
    found["removed"] = sorted(
        bpy.ops.extensions.package_uninstall(repo_index=index, pkg_id="dcc_mcp_embed")
    )
    found["left"] = [one for one in below(user) if one not in before]
    with open(os.path.join(scratch, "registry", "services.json"), encoding="utf-8") as stream:
        found["rows"] = len(json.load(stream))
    found["threads"] = [one.name for one in threading.enumerate() if "mcp" in one.name]
    shutil.rmtree(scratch)
    ours = [one for one in found["left"] if "dcc_mcp_embed" in one]
    good = (
        found["validation"]["status"] == 0
        and found["enabled"]
        and not found["client"]["made"].get("isError")
        and found["disabled"]
        and not ours
        and not found["loaded"]
        and not found["rows"]
        and not found["threads"]
    )
    print(json.dumps(dict(found, good=good), indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
