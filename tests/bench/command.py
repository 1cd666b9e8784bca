"""What the commands that compare share: their options, the file of results, the way they end."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from contextlib import ExitStack
from typing import Any, Callable, Dict, List, Sequence, Tuple

from bench.client import BadAnswer
from bench.processes import ClientError, StartError
from bench.report import Verdict
from bench.venvs import SetupError

__all__ = ["parse", "parser", "run_guarded", "write"]


def parser(prog: str, about: str, names: List[str], check: str) -> argparse.ArgumentParser:
    """Return a parser of the options they share; ``check``: what --check does."""
    made = argparse.ArgumentParser(prog=prog, description=about)
    made.add_argument("--rounds", type=int, help="medians are over them")
    made.add_argument("--seconds", type=float, help="per target, placement and round")
    made.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=", ".join(names))
    made.add_argument("--placement", choices=("same", "split"), help="only this one")
    made.add_argument("--python", metavar="PATH", help="the interpreter that ours is measured on")
    made.add_argument("--quick", action="store_true", help="a minute in all, noisier")
    made.add_argument("--json", metavar="FILE", help="write every single result there")
    made.add_argument("--check", action="store_true", help=check)
    return made


def parse(
    made: argparse.ArgumentParser, full: Tuple[int, float], quick: Tuple[int, float]
) -> argparse.Namespace:
    """Return the options; ``full`` and ``quick``: (rounds, seconds) where nothing was said."""
    options = made.parse_args()
    rounds, seconds = quick if options.quick else full
    options.rounds = options.rounds or rounds
    options.seconds = options.seconds or seconds
    return options


def write(path: str, found: Dict[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Write what was found as JSON, with the machine and the verdicts."""
    told = [one._asdict() for one in verdicts]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"platform": platform.platform(), **found, "verdicts": told}, file, indent=1)
        file.write("\n")


def run_guarded(
    run: Callable[[argparse.Namespace, ExitStack], int], options: argparse.Namespace
) -> int:
    """Return the exit status of ``run``; what it started ends with it."""
    status = 1
    try:
        with ExitStack() as stack:
            status = run(options, stack)
    except (BadAnswer, ClientError, SetupError, StartError) as error:
        print("INVALID: {}".format(error), file=sys.stderr)
    return status
