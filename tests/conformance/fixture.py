"""What the official MCP conformance suite expects a server to have, as tools of an author.

``serve --tools tests/conformance/fixture.py`` serves it; names, texts and behaviour are the suite's
(``@modelcontextprotocol/conformance``). It is also what ``test_fixture.py`` asks, more strictly:
the suite passes some scenarios for a server that lacks the tool.
"""

from __future__ import annotations

import itertools
import json
import struct
import time
import zlib
from types import SimpleNamespace
from typing import Any, Dict, List

from dcc_mcp_embed import (
    Audio,
    Image,
    Progress,
    Resource,
    prompt,
    resource,
    resource_template,
    start,
    tool,
)

#: Seconds between two steps. The suite wants tools that take time, to look at what comes before the
#: result; it tells no tool that it has, so they sleep: there is nothing else to wait for.
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


@tool(read_only=True, thread="worker")
def test_tool_with_logging(ctx) -> str:
    """Log three times."""
    ctx.log("info", "Tool execution started")
    time.sleep(PAUSE)
    ctx.log("info", "Tool processing data")
    time.sleep(PAUSE)
    ctx.log("info", "Tool execution completed")
    return "Tool with logging executed successfully"


@tool(read_only=True, thread="worker")
def test_logging_tool(ctx) -> str:
    """Log once."""
    ctx.log("info", "This is a log message")
    return "Logged"


@tool(read_only=True, thread="worker")
def test_reconnection(ctx) -> str:
    """Have the client come back for the result."""
    ctx.step_out()
    time.sleep(4 * PAUSE)
    return "Reconnection test completed successfully"


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


@tool(
    read_only=True,
    input_schema={
        "type": "object",
        "properties": {
            "region": {"type": "string", "description": "Where", "x-mcp-header": "Region"}
        },
        "required": ["region"],
    },
)
def region_by_header(region: str) -> str:
    """Take an argument that stands in a header too."""
    return "region: {}".format(region)


_numbers = itertools.count(1)


@tool(thread="worker")
def test_trigger_tool_change() -> str:
    """Add a tool."""

    @tool(name="test_added_{}".format(next(_numbers)), read_only=True)
    def added() -> str:
        """Be new."""
        return "new"

    start().register_tools(SimpleNamespace(added=added))
    return "added"


@tool(thread="worker")
def test_trigger_prompt_change() -> str:
    """Add a prompt."""

    @prompt(name="test_added_{}".format(next(_numbers)))
    def added() -> str:
        """Be new."""
        return "new"

    start().register_tools(SimpleNamespace(added=added))
    return "added"


# -- questions to the client --------------------------------------------------------------------


def _form(**properties: Any) -> Dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _plain(kind: str, **more: Any) -> Dict[str, Any]:
    return dict({"type": kind}, **more)


def _told(answer: Dict[str, Any]) -> str:
    return "action={}, content={}".format(answer["action"], json.dumps(answer["content"]))


@tool(read_only=True)
def test_sampling(ctx, prompt: str) -> Any:
    """Ask the client's model.

    Args:
        prompt: What to ask
    """
    answer = yield ctx.sample(prompt, max_tokens=100)
    return "LLM response: {}".format(answer["content"]["text"])


@tool(read_only=True)
def test_elicitation(ctx, message: str) -> Any:
    """Ask the person at the client.

    Args:
        message: What to ask
    """
    answer = yield ctx.elicit(
        message,
        _form(
            username=_plain("string", description="User's response"),
            email=_plain("string", description="User's email address"),
        ),
    )
    return "User response: {}".format(_told(answer))


@tool(read_only=True)
def test_elicitation_sep1034_defaults(ctx) -> Any:
    """Ask with defaults."""
    schema = _form(
        name=_plain("string", default="John Doe"),
        age=_plain("integer", default=30),
        score=_plain("number", default=95.5),
        status=_plain("string", enum=["active", "inactive", "pending"], default="active"),
        verified=_plain("boolean", default=True),
    )
    schema["required"] = []
    answer = yield ctx.elicit("Please review the form", schema)
    return "Elicitation completed: {}".format(_told(answer))


@tool(read_only=True)
def test_elicitation_sep1330_enums(ctx) -> Any:
    """Ask with choices of every kind."""
    options = ["option1", "option2", "option3"]
    titled = [
        {"const": "value{}".format(number), "title": "{} Option".format(word)}
        for number, word in enumerate(("First", "Second", "Third"), 1)
    ]
    schema = _form(
        untitledSingle=_plain("string", enum=options),
        titledSingle=_plain("string", oneOf=titled),
        legacyEnum=_plain(
            "string",
            enum=["opt1", "opt2", "opt3"],
            enumNames=["Option One", "Option Two", "Option Three"],
        ),
        untitledMulti=_plain("array", items=_plain("string", enum=options)),
        titledMulti=_plain("array", items={"anyOf": titled}),
    )
    schema["required"] = []
    answer = yield ctx.elicit("Please choose", schema)
    return "Elicitation completed: {}".format(_told(answer))


@tool(read_only=True)
def test_missing_capability(ctx) -> Any:
    """Ask for what the client does not offer."""
    yield ctx.sample("Hello", max_tokens=10)
    return "asked"


@tool(read_only=True)
def test_streaming_elicitation(ctx) -> Any:
    """Ask the person at the client, in the middle of it."""
    yield Progress(1, 2)
    answer = yield ctx.elicit("Please confirm", _form(ok=_plain("boolean")))
    return _told(answer)


@tool(read_only=True)
def test_input_required_result_elicitation(ctx) -> Any:
    """Ask for a name."""
    answer = yield ctx.elicit("What is your name?", _form(name=_plain("string")), key="user_name")
    return "Hello, {}!".format(answer["content"].get("name", "nobody"))


@tool(read_only=True)
def test_input_required_result_sampling(ctx) -> Any:
    """Ask the client's model for a capital."""
    answer = yield ctx.sample(
        "What is the capital of France?", max_tokens=100, key="capital_question"
    )
    return answer["content"]["text"]


@tool(read_only=True)
def test_input_required_result_list_roots(ctx) -> Any:
    """Ask for the client's roots."""
    roots = yield ctx.roots(key="client_roots")
    return "{} roots".format(len(roots))


@tool(read_only=True)
def test_input_required_result_request_state(ctx) -> Any:
    """Ask for a confirmation; that it arrives here at all proves the state."""
    yield ctx.elicit("Please confirm", _form(ok=_plain("boolean")), key="confirm")
    return "state-ok"


@tool(read_only=True)
def test_input_required_result_tampered_state(ctx) -> Any:
    """Ask for a confirmation whose state the client spoils."""
    yield ctx.elicit("Please confirm", _form(ok=_plain("boolean")), key="confirm")
    return "confirmed"


@tool(read_only=True)
def test_input_required_result_multiple_inputs(ctx) -> Any:
    """Ask for three things at once."""
    person, greeting, roots = yield [
        ctx.elicit("What is your name?", _form(name=_plain("string")), key="user_name"),
        ctx.sample("Generate a greeting", max_tokens=50, key="greeting"),
        ctx.roots(key="client_roots"),
    ]
    return "{} {} {}".format(person["content"], greeting["content"]["text"], len(roots))


@tool(read_only=True)
def test_input_required_result_multi_round(ctx) -> Any:
    """Ask twice."""
    first = yield ctx.elicit(
        "Step 1: What is your name?", _form(name=_plain("string")), key="step1"
    )
    second = yield ctx.elicit(
        "Step 2: What is your favorite color?", _form(color=_plain("string")), key="step2"
    )
    return "{} likes {}".format(first["content"]["name"], second["content"]["color"])


@tool(read_only=True)
def test_input_required_result_capabilities(ctx) -> Any:
    """Ask for what the client offers, and for nothing else."""
    questions = []
    if ctx.offers("elicitation"):
        questions.append(ctx.elicit("What is your name?", _form(name=_plain("string"))))
    if ctx.offers("sampling"):
        questions.append(ctx.sample("Say hello", max_tokens=50))
    if not questions:
        return "nothing can be asked"
    answers = yield questions
    return "{} answers".format(len(answers))


@prompt
def test_input_required_result_prompt(ctx) -> Any:
    """A prompt that asks for its context."""
    answer = yield ctx.elicit(
        "What context should the prompt use?",
        _form(context=_plain("string")),
        key="user_context",
    )
    return "Use this context: {}".format(answer["content"]["context"])


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
