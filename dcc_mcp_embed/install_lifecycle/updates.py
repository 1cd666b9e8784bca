"""Which of the runtimes that are registered run old code, and what has to be restarted for new."""

from __future__ import annotations

import re

from . import rows, states
from .results import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Mapping, Optional

__all__ = ["compare", "component_of", "plan_runtime_updates"]

#: Names under which callers give a component's version. Any other name is the adapter's.
_COMPONENTS = {
    "core": "core",
    "dcc_mcp_core": "core",
    "server": "server",
    "dcc_mcp_server": "server",
    "embed": "embed",
    "dcc_mcp_embed": "embed",
}
#: action -> (restart_scope, recommended_next_action).
_ACTIONS = {
    "keep": ("none", "Leave the runtime as it is: it runs the versions that are wanted, or newer."),
    "verify_runtime_metadata": (
        "metadata",
        "The row does not say every version: look at the runtime, or restart it anyway.",
    ),
    "restart_sidecar": (
        "sidecar",
        (
            "Stop the registered sidecar, restart it from the target deployment, then re-run MCP "
            "readiness."
        ),
    ),
    "restart_via_command": (
        "configured-command",
        "Run the restart command of the row, then check that MCP answers before anything is reset.",
    ),
    "manual_restart_required": (
        "host-process",
        "Restart the DCC host itself; until then its instance goes on running the old code.",
    ),
}
_RESTARTS = ("restart_sidecar", "restart_via_command")
_VERSION = re.compile(
    r"v?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-._]?(?P<before>(?:dev|a|alpha|b|beta|c|rc|pre|preview)[-._]?\d*(?:\.\w+)*)"
    r"|(?P<after>-\d+|[-._]?(?:post|rev|r)[-._]?\d*)"
    r"|-(?P<other>[0-9A-Za-z.-]+))?"
    r"(?:\+[0-9A-Za-z.-]+)?",
    re.IGNORECASE,
)


def plan_runtime_updates(
    runtime_state: Any = None,
    *,
    registry_dir: Any = None,
    dcc_type: Optional[str] = None,
    role: Optional[str] = None,
    target_versions: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Return what each registered runtime needs in order to run ``target_versions``.

    ``runtime_state``: what ``query_runtime_state`` returned, its entries or the registry's own
    rows; without it the registry is asked, with the other arguments. ``target_versions``: component
    -> version, the components being ``core``, ``server``, ``embed`` (rows of our own server), and
    ``adapter``.

    ``{success, target_versions, total, restart_required_count, verification_required_count,
    manual_restart_count, plans}``. A row of ours has neither core nor server unless it says so, and
    others have no ``embed``: such a component has the status ``not_applicable`` and decides
    nothing. Where the query failed, so has the plan, of what could be read all the same.
    """
    try:
        targets = _targets(dict(target_versions or {}))
    except (TypeError, ValueError):
        message = "target_versions is a mapping of components to versions, not {!r}".format(
            target_versions
        )
        return failed(None, "invalid_target_version", message)
    if runtime_state is None:
        from .runtime import query_runtime_state

        runtime_state = query_runtime_state(registry_dir, dcc_type=dcc_type, role=role)
    plans = [_plan(entry, targets) for entry in _entries(runtime_state)]
    actions = [plan["action"] for plan in plans]
    answer: Dict[str, Any] = {
        "success": True,
        "target_versions": targets,
        "total": len(plans),
        "restart_required_count": sum(bool(plan["stale_components"]) for plan in plans),
        "verification_required_count": actions.count("verify_runtime_metadata"),
        "manual_restart_count": actions.count("manual_restart_required"),
        "plans": plans,
    }
    if isinstance(runtime_state, dict) and runtime_state.get("success") is False:
        state = runtime_state
        why = str(state.get("reason")), str(state.get("message"))
        answer.update(failed(state.get("registry_dir"), *why))
    return answer


def _entries(state: Any) -> Iterable[Mapping[str, Any]]:
    found = state.get("entries") if isinstance(state, dict) else state
    return [_completed(one) for one in found or () if isinstance(one, dict)]


def _completed(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Return an entry of what may be a row, or another program's entry that leaves things out."""
    entry = states.entry_of(rows.key_of(dict(given)), given, None, {})
    versions = dict(entry["versions"])
    if isinstance(given.get("versions"), dict):
        versions.update((name, one) for name, one in given["versions"].items() if one)
    entry.update((name, value) for name, value in given.items() if value is not None)
    entry["versions"] = versions
    return entry


def component_of(name: str) -> Optional[str]:
    """Return the component that a caller means, in whichever case; None for an empty name."""
    plain = name.strip().lower().replace("-", "_")
    return _COMPONENTS.get(plain, "adapter") if plain else None


def _targets(given: Dict[Any, Any]) -> Dict[str, str]:
    """Return component -> version. Of two names of one component the last counts."""
    targets: Dict[str, str] = {}
    for name, version in given.items():
        component = component_of(str(name))
        text = "" if version is None else str(version).strip()
        if component and text:
            targets[component] = text
    return targets


def _plan(entry: Mapping[str, Any], targets: Mapping[str, str]) -> Dict[str, Any]:
    known = entry["versions"]
    versions = {}
    for component, target in targets.items():
        current = known.get(component)
        status = compare(current, target) if _applies(component, known, targets) else _NOT
        versions[component] = {"current": current, "target": target, "status": status}
    stale = [name for name, found in versions.items() if found["status"] == "older"]
    unknown = [name for name, found in versions.items() if found["status"] == "unknown"]
    action = _action(entry, bool(stale), bool(unknown))
    scope, advice = _ACTIONS[action]
    plan = {
        name: entry.get(name)
        for name in (
            *("instance_id", "dcc_type", "display_name", "mcp_url", "runtime_alive", "role"),
            *("sidecar_pid", "parent_pid", "restart_command", "launch_command"),
        )
    }
    plan.update(
        versions=versions,
        stale_components=stale,
        unknown_components=unknown,
        action=action,
        restart_scope=scope,
        restartable=action in _RESTARTS,
        recommended_next_action=advice,
    )
    return plan


_NOT = "not_applicable"


def _applies(component: str, known: Mapping[str, Any], targets: Mapping[str, str]) -> bool:
    if "embed" not in known:
        return component != "embed"
    if component == "adapter":
        # What serves in the host is embed itself, and its row says so twice.
        return "embed" not in targets
    return component == "embed" or known.get(component) is not None


def _action(entry: Mapping[str, Any], stale: bool, unknown: bool) -> str:
    if not stale:
        return "verify_runtime_metadata" if unknown else "keep"
    if entry.get("sidecar_pid") is not None:
        return "restart_sidecar"
    if entry.get("restart_command") or entry.get("launch_command"):
        return "restart_via_command"
    return "manual_restart_required"


def compare(current: Optional[str], target: str) -> str:
    """Return ``older``, ``newer``, ``equal``: what ``current`` is; ``unknown`` if nobody can tell.

    Numbers are compared as such, however many; what comes before a release is older than it, and a
    post release (``1.2.post1``, ``1.2-1``) newer. Two texts that are no versions can only be equal.
    """
    if not current:
        return "unknown"
    mine, wanted = _order(current), _order(target)
    if mine is None or wanted is None:
        return "equal" if str(current).strip() == target.strip() else "unknown"
    if mine == wanted:
        return "equal"
    return "older" if mine < wanted else "newer"


def _order(version: Any) -> Any:
    """Return what versions are sorted by; None for what is no version."""
    found = _VERSION.fullmatch(str(version).strip())
    if found is None:
        return None
    release = [int(part[:18]) for part in found.group("release").split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    after = found.group("after") or ""
    before = found.group("before") or found.group("other") or ""
    # Numbers before words, as semantic versions have it, but ``dev`` first, as Python has it; none
    # at all comes last.
    parts = [
        (1, int(part[:18]), "") if part.isdigit() else (0 if part == "dev" else 2, 0, part)
        for part in re.findall(r"[0-9]+|[a-z]+", before.lower())
    ]
    if after:
        return release, 2, [(1, int("0" + re.sub(r"\D", "", after)[:18]), "")]
    return release, 0 if parts else 1, parts
