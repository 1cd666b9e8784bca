"""Medians over rounds, the table, ratios and verdicts. No input or output."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

__all__ = [
    "Summary",
    "Verdict",
    "aligned",
    "closing",
    "medians",
    "number",
    "ratios",
    "table",
    "verdicts",
]

#: target name -> placement -> metric -> median over the rounds.
Summary = Dict[str, Dict[str, Dict[str, float]]]

METRICS = ("p50", "p99", "rate", "p99_many", "large_p50", "cpu", "cpu_many")

_COLUMNS = (
    ("p50", "p50 µs"),
    ("p99", "p99 µs"),
    ("rate", "8 conns /s"),
    ("p99_many", "8c p99 µs"),
    ("large_p50", "48K p50 µs"),
    ("cpu", "CPU/req µs"),
    ("cpu_many", "8c CPU/req"),
)

#: Budgets for one loop-thread call, µs by placement, and calls per second (DESIGN.md §12; they are
#: for a machine whose floor is 6.5 µs on one CPU and 83 µs on two).
_P50_BUDGET = {"same": 60.0, "split": 150.0}
_RATE_BUDGET = 15000.0
_SDK_FACTOR = 5.0
_HOP_BUDGET = 20.0


class Verdict(NamedTuple):
    """One line of judgement. ``gating``: ``--check`` fails with it."""

    text: str
    good: bool
    gating: bool


def medians(results: Sequence[Dict[str, Any]], metrics: Sequence[str] = METRICS) -> Summary:
    """Return the median of each metric; ``results`` are units with "target" and "placement"."""
    collected: Dict[Tuple[str, str, str], List[float]] = {}
    for unit in results:
        for metric in metrics:
            if metric in unit:
                key = (unit["target"], unit["placement"], metric)
                collected.setdefault(key, []).append(unit[metric])
    summary: Summary = {}
    for (target, placement, metric), values in collected.items():
        summary.setdefault(target, {}).setdefault(placement, {})[metric] = median(values)
    return summary


def number(value: Optional[float]) -> str:
    """Return a cell of a table."""
    if value is None:
        return "–"
    return "{:.1f}".format(value) if value < 100 else "{:,.0f}".format(value)


def aligned(rows: Sequence[Sequence[str]], left: int = 2) -> str:
    """Return the rows as lines, the first ``left`` columns flush left, the others flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[i].ljust(widths[i]) for i in range(left)]
        lines.append("  ".join(cells + [row[i].rjust(widths[i]) for i in range(left, len(row))]))
    return "\n".join(lines)


def table(summary: Summary, memory: Dict[str, Tuple[float, float]]) -> str:
    """Return both placements of every target; ``memory``: MB idle and after the run."""
    rows = [["target", "CPUs"] + [title for _, title in _COLUMNS] + ["RSS MB"]]
    for target, placements in summary.items():
        for placement, values in placements.items():
            idle, after = memory.get(target, (0.0, 0.0))
            rows.append(
                [target, placement]
                + [number(values.get(metric)) for metric, _ in _COLUMNS]
                + ["{:.1f} > {:.1f}".format(idle, after)]
            )
    return aligned(rows)


def _best(
    summary: Summary, kind: str, placement: str, metric: str, pick: Any = min
) -> Optional[float]:
    """Return the best of a peer's eras: what ours has to beat."""
    values = [
        placements[placement][metric]
        for target, placements in summary.items()
        if target.startswith(kind) and metric in placements.get(placement, {})
    ]
    return pick(values) if values else None


def _ours(summary: Summary, target: str, placement: str, metric: str) -> Optional[float]:
    return summary.get(target, {}).get(placement, {}).get(metric)


def ratios(summary: Summary) -> List[str]:
    """Return one line per target of ours, placement and peer; above 1 ours needs more time."""
    lines = []
    for target in [name for name in summary if name.startswith("ours")]:
        for placement, values in summary[target].items():
            parts = []
            for kind, title in (("raw", "raw"), ("dcc", "dcc-mcp-core"), ("sdk", "SDK")):
                peer = _best(summary, kind, placement, "p50")
                if peer and "p50" in values:
                    parts.append("p50 {:.2f} x {}".format(values["p50"] / peer, title))
            for kind, title in (("dcc", "dcc-mcp-core"), ("sdk", "SDK")):
                peer = _best(summary, kind, placement, "rate", max)
                if peer and "rate" in values:
                    parts.append("calls/s {:.2f} x {}".format(values["rate"] / peer, title))
            if parts:
                lines.append("{:12} {:5}  {}".format(target, placement, ", ".join(parts)))
    return lines


def verdicts(summary: Summary, rise: Optional[float]) -> List[Verdict]:
    """Judge what was measured against the budgets; what was not measured has no line.

    ``rise``: MB of our idle server above the bare interpreter. The peer is taken at its best era.
    """
    lines: List[Verdict] = []

    def judge(text: str, good: bool, gating: bool = False) -> None:
        lines.append(Verdict(text, good, gating))

    for placement in ("same", "split"):
        p50 = _ours(summary, "ours-loop", placement, "p50")
        rate = _ours(summary, "ours-loop", placement, "rate")
        dcc = _best(summary, "dcc", placement, "p50")
        if p50 and dcc:
            text = "{}: loop p50 beats dcc-mcp-core ({:.1f} < {:.1f} µs)"
            judge(text.format(placement, p50, dcc), p50 < dcc, True)
        dcc = _best(summary, "dcc", placement, "rate", max)
        if rate and dcc:
            text = "{}: 8-connection throughput beats dcc-mcp-core ({:,.0f} > {:,.0f} calls/s)"
            judge(text.format(placement, rate, dcc), rate > dcc, True)
        sdk = _best(summary, "sdk", placement, "p50")
        if p50 and sdk:
            text = "{}: loop p50 at least {:g} x faster than the official SDK ({:.1f} x)"
            judge(text.format(placement, _SDK_FACTOR, sdk / p50), sdk >= _SDK_FACTOR * p50)
        if p50:
            limit = _P50_BUDGET[placement]
            text = "{}: loop p50 at most {:g} µs ({:.1f})"
            judge(text.format(placement, limit, p50), p50 <= limit)
        if rate:
            text = "{}: at least {:,.0f} calls/s on 8 connections ({:,.0f})"
            judge(text.format(placement, _RATE_BUDGET, rate), rate >= _RATE_BUDGET)
        main = _ours(summary, "ours-main", placement, "p50")
        if p50 and main:
            text = "{}: main thread at most {:g} µs more than the loop ({:+.1f})"
            judge(text.format(placement, _HOP_BUDGET, main - p50), main - p50 <= _HOP_BUDGET)
    if rise is not None:
        judge("memory: at most 15 MB above the bare interpreter ({:.1f})".format(rise), rise <= 15)
    return lines


def closing(
    results: Sequence[Dict[str, Any]], verdicts: Sequence[Verdict], check: bool
) -> Tuple[List[str], int]:
    """Return the last lines of a report and the exit status; ``check``: gating verdicts count."""
    lines = ["", "verdicts"]
    lines += ["{:3}  {}".format("yes" if one.good else "NO", one.text) for one in verdicts]
    errors = [unit for unit in results if unit["errors"]]
    for unit in errors:
        lines.append("ERROR {target} {placement} round {round}: {error}".format(**unit))
    if errors:
        return [*lines, "", "INVALID: there were errors, so the numbers above prove nothing"], 1
    gates = [verdict for verdict in verdicts if verdict.gating]
    if check and not gates:
        return [*lines, "", "--check has nothing to look at: what it compares was not measured"], 1
    return lines, int(check and not all(verdict.good for verdict in gates))
