"""Protocols as machines: bytes in, events out. No socket, no clock, no thread."""
