"""What could not be done while a host ran, carried out at the next start.

``schedule_deferred_cleanup(result)`` writes it into the user's journal. ``run_deferred_cleanup()``
is for the first line of a start-up hook, before anything is imported that would hold the tree
again: that is the bootstrap which an installer leaves in the host. Nothing of the package calls it
by itself, ``start()`` neither: by then the package has been imported. None of the functions raises;
each returns a dict. When nothing is owed a run is one look at one path.
"""

from __future__ import annotations

import os
import sys
import time

from .home import JOURNAL, data_directory, is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from .journal import Journal

    Result = Dict[str, Any]

__all__ = [
    "drop_deferred",
    "list_deferred",
    "run_deferred_cleanup",
    "schedule_deferred_cleanup",
]

#: Seconds after which a run begins with nothing more: a host is waiting to start.
_BUDGET = 5.0
_NOTHING = {
    "success": True,
    "status": "nothing_owed",
    "requires_restart": False,
    "total": 0,
    "finished_count": 0,
    "owed_count": 0,
    "given_up_count": 0,
    "message": "Nothing is owed.",
    "recommended_next_action": "",
}


def schedule_deferred_cleanup(result: Dict[str, Any]) -> Result:
    """Note in the journal what ``result`` leaves to be done; return how that went.

    ``result``: of inspect_install_root (meaning: remove its ``install_root``), safe_remove_tree or
    safe_replace_tree. The status is ``scheduled`` (with ``id`` and ``operation``),
    ``nothing_to_defer``, or ``failed`` with the reason ``not_deferrable``, ``invalid_path`` (it
    would be refused at each start), ``identity_unknown`` or one that begins with ``journal``.
    ``replaced``: the ids of what was owed for the same place and is not any more, because this wish
    is newer, or already fulfilled.
    Blocks for some small files. Any thread.
    """
    return _told(lambda owing, journal: owing.schedule(journal, result))


def run_deferred_cleanup(*, budget_secs: float = _BUDGET, given_up: bool = False) -> Result:
    """Carry out what is owed; return what became of it, one of ``results`` for each operation.

    The status is ``nothing_owed``; ``finished``; ``owed`` (some of it still is, see ``results``);
    ``given_up`` (the rest can never be done: that is told this once, later runs leave it in the
    journal and say ``nothing_owed``); ``busy``; or ``failed`` (the journal cannot be used, see
    ``reason``). Success means that all is as it was wished. An operation whose tree is not the one
    any more that was there when it was scheduled is ``superseded``: it is dropped, nothing is
    deleted. With ``given_up`` what was given up is tried again.

    No operation is begun after ``budget_secs``; the rest is ``postponed``, and so is what is on a
    volume that is not mounted (reason ``away``). Safe in several processes at once: all but one
    wait for up to 2 s of that, then they are told ``busy``, and what they import next may be about
    to be replaced. Blocks for as long as deleting takes. Where this package itself was replaced,
    its modules that are loaded are still the old ones.
    """
    nothing = dict(_NOTHING, results=[], damaged=[])
    return _told(lambda owing, journal: owing.run(journal, budget_secs, given_up), nothing)


def list_deferred() -> Result:
    """Return what is owed, as ``entries``; changes nothing.

    The ``state`` of each is ``owed``, ``given_up``, or ``elsewhere``: another machine with the same
    home owes it. ``damage`` says what is wrong with the journal, if anything; ``damaged`` names the
    files that earlier damage was moved to.
    """
    return _told(lambda owing, journal: owing.listed(journal))


def drop_deferred(entry_id: str) -> Result:
    """Forget one entry, named by its id or how that begins; nothing is carried out.

    The status is ``dropped`` (it is under ``entry``), or ``failed`` with the reason ``unknown_id``
    or one that begins with ``journal``.
    """
    return _told(lambda owing, journal: owing.drop(journal, entry_id))


def _told(do: Callable[[Any, Journal], Result], nothing: Optional[Result] = None) -> Result:
    """Return what ``do`` returns, called with module and journal, or what it raised as a result.

    ``nothing``: the result where there is no journal. Every start of a host comes by there, so next
    to nothing is loaded for it.
    """
    path = None
    try:
        # A start-up hook must go on whatever happens here, an unreadable home directory included.
        directory = data_directory(os.environ, sys.platform)
        path = os.path.join(directory, JOURNAL)
        if nothing is not None and not is_there(path):
            return dict(nothing, journal=path)
        from . import owing
        from .journal import Journal

        return do(owing, Journal(directory, time.monotonic, time.sleep))
    except Exception as error:
        return _failed(path, error)


def _failed(path: Optional[str], error: Exception) -> Result:
    from .journal import JournalError
    from .results import failed

    if isinstance(error, JournalError):
        return failed(path, error.reason, str(error))
    reason = "journal_unusable" if isinstance(error, OSError) else "journal_failed"
    return failed(path, reason, "{}: {}".format(type(error).__name__, error))
