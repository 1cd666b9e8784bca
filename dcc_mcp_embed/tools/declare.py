"""The decorators that declare tools, resources and prompts."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, TypeVar, Union, overload

from ..errors import ConfigError
from .entries import CAPABILITIES, Progress, Tool
from .prompts import PromptEntry
from .resources import ResourceEntry

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
    "resource_template",
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
    output_schema: Optional[Dict[str, Any]] = ...,
    icons: Sequence[Any] = ...,
    tags: Sequence[str] = ...,
    task: str = ...,
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
    output_schema: Optional[Dict[str, Any]] = None,
    icons: Sequence[Any] = (),
    tags: Sequence[str] = (),
    task: str = "optional",
) -> Any:
    """Declare a function as a tool: ``@tool`` or ``@tool(title="Make a rig", ...)``.

    The function itself is returned and stays callable. Its docstring is the description; the
    schema comes from its annotations and its "Args:" section, or is ``input_schema``, passed on as
    it is. A first parameter named ``ctx`` gets the ToolContext. A generator works in steps: it
    yields :class:`Progress` and returns its result.

    ``thread``: "main" is the host's, "worker" one of ours that never touches the host, "loop" is
    for what answers within microseconds. ``timeout`` in seconds. ``raw``: it returns an MCP
    CallToolResult itself. ``output_schema`` describes the data that it returns (what a raw tool
    puts under structuredContent), and it is held to it. ``icons``: URIs, or dicts as MCP's Icon.
    ``tags``: more words by which ``search_tools`` finds it. ``task``: whether it can be run as an
    MCP task: "optional", "forbidden", or "required" for what takes so long that clients that know
    no tasks are to be refused. Raises ConfigError naming the function and what to change.
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
                output_schema,
                icons,
                tags,
                task,
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
    thread: str = "main",
    timeout: Optional[float] = None,
    size: Optional[int] = None,
    annotations: Optional[Mapping[str, Any]] = None,
    icons: Sequence[Any] = (),
    complete: Optional[Mapping[str, Any]] = None,
) -> Callable[[Function], Function]:
    """Declare a function as a resource: ``@resource("scene://info")``.

    ``{placeholders}`` in ``uri`` are its parameters, ``{+placeholders}`` may hold slashes. It
    returns text, bytes, data (sent as JSON), Image, Audio, Resource or a list of these; it raises
    NotFound for what does not exist. A first parameter named ``ctx`` gets the ToolContext.

    ``thread`` and ``timeout`` are as for a tool: "loop" is for what answers at once. ``size`` in
    bytes. ``annotations``: "audience", "priority", "lastModified" as MCP has them. ``complete``
    maps placeholders to what they can be: a list of texts, or a function of ``value`` (what has
    been typed) that returns one. Raises ConfigError naming the function and what to change.
    """
    if not isinstance(uri, str):
        raise ConfigError("@resource needs a uri: @resource('scene://info').")

    def mark(function: Function) -> Function:
        return _mark(
            function,
            ResourceEntry(
                function,
                uri,
                name,
                title,
                mime_type,
                thread,
                timeout,
                size,
                annotations,
                icons,
                complete,
            ),
        )

    return mark


def resource_template(uri: str, **options: Any) -> Callable[[Function], Function]:
    """Declare a function as a template of resources: ``@resource_template("scene://{name}")``.

    The same as :func:`resource`, for a ``uri`` that must have placeholders.
    """
    if isinstance(uri, str) and "{" not in uri:
        raise ConfigError(
            "@resource_template: {!r} has no {{placeholder}}; write @resource.".format(uri)
        )
    return resource(uri, **options)


@overload
def prompt(name: Function) -> Function: ...


@overload
def prompt(
    name: Optional[str] = ...,
    title: Optional[str] = ...,
    thread: str = ...,
    timeout: Optional[float] = ...,
    icons: Sequence[Any] = ...,
    complete: Optional[Mapping[str, Any]] = ...,
) -> Callable[[Function], Function]: ...


def prompt(
    name: Any = None,
    title: Optional[str] = None,
    thread: str = "main",
    timeout: Optional[float] = None,
    icons: Sequence[Any] = (),
    complete: Optional[Mapping[str, Any]] = None,
) -> Any:
    """Declare a function as a prompt, bare or called; its parameters are text.

    It returns what the user is to say: text, Image, Audio, Resource, Link, or a list of these; for
    a message of the assistant ``{"role": "assistant", "content": ...}``. The others are as for
    :func:`resource`; a parameter that is a Literal or an Enum completes itself. Raises ConfigError
    naming the function and what to change.
    """

    def mark(function: Function) -> Function:
        return _mark(function, PromptEntry(function, name, title, thread, timeout, icons, complete))

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
