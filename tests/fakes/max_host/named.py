"""Names that are found in any case, on the main thread only, and only those in the list."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict

from .classes import CLASSES
from .nodes import Class
from .values import MXSWrapperBase

__all__ = ["Function", "Named"]


class Function(MXSWrapperBase):
    """A function of MAXScript's: it takes no argument that it does not know."""

    _kind = "name"

    def __init__(self, host: Any, name: str, function: Callable[..., Any]) -> None:
        super().__init__(host)
        self._name, self._function = name, function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        faults = self._host.faults
        faults.on_main_thread(self._name)
        named = {name.lower(): value for name, value in named.items()}
        try:
            bound = inspect.signature(self._function).bind(*arguments, **named)
        except TypeError as error:
            raise faults.wrong("{}: {}".format(self._name, error)) from None
        try:
            return self._function(*bound.args, **bound.kwargs)
        except TypeError as error:
            raise faults.wrong("{}: {}".format(self._name, error)) from error

    def __str__(self) -> str:
        return "{}()".format(self._name)


class Named(MXSWrapperBase):
    """The runtime, or one of its structures: ``_get_x``, ``_set_x``, ``_fn_x`` and the classes."""

    _kind = "runtime"
    _names: Dict[str, str] = {}

    def _look_up(self, name: str) -> str:
        lower = name.lower()
        self._host.faults.on_main_thread("{}.{}".format(self._kind, name))
        if lower not in self._names:
            text = "{}.{} is not in the list of what there is".format(self._kind, name)
            raise AttributeError(str(self._host.faults.wrong(text)))
        return lower

    def _get(self, name: str) -> Any:
        getter = getattr(type(self), "_get_" + name, None)
        if getter is not None:
            return getter(self)
        function = getattr(type(self), "_fn_" + name, None)
        if function is not None:
            return Function(self._host, name, function.__get__(self))
        if name in CLASSES and self._kind == "runtime":
            return Class(self._host, CLASSES[name].name)
        raise self._host.faults.wrong("{}.{} has yet to be built".format(self._kind, name))

    def __str__(self) -> str:
        return self._kind
