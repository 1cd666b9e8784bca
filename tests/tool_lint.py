"""The rules that our own tools keep so that every client accepts and every model understands them.

Authors' tools may break them; ours may not. Each rule about schemas has a client that refuses
something else: unions (GitHub Copilot, Gemini), enums beside anything but text, tuples, patterns
and limits (opencode, OpenAI), objects without properties, arrays without items (Gemini).
"""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, Iterator, List

from dcc_mcp_embed.records import NamedTuple
from dcc_mcp_embed.tools.entries import Tool
from dcc_mcp_embed.tools.signature import MISSING

__all__ = ["VERBS", "Finding", "check", "lint_schema"]

MAX_DESCRIPTION = 300
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_HINTS = ("title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")

#: What the name of a tool may begin with.
VERBS = frozenset(
    "add apply assign attach bake batch bind break build call cancel capture check clear close"
    " connect convert copy create delete describe detach disconnect duplicate edit execute"
    " export find fit focus freeze get group hide import insert inspect install isolate list"
    " load lock look make measure merge mirror mix modify move open paste pause play publish"
    " query read redo reference refresh reload remove rename render reorder reparent replace"
    " reset resolve restore restart resume rotate run save scale search select set show snap"
    " split start stop switch take test transfer unbind undo ungroup unload unlock unparent"
    " update validate verify wait watch write".split()
)

_LIMITS = (
    "state it in the description and check it in the tool",
    """minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern
    format minItems maxItems uniqueItems minProperties maxProperties const""",
)
_FORMS = (
    "use one type and say either/or in the description",
    "anyOf oneOf allOf not if then else dependentRequired dependentSchemas dependencies",
)
_REFERENCES = (
    "write the schema out in place",
    "$ref $schema $defs $id $anchor $dynamicRef definitions",
)
_TUPLES = (
    "use items with one type and say the order in the description",
    "prefixItems additionalItems contains minContains maxContains unevaluatedItems",
)
#: Keyword -> what to do instead.
_INSTEAD: Dict[str, str] = {
    keyword: advice
    for advice, keywords in (_LIMITS, _FORMS, _REFERENCES, _TUPLES)
    for keyword in keywords.split()
}
_EVERYWHERE = frozenset(("type", "title", "description", "default"))
#: Keywords of the subset by type.
_ALLOWED: Dict[str, FrozenSet[str]] = {
    "string": _EVERYWHERE | {"enum"},
    "array": _EVERYWHERE | {"items"},
    "object": _EVERYWHERE | {"properties", "required", "additionalProperties"},
}


class Finding(NamedTuple):
    """One broken rule: where (``inputSchema.properties.x``, ``name``) and what to change."""

    where: str
    text: str

    def __str__(self) -> str:
        return "{}: {}".format(self.where, self.text)


def check(tool: Tool) -> List[Finding]:
    """Return every rule that ``tool`` breaks."""
    return [*_name(tool), *_words(tool), *_hints(tool), *_defaults(tool)] + lint_schema(
        tool.describe()["inputSchema"]
    )


def lint_schema(schema: Any, where: str = "inputSchema") -> List[Finding]:
    """Return what in a tool's input schema is outside the subset that every client accepts."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return [Finding(where, 'the root must be of type "object"')]
    return list(_node(schema, where, root=True))


def _name(tool: Tool) -> Iterator[Finding]:
    if not _NAME.match(tool.name):
        yield Finding("name", "{!r} must fit [a-z][a-z0-9_]{{0,63}}".format(tool.name))
    elif tool.name.split("_")[0] not in VERBS:
        yield Finding("name", "{!r} must begin with a verb".format(tool.name))


def _words(tool: Tool) -> Iterator[Finding]:
    described = tool.describe()
    text = described["description"]
    if not getattr(tool.function, "__doc__", None) or not text.strip():
        yield Finding("description", "is empty; write a docstring")
    elif len(text) > MAX_DESCRIPTION:
        yield Finding(
            "description", "has {} characters; at most {}".format(len(text), MAX_DESCRIPTION)
        )
    if not described.get("title", "").strip():
        yield Finding("title", "is empty")


def _hints(tool: Tool) -> Iterator[Finding]:
    annotations = tool.describe().get("annotations", {})
    for hint in _HINTS:
        if annotations.get(hint) is None:
            yield Finding("annotations", "lack {}".format(hint))
    if annotations.get("openWorldHint") and "code" not in tool.capabilities:
        yield Finding("annotations", "claim an open world without the capability 'code'")


def _defaults(tool: Tool) -> Iterator[Finding]:
    """A default that means something must be stated, and stated rightly."""
    properties = tool.describe()["inputSchema"].get("properties", {})
    for parameter in tool.signature.parameters:
        shown, default = properties.get(parameter.name), parameter.default
        if not isinstance(shown, dict) or default is MISSING:
            continue
        where = "inputSchema.properties.{}".format(parameter.name)
        if "default" in shown:
            same = shown["default"] == (list(default) if isinstance(default, tuple) else default)
            if not same and not hasattr(type(default), "__members__"):
                yield Finding(
                    where, "states default {!r}, but it is {!r}".format(shown["default"], default)
                )
        elif default not in (None, "", (), [], {}) and (
            "default" not in shown.get("description", "").lower()
        ):
            yield Finding(where, "does not state its default, {!r}".format(default))


def _node(schema: Any, where: str, root: bool = False) -> Iterator[Finding]:
    if not isinstance(schema, dict):
        yield Finding(where, "is no dict")
        return
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        yield Finding(where, "type must be one of {}".format(", ".join(_TYPES)))
    allowed = _ALLOWED.get(str(kind), _EVERYWHERE)
    for keyword in schema:
        if keyword in _INSTEAD:
            yield Finding(where, "'{}': {}".format(keyword, _INSTEAD[keyword]))
        elif keyword == "enum" and kind != "string":
            yield Finding(where, "'enum' only beside type string (for lists, on the items)")
        elif keyword not in allowed and isinstance(kind, str):
            yield Finding(where, "'{}' does not belong beside type {}".format(keyword, kind))
    if kind == "string" and "enum" in schema:
        values = schema["enum"]
        if not isinstance(values, list) or not values or not all(_is_text(one) for one in values):
            yield Finding(where, "'enum' must list texts")
    if kind == "array":
        if isinstance(schema.get("items"), dict):
            yield from _node(schema["items"], where + ".items")
        else:
            yield Finding(where, "an array needs 'items' with one type")
    if kind == "object":
        yield from _object(schema, where, root)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _object(schema: Dict[str, Any], where: str, root: bool) -> Iterator[Finding]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        yield Finding(where, "an object needs 'properties', even if empty")
        properties = {}
    extra = schema.get("additionalProperties")
    if root or properties:
        if extra is not False:
            yield Finding(where, "'additionalProperties' must be false")
    elif extra is not True:
        yield Finding(where, "a free-form object needs 'additionalProperties': true")
    required = schema.get("required", [])
    if not isinstance(required, list) or len(set(map(str, required))) != len(required):
        yield Finding(where, "'required' must list names, each once")
        required = []
    for name in required:
        if name not in properties:
            yield Finding(where, "'required' names {!r}, which is no property".format(name))
    for name, member in properties.items():
        yield from _node(member, "{}.properties.{}".format(where, name))
