"""What bridges and servers say to our own clients in these tests is held to the specification."""

from __future__ import annotations

from conformance.watch import as_the_specification_says  # noqa: F401
