"""What stands on the command line: commands, their options, and what names a server."""

from __future__ import annotations

import argparse
from typing import Callable, List, NamedTuple, Optional

from .. import __version__

__all__ = ["make_parser", "parse"]

_ABOUT = """\
An MCP server that lives inside Maya, Houdini, 3ds Max and Blender; on the command line with a
scene of its own. Start with: python3 -m dcc_mcp_embed demo
"""
#: The longest that a command may be told to wait, seconds: a day.
_LONGEST = 86400.0
_CLIENTS = "claude-desktop claude-code cursor vscode windsurf codex gemini".split()
_REGISTRY = "the service registry; default: DCC_MCP_REGISTRY_DIR, else the shared one"


def _seconds(text: str) -> float:
    """Return a time to wait. Raises ArgumentTypeError for what is none."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    # Not a number is not in any range.
    if not 0.0 < value <= _LONGEST:
        raise argparse.ArgumentTypeError(
            "{!r} is no number of seconds above 0, up to {:.0f}".format(text, _LONGEST)
        )
    return value


def _usage(command: str, more: str = "[options]") -> str:
    return "python3 -m dcc_mcp_embed {} (URL | --dcc NAME | --instance ID) {}".format(command, more)


def _add_selectors(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dcc", metavar="NAME", help="the one host of this kind that runs")
    command.add_argument("--instance", metavar="ID", help="an instance id, or how it begins")
    command.add_argument("--registry-dir", metavar="DIR", help="where to look; " + _REGISTRY)


def _add_timeout(command: argparse.ArgumentParser, default: float, what: str) -> None:
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=default,
        metavar="SECONDS",
        help="how long to wait for {} ({:g})".format(what, default),
    )


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "url", nargs="?", metavar="URL", help="http://127.0.0.1:PORT/mcp, without a token"
    )
    _add_selectors(command)


def _serve(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--adapter", metavar="NAME", help="the host; default: found by itself, else standalone"
    )
    command.add_argument(
        "--port", type=int, help="default: the host's preferred port, or any free one"
    )
    command.add_argument(
        "--no-auth", action="store_true", help="let every local process in, without a token"
    )
    command.add_argument(
        "--exec",
        dest="exec_mode",
        choices=("off", "confirm", "on"),
        help="whether clients may run code; default: off without a user interface",
    )
    command.add_argument(
        "--tools",
        nargs="+",
        action="append",
        default=[],
        metavar="MODULE_OR_FILE",
        help="add the tools declared there",
    )
    command.add_argument(
        "--profile",
        choices=("core", "full"),
        help="list the tools that most need, or all; default: core",
    )
    command.add_argument(
        "--gateway",
        action="store_true",
        help="let whoever reaches the dcc-mcp gateway call tools here, but none that runs code",
    )
    command.add_argument(
        "--qtserver",
        nargs="?",
        const=0,
        type=int,
        metavar="PORT",
        help="open a second port for a dcc-mcp sidecar, which shows no token: every local program "
        "can call tools there, but none that runs code; without PORT any free one",
    )
    command.add_argument(
        "--always-stream",
        action="store_true",
        help="answer MCP with streams of events always, which a client that lost its connection "
        "can take up again",
    )
    command.add_argument(
        "--registry-dir",
        metavar="DIR",
        help="the service registry to be entered in; default: the one all dcc-mcp programs share",
    )


def _bridge(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--http",
        type=int,
        metavar="PORT",
        help="serve clients over HTTP on this loopback port instead, 0 for any free one",
    )
    command.add_argument("--dcc", metavar="NAME", help="only hosts of this kind")
    command.add_argument(
        "--instance", metavar="PREFIX", help="only the instance whose id begins like this"
    )
    command.add_argument("--registry-dir", metavar="DIR", help="where to look; " + _REGISTRY)
    command.add_argument("--verbose", action="store_true", help="log more, on standard error")


def _instances(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print everything that is known")
    command.add_argument("--registry-dir", metavar="DIR", help=_REGISTRY)


def _tools(command: argparse.ArgumentParser) -> None:
    _add_target(command)
    command.add_argument("--json", action="store_true", help="print the full descriptions")


def _call(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "words",
        nargs="+",
        metavar="TOOL",
        help="the name of the tool, after the URL if there is one",
    )
    _add_selectors(command)
    command.add_argument(
        "--args",
        default="{}",
        metavar="JSON",
        help="the arguments, a JSON object; - reads it from standard input",
    )
    _add_timeout(command, 60.0, "its answer")


def _status(command: argparse.ArgumentParser) -> None:
    _add_target(command)
    _add_timeout(command, 3.0, "its answer")


def _stop_instance(command: argparse.ArgumentParser) -> None:
    _add_target(command)
    _add_timeout(command, 10.0, "a tool that runs there")


def _secret(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action",
        choices=("rotate",),
        help="rotate: replace it; every token given out stops working",
    )


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument("client", metavar="CLIENT", help=", ".join(_CLIENTS))
    way = command.add_mutually_exclusive_group()
    way.add_argument(
        "--bridge",
        action="store_true",
        help="the client starts a bridge to every host that runs, or to --dcc (default)",
    )
    way.add_argument(
        "--http", action="store_true", help="the client calls the one host that is named here"
    )
    command.add_argument(
        "--python",
        metavar="PATH",
        help="what starts the bridge; default: the Python that runs this",
    )
    command.add_argument("--name", help="what the client calls the server; default: dcc[-NAME]")
    act = command.add_mutually_exclusive_group()
    act.add_argument("--write", action="store_true", help="put it into the client's file")
    act.add_argument("--remove", action="store_true", help="take it out of the client's file")
    _add_selectors(command)


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument("--once", action="store_true", help="end after the scene is built")
    command.add_argument("--port", type=int)


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--in-host",
        action="store_true",
        help="have a running host check itself, in a new scene; the file that was open is opened "
        "again, unsaved changes are left alone",
    )
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    _add_selectors(command)
    _add_timeout(command, 300.0, "the report")


class _Command(NamedTuple):
    """One command: its name, what adds its options, what it is for, and how it is written."""

    name: str
    fill: Callable[[argparse.ArgumentParser], None]
    help: str
    usage: Optional[str] = None


_COMMANDS = (
    _Command("serve", _serve, "run a server and print one JSON line about it"),
    _Command(
        "bridge", _bridge, "serve an MCP client on stdin and stdout, with the tools of all hosts"
    ),
    _Command("instances", _instances, "list the servers that run on this machine"),
    _Command("tools", _tools, "list the tools of a server", _usage("tools")),
    _Command(
        "call", _call, "call a tool of a server", _usage("call", "TOOL [--args JSON] [options]")
    ),
    _Command(
        "status", _status, "say how a server and its host are, from outside", _usage("status")
    ),
    _Command(
        "stop-instance",
        _stop_instance,
        "stop a server; its host goes on, a `serve` ends",
        _usage("stop-instance"),
    ),
    _Command("doctor", _doctor, "say what is there, or have a host check itself, for a report"),
    _Command("secret", _secret, "the secret that all tokens are made from"),
    _Command(
        "config",
        _config,
        "let an MCP client know of the hosts: print it, or change the client's file",
    ),
    _Command("demo", _demo, "start a host, build a small scene by tool calls, keep serving"),
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python3 -m dcc_mcp_embed", description=_ABOUT)
    parser.add_argument("--version", action="version", version="dcc_mcp_embed " + __version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for one in _COMMANDS:
        one.fill(commands.add_parser(one.name, help=one.help, usage=one.usage))
    return parser


def parse(parser: argparse.ArgumentParser, arguments: List[str]) -> argparse.Namespace:
    """Return the options of a command, with what names its server checked.

    Ends the program with status 2, and words on stderr, for what cannot be used.
    """
    options, rest = parser.parse_known_args(arguments)
    if options.command == "call":
        # The tool's name may stand after options that follow the URL.
        words = options.words + [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
        options.tool = words.pop()
        options.url = words.pop() if words else None
        rest += words
    if rest:
        parser.error("unrecognized arguments: " + " ".join(rest))
    if "url" in options:
        selected = options.dcc is not None or options.instance is not None
        if selected == (options.url is not None):
            parser.error(
                "name the server, in one way: by its URL, or by --dcc and --instance "
                "(`instances` lists them)"
            )
    return options
