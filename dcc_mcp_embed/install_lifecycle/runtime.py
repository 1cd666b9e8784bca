"""What runs, by the service registry, and how it is stopped."""

from __future__ import annotations

import os
import sys
import time

from . import ROLE_PER_DCC_SIDECAR, places, processes, states
from .results import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .rows import Found

__all__ = ["default_registry_dir", "query_runtime_state", "stop_runtime_entries"]

#: Seconds. No socket can be given a time without end.
_LONGEST_STOP = 86400.0


def default_registry_dir() -> str:
    """Return the registry's directory where nobody names one (absolute; it need not exist)."""
    return places.locate(None, os.environ, sys.platform)[0]


def query_runtime_state(
    registry_dir: Any = None,
    *,
    dcc_type: Optional[str] = None,
    role: Optional[str] = None,
    install_root: Any = None,
    include_dead: bool = True,
) -> Dict[str, Any]:
    """Return the registry's rows as entries (states.py); raises nothing, whatever the file holds.

    ``{success, registry_dir, total, alive_count, dead_count, remarks, entries}``. A
    directory or a file that is not there is a registry without rows. Where the file cannot be taken
    at its word, ``success`` is False, ``status`` is ``failed``, ``reason`` one of
    ``registry_damaged``, ``registry_newer``, ``registry_unreadable``, ``registry_untrusted``, there
    is a ``message``, and ``entries`` holds what could be read all the same. ``remarks``: sentences
    for a person.

    ``install_root``: only rows that run from there, from below or from above. Any thread; a damaged
    file costs 50 ms of waiting, in case that somebody is writing it, and then up to a second of
    computing (two in UTF-16) if it is large and hostile.
    """
    directory, trusted, remarks = places.locate(registry_dir, os.environ, sys.platform)
    entries: List[Dict[str, Any]] = []
    problem: Optional[Tuple[str, str]] = None
    if trusted:
        from . import rows

        path = os.path.join(directory, rows.FILE)
        try:
            found = rows.read(directory, time.sleep)
        except (OSError, ValueError) as error:
            problem = "registry_unreadable", "{} cannot be read: {}".format(path, error)
        else:
            problem = _problem(path, found)
            entries = _entries(found, directory, dcc_type, role, install_root)
    else:
        problem = "registry_untrusted", places.refusal(remarks)
    if not include_dead:
        entries = [entry for entry in entries if entry["runtime_alive"] is not False]
    answer = {
        "success": True,
        "registry_dir": directory,
        "total": len(entries),
        "alive_count": sum(entry["runtime_alive"] is True for entry in entries),
        "dead_count": sum(entry["runtime_alive"] is False for entry in entries),
        "remarks": remarks,
        "entries": entries,
    }
    if problem is not None:
        answer.update(failed(directory, *problem))
    return answer


def _problem(path: str, found: Found) -> Optional[Tuple[str, str]]:
    if found.newer:
        return "registry_newer", "{} is of a newer version: {}".format(path, found.newer)
    if found.damage:
        return "registry_damaged", "{} is damaged: {}".format(path, found.damage)
    return None


def _entries(
    found: Found,
    directory: str,
    dcc_type: Optional[str],
    role: Optional[str],
    install_root: Any,
) -> List[Dict[str, Any]]:
    from . import sentinels

    wanted = _spellings(install_root)
    running: Dict[int, bool] = {}
    entries = []
    for key, row in found.rows:
        if dcc_type and row.get("dcc_type") != dcc_type:
            continue
        if role and states.role_of(row) != role:
            continue
        roots = states.install_roots(row) if wanted else []
        if wanted and not any(
            states.is_related(spelled, wanted) for root in roots for spelled in _spellings(root)
        ):
            continue
        held = sentinels.held(row.get("sentinel_path"), directory)
        pid = states.judged_by(row) if held is None else None
        if pid is not None and pid not in running:
            running[pid] = processes.runs(pid)
        entries.append(states.entry_of(key, row, held, running))
    return entries


def _spellings(path: Any) -> List[str]:
    """Return a folder's name as it is spelled, absolute, and with links resolved; [] for none."""
    if path is None or not str(path).strip():
        return []
    spelled = places.absolute(str(path))
    if spelled.startswith(("\\\\", "//")):
        return [spelled]  # another machine, which may not be there: asking takes minutes
    try:
        return [spelled, os.path.realpath(spelled)]
    except (OSError, ValueError):
        return [spelled]


def stop_runtime_entries(
    registry_dir: Any = None,
    *,
    dcc_type: Optional[str] = None,
    role: Optional[str] = ROLE_PER_DCC_SIDECAR,
    install_root: Any = None,
    timeout_secs: float = 5.0,
    include_host_processes: bool = False,
    kill: bool = False,
) -> Dict[str, Any]:
    """Stop what the matching rows stand for, and wait up to ``timeout_secs``, a day at most.

    ``{success, registry_dir, total, results}``, of each row ``{pid, target, status, instance_id,
    dcc_type, reason, message}``. ``status`` is ``stopped``, ``already_stopped`` (also where the
    process's number is another's by now, ``reason`` ``pid_reused``), ``still_running``, ``failed``
    (``own_process``, ``identity_unknown``, ``signal_failed``), or ``unsupported``: it is a host's
    process, and only with ``include_host_processes`` are those ended, or the gateway's, which never
    is. ``success`` says that all have stopped; False, too, with the keys of a failure, if the
    registry cannot be believed.

    A row that publishes ``safe_stop_url`` is asked there, with half of the time (50 ms at least).
    All others, and those that refuse, are told to end by SIGTERM; Windows knows nothing of the kind
    and ends them at once, as with ``kill``. Who has agreed is left to end by itself: a sidecar on
    POSIX is sent SIGTERM after half of the time, a host nothing, though the agreement may be about
    its server only. With ``kill`` those are told to end after half of the time, too, and what does
    not end in time is ended without asking, with two more seconds; otherwise it goes on running.
    Blocks; any thread but one that a host's process needs in order to end.
    """
    from . import stopping

    try:
        timeout = float(timeout_secs)
        time_is_good = timeout - timeout == 0.0  # neither infinite nor no number
    except (TypeError, ValueError, OverflowError):
        time_is_good = False
    if not time_is_good:
        message = "timeout_secs is a number of seconds, not {!r}".format(timeout_secs)
        return failed(None, "invalid_timeout_secs", message)
    state = query_runtime_state(
        registry_dir, dcc_type=dcc_type, role=role, install_root=install_root
    )
    timeout = min(max(0.0, timeout), _LONGEST_STOP)
    results = stopping.stop(state["entries"], timeout, include_host_processes, kill)
    good = all(one["status"] in stopping.SETTLED for one in results)
    answer = {key: state[key] for key in ("registry_dir", "total", "remarks")}
    answer["results"] = results
    answer["success"] = good
    if not state["success"]:
        answer.update(failed(state["registry_dir"], state["reason"], state["message"]))
    return answer
