"""What servers may say of tasks: of those of 2025-11-25, and of the extension of 2026-07-28.

The extension is no part of the revision's own schema; its shapes are written down here.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from dcc_mcp_embed.wire.mcp.revisions import LATEST_HANDSHAKE, STATELESS

__all__ = ["problems_of_tasks"]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
_RELATED = "io.modelcontextprotocol/related-task"
#: Member -> its type; what has to be there.
_TASK = {
    "taskId": str,
    "status": str,
    "statusMessage": str,
    "createdAt": str,
    "lastUpdatedAt": str,
    "ttlMs": int,
    "pollIntervalMs": int,
}
_OPTIONAL = {"statusMessage", "pollIntervalMs"}
#: Status -> the member that it brings along.
_WITH = {
    "working": None,
    "input_required": "inputRequests",
    "completed": "result",
    "failed": "error",
    "cancelled": None,
}


def problems_of_tasks(known: Any, result: Dict[str, Any], method: str) -> Optional[List[str]]:
    """Return what is wrong with a result about tasks; None if it is about something else.

    ``known`` is the Specification of its revision.
    """
    if known.revision == LATEST_HANDSHAKE:
        if method == "tools/call" and "task" in result:
            return known.check("CreateTaskResult", result) + _moments(result["task"])
        if method == "tasks/result":
            there = _RELATED in (result.get("_meta") or {})
            found = [] if there else ["the result does not say of which task it is"]
            return found + known.check("CallToolResult", result)
        return None
    if known.revision not in STATELESS:
        return None
    if method == "tools/call" and result.get("resultType") == "task":
        return _wrong_task(result, None)
    if method in ("tasks/update", "tasks/cancel"):
        return known.check("EmptyResult", result) + _strange(result, set())
    if method != "tasks/get":
        return None
    if result.get("resultType") != "complete":
        return ["resultType of tasks/get is complete"]
    found = _wrong_task(result, _WITH.get(str(result.get("status"))))
    if not found and "result" in result:
        found = known.check("CallToolResult", result["result"])
        if _RELATED in result["result"].get("_meta", {}):
            found.append("the result within a task says of which task it is")
    if not found and "inputRequests" in result:
        found = known.check("InputRequests", result["inputRequests"])
    if not found and "error" in result:
        found = known.check("Error", result["error"])
    return found


def _wrong_task(result: Dict[str, Any], brings: Optional[str]) -> List[str]:
    found = [
        "{} is {!r}".format(name, result[name])
        for name, kind in _TASK.items()
        if name in result and type(result[name]) is not kind
    ]
    lacking = set(_TASK) - _OPTIONAL - set(result)
    if brings is not None and brings not in result:
        lacking.add(brings)
    if lacking:
        found.append("a task lacks {}".format(sorted(lacking)))
    if result.get("status") not in _WITH:
        found.append("status is {!r}".format(result.get("status")))
    return found + _moments(result) + _strange(result, {*_TASK, brings})


def _moments(task: Dict[str, Any]) -> List[str]:
    return [
        "{} is no moment: {!r}".format(name, task.get(name))
        for name in ("createdAt", "lastUpdatedAt")
        if not _MOMENT.match(str(task.get(name)))
    ]


def _strange(result: Dict[str, Any], allowed: Any) -> List[str]:
    more = set(result) - {"_meta", "resultType", *allowed}
    return ["strange members of a task: {}".format(sorted(more))] if more else []
