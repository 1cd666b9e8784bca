"""What a tool is given about the call it serves."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from ..errors import Unsupported
from .asking import Ask, elicitation, roots, sampling, visit

__all__ = ["LOG_LEVELS", "ToolContext"]

#: Levels of :meth:`ToolContext.log`, the least severe first (RFC 5424).
LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


def _never() -> bool:
    return False


class ToolContext:
    """The first argument of a tool whose first parameter is named ``ctx``.

    ``host`` is the host adapter and ``scene`` its SceneBackend, both None off the host's main
    thread. ``client`` is a label for people. ``control`` answers for the server (``status()``,
    ``log(...)``). ``cancelled()`` says whether somebody asked for the call to end. ``warnings``
    and ``facts`` collect what goes into the result. One call, one context, one thread.

    A generator tool can ask its client: ``answer = yield ctx.elicit(...)``, and so with ``sample``
    and ``roots``, or a list of them for a list of answers. It waits there, without the thread,
    until the client has answered; what the client refuses is raised there (ToolError).
    """

    __slots__ = ("cancelled", "client", "control", "facts", "host", "scene", "warnings", "wire")

    def __init__(
        self,
        host: Any = None,
        scene: Any = None,
        client: str = "",
        control: Any = None,
        cancelled: Optional[Callable[[], bool]] = None,
        wire: Any = None,
    ) -> None:
        self.host = host
        self.scene = scene
        self.client = client
        self.control = control
        self.cancelled: Callable[[], bool] = cancelled if cancelled is not None else _never
        self.warnings: List[str] = []
        self.facts: Dict[str, Any] = {}
        #: The way to the client while the call lasts, None where there is none.
        self.wire: Any = wire

    def warn(self, text: str) -> None:
        """Tell the caller something about a call that works all the same."""
        self.warnings.append(str(text))

    def evidence(self, **facts: Any) -> None:
        """Add facts, as JSON values, that show what the call really did; a later one wins."""
        self.facts.update(facts)

    # -- the client, while the call runs ------------------------------------------------------

    def log(self, level: str, data: Any, logger: Optional[str] = None) -> None:
        """Send a log message to the client, if it wants messages of this ``level``.

        ``level`` is one of LOG_LEVELS; ``data`` is text or JSON. Raises ValueError for a level that
        does not exist.
        """
        if level not in LOG_LEVELS:
            raise ValueError("the level of log() is one of {}".format(", ".join(LOG_LEVELS)))
        if self.wire is not None:
            self.wire.log(level, data, logger)

    def progress(
        self, done: float, total: Optional[float] = None, message: Optional[str] = None
    ) -> None:
        """Tell the client how far the call is, if it asked to be told.

        For a tool that is no generator; ``done`` must grow.
        """
        if self.wire is not None:
            self.wire.progress(done, total, message)

    def step_out(self) -> None:
        """Have the client come back for the result instead of holding its connection, if it can.

        For calls that take long and say little.
        """
        if self.wire is not None:
            self.wire.step_out()

    def offers(self, capability: str) -> bool:
        """Return whether the client can be asked: for "elicitation", "sampling" or "roots".

        Parts of them: "elicitation.url", "sampling.tools", "sampling.context".
        """
        return self.wire is not None and bool(self.wire.offers(capability))

    def elicit(self, message: str, schema: Mapping[str, Any], key: Optional[str] = None) -> Ask:
        """Ask the person at the client; to be yielded.

        ``schema`` is a JSON Schema: an object of strings, numbers, booleans and choices. ``key``
        names the question within the call. The answer is a dict of "action" ("accept", "decline" or
        "cancel") and "content". Raises Unsupported if the client cannot be asked.
        """
        return self._possible(elicitation(self._key(key), message, schema))

    def elicit_url(self, message: str, url: str, key: Optional[str] = None) -> Ask:
        """Ask the person at the client to go to ``url``, a page for what no form may ask.

        To be yielded. The answer is a dict of "action" and an empty "content"; "accept" means that
        the person goes there. What comes of it the tool learns from whoever serves the page, and
        then may tell the client by :meth:`elicited`. Raises Unsupported if the client cannot be
        asked.
        """
        return self._possible(visit(self._key(key), message, url))

    def elicited(self, asked: Ask) -> None:
        """Tell the client that what ``asked`` (of :meth:`elicit_url`) was for is done there."""
        if self.wire is not None:
            self.wire.elicited(asked)

    def sample(
        self,
        messages: Union[str, Sequence[Any]],
        max_tokens: int = 1000,
        key: Optional[str] = None,
        **more: Any,
    ) -> Ask:
        """Ask the client's model; to be yielded.

        ``messages`` is a text or a list of MCP's SamplingMessages, ``more`` other members of the
        request (``systemPrompt``). The answer is MCP's CreateMessageResult. Raises Unsupported if
        the client cannot be asked, or not with ``tools`` or an ``includeContext``.
        """
        return self._possible(sampling(self._key(key), messages, max_tokens, more))

    def roots(self, key: Optional[str] = None) -> Ask:
        """Ask for the folders that the client works in; to be yielded.

        The answer is a list of dicts with "uri" and perhaps "name". Raises Unsupported if the
        client cannot be asked.
        """
        return self._possible(roots(self._key(key)))

    def _key(self, given: Optional[str]) -> str:
        if given is not None:
            return str(given)
        return str(self.wire.next_key()) if self.wire is not None else ""

    def _possible(self, ask: Ask) -> Ask:
        if self.wire is None:
            raise Unsupported(
                "This call comes by a way on which its client cannot be asked.",
                hint="Call it from an MCP client that can be asked, over HTTP or the bridge.",
            )
        for capability in ask.capabilities:
            self.wire.demand(capability)
        return ask
