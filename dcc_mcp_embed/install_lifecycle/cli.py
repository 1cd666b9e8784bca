"""The command line: one JSON object on stdout, whatever happens.

The status is 0 for a result that says ``success``, 1 for one that does not, 2 for arguments that
cannot be understood (with the usage on stderr), 130 after Ctrl-C. ``inspect`` succeeds also when it
says ``requires_restart``. A ``--target-version`` with nothing on one side of its ``=`` is refused;
the reference drops it and plans as if it had not been given.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, TextIO, Tuple

from .results import failed

__all__ = ["main"]

_PROGRAM = "python3 -m {}".format(__package__)
_ABOUT = "What an installer does around a running host: layout, sidecar, runtime state, safe trees."

Result = Dict[str, Any]


class _Misunderstood(Exception):
    """The arguments cannot be understood; ``usage`` says how they are written."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class _Refused(Exception):
    """An argument cannot be used; ``reason`` is a word for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Parser(argparse.ArgumentParser):
    """Says what is wrong to its caller, not to a terminal."""

    def error(self, message: str) -> NoReturn:
        raise _Misunderstood(message, self.format_usage())


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command, print its result as JSON, return the exit status.

    ``argv``: without the program's name; None: the process's own. ``--help`` raises SystemExit.
    """
    try:
        status, result = _answer(argv)
    except KeyboardInterrupt:
        status, result = 130, failed(None, "interrupted", "It was interrupted.")
    try:
        text = _text(result)
    except (TypeError, ValueError, RecursionError) as error:
        message = "The result is no JSON ({}).".format(error)
        status, text = 1, _text(failed(None, "unexpected_error", message))
    try:
        _print(text, sys.stdout)
    except KeyboardInterrupt:
        status = 130
    return status


def _answer(argv: Optional[Sequence[str]]) -> Tuple[int, Result]:
    """Return the exit status of one command and its result."""
    try:
        arguments = _parser().parse_args(None if argv is None else list(argv))
    except _Misunderstood as error:
        _print(error.usage, sys.stderr)
        return 2, failed(None, "invalid_arguments", str(error))
    try:
        result = arguments.run(arguments)
    except _Refused as error:
        result = failed(None, error.reason, str(error))
    except Exception as error:
        message = "{}: {}".format(type(error).__name__, error)
        result = failed(None, "unexpected_error", message)
    return 0 if result.get("success") else 1, result


def _text(result: Result) -> str:
    # ASCII, which every console and pipe can take.
    return json.dumps(result, indent=2, sort_keys=True, default=str, allow_nan=False) + "\n"


def _print(text: str, stream: Optional[TextIO]) -> None:
    if stream is None:
        return  # a program of Windows without a console
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        # Whoever reads has seen enough (``| head``). Python flushes once more when it ends.
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except OSError:
            pass  # it is no file


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=_PROGRAM, description=_ABOUT)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, about, add, run in _COMMANDS:
        command = commands.add_parser(name, help=about, description=about)
        add(command)
        if run is not None:
            command.set_defaults(run=run)
    return parser


# What several commands take.


def seconds(text: str) -> float:
    """Return a number of seconds, which is no infinity either. Raises ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _add_registry(command: argparse.ArgumentParser) -> None:
    command.add_argument("--registry-dir", metavar="DIR", help="where the registry is")


def _add_rows(command: argparse.ArgumentParser, role: Optional[str] = None) -> None:
    _add_registry(command)
    command.add_argument("--dcc-type", metavar="NAME", help="rows of this kind of host only")
    command.add_argument("--role", default=role, help="rows of this role only (%(default)s)")


def _add_probe(command: argparse.ArgumentParser) -> None:
    command.add_argument("--poll-interval-secs", type=seconds, default=0.25, metavar="SECONDS")
    command.add_argument("--probe-tool", metavar="NAME", help="ready only if this tool answers")
    command.add_argument("--probe-args-json", metavar="JSON", help="its arguments, an object")
    command.add_argument("--probe-timeout-secs", type=seconds, default=3.0, metavar="SECONDS")


def _probe(arguments: argparse.Namespace) -> Result:
    return {
        "poll_interval_secs": arguments.poll_interval_secs,
        "probe_tool": arguments.probe_tool,
        "probe_arguments": _probe_arguments(arguments.probe_args_json),
        "probe_timeout_secs": arguments.probe_timeout_secs,
    }


def _probe_arguments(text: Optional[str]) -> Optional[Dict[str, Any]]:
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Refused(
            "invalid_probe_args", "--probe-args-json is no JSON: {}".format(error)
        ) from None
    if not isinstance(value, dict):
        raise _Refused("invalid_probe_args", "--probe-args-json takes an object.")
    return value


# Runtime state.


def _add_query(command: argparse.ArgumentParser) -> None:
    _add_rows(command)
    command.add_argument("--install-root", metavar="DIR", help="rows installed there only")
    command.add_argument("--include-dead", action="store_true", help="also rows of ended processes")


def _query(arguments: argparse.Namespace) -> Result:
    from . import query_runtime_state

    return query_runtime_state(
        arguments.registry_dir,
        dcc_type=arguments.dcc_type,
        role=arguments.role,
        install_root=arguments.install_root,
        include_dead=arguments.include_dead,
    )


def _add_stop(command: argparse.ArgumentParser) -> None:
    from . import ROLE_PER_DCC_SIDECAR

    _add_rows(command, ROLE_PER_DCC_SIDECAR)
    command.add_argument("--install-root", metavar="DIR", help="rows installed there only")
    command.add_argument("--timeout-secs", type=seconds, default=5.0, metavar="SECONDS")
    command.add_argument(
        "--include-host-processes",
        action="store_true",
        help="end hosts too where there is no sidecar to end",
    )
    command.add_argument("--kill", action="store_true", help="end by force what does not end")


def _stop(arguments: argparse.Namespace) -> Result:
    from . import stop_runtime_entries

    return stop_runtime_entries(
        arguments.registry_dir,
        dcc_type=arguments.dcc_type,
        role=arguments.role,
        install_root=arguments.install_root,
        timeout_secs=arguments.timeout_secs,
        include_host_processes=arguments.include_host_processes,
        kill=arguments.kill,
    )


def _add_plan(command: argparse.ArgumentParser) -> None:
    _add_rows(command)
    command.add_argument(
        "--target-version",
        action="append",
        default=[],
        metavar="COMPONENT=VERSION",
        help="what is to run; may be given several times",
    )


def _plan(arguments: argparse.Namespace) -> Result:
    from . import plan_runtime_updates

    return plan_runtime_updates(
        registry_dir=arguments.registry_dir,
        dcc_type=arguments.dcc_type,
        role=arguments.role,
        target_versions=_target_versions(arguments.target_version),
    )


def _target_versions(texts: List[str]) -> Dict[str, str]:
    found = {}
    for text in texts:
        key, equals, version = (part.strip() for part in text.partition("="))
        if not (key and equals and version):
            raise _Refused(
                "invalid_target_version",
                "--target-version takes COMPONENT=VERSION, not {!r}.".format(text),
            )
        found[key] = version
    return found


# The deployment.


def _add_layout(command: argparse.ArgumentParser) -> None:
    command.add_argument("--cache-root", metavar="DIR", help="the folder that has the packages")
    command.add_argument(
        "--package",
        action="append",
        metavar="NAME",
        help="instead of the usual ones; may be given several times",
    )
    command.add_argument("--adapter-package", metavar="NAME", help="one more package")


def _layout(arguments: argparse.Namespace) -> Result:
    from . import resolve_deployment_layout

    return resolve_deployment_layout(
        arguments.cache_root,
        packages=arguments.package,
        adapter_package=arguments.adapter_package,
    )


# The sidecar.

#: Options of a sidecar's command that are passed on as they are: name, type, whether required.
_SIDECAR_OPTIONS: Tuple[Tuple[str, Callable[[str], Any], bool], ...] = (
    ("host-rpc", str, True),
    ("watch-pid", int, True),
    ("registry-dir", str, False),
    ("server-bin", str, False),
    ("instance-id", str, False),
    ("display-name", str, False),
    ("adapter-version", str, False),
    ("discovery-mcp-url", str, False),
    ("gateway-port", int, False),
    ("gateway-host", str, False),
    ("gateway-name", str, False),
    ("gateway-remote-host", str, False),
    ("gateway-remote-port", int, False),
    ("connect-timeout-secs", int, False),
)
_SIDECAR_FLAGS = (
    "no-ensure-gateway",
    "legacy-gateway-election",
    "require-dispatch-capable",
    "check-server-version",
)


def _key(option: str) -> str:
    return option.replace("-", "_")


def _add_sidecar(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dcc-type", "--dcc", required=True, metavar="NAME")
    for name, kind, required in _SIDECAR_OPTIONS:
        command.add_argument("--" + name, type=kind, required=required)
    for name in _SIDECAR_FLAGS:
        command.add_argument("--" + name, action="store_true")
    command.add_argument(
        "--extra-sidecar-arg",
        action="append",
        default=[],
        metavar="ARG",
        help="goes to the sidecar as it is; --extra-sidecar-arg=--flag for one with dashes",
    )


def _sidecar(arguments: argparse.Namespace) -> Result:
    keys = ["dcc_type", *(_key(name) for name, _, _ in _SIDECAR_OPTIONS)]
    keys += [_key(name) for name in _SIDECAR_FLAGS]
    chosen = {key: getattr(arguments, key) for key in keys}
    return dict(chosen, extra_args=arguments.extra_sidecar_arg)


def _sidecar_command(arguments: argparse.Namespace) -> Result:
    from . import build_sidecar_command

    return build_sidecar_command(**_sidecar(arguments))


def _add_launch(command: argparse.ArgumentParser) -> None:
    _add_sidecar(command)
    _add_probe(command)
    command.add_argument("--foreground", action="store_true", help="do not detach it")
    command.add_argument(
        "--wait-ready-timeout-secs", type=seconds, metavar="SECONDS", help="wait until it is ready"
    )
    command.add_argument("--stdio-log-dir", metavar="DIR", help="where its output goes")
    command.add_argument("--no-stdio-log", action="store_true", help="throw its output away")
    command.add_argument(
        "--liveness-check-secs",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="how long to watch whether it ends at once (%(default)s)",
    )


def _launch(arguments: argparse.Namespace) -> Result:
    from . import launch_sidecar

    return launch_sidecar(
        detached=not arguments.foreground,
        wait_ready_timeout_secs=arguments.wait_ready_timeout_secs,
        stdio_log_dir=arguments.stdio_log_dir,
        capture_stdio=not arguments.no_stdio_log,
        liveness_check_secs=arguments.liveness_check_secs,
        **_probe(arguments),
        **_sidecar(arguments),
    )


def _add_ready(command: argparse.ArgumentParser) -> None:
    _add_registry(command)
    command.add_argument("--dcc-type", "--dcc", metavar="NAME")
    command.add_argument("--instance-id", metavar="ID", help="or how it begins")
    command.add_argument("--host-rpc", metavar="URI")
    command.add_argument(
        "--timeout-secs", type=seconds, default=0.0, metavar="SECONDS", help="0: look once"
    )
    _add_probe(command)


def _ready(arguments: argparse.Namespace) -> Result:
    from . import sidecar_readiness_status, wait_for_sidecar_ready

    selector = {key: getattr(arguments, key) for key in ("dcc_type", "instance_id", "host_rpc")}
    options = _probe(arguments)
    if arguments.timeout_secs > 0:
        options["timeout_secs"] = arguments.timeout_secs
        return wait_for_sidecar_ready(arguments.registry_dir, **selector, **options)
    del options["poll_interval_secs"]
    return sidecar_readiness_status(arguments.registry_dir, **selector, **options)


# Trees.


def _add_root(command: argparse.ArgumentParser) -> None:
    command.add_argument("root", metavar="ROOT")


def _inspect(arguments: argparse.Namespace) -> Result:
    from . import inspect_install_root

    return inspect_install_root(arguments.root)


def _add_path(command: argparse.ArgumentParser) -> None:
    command.add_argument("path", metavar="PATH")


def _remove(arguments: argparse.Namespace) -> Result:
    from . import safe_remove_tree

    return safe_remove_tree(arguments.path)


def _add_replace(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", metavar="SOURCE")
    command.add_argument("destination", metavar="DESTINATION")


def _replace(arguments: argparse.Namespace) -> Result:
    from . import safe_replace_tree

    return safe_replace_tree(arguments.source, arguments.destination)


def _add_deferred(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="say what is owed")
    listing.set_defaults(run=_deferred_list)
    running = actions.add_parser("run", help="carry it out")
    running.add_argument("--given-up", action="store_true", help="also what was given up")
    running.set_defaults(run=_deferred_run)
    dropping = actions.add_parser("drop", help="forget one entry; nothing is carried out")
    dropping.add_argument("id", metavar="ID", help="as of list, or how it begins")
    dropping.set_defaults(run=_deferred_drop)


def _deferred_list(_arguments: argparse.Namespace) -> Result:
    from . import list_deferred

    return list_deferred()


def _deferred_run(arguments: argparse.Namespace) -> Result:
    from . import run_deferred_cleanup

    # Nobody's start-up waits for this one.
    return run_deferred_cleanup(budget_secs=float("inf"), given_up=arguments.given_up)


def _deferred_drop(arguments: argparse.Namespace) -> Result:
    from . import drop_deferred

    return drop_deferred(arguments.id)


_Add = Callable[[argparse.ArgumentParser], None]
_Run = Optional[Callable[[argparse.Namespace], Result]]
_COMMANDS: Tuple[Tuple[str, str, _Add, _Run], ...] = (
    ("query", "Say what runs, by the registry.", _add_query, _query),
    ("stop", "End sidecars.", _add_stop, _stop),
    ("layout", "Say where packages are.", _add_layout, _layout),
    ("sidecar-command", "Say how a sidecar is started.", _add_sidecar, _sidecar_command),
    ("launch-sidecar", "Start a sidecar.", _add_launch, _launch),
    ("sidecar-ready", "Say whether a sidecar takes calls.", _add_ready, _ready),
    ("plan-update", "Say what has to be restarted for other versions.", _add_plan, _plan),
    ("inspect", "Say whether a tree is in use.", _add_root, _inspect),
    ("remove", "Remove a tree, or leave it as it is.", _add_path, _remove),
    ("replace", "Replace a tree by another, or leave it as it is.", _add_replace, _replace),
    ("deferred", "What waits for the next start.", _add_deferred, None),
)
