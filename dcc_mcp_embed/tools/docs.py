"""``docs://``: short guides for agents, read when they are needed."""

from __future__ import annotations

from ..errors import NotFound
from .declare import resource_template
from .guides import GUIDES
from .hints import meant

__all__ = ["guide"]


@resource_template(
    "docs://{topic}",
    title="Guide",
    mime_type="text/markdown",
    thread="loop",
    complete={"topic": list(GUIDES)},
)
def guide(topic: str) -> str:
    """A short guide to working here: getting-started, coordinates-and-units, jobs-and-long-calls,
    undo-and-batch, files-and-paths, code-execution, errors."""
    text = GUIDES.get(topic.lower())
    if text is None:
        raise NotFound(
            "There is no guide '{}'. There are: {}.".format(topic[:64], ", ".join(GUIDES)),
            hint=meant(topic, GUIDES) or "Begin with docs://getting-started.",
        )
    return text
