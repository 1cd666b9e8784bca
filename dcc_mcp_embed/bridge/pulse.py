"""Whether a host that owes an answer still gives signs of life. Pure.

A host whose interpreter is held by native code, or that was stopped by a debugger, keeps its
connections and says nothing, whatever its own limits are. So it is asked now and then, on another
connection, while a call takes long; and when it has been silent for so long that a client would
lose patience (after 60 s, most of them), its calls are told so.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional

__all__ = ["PACE", "Pace", "Pulses"]


class Pace(NamedTuple):
    """How much time is given, seconds."""

    #: To a call before anybody wonders.
    wonder: float
    #: Between two questions.
    every: float
    #: To a host for its answer.
    answer: float
    #: To a call to a host that has left two questions unanswered; then it is given up.
    lost: float


PACE = Pace(15.0, 10.0, 5.0, 45.0)


class _Pulse:
    __slots__ = ("asking", "missed", "when")

    def __init__(self, when: float) -> None:
        #: When to ask next.
        self.when = when
        self.asking = False
        #: Questions without an answer, in a row.
        self.missed = 0


class Pulses:
    """Instances that have calls under way, and what is known of their lives.

    ``oldest``, wherever it is taken: instance -> when its oldest call under way began.
    """

    def __init__(self, pace: Pace = PACE) -> None:
        self._pace = pace
        self._known: Dict[str, _Pulse] = {}

    def next(self, oldest: Mapping[str, float]) -> Optional[float]:
        """Return when there is something to do next."""
        moments = []
        for instance, began in oldest.items():
            pulse = self._known.get(instance)
            if pulse is None:
                moments.append(began + self._pace.wonder)
            elif not pulse.asking:
                moments.append(pulse.when)
        return min(moments) if moments else None

    def to_ask(self, now: float, oldest: Mapping[str, float]) -> List[str]:
        """Return who is to be asked now; the answer, or none, goes to :meth:`answered`."""
        for gone in [one for one in self._known if one not in oldest]:
            del self._known[gone]
        due = []
        for instance, began in oldest.items():
            if began + self._pace.wonder > now:
                continue
            pulse = self._known.setdefault(instance, _Pulse(now))
            if not pulse.asking and pulse.when <= now:
                pulse.asking = True
                due.append(instance)
        return due

    def answered(self, now: float, instance: str, alive: bool) -> None:
        """Take the answer to a question."""
        pulse = self._known.get(instance)
        if pulse is None:
            return
        pulse.asking = False
        pulse.when = now + self._pace.every - (0 if alive else self._pace.answer)
        pulse.missed = 0 if alive else pulse.missed + 1

    def lost(self, now: float, instance: str, began: float) -> bool:
        """Return whether a call that began then is to be given up."""
        pulse = self._known.get(instance)
        return pulse is not None and pulse.missed > 1 and now - began >= self._pace.lost
