"""Whether a host can be called through its sidecar now, by what the sidecar says in the registry.

Verdicts are pure functions of the registry's entries; around them stand one look and a wait. That a
process was started, or that a row is there, is no proof: only ``dispatch_status=ready`` is, of a
row whose process lives, and a probe tool that was called if one is named.
"""

from __future__ import annotations

import time
from typing import AbstractSet, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import (
    DISPATCH_STATUS_BOOTING,
    DISPATCH_STATUS_READY,
    DISPATCH_STATUS_UNAVAILABLE,
    ROLE_PER_DCC_SIDECAR,
)
from .dispatch_contract import SUPPORTED_SCHEMES

__all__ = [
    "Probe",
    "await_ready",
    "await_verdict",
    "judge_entries",
    "look",
    "matching",
    "sidecar_readiness_status",
    "wait_for_sidecar_ready",
    "who_is_there",
]

Result = Dict[str, Any]
#: ``dcc_type``, ``instance_id`` and ``host_rpc``, each a text or None.
Selector = Mapping[str, Optional[str]]
#: What tells the sidecar of one row from that of another.
Who = Tuple[Any, Any]

#: A sidecar connects to a bridge that was not there yet; anything else does not mend itself.
_MENDS_ITSELF = "host-rpc-connect"
#: Seconds between two looks, at least.
_LEAST_INTERVAL = 0.05
#: Seconds a probe is given at the end of a wait, at least.
_LEAST_PROBE = 0.1


class _Words(NamedTuple):
    """What people are told with a verdict."""

    message: str
    recommended_next_action: str


_WORDS = {
    "missing": _Words(
        "No sidecar that matches is in the registry.",
        "Launch the sidecar from the host's start-up hook, then check again.",
    ),
    "failed": _Words(
        "The registry could not be read, so nothing is known of a sidecar.",
        "Look at the registry's directory, then check again.",
    ),
    "ambiguous": _Words(
        "More than one live sidecar matches the selector, so there is no telling which is meant.",
        "Give the whole instance_id, or give each host a host_rpc of its own, then check again.",
    ),
    "ready": _Words(
        "Calls reach the host.",
        "Call its tools through the gateway or at the entry's mcp_url.",
    ),
    "probe": _Words(
        "The sidecar says that it is ready, but the probe tool did not work.",
        "Look at the host's dispatcher and at the name of the probe tool, then check again.",
    ),
    "unavailable": _Words(
        "The sidecar is registered, but it cannot reach its host.",
        "Mend the host's bridge, restart the sidecar unless it tries again by itself, then check "
        "again.",
    ),
    "booting": _Words(
        "The sidecar is registered, but calls do not reach its host yet.",
        "Go on checking, and look at the failure_ fields if it becomes unavailable.",
    ),
    "dead": _Words(
        "The process of each row that matches has ended.",
        "Launch the sidecar again from the running host.",
    ),
    "timeout": _Words(
        "The sidecar did not become ready in time.",
        "Look at the sidecar's row, at the host's bridge and at the logs of both.",
    ),
}


def sidecar_readiness_status(
    registry_dir: Any = None,
    *,
    dcc_type: Optional[str] = None,
    instance_id: Optional[str] = None,
    host_rpc: Optional[str] = None,
    include_dead: bool = True,
    probe_tool: Optional[str] = None,
    probe_arguments: Optional[Mapping[str, Any]] = None,
    probe_timeout_secs: float = 3.0,
) -> Result:
    """Look once whether a host can be called through its sidecar.

    The sidecar is selected by the kind of host, by its ``instance_id`` or the beginning of it, and
    by the very text of its ``host_rpc``. ``{success, ready, status, selector, entries, message,
    recommended_next_action}``, ``entry`` where the verdict is about one, ``failure_stage`` and
    ``failure_reason`` with ``unavailable``, ``probe`` if ``probe_tool`` was called. ``status``:

    * ``ready``; only then are ``success`` and ``ready`` True;
    * ``probe_...``: the row says ready, the probe tool did not work (see ``probe_sidecar_tool``);
    * ``unavailable``: the sidecar runs and cannot reach its host;
    * ``booting``, or any other word of a sidecar's own: not yet;
    * ``dead``, ``missing``: there are only rows of processes that have ended, or none;
    * ``ambiguous``: ``instance_id`` or ``host_rpc`` was to name one, and several live ones match;
    * ``failed``, with a ``reason``: the registry could not be read, and nothing was found in it.

    Blocks for a probe only.
    """
    probe = Probe(probe_tool, probe_arguments, probe_timeout_secs)
    return look(registry_dir, _selector(dcc_type, instance_id, host_rpc), probe, include_dead)


def wait_for_sidecar_ready(
    registry_dir: Any = None,
    *,
    dcc_type: Optional[str] = None,
    instance_id: Optional[str] = None,
    host_rpc: Optional[str] = None,
    timeout_secs: float = 10.0,
    poll_interval_secs: float = 0.25,
    probe_tool: Optional[str] = None,
    probe_arguments: Optional[Mapping[str, Any]] = None,
    probe_timeout_secs: float = 3.0,
) -> Result:
    """Look again and again until the sidecar is ready; blocks up to ``timeout_secs``.

    As ``sidecar_readiness_status`` returns it, with ``elapsed_secs``. Ends early with
    ``ambiguous``, and with ``unavailable`` where the sidecar will not try again; otherwise with
    ``timeout`` and what was last seen as ``last_status``. One look takes as long as
    ``query_runtime_state``.
    """
    probe = Probe(probe_tool, probe_arguments, float(probe_timeout_secs))
    selector = _selector(dcc_type, instance_id, host_rpc)
    return await_ready(
        registry_dir, selector, probe, float(timeout_secs), float(poll_interval_secs)
    )


class Probe(NamedTuple):
    """The tool to call as a proof, if any; seconds for it."""

    tool: Optional[str]
    arguments: Optional[Mapping[str, Any]]
    timeout: float


def _never() -> bool:
    return False


def await_ready(
    registry_dir: Any,
    selector: Selector,
    probe: Probe,
    timeout: float,
    interval: float,
    gone: Callable[[], bool] = _never,
    others: AbstractSet[Who] = frozenset(),
) -> Result:
    """Wait for a sidecar; the arguments are those of ``look`` and ``await_verdict``."""

    def look_within(remaining: float) -> Result:
        # A wait of no time is one look, which takes what it takes.
        limit = max(_LEAST_PROBE, remaining) if timeout > 0 else probe.timeout
        bounded = probe._replace(timeout=min(probe.timeout, limit))
        return look(registry_dir, selector, bounded, others=others)

    return await_verdict(look_within, timeout, interval, gone=gone)


def await_verdict(
    look: Callable[[float], Result],
    timeout: float,
    interval: float,
    *,
    gone: Callable[[], bool] = _never,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Call ``look(seconds left)`` until its verdict is final or the time is over; return it.

    ``gone()``: nobody is there any more who could become ready; then the verdict stands as it is.
    """
    began = now()
    interval = max(_LEAST_INTERVAL, interval)
    while True:
        # Asked first: what has ended after the look may have been ready in it.
        over = gone()
        verdict = look(timeout - (now() - began))
        elapsed = now() - began
        if over or _is_final(verdict):
            return dict(verdict, elapsed_secs=round(elapsed, 3))
        remaining = timeout - elapsed
        if not remaining > 0:  # so that one that is no number is over, too
            return _timed_out(verdict, elapsed)
        sleep(min(interval, remaining))


def _is_final(verdict: Result) -> bool:
    status = verdict["status"]
    if verdict["success"] or status == "ambiguous":
        return True
    entry = verdict.get("entry") or {}
    # The row of a dead one is in the way of nobody: another sidecar may be starting.
    if status != DISPATCH_STATUS_UNAVAILABLE or entry.get("runtime_alive") is False:
        return False
    tries_again = (
        verdict.get("failure_stage") == _MENDS_ITSELF and _scheme(verdict) in SUPPORTED_SCHEMES
    )
    return not tries_again


def _scheme(verdict: Result) -> str:
    """Return how the sidecar reaches its host: by its row, else by what it was looked for with."""
    entry = verdict.get("entry") or {}
    said = entry.get("host_rpc_scheme")
    for address in (entry.get("host_rpc_uri"), verdict["selector"].get("host_rpc")):
        scheme, separator, _ = (address or "").strip().partition("://")
        said = said or (separator and scheme)
    return (said or "").lower()


def _timed_out(verdict: Result, elapsed: float) -> Result:
    words = _WORDS["timeout"]
    return dict(
        verdict,
        status="timeout",
        last_status=verdict["status"],
        elapsed_secs=round(elapsed, 3),
        message=words.message,
        recommended_next_action=words.recommended_next_action,
    )


# One look.


def _selector(
    dcc_type: Optional[str], instance_id: Optional[str], host_rpc: Optional[str]
) -> Selector:
    given = {"dcc_type": dcc_type, "instance_id": instance_id, "host_rpc": host_rpc}
    return {name: (str(value).strip() or None) if value else None for name, value in given.items()}


def who_is_there(registry_dir: Any, selector: Selector) -> AbstractSet[Who]:
    """Return whose rows there are, so that another who comes later can be told from them."""
    return {_who(entry) for entry in _sidecars(registry_dir, selector, True)["entries"]}


def _who(entry: Result) -> Who:
    # A sidecar enters itself anew once it reaches its host; its process stays.
    return entry["instance_id"], entry["sidecar_pid"] or entry["registered_at"]


def _sidecars(registry_dir: Any, selector: Selector, include_dead: bool) -> Result:
    from .runtime import query_runtime_state

    return query_runtime_state(
        registry_dir,
        dcc_type=selector["dcc_type"],
        role=ROLE_PER_DCC_SIDECAR,
        include_dead=include_dead,
    )


def look(
    registry_dir: Any,
    selector: Selector,
    probe: Probe,
    include_dead: bool = True,
    others: AbstractSet[Who] = frozenset(),
) -> Result:
    """Return the verdict of this moment. Rows of ``others`` do not count, whatever they say."""
    state = _sidecars(registry_dir, selector, include_dead)
    entries = matching(state["entries"], selector)
    entries = [entry for entry in entries if _who(entry) not in others]
    verdict = judge_entries(entries, selector)
    if not state["success"]:
        verdict = _unread(verdict, state)
    if not (verdict["ready"] and probe.tool):
        return verdict

    from .probing import probe_sidecar_tool

    probed = probe_sidecar_tool(
        verdict["entry"].get("mcp_url"), probe.tool, probe.arguments, timeout_secs=probe.timeout
    )
    if probed["success"]:
        return dict(verdict, probe=probed)
    words = _WORDS["probe"]
    return dict(
        verdict,
        success=False,
        ready=False,
        status=probed["status"],
        probe=probed,
        message=words.message,
        recommended_next_action=words.recommended_next_action,
    )


def matching(entries: List[Result], selector: Selector) -> List[Result]:
    """Return the entries that ``instance_id`` and ``host_rpc`` of a selector do not exclude."""
    begins, address = (selector["instance_id"] or "").lower(), selector["host_rpc"]
    return [
        entry
        for entry in entries
        if str(entry.get("instance_id") or "").lower().startswith(begins)
        and (address is None or entry.get("host_rpc_uri") == address)
    ]


def judge_entries(entries: List[Result], selector: Selector) -> Result:
    """Return the verdict on sidecars' entries that match ``selector``. Pure.

    Live ones count before dead ones; among those, one that is ready, then one that cannot become
    ready, in the registry's order.
    """
    live = [entry for entry in entries if entry.get("runtime_alive") is not False]
    ready = [entry for entry in live if entry.get("dispatch_ready")]
    if not entries:
        return _verdict("missing", entries, selector)
    if len(live) > 1 and (selector["instance_id"] or selector["host_rpc"]):
        return _verdict("ambiguous", entries, selector)
    if ready:
        return _verdict(DISPATCH_STATUS_READY, entries, selector, ready[0])
    for entry in live or entries:
        if entry.get("dispatch_status") == DISPATCH_STATUS_UNAVAILABLE:
            failure = {name: entry.get(name) for name in ("failure_stage", "failure_reason")}
            return dict(_verdict(DISPATCH_STATUS_UNAVAILABLE, entries, selector, entry), **failure)
    if not live:
        return _verdict("dead", entries, selector, entries[0])
    status = live[0].get("dispatch_status") or DISPATCH_STATUS_BOOTING
    if status in _WORDS:
        # A word that means something else here; or ready, without an address to call it at.
        status = DISPATCH_STATUS_BOOTING
    return _verdict(status, entries, selector, live[0])


def _verdict(
    status: str,
    entries: List[Result],
    selector: Selector,
    entry: Optional[Result] = None,
) -> Result:
    words = _WORDS.get(status, _WORDS["booting"])
    verdict = {
        "success": status == DISPATCH_STATUS_READY,
        "status": status,
        "ready": status == DISPATCH_STATUS_READY,
        "selector": dict(selector),
        "entries": entries,
        "message": words.message,
        "recommended_next_action": words.recommended_next_action,
    }
    if entry is not None:
        verdict["entry"] = entry
    return verdict


def _unread(verdict: Result, state: Result) -> Result:
    """Return the verdict with what was wrong with the registry: it may be all there is to say."""
    problem = {"reason": state.get("reason"), "registry_message": state.get("message")}
    if verdict["status"] != "missing":
        return dict(verdict, **problem)
    words = _WORDS["failed"]
    return dict(
        verdict,
        status="failed",
        message="{} ({}).".format(words.message.rstrip("."), state.get("message")),
        recommended_next_action=words.recommended_next_action,
        **problem,
    )
