"""The command line: ``python3 -m dcc_mcp_embed.installers install --host maya``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, TextIO

from ..errors import ConfigError
from . import api, hosts

__all__ = ["main"]

#: Action -> (what does it, whether it changes anything, help).
_ACTIONS: Dict[str, Any] = {
    "install": (api.install, True, "install this version into a host's user folder"),
    "upgrade": (api.upgrade, True, "the same, only where some version is installed"),
    "repair": (api.repair, True, "put right what is damaged or missing"),
    "uninstall": (api.uninstall, True, "remove everything of ours"),
    "status": (api.status, False, "tell what is installed, and who runs it"),
    "verify": (api.verify, False, "compare every file with its checksum"),
    "doctor": (api.doctor, False, "look for whatever may keep it from working"),
}
_BUNDLE = "Make what is handed out, one file for each host, and their checksums."
_SIGNS = {"done": "  done     ", "owed": "  owed     ", "kept": "  kept     ", "planned": "  "}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m dcc_mcp_embed.installers",
        description="Install dcc_mcp_embed into a host, keep it whole, and take it out again.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.required = True
    for name, (_, changes, about) in _ACTIONS.items():
        one = actions.add_parser(name, help=about, description=about.capitalize() + ".")
        one.add_argument("--host", required=True, choices=sorted(hosts.HOSTS))
        one.add_argument("--version", help="of the host, as its user folder is called")
        one.add_argument("--target", metavar="DIR", help="the host's user folder itself")
        one.add_argument("--json", action="store_true", help="print one JSON object")
        if changes:
            one.add_argument("--dry-run", action="store_true", help="only say what would be done")
            one.add_argument("--yes", action="store_true", help="do not ask")
        if changes and name != "uninstall":
            one.add_argument("--archive", metavar="FILE", help="a payload; else this very version")
            one.add_argument("--digest", help="that the archive's payload must have")
        if name == "uninstall":
            help_clients = "also take every server of ours out of the files of MCP clients"
            one.add_argument("--clients", action="store_true", help=help_clients)
    bundling = actions.add_parser(
        "bundle", help="make what is handed out: one file for each host", description=_BUNDLE
    )
    bundling.add_argument("--out", metavar="DIR", default="dist", help="where (default: dist)")
    bundling.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Return the exit status: 0, 1 if something is wrong or was not done, 2 for a wrong call."""
    options = vars(_parser().parse_args(arguments))
    action, as_json = options.pop("action"), options.pop("json")
    function = _bundle if action == "bundle" else _ACTIONS[action][0]
    sure = options.pop("yes", True)
    if action == "uninstall":
        # What this very command has loaded may be what is to go; nothing is served from here.
        options["stopped"] = True
    try:
        if not sure and not options["dry_run"] and not _agreed(function, options):
            raise ConfigError("Nothing was done. Call it again with --yes to do that")
        report = function(**options)
    except KeyboardInterrupt:
        return _failed(action, "It was stopped; the same command goes on from here", as_json)
    except (ConfigError, OSError) as error:
        return _failed(action, str(error), as_json)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        _say("\n".join(_lines(report)), sys.stdout)
    return 0 if report["success"] else 1


def _failed(action: str, message: str, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"success": False, "action": action, "message": message}))
    else:
        _say("{}: {}".format(action, message), sys.stderr)
    return 1


def _say(text: str, stream: Optional[TextIO]) -> None:
    """Print paths that may hold what is no text, in whatever encoding there is."""
    if stream is not None:
        encoding = getattr(stream, "encoding", None) or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def _bundle(out: str) -> Dict[str, Any]:
    from .artefacts import bundle

    made = [{"path": path, "sha256": digest} for path, digest in bundle(out)]
    return {"success": True, "action": "bundle", "files": made, "folders": []}


def _agreed(function: Callable[..., Any], options: Dict[str, Any]) -> bool:
    planned = function(**dict(options, dry_run=True))
    parts = [folder["operations"] for folder in planned["folders"]]
    if not any(map(_changes, [*parts, planned.get("clients", ())])):
        # There is nothing to agree to. What is refused is told by whoever is to do it.
        return True
    _say("\n".join(_lines(planned)), sys.stderr)
    if not sys.stdin or not sys.stdin.isatty() or not sys.stderr:
        return False
    print("Do that? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _changes(operations: Sequence[Dict[str, Any]]) -> bool:
    """Return whether anything will be other than before; what is refused is so as a whole."""
    kinds = {one["operation"] for one in operations}
    return "refuse" not in kinds and not kinds <= {"keep"}


def _line(operation: Dict[str, Any]) -> str:
    detail = " ({})".format(operation["detail"]) if operation.get("detail") else ""
    return _SIGNS[operation["status"]] + str(operation["text"]) + detail


def _lines(report: Dict[str, Any]) -> List[str]:
    lines = ["{sha256}  {path}".format(**one) for one in report.get("files", ())]
    for one in report.get("clients", ()):
        lines.append(_line(one))
    for folder in report["folders"]:
        nothing = "no version is started" if folder["problems"] else "nothing of ours"
        state = folder["current"] or nothing
        lines.append("{}: {}".format(folder["path"], state))
        for one in folder["operations"]:
            lines.append(_line(one))
        if "dry_run" in report and not folder["operations"]:
            lines.append("  Nothing is to be done.")
        for version in folder.get("versions", ()):
            more = ", current" if version["current"] else ""
            more += ", run by " + version["run_by"] if version["run_by"] else ""
            lines.append("  {}{}".format(version["name"], more))
        for finding in folder.get("findings", ()):
            lines.append("  {level:8} {text} {advice}".format(**finding).rstrip())
        if "findings" not in folder:
            lines += ["  problem: " + problem for problem in folder["problems"]]
    if report.get("owed"):
        lines.append(
            "Still owed from earlier: {}. python3 -m dcc_mcp_embed.install_lifecycle deferred "
            "list".format(report["owed"])
        )
    return lines
