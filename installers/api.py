"""Install, upgrade, repair, uninstall, look: as functions, for hosts and for the command line.

Each returns ``{"success", "action", "host", "folders": [...]}``; a folder is ``{"path", "root",
"current", "operations": [...], "problems": [...]}``. With ``dry_run`` nothing is changed and the
operations are ``planned``. Any thread; blocks for as long as files take. Raises ConfigError, with
what to change.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Dict, List, Optional

from .. import install_lifecycle as lifecycle
from ..errors import ConfigError
from . import hosts, plan
from .acting import Installation
from .alone import alone
from .doctor import examine
from .root import FOLDER, VERSIONS
from .sources import Source, archive_source, own_source

__all__ = ["doctor", "install", "repair", "status", "uninstall", "upgrade", "verify"]

Report = Dict[str, Any]

#: Seconds that another installation may take.
_PATIENCE = 30.0


def install(
    host: str,
    version: Optional[str] = None,
    target: Optional[str] = None,
    dry_run: bool = False,
    archive: Optional[str] = None,
    digest: Optional[str] = None,
) -> Report:
    """Install the version that this code is of, or the one in ``archive``, beside any other.

    ``version``: of the host, where each has a user folder of its own; None: every one that is
    there. ``target``: the user folder itself. ``digest``: that the archive's payload must have.
    """
    source = _source(archive, digest)

    def planned(ours: Installation, facts: plan.Facts) -> List[plan.Operation]:
        return plan.plan_install(facts, ours.wish(source.payload.name))

    return _change("install", host, version, target, dry_run, planned, source)


def upgrade(
    host: str,
    version: Optional[str] = None,
    target: Optional[str] = None,
    dry_run: bool = False,
    archive: Optional[str] = None,
    digest: Optional[str] = None,
) -> Report:
    """Do the same where some version is installed; elsewhere nothing. Also back to an older one.

    What is being uninstalled is none any more.
    """
    source = _source(archive, digest)

    def planned(ours: Installation, facts: plan.Facts) -> List[plan.Operation]:
        return plan.plan_change(facts, ours.wish(source.payload.name))

    return _change("upgrade", host, version, target, dry_run, planned, source)


def repair(
    host: str,
    version: Optional[str] = None,
    target: Optional[str] = None,
    dry_run: bool = False,
    archive: Optional[str] = None,
    digest: Optional[str] = None,
) -> Report:
    """Put right what is damaged or missing, if the current version is the one at hand.

    Where nothing is installed, or is being uninstalled, nothing is.
    """
    source = _source(archive, digest)

    def planned(ours: Installation, facts: plan.Facts) -> List[plan.Operation]:
        current, at_hand = facts.current, source.payload.name
        if current in facts.damaged and current != at_hand:
            raise ConfigError(
                "{} is damaged, and this is {}: upgrade to it, or repair with the archive that "
                "{} came from".format(current, at_hand, current)
            )
        return plan.plan_change(facts, ours.wish(current or at_hand))

    return _change("repair", host, version, target, dry_run, planned, source)


def uninstall(
    host: str,
    version: Optional[str] = None,
    target: Optional[str] = None,
    dry_run: bool = False,
    clients: bool = False,
    stopped: bool = False,
) -> Report:
    """Remove everything of ours. What somebody runs goes at the next start of the host.

    ``clients``: also every server of ours, of whatever host, from the files of MCP clients; what
    was done there is at ``clients``, a list of operations. ``stopped``: the server of this process
    has ended for good, so what it has loaded may go, too.
    """

    def planned(ours: Installation, facts: plan.Facts) -> List[plan.Operation]:
        return plan.plan_uninstall(facts, ours.texts()[1], ours.made())

    # First: what would fail there is told, and keeps nothing from being removed.
    unlisted = _unlist(dry_run) if clients else []
    report = _change("uninstall", host, version, target, dry_run, planned, None, stopped)
    if clients:
        report["clients"] = unlisted
        report["success"] = report["success"] and all(one["status"] != "kept" for one in unlisted)
    return report


def _source(archive: Optional[str], digest: Optional[str]) -> Source:
    if archive is not None:
        return archive_source(archive, digest)
    if digest is not None:
        raise ConfigError("A digest is that of an archive: name it as well (--archive)")
    return own_source()


def _unlist(dry_run: bool) -> List[Report]:
    """Take our servers out of the files of all clients; return what became of each."""
    from . import client_files

    done = []
    for one in client_files.listed(os.environ, sys.platform, os.path.expanduser("~")):
        if one.problem:
            why = plan.Operation("keep", one.path, why=one.problem)
            done.append(dict(why.public(), status="kept"))
        for name in one.names:
            shown = plan.Operation("unlist", one.path, name).public()
            try:
                if not dry_run:
                    client_files.take_out(one.client, one.path, [name], time.sleep)
            except ConfigError as error:
                done.append(dict(shown, status="kept", detail=str(error)))
            else:
                done.append(dict(shown, status="planned" if dry_run else "done"))
    return done


def status(host: str, version: Optional[str] = None, target: Optional[str] = None) -> Report:
    """Tell what is installed where, and who runs it. Changes nothing, reads no version's files."""
    return _look("status", host, version, target, thorough=False)


def verify(host: str, version: Optional[str] = None, target: Optional[str] = None) -> Report:
    """Compare every file of every installed version with its checksum. Changes nothing."""
    return _look("verify", host, version, target, thorough=True)


def doctor(host: str, version: Optional[str] = None, target: Optional[str] = None) -> Report:
    """Look for whatever may keep an installation from working; changes nothing.

    Each folder has ``findings``: ``{"level": "ok" | "note" | "problem", "text", "advice"}``.
    """
    folders = []
    for ours in _installations(host, version, target):
        found = examine(ours, os.environ)
        problems = [one.text for one in found if one.level == "problem"]
        told = _folder(ours, [], problems)
        told["findings"] = [one.public() for one in found]
        folders.append(told)
    success = not any(one["problems"] for one in folders)
    return {"success": success, "action": "doctor", "host": host, "folders": folders}


def _installations(host: str, version: Optional[str], target: Optional[str]) -> List[Installation]:
    known = hosts.find(host)
    if target is not None:
        if not str(target).strip():
            raise ConfigError("--target names no folder")
        inner = os.path.abspath(os.path.expanduser(target))
        if os.path.basename(inner) == FOLDER and os.path.isdir(os.path.join(inner, VERSIONS)):
            raise ConfigError(
                "--target is the user folder of {}, not our folder in it: {}".format(
                    known.title, os.path.dirname(inner)
                )
            )
        return [Installation(known, os.path.expanduser(target))]
    folders = hosts.user_folders(known, version, os.environ)
    if not folders:
        raise ConfigError(
            "No user folder of {} was found: start it once, or name its version or the folder "
            "(--version, --target)".format(known.title)
        )
    return [Installation(known, folder) for folder in folders]


def _change(
    action: str,
    host: str,
    version: Optional[str],
    target: Optional[str],
    dry_run: bool,
    planned_for: Callable[[Installation, plan.Facts], List[plan.Operation]],
    source: Optional[Source],
    stopped: bool = False,
) -> Report:
    installations = _installations(host, version, target)
    folders, success = [], True
    with alone(0.0 if dry_run else _PATIENCE) as nobody_else:
        if not nobody_else and not dry_run:
            raise ConfigError("Another installation is going on; try again when it has ended")
        for ours in installations:
            try:
                operations = _change_one(ours, planned_for, source, dry_run, stopped)
            except ConfigError as error:
                if len(installations) == 1:
                    raise
                # The other folders have nothing to do with it.
                folders.append(_folder(ours, [], [str(error)]))
                success = False
            else:
                folders.append(_folder(ours, operations, []))
                # When it is carried out it raises.
                success &= not any(one["operation"] == "refuse" for one in operations)
    return {
        "success": success,
        "action": action,
        "host": host,
        "dry_run": dry_run,
        "folders": folders,
    }


def _change_one(
    ours: Installation,
    planned_for: Callable[[Installation, plan.Facts], List[plan.Operation]],
    source: Optional[Source],
    dry_run: bool,
    stopped: bool,
) -> List[Report]:
    facts = _facts(ours, stopped=stopped)
    planned = planned_for(ours, facts)
    if dry_run:
        return [dict(one.public(), status="planned") for one in planned]
    try:
        return [one.public() for one in ours.carry_out(planned, source)]
    except (ConfigError, OSError):
        if source is not None and not any(one.kind == "refuse" for one in planned):
            ours.undo(bool(facts.installed))
        raise


def _look(
    action: str, host: str, version: Optional[str], target: Optional[str], thorough: bool
) -> Report:
    folders = []
    for ours in _installations(host, version, target):
        try:
            facts = _facts(ours, thorough)
        except ConfigError as error:
            folders.append(dict(_folder(ours, [], [str(error)]), versions=[]))
            continue
        told = _folder(ours, [], _problems(ours, facts))
        told["versions"] = [
            {"name": name, "current": name == facts.current, "run_by": facts.users.get(name)}
            for name in facts.installed
        ]
        folders.append(told)
    return {
        "success": not any(one["problems"] for one in folders),
        "action": action,
        "host": host,
        "owed": lifecycle.list_deferred().get("total", 0),
        "folders": folders,
    }


def _facts(ours: Installation, thorough: bool = True, stopped: bool = False) -> plan.Facts:
    try:
        return ours.facts(thorough, stopped)
    except OSError as error:
        raise ConfigError("{} cannot be looked at: {}".format(ours.root.path, error)) from error


def _problems(ours: Installation, facts: plan.Facts) -> List[str]:
    inside, outside = ours.texts()
    problems = ["{}: {}".format(name, why) for name, why in sorted(facts.damaged.items())]
    if facts.installed:
        if facts.current is None:
            problems.append("{} names no version that is there".format(facts.current_file))
        for path, data in (*inside.items(), *outside.items()):
            if facts.files.get(path) != data:
                state = "changed" if path in facts.files else "missing"
                problems.append("{}: {}".format(path, state))
    if facts.leaving:
        problems.append("it is being uninstalled; the next start of the host finishes that")
    return problems


def _folder(ours: Installation, operations: List[Any], problems: List[str]) -> Report:
    try:
        current = ours.root.current()
    except OSError:
        # That is among the problems.
        current = None
    return {
        "path": ours.user,
        "root": ours.root.path,
        "current": current,
        "operations": operations,
        "problems": problems,
    }
