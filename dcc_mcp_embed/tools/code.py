"""The tool that runs Python in the host.

Whether it may run at all (off, confirm, on) is decided by the server before the call is queued,
from its capability ``code``. So are its deadline and its undo step: :func:`wishes` reads both from
the arguments. Nothing here is a sandbox.
"""

from __future__ import annotations

import json
import math
import reprlib
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import HostError, InvalidArgument, ToolError
from ..records import NamedTuple
from . import scene_schema as s
from .capture import Capture
from .context import ToolContext
from .declare import tool

__all__ = ["CODE", "FILE", "Wishes", "execute_python", "wishes"]

CODE = "code"

#: The file name of the code in tracebacks.
FILE = "<execute_python>"

#: Characters of JSON. Together they stay below the size at which a result is refused as too
#: large, because the effects of code that ran cannot be refused with it.
MAX_RESULT = 16000
MAX_STDOUT = 16000
MAX_STDERR = 8000
MAX_TRACE = 4000

MAX_TIMEOUT_S = 3600.0

#: Result values nested deeper than this are shown by their repr.
MAX_DEPTH = 20

#: An int with more bits cannot be converted to decimal text on 3.11 and later by default.
MAX_INT_BITS = 8192


class Wishes(NamedTuple):
    """What a call asks of the dispatcher: seconds until it is given up, None for the default; and
    whether it is one undo step."""

    timeout_s: Optional[float]
    undo: bool


def wishes(arguments: Mapping[str, Any]) -> Wishes:
    """Return what a call's arguments ask of the dispatcher.

    Any thread. Raises InvalidArgument for a timeout that is not a number of seconds above 0 and up
    to 3600.
    """
    undo = arguments.get("undo")
    if isinstance(undo, str):
        undo = undo.strip().lower() not in ("false", "no", "0", "off")
    given = arguments.get("timeout_s")
    if given is None:
        return Wishes(None, undo is None or bool(undo))
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0.0 < seconds <= MAX_TIMEOUT_S:
        raise InvalidArgument(
            "'timeout_s' is {!r}; it must be a number of seconds above 0 and up to {:.0f}.".format(
                given, MAX_TIMEOUT_S
            )
        )
    return Wishes(seconds, undo is None or bool(undo))


@tool(
    title="Run Python",
    tags=("script", "code", "program"),
    destructive=True,
    capabilities=(CODE,),
    input_schema=s.schema(
        {
            "code": s.text("Python source; runs as a script in a namespace of its own."),
            "result_var": s.text(
                "The variable whose value is returned, if the code sets it. Default 'result'."
            ),
            "timeout_s": s.number(
                "Seconds to wait, up to 3600. The code itself is not stopped. Default: the "
                "server's."
            ),
            "undo": s.flag("Make all changes one undo step. Default true.", True),
        },
        required=("code",),
    ),
)
def execute_python(
    ctx: ToolContext,
    code: str,
    result_var: str = "result",
    timeout_s: Optional[float] = None,
    undo: bool = True,
) -> Dict[str, Any]:
    """Run Python on the host's main thread, with the host's modules at hand. Returns the value of
    `result` (see result_var) as JSON, or its repr, and what was printed. An error comes back with
    its lines. One undo step by default; seconds for timeout_s.
    """
    if not result_var.isidentifier():
        raise InvalidArgument("'result_var' is {!r}; it must be a name.".format(result_var))
    namespace: Dict[str, Any] = {"__name__": "__main__"}
    namespace.update(ctx.scene.namespace())
    capture = Capture(MAX_STDOUT, MAX_STDERR)
    with capture:
        failure = _run(code, namespace)
        if failure is None:
            shown, type_name, complete = _show(namespace, result_var)
    printed = {
        "stdout": fit(capture.stdout.text(), MAX_STDOUT),
        "stderr": fit(capture.stderr.text(), MAX_STDERR),
    }
    if failure is not None:
        if failure.details is not None:
            failure.details.update((name, value) for name, value in printed.items() if value)
        raise failure
    if not complete:
        ctx.warn("Parts of the result are no JSON, or too large; they are shown as text.")
    return dict({"result": shown, "result_type": type_name}, **printed)


def _run(code: str, namespace: Dict[str, Any]) -> Optional[ToolError]:
    """Run the code; return the error to raise, None if it went through.

    Returned, not raised, because an exception raised while another is handled keeps that one's
    frames, and with them the host's objects, alive.
    """
    try:
        # Without dont_inherit this module's own __future__ import would change the code.
        compiled = compile(code, FILE, "exec", dont_inherit=True)
    except SyntaxError as error:
        return _syntax(error)
    except (ValueError, MemoryError, OverflowError, RecursionError) as error:
        return InvalidArgument("The code cannot be compiled: {}.".format(error or type(error)))
    try:
        exec(compiled, namespace)
    except SystemExit as error:
        if error.code in (None, 0):
            return None
        return _failed(error, code)
    except BaseException as error:  # also KeyboardInterrupt: the host goes on
        return _failed(error, code)
    return None


def _syntax(error: SyntaxError) -> InvalidArgument:
    line = (error.text or "").rstrip("\n")[:200]
    where = "line {}, column {}".format(error.lineno, error.offset)
    hint = "Nothing was run."
    if line:
        # The offset counts from 1 and may point behind the line.
        caret = " " * (min(max(error.offset or 1, 1), len(line) + 1) - 1) + "^"
        hint = "Nothing was run. The line is:\n{}\n{}".format(line, caret)
    return InvalidArgument(
        clean("{} in {}: {}".format(type(error).__name__, where, error.msg)),
        hint=clean(hint),
        details={"line": error.lineno, "column": error.offset},
    )


def _failed(error: BaseException, code: str) -> HostError:
    frames = _frames(error, code.splitlines())
    line = frames[-1][0] if frames else None
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # the error's own code, which may do anything
        text = "(its text cannot be shown)"
    summary = fit("{}: {}".format(name, text) if text else name, MAX_TRACE // 2)
    trace = [
        "  line {}, in {}\n    {}".format(number, function, source)
        for number, function, source in frames
    ]
    if len(trace) > 16:
        trace[8:-8] = ["  ... {} calls left out ...".format(len(trace) - 16)]
    return HostError(
        summary + ("" if line is None else " (line {})".format(line)),
        hint="Correct the code and call again. What it changed before the error is rolled back "
        "only where the host can.",
        details={
            "type": name,
            "line": line,
            "traceback": fit("\n".join(trace + [summary]), MAX_TRACE),
        },
    )


def _frames(error: BaseException, lines: List[str]) -> List[Tuple[int, str, str]]:
    """Return (line, function, source) of each frame that is the caller's own code."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        place = trace.tb_frame.f_code
        if place.co_filename == FILE:
            number = trace.tb_lineno
            source = lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""
            frames.append((number, place.co_name, source))
        trace = trace.tb_next
    return frames


def _show(namespace: Dict[str, Any], name: str) -> Tuple[Any, Optional[str], bool]:
    """Return the result as a JSON value, its type (None if not set), and whether it is complete."""
    if name not in namespace:
        return None, None, True
    value = namespace[name]
    type_name = type(value).__name__
    shaper = _Shaper()
    try:
        shown = shaper.shape(value, 0)
        if len(json.dumps(shown)) <= MAX_RESULT:
            return shown, type_name, shaper.complete
    except BaseException:  # the value's own code may raise anything; its repr is guarded
        pass
    return fit(_repr(value), MAX_RESULT), type_name, False


class _TooMany(Exception):
    """The value has more parts than a result can show."""


class _Shaper:
    """Turn one value into JSON. Any object may be in it; none is trusted."""

    def __init__(self) -> None:
        #: Whether nothing had to be shown as its repr.
        self.complete = True
        # Two characters are the least that a part takes in JSON. Counted, because a list that
        # holds itself twice has a million parts twenty levels down.
        self._room = MAX_RESULT // 2

    def shape(self, value: Any, depth: int) -> Any:
        """Return ``value`` as JSON; tuples and sets become lists, keys become text."""
        self._room -= 1
        if self._room < 0:
            raise _TooMany
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return clean(value)
        if kind is int and value.bit_length() <= MAX_INT_BITS:
            return value
        if kind is float and math.isfinite(value):
            return value
        if depth < MAX_DEPTH and kind in (list, tuple, set, frozenset):
            return [self.shape(item, depth + 1) for item in value]
        if depth < MAX_DEPTH and kind is dict:
            return self._mapping(value, depth)
        self.complete = False
        return _repr(value)

    def _mapping(self, value: Dict[Any, Any], depth: int) -> Dict[str, Any]:
        shaped: Dict[str, Any] = {}
        for key, item in value.items():
            if type(key) not in (str, int):
                self.complete = False
            shaped[clean(key) if type(key) is str else _repr(key)] = self.shape(item, depth + 1)
        if len(shaped) != len(value):
            self.complete = False
        return shaped


#: Big containers are cut while their repr is made, not afterwards.
SHORT = reprlib.Repr()
SHORT.maxlevel = 4
SHORT.maxlist = SHORT.maxtuple = SHORT.maxset = SHORT.maxfrozenset = SHORT.maxdict = 200
SHORT.maxdeque = SHORT.maxarray = 200
SHORT.maxstring = SHORT.maxother = MAX_RESULT


def _repr(value: Any) -> str:
    try:
        if type(value) is int:
            return hex(value) if value.bit_length() > MAX_INT_BITS else repr(value)
        return clean(SHORT.repr(value))
    except BaseException as error:  # the object's own code, which may do anything
        return "<{}, whose repr failed: {}>".format(type(value).__name__, type(error).__name__)


def clean(text: str) -> str:
    """Return ``text`` without lone surrogates, which no encoder takes."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def fit(text: str, limit: int) -> str:
    """Return ``text``, its middle left out until its JSON is at most ``limit`` characters long."""
    text = clean(text)
    kept = min(len(text), limit)
    shown = text
    while kept > 1 and (len(shown) > limit or len(json.dumps(shown)) > limit):
        kept = kept * 3 // 4
        ends = text[: kept - kept // 2], text[len(text) - kept // 2 :]
        left_out = len(text) - kept
        shown = "{}\n[... {} characters left out ...]\n{}".format(ends[0], left_out, ends[1])
    return shown
