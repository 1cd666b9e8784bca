"""Content blocks as MCP has them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import HostError
from dcc_mcp_embed.tools.content import Audio, Image, Link, Resource

PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.mark.parametrize(
    ("kind", "data", "mime_type"),
    [
        (Image, PNG, "image/png"),
        (Image, b"\xff\xd8\xff\xe0", "image/jpeg"),
        (Image, b"GIF89a..", "image/gif"),
        (Image, b"RIFF....WEBPVP8 ", "image/webp"),
        (Image, b"v/1\x01", "image/x-exr"),
        (Audio, b"RIFF....WAVEfmt ", "audio/wav"),
        (Audio, b"OggS..", "audio/ogg"),
        (Audio, b"ID3..", "audio/mpeg"),
    ],
)
def test_formats_are_recognised(kind, data, mime_type):
    block = kind(data).to_content()
    assert block["mimeType"] == mime_type
    assert block["type"] == kind.__name__.lower()


@given(st.binary(min_size=1))
def test_data_comes_back(data):
    block = Image(bytearray(data), mime_type="image/x-any").to_content()
    assert base64.b64decode(block["data"], validate=True) == data
    inner = Resource("a:b", data=data).to_content()["resource"]
    assert base64.b64decode(inner["blob"], validate=True) == data


def test_a_file_is_read_at_once(tmp_path):
    file = tmp_path / "shot.bin"
    file.write_bytes(PNG)
    image = Image(path=str(file))
    file.unlink()
    assert base64.b64decode(image.to_content()["data"]) == PNG


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either data or path="),
        ({"data": PNG, "path": "x"}, "either data or path="),
        ({"data": b""}, "no bytes"),
        ({"data": "text"}, "it takes bytes. For a file use path="),
        ({"data": b"unknown"}, "pass mime_type="),
    ],
)
def test_what_is_no_picture_is_refused(arguments, words):
    with pytest.raises(HostError, match=words):
        Image(**arguments)


def test_a_missing_file_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Image(path=str(tmp_path / "none.png"))


def test_resource():
    assert Resource("scene://a", text="x", mime_type="text/plain").to_content() == {
        "type": "resource",
        "resource": {"uri": "scene://a", "mimeType": "text/plain", "text": "x"},
    }
    blob = Resource("scene://a", data=b"x").to_content()["resource"]
    assert blob["mimeType"] == "application/octet-stream"
    assert Resource("scene://a", text="").to_content()["resource"]["text"] == ""


@pytest.mark.parametrize(
    "arguments", [{}, {"text": "a", "data": b"a"}, {"text": b"a"}, {"data": "a"}]
)
def test_resource_takes_one_kind(arguments):
    with pytest.raises(HostError):
        Resource("scene://a", **arguments)


def test_link():
    assert Link("file:///a", "a").to_content() == {
        "type": "resource_link",
        "uri": "file:///a",
        "name": "a",
    }
    assert Link("a:b", "a", "what", "text/plain", "A", 0).to_content() == {
        "type": "resource_link",
        "uri": "a:b",
        "name": "a",
        "title": "A",
        "description": "what",
        "mimeType": "text/plain",
        "size": 0,
    }
