"""What a tool returns besides text and data: images, sound, embedded resources and links."""

from __future__ import annotations

import binascii
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ..errors import HostError
from .marks import annotations_of, icons_of

__all__ = ["Audio", "Content", "Image", "Link", "Resource"]

Bytes = Union[bytes, bytearray, memoryview]

#: (bytes at an offset, offset, MIME type): the file signatures that each format defines for
#: itself (PNG specification 5.2, JPEG SOI marker, GIF89a, RIFF containers, ...).
_IMAGES: Tuple[Tuple[bytes, int, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"BM", 0, "image/bmp"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"\x76\x2f\x31\x01", 0, "image/x-exr"),
)
_SOUNDS: Tuple[Tuple[bytes, int, str], ...] = (
    (b"WAVE", 8, "audio/wav"),
    (b"OggS", 0, "audio/ogg"),
    (b"fLaC", 0, "audio/flac"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
)


class Content:
    """Base of what becomes a content block of a result.

    All take ``annotations`` for the client: "audience" (a list of "user" and "assistant"),
    "priority" (0 to 1), "lastModified" (ISO 8601).
    """

    __slots__ = ("annotations",)

    def __init__(self, annotations: Optional[Mapping[str, Any]] = None) -> None:
        try:
            self.annotations = annotations_of(annotations)
        except ValueError as error:
            raise HostError("{} {}.".format(type(self).__name__, error)) from None

    def _annotated(self, block: Dict[str, Any]) -> Dict[str, Any]:
        if self.annotations:
            block["annotations"] = self.annotations
        return block

    def to_content(self) -> Dict[str, Any]:
        """Return the MCP content block."""
        raise NotImplementedError


class _Media(Content):
    __slots__ = ("data", "mime_type")

    _kind = ""
    _signatures: Tuple[Tuple[bytes, int, str], ...] = ()

    def __init__(
        self,
        data: Optional[Bytes] = None,
        path: Optional[str] = None,
        mime_type: Optional[str] = None,
        annotations: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(annotations)
        word = type(self).__name__
        if (data is None) == (path is None):
            raise HostError("{} takes either data or path=.".format(word))
        if path is not None:
            # Read at once: a temporary file may be gone before the answer is made.
            with open(path, "rb") as stream:
                data = stream.read()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise HostError(
                "{} was given a {} as data; it takes bytes. For a file use path=.".format(
                    word, type(data).__name__
                )
            )
        self.data = bytes(data)
        if not self.data:
            raise HostError("{} was given no bytes{}.".format(word, _from(path)))
        found = mime_type or _recognised(self.data, self._signatures)
        if found is None:
            raise HostError(
                "{} does not know the format of its data{}; pass mime_type=.".format(
                    word, _from(path)
                )
            )
        self.mime_type = found

    def to_content(self) -> Dict[str, Any]:
        return self._annotated(
            {"type": self._kind, "data": _base64(self.data), "mimeType": self.mime_type}
        )


class Image(_Media):
    """A picture for the model: bytes, or ``path`` to a file, which is read at once.

    ``mime_type`` is recognised for PNG, JPEG, GIF, WebP, BMP, TIFF and EXR; clients show at least
    the first four. Raises HostError for what is no data, OSError for a file that cannot be read.
    """

    __slots__ = ()
    _kind = "image"
    _signatures = _IMAGES


class Audio(_Media):
    """Sound for the model; as :class:`Image`, for WAV, Ogg, FLAC and MP3."""

    __slots__ = ()
    _kind = "audio"
    _signatures = _SOUNDS


class Resource(Content):
    """A resource embedded in a result: its ``uri`` and either ``text`` or ``data``."""

    __slots__ = ("data", "mime_type", "text", "uri")

    def __init__(
        self,
        uri: str,
        text: Optional[str] = None,
        data: Optional[Bytes] = None,
        mime_type: Optional[str] = None,
        annotations: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(annotations)
        if (text is None) == (data is None):
            raise HostError("Resource takes either text= or data=.")
        if text is not None and not isinstance(text, str):
            raise HostError(
                "Resource was given a {} as text; pass bytes as data=.".format(type(text).__name__)
            )
        if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
            raise HostError(
                "Resource was given a {} as data; it takes bytes.".format(type(data).__name__)
            )
        self.uri = uri
        self.text = text
        self.data = None if data is None else bytes(data)
        self.mime_type = mime_type

    def to_content(self) -> Dict[str, Any]:
        inner: Dict[str, Any] = {"uri": self.uri}
        mime_type = self.mime_type or (None if self.data is None else "application/octet-stream")
        if mime_type is not None:
            inner["mimeType"] = mime_type
        if self.data is None:
            inner["text"] = self.text
        else:
            inner["blob"] = _base64(self.data)
        return self._annotated({"type": "resource", "resource": inner})


class Link(Content):
    """A link to a resource that the client may read.

    ``size`` in bytes; ``icons``: URIs, or dicts as MCP's Icon.
    """

    __slots__ = ("description", "icons", "mime_type", "name", "size", "title", "uri")

    def __init__(
        self,
        uri: str,
        name: str,
        description: Optional[str] = None,
        mime_type: Optional[str] = None,
        title: Optional[str] = None,
        size: Optional[int] = None,
        annotations: Optional[Mapping[str, Any]] = None,
        icons: Sequence[Any] = (),
    ) -> None:
        super().__init__(annotations)
        try:
            self.icons: List[Dict[str, Any]] = icons_of(icons)
        except ValueError as error:
            raise HostError("Link {}.".format(error)) from None
        self.uri = uri
        self.name = name
        self.description = description
        self.mime_type = mime_type
        self.title = title
        self.size = size

    def to_content(self) -> Dict[str, Any]:
        block: Dict[str, Any] = {"type": "resource_link", "uri": self.uri, "name": self.name}
        optional = (
            ("title", self.title),
            ("description", self.description),
            ("mimeType", self.mime_type),
            ("size", self.size),
            ("icons", self.icons or None),
        )
        block.update((key, value) for key, value in optional if value is not None)
        return self._annotated(block)


def _recognised(data: bytes, signatures: Tuple[Tuple[bytes, int, str], ...]) -> Optional[str]:
    for magic, offset, mime_type in signatures:
        if data[offset : offset + len(magic)] == magic:
            return mime_type
    return None


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _from(path: Optional[str]) -> str:
    return "" if path is None else " (file {!r})".format(path)
