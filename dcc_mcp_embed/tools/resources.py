"""What the declaration of a resource becomes, and what its function returns becomes in turn."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..errors import ConfigError, HostError
from .completing import Completer, completers
from .content import Audio, Content, Image, Resource
from .entries import ReadOnlyEntry, Shaped, Tool
from .signature import MISSING
from .tidy import plain, text_of, tidy
from .uri import MAX_URI, Template

__all__ = ["ResourceEntry"]

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z")

_JSON = "application/json"
_TEXT = "text/plain"


class ResourceEntry(ReadOnlyEntry):
    """A declared resource; a ``template`` if its uri has placeholders, which are its parameters.

    ``completers`` maps placeholders to what completes them. See :func:`.declare.resource` for the
    rest. Raises ConfigError naming the function and what to change.
    """

    __slots__ = ("_pattern", "completers", "mime_type", "template", "uri")

    def __init__(
        self,
        function: Callable[..., Any],
        uri: str,
        name: Optional[str] = None,
        title: Optional[str] = None,
        mime_type: Optional[str] = None,
        thread: str = "main",
        timeout: Optional[float] = None,
        size: Optional[int] = None,
        annotations: Optional[Mapping[str, Any]] = None,
        icons: Sequence[Any] = (),
        complete: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(function, name, title, thread, timeout)
        self.uri = uri
        self.mime_type = mime_type
        self._pattern = self._parsed(uri)
        self.template = bool(self._pattern.names)
        self._check_parameters()
        properties = self._tool.input_schema["properties"]
        self.completers: Dict[str, Completer] = completers(
            self.place, {one: properties[one] for one in self._pattern.names}, complete, thread
        )
        self._described["uriTemplate" if self.template else "uri"] = uri
        if mime_type is not None:
            self._described["mimeType"] = mime_type
        if size is not None and not self.template:
            self._described["size"] = size
        self._adorn("resource", icons, annotations)

    @property
    def placeholders(self) -> Tuple[str, ...]:
        """Return the names of the parameters that its URIs bring."""
        return self._pattern.names

    @property
    def weight(self) -> int:
        """Return how much of a URI the template fixes: of several that fit, the most counts."""
        return self._pattern.weight

    def match(self, uri: str) -> Optional[Dict[str, str]]:
        """Return the values of the placeholders in a ``uri`` that is meant, None for others."""
        return self._pattern.match(uri)

    def reading(self, uri: str) -> Tool:
        """Return the tool whose call reads ``uri``; its arguments are what :meth:`match` found."""
        return self._tool.shaped(lambda value, notes: _shape(value, uri, self.mime_type, notes))

    def _parsed(self, uri: str) -> Template:
        if not isinstance(uri, str) or not _URI.match(uri) or len(uri) > MAX_URI:
            raise ConfigError(
                "{}: the uri is {!r}; it needs a scheme, as in 'scene://objects/{{name}}'.".format(
                    self.place, uri
                )
            )
        try:
            return Template(uri)
        except ValueError as error:
            raise ConfigError("{}: the uri {!r} {}.".format(self.place, uri, error)) from None

    def _check_parameters(self) -> None:
        signature, holes = self._tool.signature, self._pattern.names
        names = signature.names()
        needed = [one.name for one in signature.parameters if one.default is MISSING]
        unknown = [hole for hole in holes if hole not in names]
        unfilled = [one for one in needed if one not in holes]
        if unknown or unfilled or len(set(holes)) != len(holes):
            raise ConfigError(
                "{}: the placeholders of {!r} must be the function's parameters, each once. The "
                "function takes {}.".format(self.place, self.uri, ", ".join(names) or "none")
            )

    def __repr__(self) -> str:
        return "<ResourceEntry {} of {}>".format(self.uri, self.place)


# -- what is read --------------------------------------------------------------------------------


def _shape(value: Any, uri: str, mime_type: Optional[str], notes: List[str]) -> Shaped:
    many = isinstance(value, (list, tuple)) and any(isinstance(one, Content) for one in value)
    parts = value if many else [value]
    contents = [_content(part, uri, mime_type, notes) for part in parts]
    return {"contents": contents}, [{"type": "resource", "resource": one} for one in contents]


def _content(value: Any, uri: str, mime_type: Optional[str], notes: List[str]) -> Dict[str, Any]:
    if isinstance(value, Resource):
        inner: Dict[str, Any] = tidy(value.to_content()["resource"], "result").value
        return inner
    if isinstance(value, str):
        return {"uri": uri, "mimeType": mime_type or _TEXT, "text": plain(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _content(Resource(uri, data=value, mime_type=mime_type), uri, mime_type, notes)
    if isinstance(value, (Image, Audio)):
        block = value.to_content()
        return {"uri": uri, "mimeType": block["mimeType"], "blob": block["data"]}
    if value is None or isinstance(value, Content):
        raise HostError(
            "The resource returned {}.".format(type(value).__name__ if value else "nothing"),
            hint="A resource returns text, bytes, data for JSON, or Image, Audio and Resource.",
        )
    return {
        "uri": uri,
        "mimeType": mime_type or _JSON,
        "text": text_of(value, "result", notes)[0],
    }
