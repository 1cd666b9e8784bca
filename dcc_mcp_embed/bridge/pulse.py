"""Whether a host that owes an answer still gives signs of life. Pure.

A host whose interpreter is held by native code, or that was stopped by a debugger, keeps its
connections and says nothing, whatever its own limits are. So it is asked now and then, on another
connection, while a call takes long; and when it has been silent for so long that a client would
lose patience (after 60 s, most of them), its calls are told so.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional

__all__ = ["ASK_S", "Pulses"]

#: Seconds that a call may take before anybody wonders.
_WONDER_S = 15.0
#: Seconds between two questions.
_EVERY_S = 10.0
#: Seconds that a host has for its answer.
ASK_S = 5.0
#: Seconds after which a call to a host that has left two questions unanswered is given up.
_LOST_S = 45.0


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

    def __init__(self) -> None:
        self._known: Dict[str, _Pulse] = {}

    def next(self, oldest: Mapping[str, float]) -> Optional[float]:
        """Return when there is something to do next."""
        moments = []
        for instance, began in oldest.items():
            pulse = self._known.get(instance)
            if pulse is None:
                moments.append(began + _WONDER_S)
            elif not pulse.asking:
                moments.append(pulse.when)
        return min(moments) if moments else None

    def to_ask(self, now: float, oldest: Mapping[str, float]) -> List[str]:
        """Return who is to be asked now; the answer, or none, goes to :meth:`answered`."""
        for gone in [one for one in self._known if one not in oldest]:
            del self._known[gone]
        due = []
        for instance, began in oldest.items():
            if began + _WONDER_S > now:
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
        pulse.when = now + (_EVERY_S if alive else _EVERY_S - ASK_S)
        pulse.missed = 0 if alive else pulse.missed + 1

    def lost(self, now: float, instance: str, began: float) -> bool:
        """Return whether a call that began then is to be given up."""
        pulse = self._known.get(instance)
        return pulse is not None and pulse.missed > 1 and now - began >= _LOST_S
