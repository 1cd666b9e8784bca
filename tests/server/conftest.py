"""Every message that a server sends in these tests is held to the specification's schemas."""

from __future__ import annotations

from conformance.watch import as_the_specification_says  # noqa: F401
