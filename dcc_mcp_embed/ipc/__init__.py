"""Sockets between processes for people who write scripts: requests, pushes, health, reconnects."""

from __future__ import annotations

from .protocol import InvalidMessage, MessageBody
from .utils import BackoffStrategy, HealthChecker, RequestHandlerRegistry

__all__ = [
    "BackoffStrategy",
    "HealthChecker",
    "InvalidMessage",
    "MessageBody",
    "RequestHandlerRegistry",
]
