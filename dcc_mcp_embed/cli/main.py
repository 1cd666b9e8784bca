"""Run a command. Each is a function of its module and returns an exit status."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, List

from ..errors import ConfigError, EmbedError, ToolError, Unreachable
from .arguments import make_parser, parse
from .streams import complete
from .text import complain

__all__ = ["main"]

#: Command -> module and function. A server has no room for the parts of the bridge, and the other
#: way round: each command is loaded when it is run.
_RUN = {
    "serve": (".serve", "run"),
    "bridge": ("..bridge.main", "bridge"),
    "instances": (".instances", "list_instances"),
    "tools": (".client", "list_tools"),
    "call": (".client", "call_tool"),
    "status": (".client", "status"),
    "stop-instance": (".stopping", "stop_instance"),
    "doctor": (".doctor", "doctor"),
    "secret": (".client", "secret"),
    "config": (".configure", "configure"),
    "demo": (".demo", "run"),
}
#: The exit status of each kind of error; the first that fits.
_STATUS = ((ConfigError, 2), (Unreachable, 3), (EmbedError, 1))


def _run(options: Any) -> int:
    module, function = _RUN[options.command]
    status: int = getattr(import_module(module, __package__), function)(options)
    return status


def main(arguments: List[str]) -> int:
    """Run one command; 0 success, 1 the command failed, 2 unusable arguments, 3 nothing reached."""
    complete()
    parser = make_parser()
    options = parse(parser, arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        return _run(options)
    except ToolError as error:
        hint = " " + error.hint if error.hint else ""
        complain("{}: {}{}".format(error.code, error.message, hint))
        return 1
    except EmbedError as error:
        complain(str(error))
        return next(status for kind, status in _STATUS if isinstance(error, kind))
    except RecursionError:
        complain("What was to be sent, or was answered, is nested too deeply.")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads has seen enough (``| head``). What is still in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
