"""Where a server is, as a URL says it."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional
from urllib.parse import urljoin, urlsplit

from ..errors import ConfigError

__all__ = ["Url", "joined", "parse"]

#: What urlsplit passes over, or takes out, depends on the version of Python; so does what it takes
#: for a host and a port.
_URL = re.compile(r"[!-~]+", re.ASCII)
_NETLOC = re.compile(
    r"(?:\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(?::[0-9]{0,5})?"
)
_PORTS = {"http": 80, "https": 443}
#: A name and a password, which no message shows.
_USER = re.compile(r"//[^/?#]*@")


class Url(NamedTuple):
    """``target`` is the path, and the query if there is one."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says: without the port that goes without saying."""
        host = "[{}]".format(self.host) if ":" in self.host else self.host
        if self.port == _PORTS["https" if self.secure else "http"]:
            return host
        return "{}:{}".format(host, self.port)

    @property
    def origin(self) -> str:
        """Scheme, host and port, as text."""
        return "{}://{}".format("https" if self.secure else "http", self.authority)

    def __str__(self) -> str:
        return self.origin + self.target


def parse(url: str) -> Url:
    """Return what an http or https URL says. Raises ConfigError."""
    found: Optional[Url] = None
    if isinstance(url, str) and _URL.fullmatch(url):
        try:
            parts = urlsplit(url)
            if parts.scheme in _PORTS and parts.hostname and _NETLOC.fullmatch(parts.netloc):
                target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
                port = parts.port if parts.port is not None else _PORTS[parts.scheme]
                found = Url(parts.scheme == "https", parts.hostname, port, target)
        except ValueError:
            # A port that is too large, or a bracket that is not closed.
            found = None
    if found is None or not found.port:
        shown = _USER.sub("//***@", str(url))[:200]
        raise ConfigError("{!r} is not a URL like http://127.0.0.1:8000/mcp".format(shown))
    return found


def joined(base: Url, reference: str) -> Optional[Url]:
    """Return where a reference leads that a server at ``base`` gave; None if nowhere."""
    try:
        return parse(urljoin(str(base), reference)) if reference else None
    except ValueError:
        return None
