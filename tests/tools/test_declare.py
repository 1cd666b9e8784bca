"""A declaration leaves the function as it is, and a bad one is refused where it stands."""

from __future__ import annotations

import functools

import pytest

from dcc_mcp_embed import Annotated
from dcc_mcp_embed.errors import ConfigError, InvalidArgument
from dcc_mcp_embed.tools.context import ToolContext
from dcc_mcp_embed.tools.declare import (
    Progress,
    PromptEntry,
    ResourceEntry,
    Tool,
    declared,
    declared_in,
    prompt,
    resource,
    tool,
)

Style = Annotated[str, "which style"]
EMPTY = {"type": "object", "properties": {}, "additionalProperties": False}


def test_bare():
    @tool
    def make_rig(spine: int = 3):
        """Make a rig."""
        return spine

    assert make_rig(4) == 4
    entry = declared(make_rig)
    assert isinstance(entry, Tool)
    assert entry.function is make_rig
    assert entry.describe() == {
        "name": "make_rig",
        "title": "Make rig",
        "description": "Make a rig.",
        "inputSchema": {
            "type": "object",
            "properties": {"spine": {"type": "integer", "default": 3}},
            "additionalProperties": False,
        },
        "annotations": {
            "title": "Make rig",
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": False,
            "openWorldHint": False,
        },
    }


def test_called():
    @tool(
        "make_it",
        title="Make it so",
        thread="worker",
        destructive=True,
        idempotent=True,
        capabilities=("code",),
        timeout=2.5,
        raw=True,
    )
    def anything():
        """Do."""

    entry = declared(anything)
    assert (entry.name, entry.title, entry.thread, entry.timeout, entry.raw) == (
        "make_it",
        "Make it so",
        "worker",
        2.5,
        True,
    )
    annotations = entry.describe()["annotations"]
    assert annotations["destructiveHint"] and annotations["idempotentHint"]
    # Code can reach anything.
    assert annotations["openWorldHint"]


def test_without_arguments():
    @tool()
    def look():
        pass

    # A description is never empty.
    assert declared(look).description == "Look."


def test_the_context_is_handed_over():
    @tool
    def show_it(ctx, x: int):
        return ctx, x

    entry = declared(show_it)
    context = ToolContext()
    assert entry.takes_context
    assert entry.invoke(context, entry.bind({"x": "2"})) == (context, 2)


def test_only_a_first_parameter_named_ctx_is_the_context():
    with pytest.raises(ConfigError, match="must be the first parameter"):

        @tool
        def show_it(x: int, ctx):
            pass


def test_generators_are_stepwise():
    @tool
    def work(ctx, n: int):
        yield Progress(1, n)
        return n

    entry = declared(work)
    assert entry.stepwise
    steps = entry.invoke(ToolContext(), {"n": 2})
    assert next(steps) == Progress(1, 2, None)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == 2


def test_wrapped_functions_have_the_inner_signature():
    def twice(function):
        @functools.wraps(function)
        def outer(*args, **kwargs):
            return 2 * function(*args, **kwargs)

        return outer

    @tool
    @twice
    def show_it(ctx, x: int):
        """Show."""
        return x

    entry = declared(show_it)
    assert list(entry.input_schema["properties"]) == ["x"]
    assert entry.invoke(ToolContext(), entry.bind({"x": "2"})) == 4


def test_keyword_only_parameters_and_open_functions():
    @tool
    def show_it(a: int, *rest, b: int = 2, **more):
        return a, b, more

    entry = declared(show_it)
    assert entry.input_schema["required"] == ["a"]
    assert entry.input_schema["additionalProperties"] is True
    assert entry.invoke(ToolContext(), entry.bind({"a": 1, "c": [3]})) == (1, 2, {"c": [3]})


def test_bound_methods_can_be_tools():
    class Rig:
        def show_it(self, x: int):
            return self, x

    rig = Rig()
    entry = Tool(rig.show_it)
    assert entry.invoke(ToolContext(), entry.bind({"x": 1})) == (rig, 1)


def test_a_given_schema_is_passed_on_as_it_is():
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}}

    @tool(input_schema=schema)
    def show_it(x: Nowhere = None):  # noqa: F821
        pass

    assert declared(show_it).describe()["inputSchema"] is schema


def plain(x: int = 1):
    """Do."""


async def asynchronous():
    pass


def generator():
    yield


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (plain, {"name": "a.b"}, "refused by some clients"),
        (plain, {"name": ""}, "refused by some clients"),
        (plain, {"name": "a" * 65}, "refused by some clients"),
        (lambda: None, {}, "<lambda>"),
        (plain, {"thread": "ui"}, "main, worker, loop"),
        (plain, {"read_only": True, "destructive": True}, "keep one"),
        (plain, {"capabilities": "code"}, "('code',)"),
        (plain, {"capabilities": ("cod",)}, "code, file_write, undo"),
        (plain, {"timeout": 0}, "seconds above 0"),
        (plain, {"timeout": float("nan")}, "seconds above 0"),
        (plain, {"timeout": True}, "seconds above 0"),
        (plain, {"title": 5}, "title"),
        (plain, {"task": "never"}, "optional, required, forbidden"),
        (plain, {"task": "required", "thread": "loop"}, "must answer at once"),
        (plain, {"input_schema": {}}, "root must be"),
        (plain, {"input_schema": {"type": "object", "properties": {"y": {}}}}, "takes x"),
        (plain, {"input_schema": {"type": "object", "required": ["y"]}}, "takes x"),
        (lambda y: 0, {"name": "a", "input_schema": EMPTY}, "'y' has no default"),
        (
            plain,
            {"input_schema": {"type": "object", "properties": {"x": {"type": "whole"}}}},
            "there is no type 'whole'",
        ),
        (asynchronous, {}, "async function"),
        (generator, {"thread": "loop"}, "must answer at once"),
        (print, {}, "no plain function"),
        (object(), {}, "no plain function"),
        (lambda self: 0, {"name": "a"}, "no object to call it on"),
    ],
)
def test_bad_declarations_name_the_function_and_the_way_out(function, options, words):
    with pytest.raises(ConfigError) as caught:
        tool(**options)(function)
    assert words in str(caught.value)
    place = getattr(function, "__qualname__", "object")
    assert place in str(caught.value)


def test_positional_only_parameters_are_refused():
    # Text, because the syntax is of Python 3.8.
    scope = {}
    source = "def show_it(a, /): pass"
    try:
        exec(source, scope)
    except SyntaxError:
        return
    with pytest.raises(ConfigError, match="positional-only"):
        tool(scope["show_it"])


def test_twice_is_once_too_often():
    with pytest.raises(ConfigError, match="declared twice"):

        @tool
        @tool
        def show_it():
            pass


def test_declared_in_a_module_in_its_order():
    class Module:
        pass

    @tool
    def b_first():
        pass

    @prompt
    def a_second(word: str):
        pass

    module = Module()
    module.x, module.y, module.again, module.other = b_first, a_second, b_first, plain
    assert [entry.name for entry in declared_in(module)] == ["b_first", "a_second"]


def test_a_proxy_that_answers_to_everything_is_no_declaration():
    class Proxy:
        def __getattr__(self, name):
            if name.startswith("__") and name != "__dcc_mcp_declared__":
                raise AttributeError(name)
            return self

        def __call__(self):
            pass

    assert declared(Proxy()) is None


# -- resources and prompts ----------------------------------------------------------------------


def test_resource():
    @resource("scene://objects/{name}", mime_type="application/json")
    def read_object(ctx, name: str, depth: int = 1):
        """One object."""

    entry = declared(read_object)
    assert isinstance(entry, ResourceEntry)
    assert (entry.uri, entry.name, entry.template) == (
        "scene://objects/{name}",
        "read_object",
        True,
    )
    assert (entry.mime_type, entry.description) == ("application/json", "One object.")


def test_resource_without_placeholders():
    @resource("scene://info")
    def read_info():
        """All."""

    assert not declared(read_info).template


@pytest.mark.parametrize(
    "uri",
    ["scene://{x}", "scene://a", "nowhere", "scene://{name}/{name}", "s://{na me}", "s://{name"],
)
def test_resource_whose_uri_does_not_fit(uri):
    with pytest.raises(ConfigError, match="read_object"):

        @resource(uri)
        def read_object(name: str):
            pass


def test_resource_needs_its_uri():
    with pytest.raises(ConfigError, match="needs a uri"):
        resource(plain)


def test_prompt():
    @prompt("build_scene", title="Build")
    def build(ctx, style: Style, size: str = "small"):
        """Ask for a scene."""

    entry = declared(build)
    assert isinstance(entry, PromptEntry)
    assert (entry.name, entry.title, entry.description) == (
        "build_scene",
        "Build",
        "Ask for a scene.",
    )
    assert entry.arguments == [
        {"name": "style", "required": True, "description": "which style"},
        {"name": "size", "required": False},
    ]


def test_prompt_arguments_are_text():
    with pytest.raises(ConfigError, match="annotate|Annotate it with str"):

        @prompt
        def build(count: int):
            pass


# -- binding ------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "translate": {"type": "array", "items": {"type": "number"}},
        "space": {"type": "string", "enum": ["world", "local"], "default": "world"},
    },
    "required": ["path"],
    "additionalProperties": False,
}


@tool(input_schema=SCHEMA)
def set_transform(path, translate=None, space="world"):
    """Move."""


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (None, "set_transform needs 'path', which is missing.", "it also takes translate, space"),
        ({}, "set_transform needs 'path', which is missing.", "set_transform needs path;"),
        ({"path": "a", "translat": []}, "has no argument 'translat'.", "mean 'translate'?"),
        ({"path": "a", "zzzzz": 1}, "has no argument 'zzzzz'.", "set_transform needs path;"),
        ({"path": "a", "space": "wrld"}, "'space' must be one of", "Did you mean 'world'?"),
        ({"path": "a", "translate": [1, "x"]}, "'translate[1]' must be a number, not", None),
        ({"path": None}, "'path' must be text, not null.", None),
        ([1], "must be an object, not a list.", "set_transform needs path"),
    ],
)
def test_refusals_teach(arguments, message, hint):
    with pytest.raises(InvalidArgument) as caught:
        declared(set_transform).bind(arguments)
    error = caught.value
    assert message in error.message
    assert error.state == "not_started"
    assert (error.hint is None) if hint is None else (hint in error.hint)


def test_a_long_name_is_not_searched_for():
    with pytest.raises(InvalidArgument) as caught:
        declared(set_transform).bind({"x" * 1000000: 1})
    assert len(caught.value.message) + len(caught.value.hint) < 300


def test_the_schemas_default_stands_in_only_where_the_function_has_none():
    schema = {
        "type": "object",
        "properties": {"a": {"default": [1]}, "b": {"default": 9}},
    }

    @tool(input_schema=schema)
    def show_it(a, b=2):
        pass

    bind = declared(show_it).bind
    first = bind({})
    assert first == {"a": [1]}
    first["a"].append(2)
    assert bind({}) == {"a": [1]}


def test_null_is_passed_on_where_the_schema_asks_for_it():
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string"}},
    }

    @tool(input_schema=schema)
    def show_it(a="x", b="y"):
        pass

    assert declared(show_it).bind({"a": None, "b": None}) == {"a": None}


def test_what_the_root_of_a_given_schema_demands():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    @tool(input_schema=schema)
    def show_it(a=None, b=None):
        pass

    assert declared(show_it).bind({"b": "2"}) == {"b": 2}
    with pytest.raises(InvalidArgument, match="none of its 2 forms"):
        declared(show_it).bind({})


def test_parameters_that_an_open_schema_leaves_out_can_be_given():
    @tool(input_schema={"type": "object", "properties": {}})
    def show_it(a=None):
        pass

    assert declared(show_it).bind({"a": 1}) == {"a": 1}
    with pytest.raises(InvalidArgument):
        declared(show_it).bind({"b": 1})


def test_the_callers_arguments_are_not_changed():
    arguments = {"path": "a", "translate": "1,2,3"}
    declared(set_transform).bind(arguments)
    assert arguments == {"path": "a", "translate": "1,2,3"}
