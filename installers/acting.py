"""Carry a plan out in a user folder of a host, an operation at a time.

What cannot be removed now because somebody holds it is owed: it goes into the journal of
``install_lifecycle``, and the next start of any host tries again.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from .. import install_lifecycle as lifecycle
from .._compat import replace
from ..errors import ConfigError
from . import boot, hosts, leases, payload
from .boot import LEAVING
from .manifest import PayloadError
from .plan import Operation, near, plan_uninstall
from .sources import Source
from .standing import MADE, Standing

__all__ = ["Done", "Installation"]


class Done(NamedTuple):
    """What became of one operation: ``done``, ``owed`` (the next start tries again) or ``kept``."""

    operation: Operation
    status: str
    detail: str = ""

    def public(self) -> Dict[str, Any]:
        shown = dict(self.operation.public(), status=self.status)
        if self.detail:
            shown["detail"] = self.detail
        return shown


class Installation(Standing):
    """Ours in one user folder of one host, to be changed."""

    def __init__(
        self, host: hosts.Host, user: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(host, user)
        self._sleep = sleep

    def carry_out(self, planned: List[Operation], source: Optional[Source]) -> List[Done]:
        """Do it, in order. Raises ConfigError of an operation that is refused or fails.

        What was done until then stays, and is the beginning of what a second try does.
        """
        refused = [one for one in planned if one.kind == "refuse"]
        if refused:
            raise ConfigError("; ".join(str(one) for one in refused))
        barred = dict.fromkeys(
            _barrier(one.path) for one in planned if one.kind in ("stage", "write", "switch")
        )
        if any(barred):
            # Found out before anything is done: half an install helps nobody.
            raise ConfigError(
                "Nothing was changed: {} cannot be written to".format(
                    " and ".join(one for one in barred if one)
                )
            )
        done: List[Done] = []
        leaving = any(one.kind == "mark" for one in planned)
        for operation in planned:
            if (
                leaving
                and operation.kind in ("owe", "unlink", "clear")
                and any(one.status == "owed" for one in done)
            ):
                # Somebody runs a version after all. What the host finds leads to the rest.
                detail = "after what is above"
                return [*done, *(Done(one, "owed", detail) for one in planned[len(done) :])]
            act = getattr(self, "_" + operation.kind)
            try:
                done.append(act(operation, source))
            except OSError as error:
                raise ConfigError(
                    "{}: it could not be done: {}".format(operation, error)
                ) from error
        return done

    def undo(self, was_there: bool) -> None:
        """Take back what an install has begun that failed; without anything before it, all."""
        if was_there:
            lifecycle.safe_remove_tree(self.root.staging())
            return
        try:
            facts = self.facts(thorough=False, stopped=True)
            self.carry_out(plan_uninstall(facts, self.texts()[1], self.made()), None)
        except (ConfigError, OSError):
            # The disk that refused the install refuses this too; a second try goes on from here.
            return

    def _stage(self, operation: Operation, source: Optional[Source]) -> Done:
        folder = self._put(operation, source)
        # A virus scanner may be reading what is new.
        replace(folder, operation.path, self._sleep)
        return Done(operation, "done")

    def _replace(self, operation: Operation, source: Optional[Source]) -> Done:
        folder = self._put(operation, source)
        try:
            payload.mend(operation.path, folder, lambda new, old: replace(new, old, self._sleep))
        except (PayloadError, OSError):
            # Not where its manifest is damaged, or nothing can be written: then as a whole.
            folder = self._put(operation, source)
        else:
            lifecycle.safe_remove_tree(folder)
            return Done(operation, "done")
        answer = lifecycle.safe_replace_tree(folder, operation.path)
        if not answer["success"]:
            return self._owed(operation, answer)
        lifecycle.safe_remove_tree(folder)
        return Done(operation, "done")

    def _put(self, operation: Operation, source: Optional[Source]) -> str:
        assert source is not None
        folder = self.root.staging()
        self._make(os.path.dirname(folder))
        if os.path.lexists(folder):
            lifecycle.safe_remove_tree(folder)
        source.put(folder)
        problems = payload.verify(folder, source.payload.digest)
        if problems:
            raise PayloadError("{}: {}".format(operation.name, problems[0]))
        return folder

    def _write(self, operation: Operation, _: Optional[Source]) -> Done:
        self._make(os.path.dirname(operation.path))
        self._write_whole(operation.path, operation.data)
        return Done(operation, "done")

    def _switch(self, operation: Operation, _: Optional[Source]) -> Done:
        self._write_whole(operation.path, (operation.name + "\n").encode("ascii"))
        return Done(operation, "done")

    def _mark(self, operation: Operation, _: Optional[Source]) -> Done:
        self._make(os.path.dirname(operation.path))
        self._write_whole(operation.path, operation.data)
        return Done(operation, "done")

    def _keep(self, operation: Operation, _: Optional[Source]) -> Done:
        return Done(operation, "kept")

    def _remove(self, operation: Operation, _: Optional[Source]) -> Done:
        if operation.path == self.root.path:
            answer = lifecycle.safe_remove_tree(operation.path)
            if not answer["success"]:
                return self._owed(operation, answer)
            # It is not owed any more.
            lifecycle.schedule_deferred_cleanup(answer)
            return Done(operation, "done")
        with leases.Taking(operation.path) as alone:
            if not alone:
                return Done(operation, "owed", "a program that is still open runs it")
            answer = lifecycle.safe_remove_tree(operation.path)
        if not answer["success"]:
            # Not noted in the journal: it may be current again by the next start, which sweeps.
            return Done(operation, "owed", str(answer.get("message") or answer.get("reason") or ""))
        if answer.get("deferred_operation"):
            lifecycle.schedule_deferred_cleanup(answer)
        return Done(operation, "done")

    def _clear(self, operation: Operation, _: Optional[Source]) -> Done:
        names = [name for name in boot.NAMES if name not in ("README.txt", LEAVING)]
        for name in (*names, LEAVING):
            path = os.path.join(operation.path, name)
            if os.path.isdir(path) and not os.path.islink(path):
                answer = lifecycle.safe_remove_tree(path)
                if not answer["success"]:
                    return self._owed(operation, answer)
            # What says that all is to go goes last.
            elif os.path.lexists(path):
                os.unlink(path)
        return Done(operation, "done", operation.why)

    def _owe(self, operation: Operation, _: Optional[Source]) -> Done:
        found = lifecycle.inspect_install_root(operation.path)
        noted = lifecycle.schedule_deferred_cleanup(found)
        return Done(operation, "done" if noted["success"] else "kept", noted.get("message", ""))

    def _forget(self, operation: Operation, _: Optional[Source]) -> Done:
        for entry in self.entries(operation.path):
            lifecycle.drop_deferred(entry)
        return Done(operation, "done")

    def _unlink(self, operation: Operation, _: Optional[Source]) -> Done:
        try:
            os.unlink(operation.path)
        except FileNotFoundError:
            pass
        return Done(operation, "done")

    def _prune(self, operation: Operation, _: Optional[Source]) -> Done:
        try:
            os.rmdir(operation.path)
        except OSError:
            return Done(operation, "kept", "something else is in it")
        return Done(operation, "done")

    def _owed(self, operation: Operation, answer: Mapping[str, Any]) -> Done:
        noted = lifecycle.schedule_deferred_cleanup(dict(answer))
        detail = str(answer.get("message") or answer.get("reason") or "")
        if not noted.get("success"):
            detail += "; it could not be noted for the next start: {}".format(noted.get("message"))
        return Done(operation, "owed", detail)

    def _make(self, folder: str) -> None:
        """Make a folder and those above it, and remember those that are not in our root."""
        missing = []
        while not os.path.isdir(folder):
            if os.path.dirname(folder) == folder:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
            missing.append(folder)
            folder = os.path.dirname(folder)
        outside = [
            one
            for one in missing
            if one != self.root.path and not one.startswith(self.root.path + os.sep)
        ]
        for number, one in enumerate(reversed(missing)):
            try:
                os.mkdir(one)
            except OSError:
                # Nothing that leads nowhere is left.
                for made in missing[len(missing) - number :]:
                    os.rmdir(made)
                raise
        if outside:
            lines = dict.fromkeys((*outside, *self.made()))
            self._make(self.root.path)
            text = "".join(
                near(self.user, line, os.sep) + "\n"
                for line in sorted(lines, key=len, reverse=True)
            )
            self._write_whole(os.path.join(self.root.path, MADE), text.encode("ascii"))

    def _write_whole(self, path: str, data: bytes) -> None:
        """Put ``data`` at ``path`` in one step. What it is made of first is in our own folder.

        Hosts read whatever stands in theirs: Maya every file beside a module's, of any name.
        """
        self._make(self.root.path)
        scratch = os.path.join(self.root.path, ".new-{}".format(os.getpid()))
        try:
            with open(scratch, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            self._put_in_place(scratch, path, data)
        except BaseException:
            if os.path.exists(scratch):
                os.unlink(scratch)
            raise

    def _put_in_place(self, scratch: str, path: str, data: bytes) -> None:
        try:
            replace(scratch, path, self._sleep)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # A folder in the user folder may be a link to another volume. The texts are small.
            with open(path, "wb") as stream:
                stream.write(data)
            os.unlink(scratch)


def _barrier(path: str) -> Optional[str]:
    """Return what keeps ``path`` from being written, None if nothing is seen that does."""
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        if os.path.dirname(above) == above:
            return above
        above = os.path.dirname(above)
    effective = os.access in os.supports_effective_ids
    if not os.path.isdir(above) or not os.access(above, os.W_OK, effective_ids=effective):
        return above
    return path if os.path.isdir(path) else None
