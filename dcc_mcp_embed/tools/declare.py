"""The decorators that declare tools, resources and prompts."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar, Union, overload

from ..errors import ConfigError
from .entries import (
    CAPABILITIES,
    Progress,
    PromptEntry,
    ResourceEntry,
    Tool,
    make_prompt,
    make_resource,
)

__all__ = [
    "CAPABILITIES",
    "Entry",
    "Progress",
    "PromptEntry",
    "ResourceEntry",
    "Tool",
    "declared",
    "declared_in",
    "prompt",
    "resource",
    "tool",
]

Entry = Union[Tool, ResourceEntry, PromptEntry]
Function = TypeVar("Function", bound=Callable[..., Any])

#: The attribute that marks a declared function.
_MARK = "__dcc_mcp_declared__"


@overload
def tool(name: Function) -> Function: ...


@overload
def tool(
    name: Optional[str] = ...,
    title: Optional[str] = ...,
    thread: str = ...,
    read_only: bool = ...,
    destructive: bool = ...,
    idempotent: bool = ...,
    capabilities: Sequence[str] = ...,
    timeout: Optional[float] = ...,
    input_schema: Optional[Dict[str, Any]] = ...,
    raw: bool = ...,
) -> Callable[[Function], Function]: ...


def tool(
    name: Any = None,
    title: Optional[str] = None,
    thread: str = "main",
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = False,
    capabilities: Sequence[str] = (),
    timeout: Optional[float] = None,
    input_schema: Optional[Dict[str, Any]] = None,
    raw: bool = False,
) -> Any:
    """Declare a function as a tool: ``@tool`` or ``@tool(title="Make a rig", ...)``.

    The function itself is returned and stays callable. Its docstring is the description; the
    schema comes from its annotations and its "Args:" section, or is ``input_schema``, passed on as
    it is. A first parameter named ``ctx`` gets the ToolContext. A generator works in steps: it
    yields :class:`Progress` and returns its result.

    ``thread``: "main" is the host's, "worker" one of ours that never touches the host, "loop" is
    for what answers within microseconds. ``timeout`` in seconds. ``raw``: it returns an MCP
    CallToolResult itself. Raises ConfigError naming the function and what to change.
    """

    def mark(function: Function) -> Function:
        return _mark(
            function,
            Tool(
                function,
                name,
                title,
                thread,
                read_only,
                destructive,
                idempotent,
                capabilities,
                timeout,
                input_schema,
                raw,
            ),
        )

    if name is None or isinstance(name, str):
        return mark
    function, name = name, None
    return mark(function)


def resource(
    uri: str,
    name: Optional[str] = None,
    title: Optional[str] = None,
    mime_type: Optional[str] = None,
) -> Callable[[Function], Function]:
    """Declare a function as a resource; ``{placeholders}`` in ``uri`` are its parameters.

    Raises ConfigError where they do not fit. Kept in the table; not served yet.
    """
    if not isinstance(uri, str):
        raise ConfigError("@resource needs a uri: @resource('scene://info').")

    def mark(function: Function) -> Function:
        return _mark(function, make_resource(function, uri, name, title, mime_type))

    return mark


def prompt(name: Any = None, title: Optional[str] = None) -> Any:
    """Declare a function as a prompt, bare or called; its parameters are text.

    Raises ConfigError for others. Kept in the table; not served yet.
    """

    def mark(function: Function) -> Function:
        return _mark(function, make_prompt(function, name, title))

    if name is None or isinstance(name, str):
        return mark
    function, name = name, None
    return mark(function)


def declared(thing: Any) -> Optional[Entry]:
    """Return what a function was declared as, None if it was not; an entry is its own."""
    if isinstance(thing, (Tool, ResourceEntry, PromptEntry)):
        return thing
    # Looked up in its own dict: a host's proxy object may answer to any attribute.
    members = getattr(thing, "__dict__", None) if callable(thing) else None
    return members.get(_MARK) if isinstance(members, dict) else None


def declared_in(module: Any) -> List[Entry]:
    """Return what is declared in a module or imported into it, in the order of its names."""
    found: List[Entry] = []
    for thing in list(vars(module).values()):
        entry = declared(thing)
        if entry is not None and not any(entry is one for one in found):
            found.append(entry)
    return found


def _mark(function: Function, entry: Entry) -> Function:
    if declared(function) is not None:
        raise ConfigError("{} is declared twice; keep one decorator.".format(entry.place))
    setattr(function, _MARK, entry)
    return function
