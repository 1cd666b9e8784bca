"""Tasks: calls that go on after their request has been answered. What is said of them. Pure.

Two revisions have two ways with them. In 2025-11-25 the client asks for a task, and fetches its
result with ``tasks/result``. In 2026-07-28 tasks are an extension: the client says that it knows
them, the server makes a task of whatever takes long, and ``tasks/get`` brings the result too.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..jsonrpc import Fault, Id, Request
from .listing import Listing
from .revisions import META_CAPABILITIES, MISSING_CAPABILITY
from .work import bad_params

__all__ = [
    "CANCELLED",
    "CAPABILITY",
    "COMPLETED",
    "ENDED",
    "EXTENSION",
    "FAILED",
    "INPUT_REQUIRED",
    "LISTED",
    "META_RELATED",
    "PAGE",
    "REQUIRED",
    "TASKS",
    "TASKS_STATELESS",
    "WORKING",
    "TaskAsk",
    "demand",
    "described",
    "granted",
    "offered",
    "related",
]

EXTENSION = "io.modelcontextprotocol/tasks"
META_RELATED = "io.modelcontextprotocol/related-task"
#: What a server of 2025-11-25 declares.
CAPABILITY: Dict[str, Any] = {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
#: What a client of 2026-07-28 has to declare, per request.
REQUIRED: Dict[str, Any] = {"extensions": {EXTENSION: {}}}

WORKING = "working"
INPUT_REQUIRED = "input_required"
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"
ENDED = frozenset((COMPLETED, FAILED, CANCELLED))

#: How long a task is kept from its beginning on, milliseconds: if the client does not say, and the
#: bounds of what it may say.
TTL_MS = 3600 * 1000
MIN_TTL_MS = 10 * 1000
MAX_TTL_MS = 24 * 3600 * 1000
#: How often a client is to ask how a task is, milliseconds.
POLL_MS = 1000
#: Tasks in one page of ``tasks/list``.
PAGE = 20
#: The list, as :mod:`.listing` knows lists.
LISTED: Listing = ("tasks", "taskId")


class TaskAsk:
    """A request about a task, or about all of them. ``params`` are the client's.

    It has of other work what the machine's answers need.
    """

    __slots__ = ("id", "method", "params", "stateless", "task_id")

    def __init__(self, request: Request, stateless: bool, task_id: str) -> None:
        self.id: Id = request.id
        self.method = request.method
        self.params: Dict[str, Any] = request.params
        self.stateless = stateless
        self.task_id = task_id


def _named(request: Request) -> TaskAsk:
    return TaskAsk(request, False, _task_id(request))


def _list(request: Request) -> TaskAsk:
    return TaskAsk(request, False, "")


def demand(request: Request) -> None:
    """Raise Fault unless a request of 2026-07-28 comes from a client that knows tasks."""
    if not offered(request.params["_meta"][META_CAPABILITIES]):
        raise Fault(
            MISSING_CAPABILITY,
            "{} of tasks is for clients that declare {}".format(request.method, EXTENSION),
            request.id,
            {"requiredCapabilities": REQUIRED},
        )


def _named_stateless(request: Request) -> TaskAsk:
    demand(request)
    return TaskAsk(request, True, _task_id(request))


def _update(request: Request) -> TaskAsk:
    asked = _named_stateless(request)
    if type(request.params.get("inputResponses")) is not dict:
        raise bad_params(request, "tasks/update needs params.inputResponses, an object")
    return asked


#: Method -> what reads its request; raises Fault. Those of 2025-11-25, and of the extension.
TASKS = {
    "tasks/get": _named,
    "tasks/result": _named,
    "tasks/cancel": _named,
    "tasks/list": _list,
}
TASKS_STATELESS = {
    "tasks/get": _named_stateless,
    "tasks/update": _update,
    "tasks/cancel": _named_stateless,
}


def offered(capabilities: Any) -> bool:
    """Return whether the capabilities of a client of 2026-07-28 have the extension."""
    extensions = capabilities.get("extensions")
    return type(extensions) is dict and type(extensions.get(EXTENSION)) is dict


def granted(wish: Any) -> Optional[int]:
    """Return the time for which a task is kept, milliseconds, for a call's ``params.task``.

    None if that is no TaskMetadata.
    """
    ttl = wish.get("ttl", TTL_MS) if type(wish) is dict else None
    if type(ttl) not in (int, float):
        return None
    # Not a number is never at least something; infinity is as good as very long.
    return int(min(max(ttl, MIN_TTL_MS), MAX_TTL_MS)) if ttl >= 0 else None


def described(
    task_id: str,
    status: str,
    text: Optional[str],
    created: str,
    updated: str,
    ttl_ms: int,
    stateless: bool,
) -> Dict[str, Any]:
    """Return a Task in the words of its revision. ``created``, ``updated``: as ISO 8601."""
    shown: Dict[str, Any] = {"taskId": task_id, "status": status}
    if text:
        shown["statusMessage"] = text
    shown["createdAt"] = created
    shown["lastUpdatedAt"] = updated
    shown["ttlMs" if stateless else "ttl"] = ttl_ms
    shown["pollIntervalMs" if stateless else "pollInterval"] = POLL_MS
    return shown


def related(message: Dict[str, Any], member: str, task_id: str) -> Dict[str, Any]:
    """Return ``message`` with the word in its params, or result, to which task it belongs."""
    inner = dict(message.get(member) or {})
    inner["_meta"] = dict(inner.get("_meta") or {}, **{META_RELATED: {"taskId": task_id}})
    return dict(message, **{member: inner})


def _task_id(request: Request) -> str:
    found = request.params.get("taskId")
    if type(found) is not str:
        raise bad_params(request, "{} needs params.taskId, a string".format(request.method))
    return found
