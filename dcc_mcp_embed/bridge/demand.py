"""What a host wants to know before it goes on with a call. Pure."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

__all__ = ["Demand", "demand_in"]


class Demand(NamedTuple):
    """What a host wants to know: key -> request, and the state to go on with."""

    requests: Dict[str, Any]
    state: str


def demand_in(result: Dict[str, Any]) -> Optional[Demand]:
    """Return what a result demands, None for one that is complete. Raises ValueError."""
    if result.get("resultType") != "input_required":
        return None
    requests, state = result.get("inputRequests"), result.get("requestState")
    if type(state) is not str or type(requests) is not dict or not requests:
        raise ValueError("what it demands is not to be understood")
    for one in requests.values():
        if type(one) is not dict or type(one.get("method")) is not str:
            raise ValueError("what it demands is not to be understood")
    return Demand(requests, state)
