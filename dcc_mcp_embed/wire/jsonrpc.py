"""JSON-RPC 2.0 as MCP uses it: bytes to classified messages, and messages to bytes.

Bytes in, messages out; no socket, no clock. Stricter than the base specification where MCP is: an
id is a string or an integer, never null (schema of every revision), and an error whose request
could not be read carries no ``id`` at all.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Optional, Union

from ..parsing import undisturbed
from ..records import NamedTuple

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "Fault",
    "Notification",
    "Request",
    "Response",
    "classify",
    "decode",
    "encode",
    "error",
    "notification",
    "result",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

Id = Union[str, int]


class Fault(Exception):
    """A message that cannot be served: what to answer. ``id`` is None if it could not be read."""

    def __init__(self, code: int, message: str, id: Optional[Id] = None, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id
        self.data = data

    def to_message(self) -> Dict[str, Any]:
        """Return the error response."""
        return error(self.id, self.code, self.message, self.data)


class Request(NamedTuple):
    id: Id
    method: str
    params: Dict[str, Any]


class Notification(NamedTuple):
    method: str
    params: Dict[str, Any]


class Response(NamedTuple):
    id: Any
    result: Any
    error: Any


Message = Union[Request, Notification, Response]


def _no_constant(name: str) -> Any:
    raise ValueError("{} is not JSON".format(name))


def _short_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("an integer has more than {} digits".format(_MAX_DIGITS))
    return int(digits)


#: The limit that newer Pythons have by themselves: reading a longer number takes quadratic time.
_MAX_DIGITS = 4300
_decoder = json.JSONDecoder(
    parse_constant=_no_constant,
    parse_int=None if hasattr(sys, "get_int_max_str_digits") else _short_integer,
)
_decode = undisturbed(_decoder.decode)
# ASCII output: any text survives it, lone surrogates included, and it is the encoder's fast path.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def decode(body: bytes) -> Any:
    """Return the JSON value in ``body`` (UTF-8). Raises Fault PARSE_ERROR."""
    try:
        return _decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Fault(PARSE_ERROR, "The body is not UTF-8: {}".format(error.reason)) from None
    except RecursionError:
        raise Fault(PARSE_ERROR, "The body is nested too deeply") from None
    except ValueError as error:
        raise Fault(PARSE_ERROR, "The body is not JSON: {}".format(error)) from None


def encode(message: Any) -> bytes:
    """Return ``message`` as compact JSON. Raises ValueError for what JSON cannot say."""
    return _encode(message).encode("ascii")


def classify(value: Any) -> Message:
    """Return what kind of message ``value`` is. Raises Fault INVALID_REQUEST."""
    if type(value) is not dict:
        raise Fault(INVALID_REQUEST, "A message is a JSON object")
    ident = value.get("id")
    known = ident if type(ident) is int or type(ident) is str else None
    if value.get("jsonrpc") != "2.0":
        raise Fault(INVALID_REQUEST, 'A message has "jsonrpc": "2.0"', known)
    method = value.get("method")
    if method is None:
        if "id" in value and ("result" in value or "error" in value):
            return Response(ident, value.get("result"), value.get("error"))
        raise Fault(
            INVALID_REQUEST, "A message has a method, or an id with a result or an error", known
        )
    if type(method) is not str:
        raise Fault(INVALID_REQUEST, "The method is a string", known)
    params = value.get("params")
    if params is None:
        params = {}
    elif type(params) is not dict:
        raise Fault(INVALID_PARAMS, "The params of MCP methods are an object", known)
    if "id" not in value:
        return Notification(method, params)
    if known is None:
        raise Fault(INVALID_REQUEST, "The id of a request is a string or an integer")
    return Request(known, method, params)


def result(id: Id, value: Any) -> Dict[str, Any]:
    """Return a success response."""
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(id: Optional[Id], code: int, message: str, data: Any = None) -> Dict[str, Any]:
    """Return an error response; without an id when the request's could not be read."""
    shape: Dict[str, Any] = {"jsonrpc": "2.0"}
    if id is not None:
        shape["id"] = id
    fault: Dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        fault["data"] = data
    shape["error"] = fault
    return shape


def notification(method: str, params: Dict[str, Any]) -> Dict[str, Any]:
    """Return a notification."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
