"""Running code: what it gets, what comes back, and that nothing it does harms the host."""

from __future__ import annotations

import gc
import json
import sys
import weakref

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import HostError, InvalidArgument
from dcc_mcp_embed.tools import code as module
from dcc_mcp_embed.tools.code import Wishes, execute_python, wishes
from dcc_mcp_embed.tools.context import ToolContext


def run(code, **arguments):
    """Run code in a new standalone host; return the result and the context."""
    adapter = StandaloneAdapter()
    context = ToolContext(host=adapter, scene=adapter.scene_backend())
    return execute_python(context, code, **arguments), context


def result(code, **arguments):
    found, _ = run(code, **arguments)
    return found["result"]


def test_result_and_print():
    found, context = run("import sys\nprint('hi')\nprint('no', file=sys.stderr)\nresult = 1 + 1")
    assert found == {"result": 2, "result_type": "int", "stdout": "hi\n", "stderr": "no\n"}
    assert not context.warnings


def test_the_host_is_at_hand_and_the_namespace_is_fresh():
    assert result("result = scene.create('cube')") == "/cube"
    assert result("x = 1\nresult = 'y' in globals()") is False
    assert result("result = __name__") == "__main__"


def test_no_result_and_another_variable():
    assert run("x = 5")[0]["result_type"] is None
    assert result("x = 5", result_var="x") == 5
    assert run("result = None")[0]["result_type"] == "NoneType"
    with pytest.raises(InvalidArgument, match="must be a name"):
        run("x = 5", result_var="x.y")


def test_the_code_is_not_changed_by_our_own_future_imports():
    assert result("def f(x: int): pass\nresult = f.__annotations__['x'] is int") is True


def test_what_is_no_json_is_shown_as_text():
    found, context = run("class C:\n  def __repr__(self): return '<C>'\nresult = {'a': [C(), 1]}")
    assert found["result"] == {"a": ["<C>", 1]}
    assert found["result_type"] == "dict"
    assert "shown as text" in context.warnings[0]
    assert result("result = (1, 2)") == [1, 2]
    assert result("result = {1: 2}") == {"1": 2}
    assert result("result = float('nan')") == "nan"


@pytest.mark.parametrize(
    "code",
    [
        "result = []\nresult.append(result)",
        "result = []\nfor _ in range(60): result = [result, result]",
        "result = 'x' * 10**6",
        "result = list(range(10**6))",
        "result = 10 ** 100000",
        "result = [10 ** 5000]",
        "result = '\\ud800'",
        "result = {'\\ud800': '\\ud800'}",
        "class C:\n  def __repr__(self): raise SystemExit(3)\nresult = [C()]",
        "class C:\n  def __repr__(self): return 5\nresult = C()",
        "class C(dict):\n  def items(self): raise ValueError\nresult = C()",
        "print('\\ud800\\x00\\u4e2d' * 100000)",
        "import sys\nsys.stderr.write('x' * 10**6)",
    ],
)
def test_every_result_fits_and_can_be_sent(code):
    found, _ = run(code)
    assert len(json.dumps(found).encode("utf-8")) < 48 * 1024
    json.dumps(found, ensure_ascii=False).encode("utf-8")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(
            st.characters(exclude_categories=["Cs"])
            if sys.version_info >= (3, 8)
            else st.characters(blacklist_categories=["Cs"]),
            max_size=10,
        ),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner),
        max_leaves=15,
    )
)
def test_json_comes_back_as_it_is(value):
    assert result("import json\nresult = json.loads({!r})".format(json.dumps(value))) == value


def test_a_value_that_holds_itself_over_and_over_is_not_shown_in_full():
    shown = []

    class Counted:
        def __repr__(self):
            shown.append(1)
            return "counted"

    adapter = StandaloneAdapter()
    backend = adapter.scene_backend()
    backend.namespace = lambda: {"thing": Counted()}
    code = "result = thing\nfor _ in range(17): result = [result, result]"
    execute_python(ToolContext(host=adapter, scene=backend), code)
    assert 0 < len(shown) < 20000


def test_an_error_comes_with_the_lines_of_the_code_only():
    with pytest.raises(HostError) as caught:
        run("def f(x):\n    return json.loads(x)\nimport json\nprint('so far')\nf('[')")
    error = caught.value
    assert error.message.startswith("JSONDecodeError: ")
    assert error.message.endswith("(line 2)")
    assert error.details["line"] == 2
    assert error.details["stdout"] == "so far\n"
    trace = error.details["traceback"]
    assert "line 5, in <module>\n    f('[')" in trace
    assert "line 2, in f\n    return json.loads(x)" in trace
    assert "decoder" not in trace
    assert "code.py" not in trace


def test_deep_recursion_has_a_short_trace():
    with pytest.raises(HostError) as caught:
        run("def f(): return f()\nf()")
    assert "calls left out" in caught.value.details["traceback"]
    assert len(json.dumps(caught.value.to_dict())) < 10000


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(1)",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "raise BaseException('x')",
        "class E(Exception):\n  def __str__(self): raise ValueError\nraise E",
        "raise Exception('\\ud800' * 10**6)",
    ],
)
def test_nothing_the_code_raises_ends_the_host(code):
    with pytest.raises(HostError) as caught:
        run(code)
    json.dumps(caught.value.to_dict(), ensure_ascii=False).encode("utf-8")


def test_a_plain_exit_is_a_good_end():
    assert result("result = 1\nimport sys\nsys.exit()\nresult = 2") == 1


def test_a_syntax_error_teaches_line_and_column():
    with pytest.raises(InvalidArgument, match="SyntaxError in line 2, column ") as caught:
        run("x = 1\ny = = 2\n")
    assert caught.value.state == "not_started"
    assert caught.value.details["line"] == 2
    assert "y = = 2\n    ^" in caught.value.hint
    assert "Nothing was run" in caught.value.hint


@pytest.mark.parametrize("code", ["x = '\x00'", "(" * 500 + ")" * 500, "\tx\n  y", "x = '\ud800'"])
def test_code_that_cannot_be_compiled(code):
    with pytest.raises(InvalidArgument):
        run(code)


def test_the_streams_are_the_hosts_again_after_each_kind_of_end():
    before = sys.stdout, sys.stderr
    run("import sys\nsys.stdout = None")
    for code in ("1/0", "x ="):
        with pytest.raises((HostError, InvalidArgument)):
            run(code)
    assert (sys.stdout, sys.stderr) == before


def test_a_failed_call_keeps_no_object_of_the_code_alive(monkeypatch):
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)
    monkeypatch.setattr(
        StandaloneAdapter, "scene_backend", lambda self: type("B", (), {"namespace": give})()
    )

    def give(_):
        return {"held": box.pop()}

    box = [held]
    del held
    try:
        run("mine = held\n1/0")
    except HostError as error:
        kept = error
    kept.__traceback__ = None
    gc.collect()
    assert gone() is None
    assert kept.__context__ is None


def test_limits_leave_room_for_all_of_them_at_once():
    assert module.MAX_RESULT + module.MAX_STDOUT + module.MAX_STDERR < 48 * 1024 - 1024


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({}, Wishes(None, True)),
        ({"timeout_s": 5, "undo": False}, Wishes(5.0, False)),
        ({"timeout_s": "2.5", "undo": "false"}, Wishes(2.5, False)),
        ({"timeout_s": None, "undo": None}, Wishes(None, True)),
    ],
)
def test_wishes(arguments, wanted):
    assert wishes(arguments) == wanted


@pytest.mark.parametrize("timeout", [0, -1, 3601, "soon", float("nan"), [], 10**400])
def test_wishes_that_cannot_be(timeout):
    with pytest.raises(InvalidArgument, match="timeout_s"):
        wishes({"timeout_s": timeout})
