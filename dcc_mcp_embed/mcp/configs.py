"""What a user says of a server: a copy of it, once it is of the kinds it should be. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from typing import Any, Callable, Tuple

from ..errors import ConfigError
from .records import MCPPluginConfig

__all__ = ["own"]

_TEXTS = (str, bytes, os.PathLike)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_environment(value: Any) -> bool:
    return _is_mapping(value) and _are_texts(value.keys()) and _are_texts(value.values())


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and _are_texts(value)


def _are_texts(values: Any) -> bool:
    return all(isinstance(one, _TEXTS) for one in values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


#: Field, what it takes, and whether something is that. None is always fine.
_KINDS: Tuple[Tuple[str, str, Callable[[Any], bool]], ...] = (
    ("headers", "a dict", _is_mapping),
    ("env", "a dict of texts", _is_environment),
    ("timeout", "a number", _is_number),
    ("command", "a text", lambda value: isinstance(value, _TEXTS)),
    ("args", "a list of texts", _is_list_of_texts),
)


def own(config: MCPPluginConfig) -> MCPPluginConfig:
    """Return a copy, which its owner does not change. Raises ConfigError, naming the field.

    What stands in the field is not told: it may be a secret.
    """
    for name, kind, is_fine in _KINDS:
        value = getattr(config, name)
        if value is not None and not is_fine(value):
            given = type(value).__name__
            raise ConfigError("{} takes {}, which this {} is not".format(name, kind, given))
    found = copy(config)
    found.headers, found.env, found.args = copy(found.headers), copy(found.env), copy(found.args)
    return found
