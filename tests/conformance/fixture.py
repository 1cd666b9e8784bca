"""What the official MCP conformance suite expects a server to have, as tools of an author.

``serve --tools tests/conformance/fixture.py`` serves it; names, texts and behaviour are the suite's
(``@modelcontextprotocol/conformance``). It is also what ``test_fixture.py`` asks, more strictly:
the suite passes some scenarios for a server that lacks the tool.
"""

from __future__ import annotations

import struct
import time
import zlib
from typing import Any, Dict, List

from dcc_mcp_embed import (
    Audio,
    Image,
    Progress,
    Resource,
    prompt,
    resource,
    resource_template,
    tool,
)

#: Between two steps of a tool that reports some, seconds.
PAUSE = 0.05


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


#: One red pixel.
PNG = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00")),
        _chunk(b"IEND", b""),
    )
)
#: One silent sample, 8 kHz, mono, 16 bits.
WAV = struct.pack(
    "<4sI4s4sIHHIIHH4sIh",
    b"RIFF",
    38,
    b"WAVE",
    b"fmt ",
    16,
    1,
    1,
    8000,
    16000,
    2,
    16,
    b"data",
    2,
    0,
)


# -- tools --------------------------------------------------------------------------------------


@tool(read_only=True)
def test_simple_text() -> str:
    """Return a text."""
    return "This is a simple text response for testing."


@tool(read_only=True)
def test_image_content() -> Image:
    """Return an image."""
    return Image(PNG)


@tool(read_only=True)
def test_audio_content() -> Audio:
    """Return a sound."""
    return Audio(WAV)


@tool(read_only=True)
def test_embedded_resource() -> Resource:
    """Return a resource, embedded."""
    return Resource(
        "test://embedded-resource",
        text="This is an embedded resource content.",
        mime_type="text/plain",
    )


@tool(read_only=True)
def test_multiple_content_types() -> List[Any]:
    """Return a text, an image and a resource."""
    return [
        "Multiple content types test:",
        Image(PNG),
        Resource(
            "test://mixed-content-resource",
            text='{"test":"data","value":123}',
            mime_type="application/json",
        ),
    ]


@tool(read_only=True, thread="worker")
def test_tool_with_progress() -> Any:
    """Report progress three times."""
    for done in (0, 50, 100):
        yield Progress(done, 100, "Completed step {} of 100".format(done))
        time.sleep(PAUSE)
    return "Tool with progress executed successfully"


@tool(read_only=True)
def test_error_handling() -> str:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@tool(
    read_only=True,
    input_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {
            "properties": {"contactMethod": {"const": "phone"}},
            "required": ["contactMethod"],
        },
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)
def json_schema_2020_12_tool(
    name: str = "",
    address: Any = None,
    contactMethod: str = "",
    phone: str = "",
    email: str = "",
) -> Dict[str, Any]:
    """Take arguments whose schema uses much of JSON Schema 2020-12."""
    return {"name": name, "address": address, "contact": phone or email}


# -- resources ----------------------------------------------------------------------------------


@resource("test://static-text", mime_type="text/plain", thread="loop")
def static_text() -> str:
    """A text that stays the same."""
    return "This is the content of the static text resource."


@resource("test://static-binary", mime_type="image/png", thread="loop")
def static_binary() -> bytes:
    """An image that stays the same."""
    return PNG


@resource("test://watched-resource", mime_type="text/plain")
def watched_resource() -> str:
    """A resource to subscribe to."""
    return "Watched resource content"


@resource_template(
    "test://template/{id}/data", mime_type="application/json", complete={"id": ["1", "12", "123"]}
)
def template_data(id: str) -> Dict[str, Any]:
    """Data that belongs to an id."""
    return {"id": id, "templateTest": True, "data": "Data for ID: {}".format(id)}


# -- prompts ------------------------------------------------------------------------------------


@prompt
def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


@prompt(complete={"arg1": ["paris", "park", "party"]})
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with two arguments.

    Args:
        arg1: First test argument
        arg2: Second test argument
    """
    return "Prompt with arguments: arg1='{}', arg2='{}'".format(arg1, arg2)


@prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> List[Any]:
    """A prompt that embeds a resource.

    Args:
        resourceUri: URI of the resource to embed
    """
    return [
        Resource(
            resourceUri, text="Embedded resource content for testing.", mime_type="text/plain"
        ),
        "Please process the embedded resource above.",
    ]


@prompt
def test_prompt_with_image() -> List[Any]:
    """A prompt with an image."""
    return [Image(PNG), "Please analyze the image above."]
