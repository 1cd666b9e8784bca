"""Hold a tool to the output schema that it declares."""

from __future__ import annotations

from typing import Any, Dict

from ..errors import ConfigError, HostError
from .coerce import Misfit
from .rules import compile_rule

__all__ = ["Output"]

#: Where a schema keeps what its references point to, from the root of the whole.
_DEFINITIONS = ("$schema", "$defs", "definitions")


class Output:
    """A declared output schema. ``shown`` is what ``tools/list`` shows of it.

    Of a raw tool it describes ``structuredContent``; of any other the data, which stands in an
    envelope there. Raises ValueError, whose text continues the sentence that begins with the tool.
    """

    __slots__ = ("_check", "shown")

    def __init__(self, schema: Dict[str, Any], raw: bool) -> None:
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise ValueError('has an output_schema whose root is not {"type": "object", ...}')
        try:
            self._check = compile_rule(schema)
        except ConfigError as error:
            raise ValueError("has a broken output_schema: {}".format(error)) from None
        self.shown: Dict[str, Any] = schema if raw else _in_envelope(schema)

    def hold(self, data: Any) -> Any:
        """Return ``data`` as the schema wants it. Raises HostError naming what does not fit."""
        try:
            return self._check(data)
        except Misfit as misfit:
            where = misfit.where()
            raise HostError(
                "The tool's result breaks its own output schema: {} {}.".format(
                    "'{}'".format(where) if where else "it", misfit.text
                ),
                hint="The tool must return what its output_schema says.",
            ) from None


def _in_envelope(schema: Dict[str, Any]) -> Dict[str, Any]:
    """Return the schema of a result whose data fits ``schema``, and of one that failed.

    Some clients check failed ones too; those have no data.
    """
    shown: Dict[str, Any] = {key: schema[key] for key in _DEFINITIONS if key in schema}
    data = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    shown["type"] = "object"
    shown["properties"] = {"ok": {"type": "boolean"}, "data": data}
    shown["required"] = ["ok"]
    return shown
