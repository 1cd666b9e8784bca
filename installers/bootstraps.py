"""The texts of the few files that a host finds by itself, and of those that they lead to.

Each is tiny, the same for every version of ours, and finds our root from where it stands itself, so
that a user folder may be moved, shared or renamed. Each ends quietly where the root is gone.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Mapping

__all__ = ["MARK", "bridge_text", "boot_text", "text"]

#: In each of them: a file without it is somebody else's, and is not touched.
MARK = "dcc_mcp_embed"

_RUN = """\
# Starts dcc_mcp_embed in {title}. Written by its installer, which takes it away again.
def _dcc_mcp_embed():
    import os
    import sys

    here = os.path.dirname(os.path.abspath(sys._getframe().f_code.co_filename))
    path = os.path.abspath(os.path.join(here, {steps}))
{find}    try:
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                code = compile(stream.read(), path, "exec")
            scope = {{"__name__": "dcc_mcp_embed_boot", "__file__": path}}
            exec(code, scope)
            scope[{call!r}]({arguments})
    except (Exception, SystemExit) as error:
        try:
{unless}            sys.stderr.write("dcc_mcp_embed did not start: {{}}\\n".format(error))
        except Exception:
            # There is no stream, or a closed one.
            return


"""
#: Nothing says that Houdini tells a hook where it lies; what its package says, it does.
_FIND_HOUDINI = """\
    package = os.environ.get("DCC_MCP_EMBED_PACKAGE", here)
    for above in (os.path.join(package, os.pardir), package):
        if not os.path.isfile(path):
            path = os.path.abspath(os.path.join(above, "dcc_mcp_embed", "boot.py"))
"""
#: One line is enough: with a window ``uiready.py`` fails for the same reason, and says it.
_UNLESS_WINDOW = """\
            if sys.modules["hou"].isUIAvailable():
                return
"""
_CALL = "_dcc_mcp_embed()\ndel _dcc_mcp_embed\n"


def _python(
    title: str,
    up: int,
    call: str,
    arguments: str,
    below: str = "",
    find: str = "",
    unless: str = "",
) -> str:
    parts = ["{!r}".format(one) for one in below.split("/") if one]
    steps = ", ".join(["os.pardir"] * up + parts + ['"boot.py"'])
    return _RUN.format(
        title=title, steps=steps, call=call, arguments=arguments, find=find, unless=unless
    )


def _houdini(call: str, arguments: str, unless: str = "") -> str:
    return _python("Houdini", 2, call, arguments, "", _FIND_HOUDINI, unless) + _CALL


def _blender() -> str:
    # Blender imports every file of this folder and calls register() when it has started. A studio
    # may have it run by --python instead.
    body = _python("Blender", 2, "boot", "'blender'", "dcc_mcp_embed")
    body += "def register():\n    _dcc_mcp_embed()\n\n\ndef unregister():\n    pass\n"
    return body + '\n\nif __name__ == "__main__":\n    register()\n'


_PACKAGE = """\
{
    "env": [{"DCC_MCP_EMBED_PACKAGE": "$HOUDINI_PACKAGE_PATH"}],
    "hpath": "$HOUDINI_PACKAGE_PATH/../dcc_mcp_embed/houdini",
    "load_package_once": true
}
"""

#: No item is placed beside one of Houdini's: where that is missing, the whole file adds nothing.
_MENU = """\
<?xml version="1.0" encoding="UTF-8"?>
<mainMenu>
  <menuBar>
    <subMenu id="dcc_mcp_embed_menu">
      <label>{title}</label>
{items}    </subMenu>
  </menuBar>
</mainMenu>
"""
_ITEM = """\
      <scriptItem id="h.dcc_mcp_embed_{key}">
        <label>{label}</label>
        <scriptCode><![CDATA[
try:
    from dcc_mcp_embed.adapters.houdini import menu
    from dcc_mcp_embed.installers import menu_entries
except ImportError:
    import hou
    hou.ui.setStatusMessage("dcc_mcp_embed is not installed in this Houdini any more")
else:
    menu_entries.run("{key}", "houdini", menu)
]]></scriptCode>
      </scriptItem>
"""


def _houdini_menu() -> str:
    from .menu_labels import ENTRIES, TITLE

    items = [_ITEM.format(key=key, label=_escaped(label)) for key, label in ENTRIES.items()]
    return _MENU.format(title=_escaped(TITLE), items="".join(items))


def _escaped(label: str) -> str:
    return label.replace("&", "&amp;").replace("<", "&lt;")


#: In an archive for the Package Browser: wherever that unpacks it, the content is beside the file,
#: or beside the folder that it was moved to.
_ARCHIVE = """\
{
    "env": [{"DCC_MCP_EMBED_PACKAGE": "$HOUDINI_PACKAGE_PATH"}],
    "hpath": [
        "$HOUDINI_PACKAGE_PATH/dcc_mcp_embed/houdini",
        "$HOUDINI_PACKAGE_PATH/../dcc_mcp_embed/houdini"
    ],
    "load_package_once": true
}
"""

# The path goes to Python as a value, so that no folder's name can break a line of code. That our
# server knows where it is, pymxs has to be loaded: nothing else may have done so yet. One line,
# which leaves no name; what it raised would be a dialog, or the end of 3ds Max.
_STARTUP_MS = """\
-- Starts dcc_mcp_embed in 3ds Max. Written by its installer, which takes it away again.
(
    global dccMcpEmbedHere = getFilenamePath (getSourceFileName())
    if isProperty python "execute" and \
doesFileExist (dccMcpEmbedHere + "..\\\\..\\\\dcc_mcp_embed\\\\max_start.py") do
        python.execute "exec('try:\\\\n __import__(\\"runpy\\").run_path(\
__import__(\\"pymxs\\").runtime.dccMcpEmbedHere + \\"../../dcc_mcp_embed/max_start.py\\")\
\\\\nexcept (Exception, SystemExit) as error:\
\\\\n print(\\"dcc_mcp_embed did not start: {}\\".format(error))')"
)
"""

#: Name in ``hosts.File.text`` -> what makes the text.
_TEXTS: Mapping[str, Callable[[], str]] = {
    "maya_user_setup": lambda: _python("Maya", 2, "boot", "'maya'") + _CALL,
    # A blank line or a comment would end it; Maya completes relative paths from where it stands.
    "maya_module": lambda: "+ dcc_mcp_embed 1.0 ../dcc_mcp_embed/module\n",
    "houdini_import": lambda: _houdini("load", "os.path.dirname(path)", _UNLESS_WINDOW),
    "houdini_start": lambda: _houdini("boot", "'houdini'"),
    "houdini_package": lambda: _PACKAGE,
    "houdini_archive": lambda: _ARCHIVE,
    "houdini_menu": _houdini_menu,
    "houdini_drop": lambda: _file("dropped.py").decode("utf-8"),
    "max_startup": lambda: _STARTUP_MS,
    "max_start": lambda: _python("3ds Max", 0, "boot", "'3dsmax'") + _CALL,
    "blender_startup": _blender,
}

_BRIDGE = """\
# What MCP clients start to reach the hosts on this machine. Written by dcc_mcp_embed's installer;
# it takes the version that is current, so a client's configuration stays as it is.
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
scope = {"__name__": "dcc_mcp_embed_boot", "__file__": os.path.join(here, "boot.py")}
with open(scope["__file__"], "rb") as stream:
    exec(compile(stream.read(), scope["__file__"], "exec"), scope)
if scope["load"](here) is None:
    sys.exit("dcc_mcp_embed is not installed in {} any more".format(here))
from dcc_mcp_embed.cli.main import main  # noqa: E402

sys.exit(main(["bridge"] + sys.argv[1:]))
"""


def text(name: str) -> bytes:
    """Return the text called ``name``, as bytes: UTF-8, no mark of byte order, plain line ends."""
    return _TEXTS[name]().encode("utf-8")


def bridge_text() -> bytes:
    """Return ``bridge.py``."""
    return _BRIDGE.encode("utf-8")


def boot_text() -> bytes:
    """Return ``boot.py``, which is a module of ours as well. Raises OSError."""
    return _file("boot.py")


def _file(name: str) -> bytes:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "rb") as stream:
        return stream.read().replace(b"\r\n", b"\n")


def in_root(key: str) -> Dict[str, bytes]:
    """Return path below the root -> content, of what stands there beside the versions."""
    files = {"boot.py": boot_text(), "bridge.py": bridge_text()}
    if key == "3dsmax":
        files["max_start.py"] = text("max_start")
    return files
