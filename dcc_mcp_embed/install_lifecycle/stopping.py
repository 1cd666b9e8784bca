"""How what registry entries stand for is brought to an end.

The order: who it is (the number of a process that has ended may be anybody's), a polite question
where the row says how, the system's own, and, only if somebody wants it, an end without asking.
Who has agreed to stop is finishing its work; it gets no signal that would break that off.
"""

from __future__ import annotations

import os
import time

from . import processes, safe_stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

    Entry = Dict[str, Any]

__all__ = ["ANOTHER", "SAME", "SETTLED", "UNKNOWN", "judge", "stop", "target_of"]

#: ``status`` of a row for which nothing is left to do.
SETTLED = ("stopped", "already_stopped")
SAME, ANOTHER, UNKNOWN = "same", "another", "unknown"
#: Kind of the row by which the machine's gateway is known.
_GATEWAY = "__gateway__"
#: Seconds by which two readings of the wall clock may be apart.
_SLACK = 2.0
#: Seconds between looks whether a process has ended, and for it to end once it was killed.
_PAUSE, _KILL_TIME = 0.05, 2.0
#: Seconds for an answer, even if there is no time to wait for the end.
_LEAST_POLITE = 0.05

_OWNER_GONE = "The row's owner is gone. The number of its process may be another's: left alone."
_REUSED = "The process with this number began after the row was last renewed: left alone."
_ELSEWHERE = "The number may be that of a process on another machine: left alone."
_UNKNOWN = "Nothing proves that the process is the one that the row means: left alone."


def judge(
    started: Optional[float],
    registered: Optional[float],
    last_heartbeat: Optional[float],
    is_registrar: bool,
    held: Optional[bool],
    now: float,
) -> str:
    """Return whether a process is the one that a row means. All in seconds of the wall clock. Pure.

    ``started``: of the process. It is the same only if it is not younger than what the row says of
    itself: a process that has had the number since then is the one that was meant. The sentinel
    (``held``) and the heartbeat are those of the process that registered, and prove nothing of any
    other that a row names, which may have ended long ago.
    """
    if started is None or registered is None:
        return UNKNOWN
    alive = is_registrar and held is True
    if registered > now + _SLACK:
        # The clock was set back since: every process of today looks old enough.
        return SAME if alive else UNKNOWN
    if started <= registered + _SLACK:
        return SAME
    if not is_registrar:
        return UNKNOWN
    if started <= (last_heartbeat or registered) + _SLACK:
        # Younger than its own row: the clock was set forward, or somebody else renews it.
        return SAME if alive else UNKNOWN
    return UNKNOWN if alive else ANOTHER


def target_of(entry: Entry, include_hosts: bool) -> Tuple[Optional[int], str]:
    """Return (process, ``sidecar`` or ``host``) of what is to be stopped; None: nothing may.

    The gateway's process is no host's: all hosts of the machine are reached through it.
    """
    if entry["dcc_type"] == _GATEWAY:
        return None, "host"
    if entry["sidecar_pid"] is not None:
        return entry["sidecar_pid"], "sidecar"
    return (entry["parent_pid"] if include_hosts else None), "host"


class _Attempt:
    """One row's process on its way to its end."""

    def __init__(self, entry: Entry, pid: int, target: str) -> None:
        self.entry = entry
        self.pid = pid
        self.target = target
        self.process: Any = None
        self.way = ""
        self.status = ""
        self.reason: Optional[str] = None
        self.message: Optional[str] = None

    def settle(self, status: str, reason: Optional[str], message: Optional[str]) -> None:
        self.status, self.reason, self.message = status, reason, message

    def open(self, now: float) -> None:
        """Find out whether there is anything to stop. ``now``: of the wall clock."""
        obstacle = self._obstacle(now)
        if obstacle is not None:
            self.settle(*obstacle)

    def _obstacle(self, now: float) -> Optional[Tuple[str, str, Optional[str]]]:
        entry = self.entry
        if entry["runtime_alive"] is False:
            return ("already_stopped", "owner_gone", _OWNER_GONE)
        if self.pid == 1 or entry["host"] not in safe_stop.LOOPBACK:
            # A registry may be shared by machines and containers, in each of which it is another's.
            return ("failed", "identity_unknown", _ELSEWHERE)
        if self.pid == os.getpid():
            return ("failed", "own_process", "This is the very process that was to stop it.")
        try:
            self.process = processes.open_process(self.pid)
        except OSError as error:
            return ("failed", "signal_failed", str(error))
        if self.process is None or not self.process.runs():
            return ("already_stopped", "not_running", None)
        verdict = judge(
            self.process.started_at(),
            entry["registered_at"],
            entry["last_heartbeat"],
            self.pid == entry["registrar_pid"],
            entry["sentinel_held"],
            now,
        )
        if verdict == ANOTHER:
            return ("already_stopped", "pid_reused", _REUSED)
        return ("failed", "identity_unknown", _UNKNOWN) if verdict == UNKNOWN else None

    def heard(self, refusal: Optional[str]) -> None:
        """Note what the answer to the safe stop was; None: yes."""
        if refusal is None:
            self.way = "safe_stop"
        else:
            self.message = "The safe stop was refused: {}".format(refusal)

    def may_be_signalled(self, kill: bool) -> bool:
        """Return whether the system may tell it, too, although it has agreed.

        A host ends its calls and then its server, and has a scene that is not saved. A sidecar has
        nothing to lose where a signal asks.
        """
        return kill or (self.target == "sidecar" and self.process.asks)

    def signal(self, kill: bool) -> None:
        """Have the system end it."""
        try:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
            self.way = "kill" if kill else "signal"
        except OSError as error:
            self.settle("failed", "signal_failed", str(error))

    def is_open(self) -> bool:
        """Return whether it still runs, and note that it has stopped if not."""
        if self.status:
            return False
        if not self.process.runs():
            self.status = "stopped"
        return not self.status

    def close(self) -> None:
        if self.process is not None:
            self.process.close()

    def result(self) -> Dict[str, Any]:
        found: Dict[str, Any] = {
            "instance_id": self.entry["instance_id"],
            "dcc_type": self.entry["dcc_type"],
            "pid": self.pid,
            "target": self.target,
            "status": self.status,
        }
        if self.way:
            found["stopped_by" if self.status == "stopped" else "asked_by"] = self.way
        if self.reason is not None:
            found["reason"] = self.reason
        if self.message is not None:
            found["message"] = self.message
        return found


def stop(
    entries: Iterable[Entry],
    timeout: float,
    include_hosts: bool,
    kill: bool,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    wall: Callable[[], float] = time.time,
) -> List[Dict[str, Any]]:
    """Stop what the entries stand for, all at once; return a result for each, in their order."""
    results: List[Any] = []
    attempts: List[_Attempt] = []
    try:
        for entry in entries:
            pid, target = target_of(entry, include_hosts)
            if pid is None:
                results.append(_unsupported(entry, include_hosts))
                continue
            attempt = _Attempt(entry, pid, target)
            attempts.append(attempt)
            results.append(attempt)
            attempt.open(wall())
        _end_all(attempts, timeout, kill, now, sleep)
    finally:
        for attempt in attempts:
            attempt.close()
        processes.reap()
    return [one.result() if isinstance(one, _Attempt) else one for one in results]


def _end_all(
    attempts: List[_Attempt],
    timeout: float,
    kill: bool,
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    begun = now()

    def wait(waiting: List[_Attempt], deadline: float) -> List[_Attempt]:
        """Return those that still run when all others have ended, or when it is time."""
        while True:
            # A list first: each of them is to be looked at.
            waiting = [one for one in waiting if one.is_open()]
            left = deadline - now()
            if not waiting or left <= 0:
                return waiting
            sleep(min(left, _PAUSE))

    left = [one for one in attempts if one.is_open()]
    politely = begun + max(timeout / 2, _LEAST_POLITE)
    questions = [(one, safe_stop.address_of(one.entry)) for one in left]
    for one, address in questions:
        if address is None:
            one.signal(kill=False)
    asked = [(one, address) for one, address in questions if address is not None]
    answers = safe_stop.ask([(one.entry, address) for one, address in asked], politely, now)
    agreed = []
    for (one, _address), refusal in zip(asked, answers):
        one.heard(refusal)
        if refusal is None:
            agreed.append(one)
        elif one.is_open():
            one.signal(kill=False)
    for one in wait(agreed, politely):
        if one.may_be_signalled(kill):
            one.signal(kill=False)
    left = wait(left, begun + timeout)
    if kill and left:
        for one in left:
            one.signal(kill=True)
        left = wait(left, now() + _KILL_TIME)
    for one in left:
        told = "has agreed to stop" if one.way == "safe_stop" else "was told to stop"
        one.settle(
            "still_running", "timeout", "It {}, and runs after {:g} s.".format(told, timeout)
        )


def _unsupported(entry: Entry, include_hosts: bool) -> Dict[str, Any]:
    if entry["dcc_type"] == _GATEWAY:
        message = "It is the gateway of all hosts, which is not ended with them."
    elif include_hosts:
        message = "The row names no process."
    else:
        message = "The row names no sidecar_pid, and host processes are not ended unasked."
    return {
        "instance_id": entry["instance_id"],
        "dcc_type": entry["dcc_type"],
        "status": "unsupported",
        "message": message,
    }
