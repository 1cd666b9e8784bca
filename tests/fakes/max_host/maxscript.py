"""As much of MAXScript as our own files have; anything else fails the test.

Autodesk's MAXScript Help: "Scope of Variables", "If Expression", "Function Calls" (an argument
follows the function's name, so an operator after it is about the result), "String Literals",
"getSourceFileName", "doesFileExist", "isProperty", "Interface: python", "messageBox".
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, NamedTuple

from .faults import MaxError
from .nodes import name_of

__all__ = ["run"]

_TOKEN = re.compile(
    r'(?P<comment>--[^\n]*)|(?P<space>[ \t\r]+)|(?P<line>\n)|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>[()+=.])"
)
_KEYWORDS = ("local", "global", "if", "then", "else", "do", "and")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Token(NamedTuple):
    kind: str
    text: str


def run(host: Any, path: str) -> None:
    """Run a script file. Raises MaxError of what a script raises, and keeps a fault of the rest."""
    with open(path, "rb") as stream:
        # Without a mark of byte order a script is read in the code page of the machine.
        text = stream.read().decode("ascii")
    Script(host, path, _tokens(host, text)).run()


def _tokens(host: Any, text: str) -> List[Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise host.faults.wrong("MAXScript: {!r}".format(text[at : at + 20]))
        at = match.end()
        if match.lastgroup == "name" and match.group().lower() in _KEYWORDS:
            found.append(Token("keyword", match.group().lower()))
        elif match.lastgroup not in ("comment", "space"):
            found.append(Token(match.lastgroup, match.group()))
    return [*found, Token("end", "")]


class Undefined:
    """``undefined``."""


class Script:
    """One run of one file. What is in a branch that is not taken is read, not done."""

    def __init__(self, host: Any, path: str, tokens: List[Token]) -> None:
        self._host, self._path = host, path
        self._tokens, self._at = tokens, 0
        self._locals: Dict[str, Any] = {}
        self._functions: Dict[str, Callable[..., Any]] = {
            "getsourcefilename": lambda: path,
            "getfilenamepath": _folder,
            "doesfileexist": lambda name: os.path.isfile(_here(name)),
            "isproperty": self._is_property,
            "messagebox": host.messages.append,
            "python.execute": self._execute,
        }

    def run(self) -> None:
        self._statements("end", True)

    # -- reading ------------------------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _is(self, *texts: str) -> bool:
        return self._next.kind in ("keyword", "sign") and self._next.text in texts

    def _take(self, *texts: str) -> str:
        token = self._next
        if texts and not self._is(*texts):
            raise self._wrong("{!r} in place of {}".format(token.text, " or ".join(texts)))
        self._at += 1
        return token.text

    def _lines(self) -> None:
        while self._next.kind == "line":
            self._at += 1

    def _wrong(self, text: str) -> MaxError:
        fault: MaxError = self._host.faults.wrong("MAXScript of {}: {}".format(self._path, text))
        return fault

    # -- doing, where ``live`` ----------------------------------------------------------------

    def _statements(self, end: str, live: bool) -> Any:
        value: Any = Undefined
        self._lines()
        while self._next.kind != end and not self._is(end):
            value = self._statement(live)
            if self._next.kind not in ("line", end) and not self._is(end):
                raise self._wrong("{!r} after an expression".format(self._next.text))
            self._lines()
        self._at += 1
        return value

    def _statement(self, live: bool) -> Any:
        if self._is("local", "global"):
            scope = self._locals if self._take() == "local" else self._host.globals
            name = self._take().lower()
            self._take("=")
            value = self._expression(live)
            if live:
                scope[name] = value
            return value
        return self._expression(live)

    def _expression(self, live: bool) -> Any:
        if self._is("if"):
            return self._if(live)
        value = self._sum(live)
        while self._is("and"):
            self._take()
            other = self._sum(live and value is True)
            value = value if value is not True else other
        return value

    def _if(self, live: bool) -> Any:
        self._take("if")
        test = self._expression(live)
        if live and not isinstance(test, bool):
            raise self._wrong("an if wants true or false")
        word = self._take("then", "do")
        self._lines()
        value = self._expression(live and test)
        before = self._at
        self._lines()
        if word == "then" and self._is("else"):
            self._take()
            self._lines()
            other = self._expression(live and not test)
            return value if test else other
        self._at = before
        return value

    def _sum(self, live: bool) -> Any:
        value = self._call(live)
        while self._is("+"):
            self._take()
            other = self._call(live)
            if live and not (isinstance(value, str) and isinstance(other, str)):
                raise self._wrong("+ is here for strings only")
            value = value + other if live else value
        return value

    def _call(self, live: bool) -> Any:
        if self._next.kind != "name":
            return self._operand(live)
        name = self._take().lower()
        while self._is("."):
            name += self._take() + self._take().lower()
        function = self._functions.get(name)
        if function is None:
            return self._value(name)
        arguments = []
        if self._is("(") and self._tokens[self._at + 1].text == ")":
            self._at += 2
        else:
            while self._next.kind in ("string", "name") or self._is("("):
                arguments.append(self._operand(live))
        return function(*arguments) if live else Undefined

    def _operand(self, live: bool) -> Any:
        token = self._next
        if token.kind == "string":
            self._at += 1
            return re.sub(r"\\.", lambda match: _ESCAPES[match.group()], token.text[1:-1])
        if token.kind == "name":
            return self._value(self._take().lower())
        self._take("(")
        return self._statements(")", live)

    def _value(self, name: str) -> Any:
        if name == "python":
            return "python"
        for scope in (self._locals, self._host.globals):
            if name in scope:
                return scope[name]
        raise self._wrong("{} is not in the list of what there is".format(name))

    # -- functions ----------------------------------------------------------------------------

    def _is_property(self, of: Any, name: Any) -> bool:
        if of != "python":
            raise self._wrong("isProperty is here for python only")
        return bool(self._host.has_python) and name_of(name) == "execute"

    def _execute(self, code: str) -> None:
        """Run it in ``__main__``. What it raises is an error of the script's.

        Python ends the whole program for a SystemExit that reaches it.
        """
        namespace = self._host.python
        try:
            exec(compile(code, "<string>", "exec"), namespace)
        except SystemExit:
            raise self._wrong("python.execute has ended 3ds Max") from None
        except Exception as error:
            raise MaxError("Python: {!r}".format(error)) from error


def _here(path: str) -> str:
    return path.replace("\\", os.sep)


def _folder(path: str) -> str:
    return path[: max(path.rfind("/"), path.rfind("\\")) + 1]
