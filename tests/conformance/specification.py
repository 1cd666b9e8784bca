"""The specification's own JSON schemas, and what they allow a server to say.

Needs ``jsonschema``, which not every environment of the tests has (see ``setup.cfg``).
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import os
import re
from typing import Any, Dict, List, Optional, Set, Tuple

from conformance.tasks import problems_of_tasks
from dcc_mcp_embed.wire.mcp.revisions import HANDSHAKE, STATELESS

__all__ = ["REVISIONS", "Specification", "specification"]

REVISIONS = HANDSHAKE + STATELESS
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema")
_OLDEST = "2024-11-05"
#: What the revision after the oldest one has brought.
_NEW_IN_SECOND = (
    "AudioContent",
    "ToolAnnotations",
    "JSONRPCBatchRequest",
    "JSONRPCBatchResponse",
)
#: Errors of messages whose id could perhaps not be read: then they cannot say whose they are.
_UNREADABLE = (-32700, -32600)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S*\Z")


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


#: What a schema's ``format`` demands of a text.
_FORMATS = {
    "byte": _is_base64,
    "uri": lambda value: _URI.match(value) is not None,
    "uri-template": lambda value: _URI.match(value) is not None,
}


def _without(value: Any, names: Tuple[str, ...]) -> Any:
    """Return a schema without these definitions and without alternatives that lead to them."""
    if isinstance(value, dict):
        return {
            key: _without(one, names)
            for key, one in value.items()
            if key not in names and not _leads_to(one, names)
        }
    if isinstance(value, list):
        return [_without(one, names) for one in value if not _leads_to(one, names)]
    return value


def _leads_to(value: Any, names: Tuple[str, ...]) -> bool:
    shown = json.dumps(value) if isinstance(value, dict) else ""
    if "$ref" in shown and isinstance(value, dict):
        inner = value.get("items", value)
        return str(inner.get("$ref", "")).rpartition("/")[2] in names
    return False


def _load(revision: str) -> Dict[str, Any]:
    name = HANDSHAKE[1] if revision == _OLDEST else revision
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as file:
        schema: Dict[str, Any] = json.load(file)
    if revision == _OLDEST:
        schema = _without(schema, _NEW_IN_SECOND)
    return schema


class Specification:
    """What one revision allows a server to say."""

    def __init__(self, revision: str) -> None:
        import jsonschema

        self.revision = revision
        schema = _load(revision)
        self._key = "$defs" if "$defs" in schema else "definitions"
        self._root = {"$schema": schema["$schema"], self._key: schema[self._key]}
        self.definitions: Dict[str, Any] = schema[self._key]
        number = self.definitions.get("NumberSchema", {}).get("properties", {})
        for member in ("minimum", "maximum", "default"):
            # A slip that every revision until 2026-07-28 has: a number is not always an integer.
            if number.get(member, {}).get("type") == "integer":
                number[member]["type"] = "number"
        self._validator = jsonschema.validators.validator_for(self._root)
        self._formats = jsonschema.FormatChecker(formats=())
        for name, good in _FORMATS.items():
            self._formats.checkers[name] = (
                lambda value, good=good: not isinstance(value, str) or good(value),
                (),
            )
        self._validators: Dict[str, Any] = {}
        #: Method -> the definition of its request or notification.
        self._methods: Dict[str, str] = {}
        #: Code -> the definition of an error that has one of its own.
        self._errors: Dict[int, str] = {}
        for name, one in self.definitions.items():
            method = one.get("properties", {}).get("method", {}).get("const")
            if method is not None:
                # The last revision has one twice: as itself, and as all that clients notify of.
                self._methods.setdefault(method, name)
            for part in one.get("properties", {}).get("error", {}).get("allOf", ()):
                code = part.get("properties", {}).get("code", {}).get("const")
                if code is not None:
                    self._errors[code] = name
        #: Methods.
        self.said_by_servers = self._alternatives("ServerRequest")
        self.said_by_servers |= self._alternatives("ServerNotification")
        self.said_by_clients = self._alternatives("ClientRequest")
        self.said_by_clients |= self._alternatives("ClientNotification")

    def _alternatives(self, name: str) -> Set[str]:
        """Return the methods of a definition that names others, or is the only one there is."""
        found = self.definitions.get(name, {"anyOf": ()})
        named = [self.definitions[one["$ref"].rpartition("/")[2]] for one in found.get("anyOf", ())]
        ones = named if "anyOf" in found else [found]
        return {one["properties"]["method"]["const"] for one in ones}

    def check(self, name: str, value: Any) -> List[str]:
        """Return what is wrong with ``value`` as an instance of the definition ``name``."""
        validator = self._validators.get(name)
        if validator is None:
            schema = dict(self._root, allOf=[{"$ref": "#/{}/{}".format(self._key, name)}])
            validator = self._validator(schema, format_checker=self._formats)
            self._validators[name] = validator
        return [
            "{} at {}: {}".format(
                name, "/".join(map(str, error.absolute_path)), error.message[:500]
            )
            for error in validator.iter_errors(value)
        ]

    def problems(self, message: Any, method: Optional[str] = None) -> List[str]:
        """Return what is wrong with a message of a server's.

        ``method``: what a response answers, if that is known.
        """
        if type(message) is not dict:
            return ["a message is an object"]
        if "method" in message:
            return self._wrong_wish(message, self.said_by_servers, "server")
        if "error" in message:
            return self._wrong_error(message) + self._strange(message, ("error",))
        generic = "JSONRPCResultResponse"
        if generic not in self.definitions:
            generic = "JSONRPCResponse"
        found = self.check(generic, message) + self._strange(message, ("result",))
        if not found and method is not None:
            found = self._wrong_result(message["result"], method)
        return found

    def problems_of_client(self, message: Dict[str, Any]) -> List[str]:
        """Return what is wrong with a request or a notification of a client's."""
        return self._wrong_wish(message, self.said_by_clients, "client")

    def _wrong_wish(self, message: Dict[str, Any], allowed: Set[str], who: str) -> List[str]:
        method = message["method"]
        if type(method) is not str or method not in allowed:
            return ["{} is nothing that a {} says".format(method, who)]
        return self.check(self._methods[method], message) + self._strange(
            message, ("method", "params")
        )

    def _strange(self, message: Dict[str, Any], members: Tuple[str, ...]) -> List[str]:
        """Return members that no message of its kind has; the schemas allow any."""
        more = set(message) - {"jsonrpc", "id", *members}
        return ["strange members: {}".format(sorted(more))] if more else []

    def _wrong_error(self, message: Dict[str, Any]) -> List[str]:
        error = message["error"]
        code = error.get("code") if type(error) is dict else None
        if "id" not in message and code not in _UNREADABLE:
            return ["an error without the id of its request"]
        if code == -32002 and self.revision in STATELESS:
            return ["-32002 must not be said in this revision"]
        if "JSONRPCError" in self.definitions:
            # These have no word for a request whose id could not be read.
            return self.check("JSONRPCError", dict({"id": 0}, **message))
        return self.check(self._errors.get(code, "JSONRPCErrorResponse"), message)

    def _wrong_result(self, result: Dict[str, Any], method: str) -> List[str]:
        of_tasks = problems_of_tasks(self, result, method)
        if of_tasks is not None:
            return of_tasks
        name = self._methods.get(method)
        if name is None:
            return ["a result for {}, which there is not".format(method)]
        kind = name[: -len("Request")] + "Result"
        if result.get("resultType") == "input_required" and "InputRequiredResult" in (
            self.definitions
        ):
            kind = "InputRequiredResult"
        if kind not in self.definitions:
            kind = "EmptyResult"
            if set(result) - {"_meta", "resultType"}:
                return ["the result of {} is empty".format(method)]
        return self.check(kind, result)


@functools.lru_cache(maxsize=None)
def specification(revision: str) -> Specification:
    """Return a revision's specification, read once."""
    return Specification(revision)
