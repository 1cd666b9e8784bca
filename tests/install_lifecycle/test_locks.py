"""What an OSError means, by the tables of Windows and of POSIX."""

from __future__ import annotations

import errno

import pytest

from dcc_mcp_embed.install_lifecycle import locks
from fakes.trees import posix_error, windows_error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (5, "locked"),
        (32, "locked"),
        (33, "locked"),
        (145, "locked"),
        (303, "locked"),
        (1224, "locked"),
        (2, "absent"),
        (3, "absent"),
        (206, "absent"),
        (17, "other_volume"),
        (80, "exists"),
        (183, "exists"),
        (112, "no_space"),
        (39, "no_space"),
        (1314, "other"),
        (1392, "other"),
    ],
)
@pytest.mark.parametrize("windows", [True, False])
def test_numbers_of_windows(code, kind, windows):
    error = windows_error(code)
    assert locks.kind_of(error, windows) == kind
    assert locks.is_lock(error, windows) == (kind == "locked")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EACCES, "denied"),
        (errno.EPERM, "denied"),
        (errno.ENOSPC, "no_space"),
        (errno.EROFS, "read_only"),
        (errno.EBUSY, "mounted"),
        (errno.ENOENT, "absent"),
        (errno.EEXIST, "exists"),
        (errno.ENOTEMPTY, "exists"),
        (errno.EXDEV, "other_volume"),
        (errno.EIO, "other"),
    ],
)
def test_numbers_of_posix_are_no_locks(code, kind):
    assert locks.kind_of(posix_error(code), windows=False) == kind
    assert not locks.is_lock(posix_error(code), windows=False)


def test_open_on_windows_tells_no_number_of_its_own():
    error = PermissionError(errno.EACCES, "Permission denied", "x")
    assert locks.is_lock(error, windows=True)
    assert not locks.is_lock(error, windows=False)
    assert locks.kind_of(PermissionError(errno.EPERM, "no"), windows=True) == "denied"
    assert locks.kind_of(OSError("no number at all"), windows=True) == "other"


def test_the_path_that_is_locked():
    assert locks.locked_path(posix_error(13, "a"), "b") == "a"
    assert locks.locked_path(posix_error(13, b"a"), "b") == "a"
    assert locks.locked_path(OSError(13, "no"), "b") == "b"
    assert locks.locked_path(OSError(13, "no", 7), "b") == "b"
    assert locks.locked_path(posix_error(13, "\\\\?\\C:\\a"), "b") == "C:\\a"
    error = OSError(13, "no", None)
    error.filename2 = "c"
    assert locks.locked_path(error, "b") == "c"


class Held:
    """Refuses some calls, then answers."""

    def __init__(self, times, error):
        self._left = times
        self._error = error

    def __call__(self):
        if self._left:
            self._left -= 1
            raise self._error
        return "done"


def test_what_is_held_for_a_moment_is_tried_again():
    slept = []
    patience = locks.Patience(slept.append, (1.0, 2.0, 3.0))
    assert patience.attempt(Held(2, windows_error(32))) == "done"
    assert slept == [1.0, 2.0]


def test_the_waiting_is_spent_once_for_all_files():
    slept = []
    patience = locks.Patience(slept.append, (1.0, 2.0))
    for _ in range(3):
        with pytest.raises(PermissionError):
            patience.attempt(Held(99, windows_error(32)))
    assert slept == [1.0, 2.0]
    assert patience.attempt(Held(0, None)) == "done"


def test_another_step_has_a_patience_of_its_own():
    slept = []
    patience = locks.Patience(slept.append, (1.0,))
    with pytest.raises(PermissionError):
        patience.attempt(Held(99, windows_error(32)))
    assert patience.anew((2.0,)).attempt(Held(1, windows_error(32))) == "done"
    assert slept == [1.0, 2.0]
    assert sum(locks.GAP_DELAYS) > 2 * sum(locks.RETRY_DELAYS)


def test_what_will_not_pass_is_not_waited_for():
    slept = []
    patience = locks.Patience(slept.append)
    with pytest.raises(OSError, match="space"):
        patience.attempt(Held(1, posix_error(errno.ENOSPC)))
    assert slept == []
    assert sum(locks.RETRY_DELAYS) <= 1.0
