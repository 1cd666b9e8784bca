"""What a declaration becomes: a tool, a resource or a prompt, checked and ready to be served."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from ..errors import ConfigError
from .binder import from_derived, from_given
from .context import ToolContext
from .docstring import split
from .schema import derive
from .signature import MISSING, Signature, read

__all__ = [
    "CAPABILITIES",
    "THREADS",
    "Progress",
    "PromptEntry",
    "ResourceEntry",
    "Tool",
    "make_prompt",
    "make_resource",
]

THREADS = ("main", "worker", "loop")

#: What a tool can say that it does beyond its annotations. ``code``: it runs code that the caller
#: sends. ``file_write``: it writes files that the caller names. ``undo``: it moves along the
#: host's undo stack, so no undo step is opened for it.
CAPABILITIES = ("code", "file_write", "undo")

#: Narrower than MCP allows: dots and more than 64 characters make Claude Desktop and Gemini refuse
#: the whole list of tools.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Progress(NamedTuple):
    """What a stepwise tool yields. ``total`` and ``done`` share a unit of the tool's choice."""

    done: float
    total: Optional[float] = None
    message: Optional[str] = None


class Tool:
    """A declared tool. Immutable by convention: threads share it without a lock.

    ``timeout`` in seconds, None for the server's default; ``stepwise``: the function is a
    generator. See :func:`.declare.tool` for the rest. Raises ConfigError naming the function and
    what to change.
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
        "place",
        "raw",
        "read_only",
        "signature",
        "stepwise",
        "takes_context",
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
    ) -> None:
        signature = read(function)
        self.function = function
        self.signature: Signature = signature
        self.place = signature.place
        self.takes_context = signature.takes_context
        self.stepwise = signature.stepwise
        self.name = _checked_name(name, function, self.place)
        self.title = title or _title_of(self.name)
        doc = getattr(function, "__doc__", None)
        self.description = split(doc)[0] or self.title + "."
        self.thread = thread
        self.read_only = bool(read_only)
        self.destructive = bool(destructive)
        self.idempotent = bool(idempotent)
        self.capabilities: Tuple[str, ...] = self._checked_capabilities(capabilities)
        self.timeout = timeout
        self.raw = bool(raw)
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

    def invoke(self, ctx: ToolContext, kwargs: Dict[str, Any]) -> Any:
        """Call the function with what :attr:`bind` returned. On the tool's own thread.

        A stepwise tool returns its generator.
        """
        if self.takes_context:
            return self.function(ctx, **kwargs)
        return self.function(**kwargs)

    def describe(self) -> Dict[str, Any]:
        """Return the tool as ``tools/list`` shows it. Always the same dict: not to be changed."""
        return self._described

    def _fail(self, text: str) -> NoReturn:
        raise ConfigError("{}: {}".format(self.place, text))

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

    def _check(self) -> None:
        if self.thread not in THREADS:
            self._fail("thread is {!r}; it is one of {}.".format(self.thread, ", ".join(THREADS)))
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


class ResourceEntry(NamedTuple):
    """A declared resource; ``template`` if its uri has placeholders, which are its parameters."""

    uri: str
    name: str
    title: str
    description: str
    mime_type: Optional[str]
    template: bool
    function: Callable[..., Any]
    takes_context: bool
    place: str


class PromptEntry(NamedTuple):
    """A declared prompt; ``arguments`` as MCP's ``prompts/list`` shows them."""

    name: str
    title: str
    description: str
    arguments: List[Dict[str, Any]]
    function: Callable[..., Any]
    takes_context: bool
    place: str


def make_resource(
    function: Callable[..., Any],
    uri: str,
    name: Optional[str],
    title: Optional[str],
    mime_type: Optional[str],
) -> ResourceEntry:
    """Return the entry of a resource. Raises ConfigError where uri and parameters do not fit."""
    signature = read(function)
    if not isinstance(uri, str) or not _URI.match(uri):
        raise ConfigError(
            "{}: the uri is {!r}; it needs a scheme, as in 'scene://objects/{{name}}'.".format(
                signature.place, uri
            )
        )
    holes = _PLACEHOLDER.findall(uri)
    rest = _PLACEHOLDER.sub("", uri)
    if "{" in rest or "}" in rest or not all(hole.isidentifier() for hole in holes):
        raise ConfigError(
            "{}: the uri {!r} has a placeholder that is not a plain {{name}}.".format(
                signature.place, uri
            )
        )
    needed = [one.name for one in signature.parameters if one.default is MISSING]
    unknown = [hole for hole in holes if hole not in signature.names() and not signature.open]
    unfilled = [one for one in needed if one not in holes]
    if unknown or unfilled or len(set(holes)) != len(holes):
        raise ConfigError(
            "{}: the placeholders of {!r} must be the function's parameters, each once. The "
            "function takes {}.".format(
                signature.place, uri, ", ".join(signature.names()) or "none"
            )
        )
    checked = _checked_name(name, function, signature.place)
    return ResourceEntry(
        uri,
        checked,
        title or _title_of(checked),
        split(function.__doc__)[0],
        mime_type,
        bool(holes),
        function,
        signature.takes_context,
        signature.place,
    )


def make_prompt(
    function: Callable[..., Any], name: Optional[str], title: Optional[str]
) -> PromptEntry:
    """Return the entry of a prompt. Raises ConfigError for parameters that are not text."""
    signature = read(function)
    derived = derive(signature, function.__doc__)
    arguments: List[Dict[str, Any]] = []
    for parameter in signature.parameters:
        shown = derived.input_schema["properties"][parameter.name]
        if shown["type"] != "string":
            raise ConfigError(
                "{}: parameter '{}' is of type {}, but a prompt's arguments are text. Annotate "
                "it with str.".format(signature.place, parameter.name, shown["type"])
            )
        argument = {"name": parameter.name, "required": parameter.name in derived.required}
        if "description" in shown and parameter.annotation is not MISSING:
            argument["description"] = shown["description"]
        arguments.append(argument)
    checked = _checked_name(name, function, signature.place)
    return PromptEntry(
        checked,
        title or _title_of(checked),
        split(function.__doc__)[0],
        arguments,
        function,
        signature.takes_context,
        signature.place,
    )


def _checked_name(name: Optional[str], function: Callable[..., Any], place: str) -> str:
    chosen = name if name is not None else getattr(function, "__name__", "")
    if not isinstance(chosen, str) or not _NAME.match(chosen):
        raise ConfigError(
            "{}: the name {!r} is refused by some clients. Use up to 64 of A-Z a-z 0-9 _ - and "
            "start with a letter (pass name=).".format(place, chosen)
        )
    return chosen


def _title_of(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
