"""Upgrade dcc_mcp_embed when its installer is dropped on Houdini; hand on whatever else is dropped.

Copied as it stands to ``<root>/houdini/scripts/externaldragdrop.py``. Of the files of that name on
its path Houdini runs the first, anew for each drop and without telling it where it lies. Ours comes
before those of other tools: the next of these gets all that is not ours. It is one function, for
nothing says among which names it runs.

Parsed by Python 2 too, where a host may still run it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple  # noqa: F401

__all__ = ["dropAccept"]


def dropAccept(files):
    # type: (Any) -> Any
    """Return whether the drop was dealt with; if not, Houdini tries to load it as a scene.

    Called by Houdini on its main thread with a list of paths. Raises what another tool's raises.
    """
    import os
    import sys

    most = 65536

    def content(path, size=-1):
        # type: (Any, int) -> bytes
        try:
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    return stream.read(size)
        except Exception:
            # Whatever Houdini has here: what cannot be read is not ours.
            return b""
        return b""

    def found():
        # type: () -> List[Tuple[str, bytes]]
        try:
            paths = sys.modules["hou"].findFiles("scripts/externaldragdrop.py")
            return [(str(path), content(path)) for path in paths]
        except Exception:
            # It says so by an error where there is none, as when ours was removed.
            return []

    def is_ours(hook):
        # type: (Tuple[str, bytes]) -> bool
        return hook[1].startswith(b'"""Upgrade dcc_mcp_embed when')

    def installer():
        # type: () -> Optional[Tuple[str, bytes]]
        """Return the one file that was dropped and its content, if it installs us in Houdini."""
        try:
            if len(files) != 1:
                return None
            data = content(files[0], most)
        except Exception:
            return None
        if not data.startswith(b'"""Install dcc_mcp_embed') or len(data) == most:
            return None
        return (files[0], data) if b'HOST = "houdini"' in data.splitlines() else None

    def upgrade(path, data):
        # type: (str, bytes) -> None
        try:
            scope = {"__name__": "dcc_mcp_embed_dropped", "__file__": path}  # type: Any
            exec(compile(data, path, "exec"), scope)
            scope["install"]()
        except (Exception, SystemExit) as error:
            try:
                sys.stderr.write("dcc_mcp_embed was not upgraded: {}\n".format(error))
            except Exception:
                # There is no stream, or a closed one.
                return

    def dcc_mcp_embed_hands_on(hooks):
        # type: (List[Tuple[str, bytes]]) -> Any
        frame = sys._getframe(1)  # type: Any
        while frame is not None:
            if frame.f_code.co_name == "dcc_mcp_embed_hands_on":
                # The other one hands on to the first that is not its own.
                return False
            frame = frame.f_back
        if not hooks:
            return False
        path, data = hooks[0]
        scope = {"__name__": "externaldragdrop", "__file__": path}  # type: Any
        exec(compile(data, path, "exec"), scope)
        other = scope.get("dropAccept")
        return other(files) if other else False

    hooks = found()
    mine = [place for place, hook in enumerate(hooks) if is_ours(hook)]
    dropped = installer()
    if mine and dropped:
        root = os.path.dirname(os.path.dirname(os.path.dirname(hooks[mine[0]][0])))
        # A studio's is not for its users to upgrade.
        shared = os.path.exists(os.path.join(root, "shared.txt"))
        if not shared and os.path.isfile(os.path.join(root, "boot.py")):
            upgrade(*dropped)
            return True
    # Those before ours had their turn: it is one of them that has called us.
    later = hooks[mine[0] + 1 :] if mine else hooks
    return dcc_mcp_embed_hands_on([hook for hook in later if not is_ours(hook)])
