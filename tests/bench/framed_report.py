"""The table and the verdicts of framed.py. No input or output."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from bench.report import Summary, Verdict, aligned, number

__all__ = ["METRICS", "books", "memory", "ratio", "table", "verdicts"]

METRICS = ("p50", "p99", "client_cpu", "server_cpu", "rate", "large_p50")

_TITLES = ("p50 µs", "p99 µs", "client CPU", "server CPU", "64 at once /s", "1 MiB µs")

#: Budgets (DESIGN.md §12), for split CPUs: times the floor, by the Python measured.
_FACTOR, _OLD_FACTOR = 1.4, 2.0
_OLD = (3, 8)
#: 1 MiB in the reference's form, one way.
_LARGE_BUDGET = 60.0
_PEERS = ("rpyc", "pyro5")
#: What memory may differ by and still be flat, MB.
_FLAT = 0.5


def ratio(
    results: Sequence[Mapping[str, Any]], target: str, base: str, placement: str, metric: str
) -> Optional[float]:
    """Return the median over the rounds of target / base, each pair from one round.

    What slows a whole round down slows both, so it does not count.
    """
    values: Dict[Tuple[str, int], float] = {
        (unit["target"], unit["round"]): unit[metric]
        for unit in results
        if unit["placement"] == placement and metric in unit
    }
    pairs = [
        value / values[base, number]
        for (name, number), value in values.items()
        if name == target and (base, number) in values
    ]
    return median(pairs) if pairs else None


def table(results: Sequence[Mapping[str, Any]], summary: Summary, floors: Mapping[str, str]) -> str:
    """Return a row per target and placement; ``floors``: target -> what its times are held to."""
    rows = [["target", "CPUs", "x floor", *_TITLES]]
    for target, placements in summary.items():
        for placement, values in placements.items():
            factor = ratio(results, target, floors[target], placement, "p50")
            held = "–" if factor is None else "{:.2f}".format(factor)
            cells = [number(values.get(metric)) for metric in METRICS]
            rows.append([target, placement, held, *cells])
    return aligned(rows)


def verdicts(
    results: Sequence[Mapping[str, Any]],
    summary: Summary,
    floors: Mapping[str, str],
    judged: Sequence[str],
    python: Tuple[int, ...],
) -> List[Verdict]:
    """Judge the echoes ``judged`` and the large one; what was not measured has no line.

    The budget counts for TCP, for which it was set: the floor of a unix socket is lower.
    """
    lines: List[Verdict] = []
    limit = _OLD_FACTOR if python[:2] <= _OLD else _FACTOR
    for target in judged:
        factor = ratio(results, target, floors[target], "split", "p50")
        if factor is not None:
            text = "split: {} at most {:g} x {} ({:.2f})"
            text = text.format(target, limit, floors[target], factor)
            lines.append(Verdict(text, factor <= limit, floors[target] == "raw-tcp"))
        for peer in _PEERS:
            factor = ratio(results, target, peer, "split", "p50")
            if factor is not None:
                text = "split: {} quicker than {} ({:.2f} x)".format(target, peer, factor)
                lines.append(Verdict(text, factor < 1.0, True))
    echo = summary.get("ours-tcp", {}).get("split", {}).get("large_p50")
    if echo is not None:
        text = "split: 1 MiB as integers at most {:g} ms each way ({:.1f})"
        way = echo / 2000.0
        lines.append(Verdict(text.format(_LARGE_BUDGET, way), way <= _LARGE_BUDGET, False))
    return lines


def books(sessions: Mapping[str, Any]) -> str:
    """Return the line about framed_sessions.py."""
    text = "\nrecord_success: {sessions} sessions x {calls} calls, {us:.2f} µs each"
    return text.format(**sessions)


def memory(sessions: Mapping[str, Any]) -> Verdict:
    """Judge what keeping the books did to memory."""
    rise = sessions["last_mb"] - sessions["settled_mb"]
    text = "record_success: memory stays as it is ({:+.2f} MB)".format(rise)
    return Verdict(text, rise <= _FLAT, True)
