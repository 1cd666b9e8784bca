"""What a client of the handshake era can be asked, by its revision and its own account. Pure.

Hosts are told it in the words of 2026-07-28, whose capabilities have parts. Before 2025-11-25 they
had none: the whole meant what a part means now, or there was nothing of the kind to be asked.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

__all__ = ["offered", "refused"]

#: What a host may ask of a client -> the capability that it needs.
_ASKED = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
#: Capability -> the first revision that has it, if that is not the first of all.
_SINCE = {"elicitation": "2025-06-18"}
#: The revision since which capabilities have parts, and forms have fields that take many answers.
_PARTED = "2025-11-25"
#: Capability -> the parts that the whole had meant before.
_MEANT: Dict[str, Dict[str, Any]] = {"sampling": {"context": {}}}


def offered(version: str, capabilities: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a client's capabilities as hosts are to be told them."""
    found = {name: parts for name, parts in capabilities.items() if version >= _SINCE.get(name, "")}
    if version < _PARTED:
        found.update((name, parts) for name, parts in _MEANT.items() if name in found)
    return found


def refused(
    version: Optional[str], capabilities: Mapping[str, Any], request: Mapping[str, Any]
) -> Optional[str]:
    """Return why a client cannot be asked a host's ``request``, None if it can.

    ``version`` is None for a client that has not said its own; ``request`` has a method.
    """
    capability = _ASKED.get(request["method"])
    if capability is None or capability not in capabilities:
        return "It cannot be asked {}".format(request["method"][:100])
    if (version or "") < _PARTED and _has_lists(request.get("params")):
        return "Its revision of MCP has no form in which one field takes many answers"
    return None


def _has_lists(params: Any) -> bool:
    schema = params.get("requestedSchema") if type(params) is dict else None
    fields = schema.get("properties") if type(schema) is dict else None
    return type(fields) is dict and any(
        type(one) is dict and one.get("type") == "array" for one in fields.values()
    )
