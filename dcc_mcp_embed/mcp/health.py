"""How a plugin's failures change what is said of it: one table."""

from __future__ import annotations

from typing import Tuple

from .settings import MCPSettings

__all__ = ["judged"]


def judged(status: str, requests: int, errors: int, settings: MCPSettings) -> Tuple[str, str]:
    """Return the status after so many requests, and why it is that.

    ``error`` ends by a registration only.
    """
    if status == "error" or not requests or requests < settings.min_requests_for_health_check:
        return status, ""
    rate = errors / requests
    for found, limit, text in (
        ("error", settings.error_rate_critical, "too many of its requests fail"),
        ("degraded", settings.error_rate_warning, "many of its requests fail"),
    ):
        if rate > limit:
            return found, "{}: {:.1%}".format(text, rate)
    return "active", "its requests succeed: {:.1%} fail".format(rate)
