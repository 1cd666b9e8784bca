"""One client: what it has said of itself, what it was shown, and what it wants to hear of."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from ..wire.mcp.machine import Opened
from ..wire.mcp.revisions import LOG_LEVELS, META_CAPABILITIES, META_LOG_LEVEL
from ..wire.mcp.work import Work
from . import dialect
from .errand import Wishes
from .offers import offered
from .voice import Voice

__all__ = ["LEVEL", "Client", "Listener", "Watched"]

Entries = List[Dict[str, Any]]

#: From which level on a client is told what is logged, until it names one; as hosts have it.
LEVEL = "info"


class Watched(NamedTuple):
    """A resource that a client wants to hear of: whose it is, and its name there."""

    label: str
    uri: str


class Listener:
    """A request of the stateless era to be told of changes, and the way for it."""

    def __init__(self, ident: Any, wishes: Dict[str, Any], voice: Voice) -> None:
        self.ident = ident
        #: What was agreed on, in the words of the protocol.
        self.wishes = wishes
        self.voice = voice
        #: Uri, as the client has it -> what it means; None as long as nobody knows.
        self.watched: Dict[str, Optional[Watched]] = {}
        #: It has been told that it is heard; nothing is said before that.
        self.open = False

    def tell(self, message: Dict[str, Any]) -> None:
        """Send a notification, which says for whom it is."""
        if self.open:
            self.voice.tell(dialect.tagged(message, self.ident))


class Client:
    """What is known of a client, and the way to it that is always open. The desk's thread."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.name = ""
        #: The handshake revision that it has named, if any.
        self.version: Optional[str] = None
        #: What it can be asked, in the words of hosts.
        self.capabilities: Dict[str, Any] = {}
        self.initialized = False
        #: None: it is told nothing of what is logged.
        self.level: Optional[str] = LEVEL
        #: Id -> who listens under it, in the stateless era.
        self.listeners: Dict[Any, Listener] = {}
        #: Uri, as the client has it -> what it means, in the handshake era.
        self.watched: Dict[str, Watched] = {}
        #: Id of a request of ours -> what takes (result, error).
        self.asked: Dict[str, Callable[[Any, Any], None]] = {}
        #: Member of a list -> the list that it was told of last, in words or by a notification.
        self._shown: Dict[str, Entries] = {}

    def opened(self, outcome: Opened) -> None:
        """Note that it has introduced itself."""
        self.introduced(outcome.version, outcome.client, outcome.capabilities)
        self.initialized = False
        self.level = LEVEL

    def introduced(
        self, version: Optional[str], name: str, capabilities: Optional[Mapping[str, Any]]
    ) -> None:
        """Note who it is: by its ``initialize``, now or earlier."""
        self.version, self.name = version, name
        self.capabilities = offered(version or "", capabilities or {})

    def wishes(self, work: Work) -> Wishes:
        """Return what it can be asked, and wants to hear, of work under way."""
        level = self.level
        capabilities = self.capabilities
        if work.stateless:
            meta = work.params["_meta"]
            capabilities, level = meta[META_CAPABILITIES], meta.get(META_LOG_LEVEL)
            level = level if level in LOG_LEVELS else None
        return Wishes(work.token is not None, level, work.client, capabilities)

    # -- what it was shown --------------------------------------------------------------------

    def shown(self, member: str, entries: Entries) -> None:
        """Note that it was shown this list."""
        self._shown[member] = entries

    def expects(self, member: str, entries: Entries) -> None:
        """Note that it wants to be told once this list is another one."""
        self._shown.setdefault(member, entries)

    def knows(self, member: str) -> bool:
        """Return whether it would be told."""
        return member in self._shown

    def tell_of(self, member: str, entries: Entries) -> None:
        """Tell it when the list is another one than it was shown."""
        if member not in self._shown or entries == self._shown[member]:
            return
        self._shown[member] = entries
        message = dialect.list_changed(member)
        if self.initialized:
            self.voice.tell(message)
        for one in self.listeners.values():
            if one.wishes.get(dialect.WISHES[member]):
                one.tell(message)

    # -- what it watches ----------------------------------------------------------------------

    def watches(self, label: str) -> List[str]:
        """Return the uris of one host that it wants to hear of."""
        found = [one.uri for one in self.watched.values() if one.label == label]
        for listener in self.listeners.values():
            found.extend(one.uri for one in listener.watched.values() if one and one.label == label)
        return found

    def updated(self, which: Watched) -> None:
        """Tell it that a resource reads differently now, if it watches that."""
        for uri, one in self.watched.items():
            if one == which:
                self.voice.tell(dialect.updated(uri))
        for listener in self.listeners.values():
            for uri, meant in listener.watched.items():
                if meant == which:
                    listener.tell(dialect.updated(uri))
