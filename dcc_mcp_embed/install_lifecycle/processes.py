"""Processes by their number: whether one runs, since when, and how it is told to end.

A number is given to another process once its owner has ended and was waited for. So what is to be
signalled is opened first (:func:`open_process`), then looked at, then signalled: where the system
has handles for processes (Windows, Linux from Python 3.9 on) nothing can come in between.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Dict, Optional, Type, Union

__all__ = ["PosixProcess", "WindowsProcess", "adopt", "open_process", "reap", "runs"]

#: What we have launched and what may still have to be waited for, by its number.
_launched: Dict[int, subprocess.Popen[Any]] = {}


def adopt(child: subprocess.Popen[Any]) -> None:
    """Keep a child that we have launched, and that no thread waits for, until it was waited for.

    That is so on Windows, and where no thread can be started: at the end of an interpreter. Whoever
    asks for any process (``runs``, ``reap``) has all of these that have ended waited for.
    """
    reap()
    _launched[child.pid] = child


def reap() -> None:
    """Wait for those of our children that have ended; blocks never. Any thread."""
    for pid, child in list(_launched.items()):
        if child.poll() is not None:
            _launched.pop(pid, None)


def runs(pid: int) -> bool:
    """Return whether a process runs. One that has ended and was not waited for does not."""
    reap()
    try:
        process = open_process(pid)
    except OSError:
        return True  # somebody else's
    if process is None:
        return False
    try:
        return process.runs()
    finally:
        process.close()


def open_process(pid: int) -> Union[PosixProcess, WindowsProcess, None]:
    """Return the process with this number, to be closed; None if there is none.

    A zombie is opened, too. Raises OSError: there is one that cannot even be looked at.
    """
    kind: Type[Any] = WindowsProcess if sys.platform == "win32" else PosixProcess
    found = kind(pid)
    return found if found.exists else None


class PosixProcess:
    """One process of a POSIX system. One thread at a time."""

    #: Whether ``terminate`` asks, so that it can end in an orderly manner, or say no.
    asks = True

    def __init__(self, pid: int) -> None:
        """``exists`` is False afterwards if there is no such process."""
        self.pid = pid
        self.exists = False
        self._handle: Optional[int] = None
        self._mark: Any = None
        try:
            opener = getattr(os, "pidfd_open", None)  # Linux, 3.9 on
            if opener is not None:
                try:
                    self._handle = opener(pid)
                except ProcessLookupError:
                    return
                except OSError:
                    pass  # an old kernel, or one that forbids it
            os.kill(pid, 0)
            self.exists = True
        except (ProcessLookupError, OverflowError):
            self.close()
        except PermissionError:
            self.exists = True
        if self.exists:
            self._mark = _look(pid)[1]

    def runs(self) -> bool:
        """Return whether it has not ended."""
        if self._handle is not None:
            import select

            # Readable once it has ended, whoever has that number by now.
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            return not poll.poll(0)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        state, mark, _started = _look(self.pid)
        return state not in ("Z", "X") and mark == self._mark

    def started_at(self) -> Optional[float]:
        """Return the wall clock's time of its start as reckoned today; None if nobody knows."""
        started: Optional[float] = _look(self.pid)[2]
        return started

    def terminate(self) -> None:
        """Ask it to end (SIGTERM). Raises OSError; one that has ended by itself is fine."""
        import signal

        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without asking. Raises OSError; one that has ended by itself is fine."""
        import signal

        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _signal(self, number: int) -> None:
        try:
            if self._handle is None:
                if self.runs():
                    os.kill(self.pid, number)
            else:
                import signal

                sender: Any = signal
                sender.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Let go of it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _look(pid: int) -> Any:
    """Return (letter of its state or "", what tells it from others, wall time of its start)."""
    look = _look_on_a_mac if sys.platform == "darwin" else _look_in_proc
    try:
        return look(pid)
    except (OSError, ValueError, IndexError, AttributeError):
        return "", None, None


def _look_in_proc(pid: int) -> Any:
    with open("/proc/{}/stat".format(pid), "rb") as file:
        # The name stands in brackets and may hold anything, brackets too.
        fields = file.read().rpartition(b")")[2].split()
    ticks = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    # Counted from the boot, sleep included, in a clock that nobody sets.
    boot: Any = time
    since = boot.clock_gettime(boot.CLOCK_BOOTTIME) - ticks
    return fields[0].decode("ascii"), fields[19], time.time() - since


def _look_on_a_mac(pid: int) -> Any:
    import ctypes

    # kern.proc.pid.<pid>: a struct kinfo_proc. It begins with the time of the start, seconds and
    # microseconds; 36 bytes in is the state, 5 for a zombie.
    library: Any = ctypes.CDLL(None, use_errno=True)
    wanted = (ctypes.c_int * 4)(1, 14, 1, pid)
    room = ctypes.create_string_buffer(1024)
    size = ctypes.c_size_t(len(room))
    failed = library.sysctl(wanted, 4, room, ctypes.byref(size), None, ctypes.c_size_t(0))
    if failed or size.value < 40:
        raise OSError(ctypes.get_errno(), "the system does not tell about process", str(pid))
    seconds = ctypes.c_int64.from_buffer(room, 0).value
    micro = ctypes.c_int32.from_buffer(room, 8).value
    started = seconds + micro / 1e6
    return "Z" if room.raw[36] == 5 else "R", started, started


class WindowsProcess:
    """One process of Windows, whose number nobody else gets while it is open. One thread."""

    asks = False
    #: PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, PROCESS_TERMINATE.
    _LOOK, _END = 0x00101000, 0x1
    #: ERROR_INVALID_PARAMETER: no process has this number.
    _DENIED, _NOBODY, _TIMEOUT = 5, 87, 0x102
    #: FILETIME counts tenths of microseconds since 1601.
    _EPOCH, _PER_SECOND = 116444736000000000, 1e7

    def __init__(self, pid: int) -> None:
        """``exists`` is False afterwards if there is no such process. Raises OSError."""
        import ctypes

        self.pid = pid
        ct: Any = ctypes
        self._kernel: Any = ct.WinDLL("kernel32", use_last_error=True)
        self._kernel.OpenProcess.restype = ct.c_void_p
        self._handle: Optional[int] = None
        self._may_end = True
        if 0 < pid < 2**32:
            self._handle = self._kernel.OpenProcess(self._LOOK | self._END, False, pid)
            if not self._handle and ct.get_last_error() == self._DENIED:
                self._may_end = False
                self._handle = self._kernel.OpenProcess(self._LOOK, False, pid)
            if not self._handle and ct.get_last_error() != self._NOBODY:
                code = ct.get_last_error()
                raise OSError(0, "process {} cannot be opened: error {}".format(pid, code))
        self.exists = bool(self._handle)

    def _open(self) -> Any:
        import ctypes

        return ctypes.c_void_p(self._handle)

    def runs(self) -> bool:
        """Return whether it has not ended."""
        return bool(self._kernel.WaitForSingleObject(self._open(), 0) == self._TIMEOUT)

    def started_at(self) -> Optional[float]:
        """Return the wall clock's time of its start; None if nobody knows."""
        import ctypes

        times = (ctypes.c_uint64 * 4)()
        places = [ctypes.byref(times, 8 * one) for one in range(4)]
        if not self._kernel.GetProcessTimes(self._open(), *places):
            return None
        return float((times[0] - self._EPOCH) / self._PER_SECOND)

    def terminate(self) -> None:
        """End it; Windows knows no way to ask. Raises OSError."""
        import ctypes

        if not self._may_end:
            raise PermissionError(13, "process {} is not ours to end".format(self.pid))
        if not self._kernel.TerminateProcess(self._open(), 1) and self.runs():
            code = ctypes.get_last_error()  # type: ignore[attr-defined]
            raise OSError(0, "TerminateProcess failed with {}".format(code))

    kill = terminate

    def close(self) -> None:
        """Let go of it."""
        if self._handle:
            self._kernel.CloseHandle(self._open())
            self._handle = None
            self.exists = False
