"""What the declaration of a prompt becomes, and what its function returns becomes in turn."""

from __future__ import annotations

from collections import abc
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, cast

from ..errors import ConfigError, HostError
from .completing import Completer, completers
from .content import Content
from .entries import ReadOnlyEntry, Shaped, Tool
from .results import block_of
from .signature import MISSING
from .tidy import tidy

__all__ = ["PromptEntry"]

_ROLES = ("user", "assistant")


class PromptEntry(ReadOnlyEntry):
    """A declared prompt; ``arguments`` as MCP's ``prompts/list`` shows them.

    ``completers`` maps arguments to what completes them; ``rendering`` is the tool whose call
    renders the prompt. See :func:`.declare.prompt` for the rest. Raises ConfigError naming the
    function and what to change.
    """

    __slots__ = ("arguments", "completers", "rendering")

    def __init__(
        self,
        function: Callable[..., Any],
        name: Optional[str] = None,
        title: Optional[str] = None,
        thread: str = "main",
        timeout: Optional[float] = None,
        icons: Sequence[Any] = (),
        complete: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(function, name, title, thread, timeout)
        tool = self._tool
        tool.shape = self._shape
        self.rendering = tool
        self.arguments = _arguments(tool)
        self.completers: Dict[str, Completer] = completers(
            self.place, tool.input_schema["properties"], complete, thread
        )
        self._described["arguments"] = self.arguments
        self._adorn("prompt", icons)

    def _shape(self, value: Any, notes: List[str]) -> Shaped:
        many = isinstance(value, (list, tuple))
        messages = [_message(one, place) for place, one in enumerate(value if many else [value])]
        result = {"description": self.description, "messages": messages}
        return result, [one["content"] for one in messages]


def _arguments(tool: Tool) -> List[Dict[str, Any]]:
    schema = tool.input_schema
    arguments: List[Dict[str, Any]] = []
    for parameter in tool.signature.parameters:
        shown = schema["properties"][parameter.name]
        if shown["type"] != "string":
            raise ConfigError(
                "{}: parameter '{}' is of type {}, but a prompt's arguments are text. Annotate "
                "it with str.".format(tool.place, parameter.name, shown["type"])
            )
        argument = {
            "name": parameter.name,
            "required": parameter.name in schema.get("required", ()),
        }
        if "description" in shown and parameter.annotation is not MISSING:
            argument["description"] = shown["description"]
        arguments.append(argument)
    return arguments


# -- what is rendered ----------------------------------------------------------------------------


def _message(value: Any, place: int) -> Dict[str, Any]:
    """Return one message: of the user, unless a mapping says otherwise."""
    role, content = "user", value
    if isinstance(value, abc.Mapping):
        role, content = value.get("role", ""), value.get("content")
    if role not in _ROLES or not isinstance(content, (str, Content, abc.Mapping)):
        raise HostError(
            "The prompt returned a message of type {} at result[{}] that cannot be sent.".format(
                type(value).__name__, place
            ),
            hint="A prompt returns text, Image, Audio, Resource or Link, or a list of these and of "
            "{'role': 'user' or 'assistant', 'content': one of them}.",
        )
    if isinstance(content, abc.Mapping):
        block = cast(Dict[str, Any], tidy(content, "result[{}].content".format(place)).value)
        if not isinstance(block.get("type"), str):
            raise HostError("The content at result[{}] has no 'type'.".format(place))
        return {"role": role, "content": block}
    return {"role": role, "content": block_of(content, place)}
