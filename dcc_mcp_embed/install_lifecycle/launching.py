"""Starting a sidecar beside a host: it is on its own from the first moment, and leaves no zombie.

A session of its own on POSIX, so that what a terminal sends to the host is not for it; on Windows
no console, and no handle of the host's but those of its logs. Nothing waits for it unless asked to.
"""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import contextmanager
from typing import (
    AbstractSet,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

from . import places, readiness, results
from .exclusive import open_plain
from .programs import check
from .sidecar import build_sidecar_command, child_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

__all__ = ["argv_metadata", "launch_sidecar", "popen_options"]

Result = Dict[str, Any]

#: Flags of CreateProcess, which only Windows' subprocess has names for.
_DETACHED_PROCESS = 0x00000008
_NEW_PROCESS_GROUP = 0x00000200
_NO_WINDOW = 0x08000000

_STREAMS = ("stdout", "stderr")
_UNSAFE = re.compile(r"[^\w.-]")
#: Bytes from the end of a log that come with the news of an early end.
_TAIL = 4096
#: Seconds that a thread is given to begin.
_BEGINNING = 2.0
_EXITED = "sidecar_exited_during_startup"


class _Log(NamedTuple):
    """One stream's file, open for the child, and where in it this child's lines begin."""

    handle: int
    path: str
    start: int


def launch_sidecar(
    *,
    dcc_type: Any,
    host_rpc: Any,
    watch_pid: Any = None,
    registry_dir: Any = None,
    server_bin: Any = None,
    instance_id: Any = None,
    display_name: Any = None,
    adapter_version: Any = None,
    discovery_mcp_url: Any = None,
    gateway_port: Any = None,
    gateway_host: Any = None,
    gateway_name: Any = None,
    gateway_remote_host: Any = None,
    gateway_remote_port: Any = None,
    connect_timeout_secs: Any = None,
    no_ensure_gateway: bool = False,
    legacy_gateway_election: bool = False,
    require_dispatch_capable: bool = False,
    extra_args: Optional[Iterable[Any]] = None,
    detached: bool = True,
    cwd: Any = None,
    env: Optional[Mapping[str, str]] = None,
    wait_ready_timeout_secs: Optional[float] = None,
    poll_interval_secs: float = 0.25,
    probe_tool: Optional[str] = None,
    probe_arguments: Optional[Mapping[str, Any]] = None,
    probe_timeout_secs: float = 3.0,
    stdio_log_dir: Any = None,
    capture_stdio: bool = True,
    liveness_check_secs: float = 0.0,
    return_process: bool = False,
    check_server_version: bool = False,
) -> Result:
    """Start what ``build_sidecar_command`` builds from the same arguments; return its contract.

    To it come ``status`` (``started``), ``pid``, ``stdio`` (where its output goes), ``liveness``,
    ``ready``, ``readiness_checked`` and ``readiness``. Returns at once, unless one of these asks
    for more, each in seconds on the calling thread:

    * ``liveness_check_secs``: wait so long for an early end;
    * ``wait_ready_timeout_secs``: then wait so long for its readiness (0: look once), not for that
      of a sidecar which was there before. ``success`` says that it was started, ``ready`` whether
      it can be used;
    * ``check_server_version``: up to 3 s.

    Whoever ends while somebody waits here is told of as ``status`` ``exited``, with an
    ``early_exit`` that has the end of its output. Other failures: those of
    ``build_sidecar_command``, ``stdio_log_failed``, ``spawn_failed``, and ``invalid_probe_args`` of
    arguments that are no JSON. ValueError, TypeError: of seconds that are no number, or have no
    end. Nothing was started then.

    The output is appended to files in ``stdio_log_dir`` (default: ``logs`` in the registry's
    directory), or dropped without ``capture_stdio``. ``return_process`` adds the ``Popen`` as
    ``process``, and leaves it to the caller to wait for it; else it is waited for when it ends.
    """
    liveness_secs = max(0.0, _seconds(liveness_check_secs or 0.0))
    interval, probe_secs = _seconds(poll_interval_secs), _seconds(probe_timeout_secs)
    ready_secs = None if wait_ready_timeout_secs is None else _seconds(wait_ready_timeout_secs)
    problem = _problem_of_probe(probe_tool, probe_arguments)
    if problem is not None:
        return results.failed(None, "invalid_probe_args", problem)
    places.tighten(registry_dir, child_environment(env), sys.platform)
    contract = build_sidecar_command(
        dcc_type=dcc_type,
        host_rpc=host_rpc,
        watch_pid=watch_pid,
        registry_dir=registry_dir,
        server_bin=server_bin,
        instance_id=instance_id,
        display_name=display_name,
        adapter_version=adapter_version,
        discovery_mcp_url=discovery_mcp_url,
        gateway_port=gateway_port,
        gateway_host=gateway_host,
        gateway_name=gateway_name,
        gateway_remote_host=gateway_remote_host,
        gateway_remote_port=gateway_remote_port,
        connect_timeout_secs=connect_timeout_secs,
        no_ensure_gateway=no_ensure_gateway,
        legacy_gateway_election=legacy_gateway_election,
        require_dispatch_capable=require_dispatch_capable,
        extra_args=extra_args,
        env=env,
        check_server_version=check_server_version,
    )
    if not contract["success"]:
        return contract
    about = {name: contract[name] for name in ("command", "server_binary", "registry_dir")}
    _make_registry(contract["registry_dir"])
    try:
        logs = _open_logs(contract, stdio_log_dir) if capture_stdio else []
    except (OSError, ValueError) as error:
        message = "The sidecar's output has nowhere to go: {}".format(error)
        path = getattr(error, "filename", None)
        return results.failed(path, "stdio_log_failed", message, **about)
    stdio = _stdio(logs)
    place, selector = contract["registry_dir"], contract["readiness_selector"]
    others = set() if ready_secs is None else readiness.who_is_there(place, selector)
    environ = child_environment(env)
    environ.update(contract["environment"]["set"])
    try:
        kind = _kind(return_process)
        process = _spawn(kind, contract["command"], environ, cwd, logs, detached)
    except _spawn_errors() as error:
        message = "The sidecar could not be started: {}".format(error)
        return results.failed(None, "spawn_failed", message, stdio=stdio, **about)
    finally:
        for log in logs:
            os.close(log.handle)
    try:
        launched = dict(
            contract,
            status="started",
            pid=process.pid,
            detached=detached,
            ready=False,
            readiness_checked=False,
            readiness=_not_checked(contract),
            stdio=stdio,
            liveness=_liveness(process, liveness_secs),
        )
        if ready_secs is not None and process.returncode is None:
            probe = readiness.Probe(probe_tool, probe_arguments, probe_secs)
            verdict = _verdict(process, contract, probe, ready_secs, interval, others)
            launched.update(readiness=verdict, readiness_checked=True, ready=verdict["ready"])
        if process.returncode is not None:
            launched.update(_early_exit(contract["command"], process.returncode, logs))
    except BaseException:
        _let_go(process)
        raise
    if return_process:
        launched["process"] = process
    else:
        _let_go(process)
    return launched


# Before: what it is to be asked, and where its output goes.


def _seconds(value: Any) -> float:
    """Return a number of seconds that is one, and finite. Raises TypeError, ValueError."""
    seconds = float(value)
    if seconds - seconds != 0.0:
        raise ValueError("no number of seconds: {!r}".format(value))
    return seconds


def _problem_of_probe(tool: Optional[str], arguments: Any) -> Optional[str]:
    """Return why no request can be made of a probe's arguments; None if one can, or need not."""
    if not tool:
        return None
    from .probing import request_of

    try:
        request_of(tool, arguments, "")
    except (TypeError, ValueError, RecursionError) as error:
        return "probe_arguments cannot be sent: {}".format(error)
    return None


def _make_registry(directory: str) -> None:
    """Make the registry's directory, if it can be made, before the sidecar does.

    Its one would be as the umask has it, and what others can write to is trusted by nobody.
    """
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except (OSError, ValueError):
        pass  # the sidecar has something to say about that


def _open_logs(contract: Result, directory: Any) -> List[_Log]:
    """Open a file for each stream. Raises OSError, ValueError; nothing is left open then.

    They have the names that the reference gives them.
    """
    where = results.to_path(directory)
    if where is None:
        where = os.path.join(contract["registry_dir"], "logs")
        os.makedirs(where, mode=0o700, exist_ok=True)
    who = contract["readiness_selector"]["instance_id"] or contract["watch_pid"]
    kind = _UNSAFE.sub("-", contract["dcc_type"].lower())[:64].strip("-._") or "unknown"
    stem = "sidecar-{}-{}".format(kind, who)
    os.makedirs(where, exist_ok=True)
    logs: List[_Log] = []
    try:
        for stream in _STREAMS:
            logs.append(_open_log(os.path.join(where, "{}.{}.log".format(stem, stream))))
    except BaseException:
        for log in logs:
            os.close(log.handle)
        raise
    return logs


def _open_log(path: str) -> _Log:
    import stat

    # The directory may be one in which others can put things: no links, and nothing that blocks.
    handle = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a file", path)
        # On Windows appending is Python's affair: the child goes on from here.
        start = os.lseek(handle, 0, os.SEEK_END)
    except BaseException:
        os.close(handle)
        raise
    return _Log(handle, path, start)


def _stdio(logs: List[_Log]) -> Result:
    told: Result = {"captured": bool(logs)}
    if logs:
        told["log_dir"] = os.path.dirname(logs[0].path)
    for stream, log in zip(_STREAMS, logs or (None, None)):
        told[stream + "_path"] = log.path if log else None
        told[stream + "_start_offset"] = log.start if log else None
    told["message"] = "Its output goes to {}.".format("log files" if logs else "nobody")
    return told


# The start itself.


def popen_options(windows: bool, detached: bool) -> Dict[str, Any]:
    """Return what keeps a child apart from its parent, as keywords of Popen."""
    # On Windows, too: then it inherits the three streams that it is given and no other handle.
    options: Dict[str, Any] = {"close_fds": True}
    if detached and windows:
        options["creationflags"] = _DETACHED_PROCESS | _NEW_PROCESS_GROUP | _NO_WINDOW
    elif detached:
        options["start_new_session"] = True
    return options


def _spawn(
    kind: Any,
    command: List[str],
    environ: Dict[str, str],
    cwd: Any,
    logs: List[_Log],
    detached: bool,
) -> subprocess.Popen[bytes]:
    import subprocess

    check(command[0])
    stdout, stderr = [log.handle for log in logs] or [subprocess.DEVNULL] * 2
    with _hearing_the_end():
        child: subprocess.Popen[bytes] = kind(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=results.to_path(cwd),
            env=environ,
            **popen_options(os.name == "nt", detached),
        )
    return child


@contextmanager
def _hearing_the_end() -> Iterator[None]:
    """Have the child hear SIGTERM, also where a thread of the host's does not.

    A child has the signal mask of the thread that starts it, and keeps it for ever.
    """
    if os.name == "nt":
        yield
        return
    import signal

    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kind(callers: bool) -> Any:
    """Return the class of the child: the usual one if it is the caller's."""
    import subprocess

    usual: Any = subprocess.Popen
    if callers:
        return usual

    class Child(usual):  # type: ignore[misc]
        """One that may outlive us, of which Python would warn."""

        def __del__(self) -> None:
            pass

    return Child


def _spawn_errors() -> Tuple[Any, ...]:
    import subprocess

    return (OSError, ValueError, TypeError, subprocess.SubprocessError)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Have a child waited for when it ends, by somebody else than the caller."""
    if process.returncode is not None:
        return
    if os.name == "nt" or not _wait_aside(process.pid):
        from .processes import adopt

        adopt(process)


def _wait_aside(pid: int) -> bool:
    """Have a thread wait for a child, up to its end; return whether there is one, which has begun.

    The thread runs no line of Python and makes hardly a Python object: in a host with Qt, the
    collection of garbage that an allocation can set off must not happen on it. Nor does it take a
    signal of the host's. If others have waited for the child meanwhile, it ends in silence. It
    lasts as long as the child and is a daemon thread like any other: a host that ends its
    interpreter and makes another one in the same process has to stop its sidecars before.
    """
    import _thread
    import signal

    try:
        import ctypes

        wait = ctypes.CDLL(None).waitpid
        wait.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
        every = getattr(signal, "valid_signals", lambda: range(1, signal.NSIG))()  # 3.8 on
        before = signal.pthread_sigmask(signal.SIG_SETMASK, every)
        begun = _thread.allocate_lock()
        begun.acquire()
        # One call of ``wait``, whose second argument the thread gets by saying that it has begun.
        waiting = map(wait, (pid,), iter(begun.release, 0), (0,))
        try:
            _thread.start_new_thread(any, (waiting,))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # An interpreter that ends before a thread has begun takes from it what it begins with, and
        # the process crashes (seen in 3.9).
        begun.acquire(True, _BEGINNING)
    except (ImportError, OSError, AttributeError, ValueError, RuntimeError):
        return False  # the interpreter is ending, say
    return True


# After: what came of it.


def _liveness(process: subprocess.Popen[bytes], seconds: float) -> Result:
    """Wait so long for the child's end and say whether it came."""
    import subprocess

    if not seconds > 0:
        return {
            "checked": False,
            "alive": None,
            "timeout_secs": seconds,
            "elapsed_secs": 0.0,
            "exit_code": None,
            "message": "Nobody asked whether it stays.",
        }
    began = time.monotonic()
    try:
        code: Optional[int] = process.wait(seconds)
    except subprocess.TimeoutExpired:
        code = None
    return {
        "checked": True,
        "alive": code is None,
        "timeout_secs": seconds,
        "elapsed_secs": round(time.monotonic() - began, 3),
        "exit_code": code,
        "message": (
            "It still ran after {:g} s.".format(seconds)
            if code is None
            else "It ended within {:g} s of its start.".format(seconds)
        ),
    }


def _not_checked(contract: Result) -> Result:
    promised = contract["readiness_contract"]
    return {
        "success": False,
        "status": "not_checked" if promised["dispatch_ready_capable"] else "dispatch_not_capable",
        "ready": False,
        "checked": False,
        "selector": contract["readiness_selector"],
        "message": promised["message"],
        "recommended_next_action": contract["recommended_next_action"],
    }


def _verdict(
    process: subprocess.Popen[bytes],
    contract: Result,
    probe: readiness.Probe,
    timeout: float,
    interval: float,
    others: AbstractSet[readiness.Who],
) -> Result:
    """Wait for readiness, or until the child has ended; with 0, too, if its host is gone, say.

    ``others``: those whose rows were there before the child.
    """
    place, selector = contract["registry_dir"], contract["readiness_selector"]
    if timeout > 0:
        return readiness.await_ready(
            place,
            selector,
            probe,
            timeout,
            interval,
            gone=lambda: process.poll() is not None,
            others=others,
        )
    verdict = readiness.look(place, selector, probe, others=others)
    process.poll()
    return verdict


def _early_exit(command: List[str], code: int, logs: List[_Log]) -> Result:
    told: Result = {
        "exit_code": code,
        "reason": _EXITED,
        "argv_metadata": argv_metadata(command),
        "stdio_captured": bool(logs),
        "tail_bytes": _TAIL,
        "tail_errors": {},
    }
    for stream, log in zip(_STREAMS, logs or (None, None)):
        told[stream + "_path"] = log.path if log else None
        told[stream + "_start_offset"] = log.start if log else None
        told[stream + "_tail"] = None
        try:
            told[stream + "_tail"] = _tail(log) if log else None
        except OSError as error:
            told["tail_errors"][stream] = str(error)
    return {
        "success": False,
        "status": "exited",
        "reason": _EXITED,
        "message": "The sidecar ended as soon as it was started, with {}.".format(code),
        "early_exit": told,
        "ready": False,
    }


def argv_metadata(command: List[str]) -> Result:
    """Return a command without its values, which may be nobody's business."""
    flags = [one.partition("=")[0] for one in command[2:] if one.startswith("--")]
    return {
        "program": re.split(r"[/\\]", command[0])[-1],
        "subcommand": command[1] if len(command) > 1 else None,
        "flags": flags,
    }


def _tail(log: _Log) -> Optional[str]:
    with open(log.path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(log.start, end - _TAIL))
        text = file.read(_TAIL).decode("utf-8", "replace").strip()
    return text or None
