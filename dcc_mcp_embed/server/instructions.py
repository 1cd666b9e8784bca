"""What an agent is told first. Two kilobytes at most: it stands in every conversation."""

from __future__ import annotations

__all__ = ["instructions"]

_TEXT = """\
You are connected to {host} {version} through dcc_mcp_embed; its tools act on the scene that the \
user has open.

- Objects are named by path; list_objects finds them, get_object shows one. Lists come in pages: \
pass next_cursor on as cursor.
- get_scene_info tells units and the up axis. Rotations are degrees about X, Y, Z.
- Each writing call is one undo step of the host, named "MCP: <tool>"; undo takes it back.
- Results carry evidence read back from the scene, and the instance they came from: check it when \
you work with several hosts.
- Errors have a code and a hint. not_started means that nothing was changed. On timeout_running do \
not call again: ask get_job. On host_busy ask get_status, which answers even while the host works.
- Prefer batch to many single calls: it is faster, one undo step, and says what was done.
- There are more tools than are listed: search_tools finds them, describe_tool shows their \
arguments, call_tool calls them.
- execute_python runs code in the host, if the user allows it. Prefer the other tools: they check \
their arguments and report what they changed.
- Short guides are resources: docs://getting-started, docs://errors and others of docs://{{topic}}.
"""


def instructions(host: str, version: str) -> str:
    """Return the instructions for one host."""
    return _TEXT.format(host=host, version=version)
