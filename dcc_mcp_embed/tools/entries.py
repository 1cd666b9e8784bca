"""What a declaration becomes: checked, described, ready to be called."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

from ..errors import ConfigError
from ..records import NamedTuple
from ..wire.mcp.param_headers import ParamHeader, param_headers
from .binder import from_derived, from_given
from .context import ToolContext
from .docstring import split
from .marks import annotations_of, icons_of
from .output import Output
from .schema import derive
from .signature import Signature, read

__all__ = [
    "CAPABILITIES",
    "TASKS",
    "THREADS",
    "Progress",
    "ReadOnlyEntry",
    "Shaped",
    "Tool",
    "checked_name",
    "described_as",
    "title_of",
]

THREADS = ("main", "worker", "loop")
#: Whether a tool can be run as a task, in MCP's words.
TASKS = ("optional", "required", "forbidden")

#: What a tool can say that it does beyond its annotations. ``code``: it runs code that the caller
#: sends. ``file_write``: it writes files that the caller names. ``undo``: it moves along the
#: host's undo stack, so no undo step is opened for it.
CAPABILITIES = ("code", "file_write", "undo")

#: Narrower than MCP allows: dots and more than 64 characters make Claude Desktop and Gemini refuse
#: the whole list of tools.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")


class Progress(NamedTuple):
    """What a stepwise tool yields. ``total`` and ``done`` share a unit of the tool's choice."""

    done: float
    total: Optional[float] = None
    message: Optional[str] = None


#: What a value became: the result of its MCP method, and the same as content blocks. The latter
#: are for ``get_job``, which shows the result of every call that outlived its time.
Shaped = Tuple[Dict[str, Any], List[Dict[str, Any]]]

#: (control, bound arguments) -> the tool that the call is really for, and its arguments. Called
#: before anything is queued; raises ToolError. Any thread.
Redirect = Callable[[Any, Dict[str, Any]], Tuple[Any, Dict[str, Any]]]


class Tool:
    """A declared tool. Immutable by convention: threads share it without a lock.

    ``timeout`` in seconds, None for the server's default; ``stepwise``: the function is a
    generator; ``shape(value, notes)``, where it is set, makes the result of a method other than
    ``tools/call`` (a resource or a prompt is called as a tool is) and adds warnings to ``notes``;
    ``redirect``, where it is set, names what is really to be called. See :func:`.declare.tool` for
    the rest. Raises ConfigError naming the function and what to change.
    """

    __slots__ = (
        "_described",
        "bind",
        "capabilities",
        "description",
        "destructive",
        "function",
        "idempotent",
        "input_schema",
        "name",
        "output",
        "param_headers",
        "place",
        "raw",
        "read_only",
        "redirect",
        "shape",
        "signature",
        "stepwise",
        "tags",
        "takes_context",
        "task",
        "thread",
        "timeout",
        "title",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        name: Optional[str] = None,
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
    ) -> None:
        signature = read(function)
        self.function = function
        self.signature: Signature = signature
        self.place = signature.place
        self.takes_context = signature.takes_context
        self.stepwise = signature.stepwise
        self.name = checked_name(name, function, self.place)
        self.title = title or title_of(self.name)
        doc = getattr(function, "__doc__", None)
        self.description = described_as(function, self.title)
        self.thread = thread
        self.read_only = bool(read_only)
        self.destructive = bool(destructive)
        self.idempotent = bool(idempotent)
        self.capabilities: Tuple[str, ...] = self._checked_capabilities(capabilities)
        self.timeout = timeout
        self.raw = bool(raw)
        self.shape: Optional[Callable[[Any, List[str]], Shaped]] = None
        self.redirect: Optional[Redirect] = None
        self.tags: Tuple[str, ...] = self._checked_tags(tags)
        self.task = task
        self._check()
        #: (arguments or None) -> keyword arguments. Raises InvalidArgument. Any thread.
        self.bind: Callable[[Optional[Dict[str, Any]]], Dict[str, Any]]
        if input_schema is None:
            derived = derive(signature, doc)
            self.input_schema = derived.input_schema
            self.bind = from_derived(self.name, signature, derived)
        else:
            self.input_schema = input_schema
            self.bind = from_given(self.name, signature, input_schema)
        #: Arguments that a request must repeat in its headers (``x-mcp-header``).
        self.param_headers: Tuple[ParamHeader, ...] = self._made(param_headers, self.input_schema)
        self._described: Dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input_schema,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.read_only,
                "destructiveHint": self.destructive,
                "idempotentHint": self.idempotent,
                # Tools work on the open scene, a closed world; code can reach anything.
                "openWorldHint": "code" in self.capabilities,
            },
        }
        self.output: Optional[Output] = None
        if output_schema is not None:
            self.output = self._made(Output, output_schema, self.raw)
            self._described["outputSchema"] = self.output.shown
        if icons:
            self._described["icons"] = self._made(icons_of, icons)

    @property
    def task_support(self) -> str:
        """Return whether it can be run as a task: what answers at once cannot."""
        return self.task if self.thread != "loop" or self.redirect is not None else "forbidden"

    def invoke(self, ctx: ToolContext, kwargs: Dict[str, Any]) -> Any:
        """Call the function with what :attr:`bind` returned. On the tool's own thread.

        A stepwise tool returns its generator.
        """
        if self.takes_context:
            return self.function(ctx, **kwargs)
        return self.function(**kwargs)

    def shaped(self, shape: Callable[[Any, List[str]], Shaped]) -> Tool:
        """Return a copy of the tool with another ``shape``."""
        return self.altered(shape=shape)

    def altered(self, **changes: Any) -> Tool:
        """Return a copy of the tool with other values of its attributes."""
        tool = Tool.__new__(Tool)
        for slot in Tool.__slots__:
            setattr(tool, slot, changes[slot] if slot in changes else getattr(self, slot))
        return tool

    def shown_with(self, schema: Dict[str, Any]) -> Tool:
        """Return a copy of the tool that shows another schema of its input; it binds as before."""
        return self.altered(
            input_schema=schema, _described=dict(self._described, inputSchema=schema)
        )

    def describe(self) -> Dict[str, Any]:
        """Return the tool as ``tools/list`` shows it. Always the same dict: not to be changed."""
        return self._described

    def _fail(self, text: str) -> NoReturn:
        raise ConfigError("{}: {}".format(self.place, text))

    def _made(self, make: Callable[..., Any], *given: Any) -> Any:
        try:
            return make(*given)
        except ValueError as error:
            self._fail("the tool {}.".format(error))

    def _checked_capabilities(self, capabilities: Sequence[str]) -> Tuple[str, ...]:
        if isinstance(capabilities, str):
            self._fail("capabilities is a text; write ({!r},).".format(capabilities))
        for one in capabilities:
            # A mistyped one would open what it was meant to guard.
            if one not in CAPABILITIES:
                self._fail(
                    "there is no capability {!r}; there are {}.".format(
                        one, ", ".join(CAPABILITIES)
                    )
                )
        return tuple(capabilities)

    def _checked_tags(self, tags: Sequence[str]) -> Tuple[str, ...]:
        if isinstance(tags, str):
            self._fail("tags is a text; write ({!r},).".format(tags))
        for one in tags:
            if not isinstance(one, str):
                self._fail("the tag {!r} is no text.".format(one))
        return tuple(tags)

    def _check(self) -> None:
        if self.thread not in THREADS:
            self._fail("thread is {!r}; it is one of {}.".format(self.thread, ", ".join(THREADS)))
        if self.task not in TASKS:
            self._fail("task is {!r}; it is one of {}.".format(self.task, ", ".join(TASKS)))
        if self.task == "required" and self.thread == "loop":
            self._fail(
                "it cannot be run as a task (task='required'), for thread='loop' must answer at "
                "once. Use 'main' or 'worker'."
            )
        if self.read_only and self.destructive:
            self._fail("it is read_only and destructive at once; keep one of them.")
        if self.stepwise and self.thread == "loop":
            self._fail(
                "a generator works in steps, but thread='loop' must answer at once. Use 'main' "
                "or 'worker'."
            )
        if "code" in self.capabilities and self.thread == "loop":
            self._fail(
                "code may have to wait for the user's consent, but thread='loop' must answer at "
                "once. Use 'main' or 'worker'."
            )
        timeout = self.timeout
        if timeout is not None and (
            isinstance(timeout, bool)
            or not isinstance(timeout, (int, float))
            or not 0 < timeout < float("inf")
        ):
            self._fail("timeout is {!r}; it is a number of seconds above 0.".format(timeout))
        if not isinstance(self.title, str):
            self._fail("title is {!r}; it is text.".format(self.title))

    def __repr__(self) -> str:
        return "<Tool {} of {}>".format(self.name, self.place)


class ReadOnlyEntry:
    """What a resource and a prompt have in common: a function that changes nothing.

    It is called as that of a tool is. Raises ConfigError naming the function and what to change.
    """

    __slots__ = (
        "_described",
        "_tool",
        "description",
        "function",
        "name",
        "place",
        "takes_context",
        "title",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        name: Optional[str],
        title: Optional[str],
        thread: str,
        timeout: Optional[float],
    ) -> None:
        tool = Tool(function, name, title, thread, read_only=True, idempotent=True, timeout=timeout)
        self._tool = tool
        self.function = function
        self.place = tool.place
        self.takes_context = tool.takes_context
        self.name = tool.name
        self.title = tool.title
        self.description = tool.description
        self._described: Dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "description": self.description,
        }

    def describe(self) -> Dict[str, Any]:
        """Return the entry of MCP's lists. Always the same dict: not to be changed."""
        return self._described

    def _adorn(
        self,
        kind: str,
        icons: Sequence[Any],
        annotations: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Describe what stands beside it; ``kind`` is what messages call it."""
        try:
            if annotations:
                self._described["annotations"] = annotations_of(annotations)
            if icons:
                self._described["icons"] = icons_of(icons)
        except ValueError as error:
            raise ConfigError("{}: the {} {}.".format(self.place, kind, error)) from None

    def __repr__(self) -> str:
        return "<{} {} of {}>".format(type(self).__name__, self.name, self.place)


def checked_name(name: Optional[str], function: Callable[..., Any], place: str) -> str:
    """Return the name of what is declared, by default its function's. Raises ConfigError."""
    chosen = name if name is not None else getattr(function, "__name__", "")
    if not isinstance(chosen, str) or not _NAME.match(chosen):
        raise ConfigError(
            "{}: the name {!r} is refused by some clients. Use up to 64 of A-Z a-z 0-9 _ - and "
            "start with a letter (pass name=).".format(place, chosen)
        )
    return chosen


def described_as(function: Callable[..., Any], title: str) -> str:
    """Return the description of what is declared: its docstring, or something at least."""
    return split(getattr(function, "__doc__", None))[0] or title + "."


def title_of(name: str) -> str:
    """Return the title of what was declared without one."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
