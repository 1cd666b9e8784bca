"""Load modules with tools: by module name, from a file, from a folder, from entry points.

Nothing here touches ``sys.path``. Files are compiled anew each time and leave no bytecode behind,
so that an edit shows at the next start and a shared folder stays clean.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, Iterable, List, Optional, Tuple

from ..digest import sha256
from ..errors import ConfigError
from ..records import NamedTuple
from .installed import Point, entry_points

__all__ = ["GROUP", "Loaded", "Problem", "load", "load_entry_points", "load_folder"]

#: The entry point group of distributions that bring tools.
GROUP = "dcc_mcp_embed.tools"

#: What files are called in ``sys.modules``: below our own name, which nobody else uses.
PREFIX = __name__.partition(".")[0] + "._loaded."


class Problem(NamedTuple):
    """What was skipped and why; ``line`` is None where no line is to blame."""

    file: str
    line: Optional[int]
    error: str

    def __str__(self) -> str:
        place = self.file if self.line is None else "{}:{}".format(self.file, self.line)
        return "{}: {}".format(place, self.error)


#: What was loaded, and what was skipped.
Loaded = Tuple[List[ModuleType], List[Problem]]


def load(spec: str) -> ModuleType:
    """Return the module that ``spec`` names: ``package.module``, or a path to a file or package.

    Raises ConfigError where there is none, and whatever the module's own code raises.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise ConfigError("{!r} names no module; pass 'package.module' or a file.".format(spec))
    separators = [one for one in (os.sep, os.altsep) if one]
    if spec.endswith(".py") or any(one in spec for one in separators) or os.path.isdir(spec):
        return _load_file(os.path.expanduser(spec))
    try:
        return import_module(spec)
    except ModuleNotFoundError as error:
        # Only if it is this module that is missing, not one that it imports.
        if error.name is None or not (spec + ".").startswith(error.name + "."):
            raise
        raise ConfigError(
            "There is no module {!r} here. Pass a path ending in .py to load a file.".format(spec)
        ) from error
    except (TypeError, ValueError) as error:
        if not all(part.isidentifier() for part in spec.split(".")):
            raise ConfigError("{!r} is no module name ({}).".format(spec, error)) from error
        raise


def load_folder(path: str) -> Loaded:
    """Load every .py file and package of a folder, by name; return (modules, what was skipped).

    Names that begin with ``_`` or ``.`` are left out. No folder, no modules. Never raises for a
    broken file.
    """
    modules: List[ModuleType] = []
    problems: List[Problem] = []
    try:
        names = sorted(os.listdir(path))
    except FileNotFoundError:
        return modules, problems
    except OSError as error:
        return modules, [Problem(path, None, "{}: {}".format(type(error).__name__, error))]
    for name in names:
        file = os.path.join(path, name)
        if name[0] in "._" or not (name.endswith(".py") or _is_package(file)):
            continue
        try:
            modules.append(_load_file(file))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # SystemExit too: a script that was never meant for this must not end the host.
            problems.append(_problem(file, error))
    return modules, problems


def load_entry_points(path: Iterable[str], group: str = GROUP) -> Loaded:
    """Load the modules that distributions on ``path`` offer; return (modules, what was skipped).

    They are imported as any module is, from ``sys.path``. Never raises for a broken one.
    """
    modules: List[ModuleType] = []
    problems: List[Problem] = []
    for point in entry_points(path, group):
        try:
            module = _offered(point)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # SystemExit too, as for files.
            label = "entry point {} = {}".format(point.name, point.value)
            problems.append(
                Problem("{} of {}".format(label, point.distribution), None, _describe(error))
            )
        else:
            if not any(module is one for one in modules):
                modules.append(module)
    return modules, problems


def _offered(point: Point) -> ModuleType:
    name, _, attributes = point.value.partition(":")
    found: Any = import_module(name.strip())
    for one in attributes.split("."):
        if one.strip():
            found = getattr(found, one.strip())
    if not isinstance(found, ModuleType):
        raise ConfigError("names no module but a {}".format(type(found).__name__))
    return found


def _is_package(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "__init__.py"))


def _load_file(path: str) -> ModuleType:
    path = os.path.abspath(path)
    file, folders = path, None
    if os.path.isdir(path):
        if not _is_package(path):
            raise ConfigError("{} is a folder without __init__.py.".format(path))
        file, folders = os.path.join(path, "__init__.py"), [path]
    try:
        with open(file, "rb") as stream:
            source = stream.read()
    except OSError as error:
        raise ConfigError("{} cannot be read: {}.".format(file, error.strerror)) from error
    code = compile(source, file, "exec", dont_inherit=True)
    name = _module_name(path)
    spec = spec_from_file_location(name, file, submodule_search_locations=folders)
    if spec is None:
        raise ConfigError("{} is no Python file; its name must end in .py.".format(file))
    module = module_from_spec(spec)
    # What an earlier run loaded from here is old, its submodules too.
    before = {
        key: sys.modules.pop(key)
        for key in list(sys.modules)
        if key == name or key.startswith(name + ".")
    }
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        for key in [key for key in sys.modules if key == name or key.startswith(name + ".")]:
            del sys.modules[key]
        sys.modules.update(before)
        raise
    return module


def _module_name(path: str) -> str:
    """Return a name of our own for a file: readable, and different for equal names elsewhere."""
    stem = os.path.splitext(os.path.basename(path))[0]
    word = "".join(one if one.isalnum() and one.isascii() else "_" for one in stem)
    place = os.path.normcase(os.path.realpath(path))
    digest = sha256(place.encode("utf-8", "surrogatepass")).hexdigest()
    return "{}{}_{}".format(PREFIX, word, digest[:10])


def _problem(file: str, error: BaseException) -> Problem:
    line: Optional[int] = None
    if isinstance(error, SyntaxError):
        line = error.lineno
    else:
        inside = os.path.abspath(file)
        trace = error.__traceback__
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name == inside or name.startswith(inside + os.sep):
                line = trace.tb_lineno
            trace = trace.tb_next
    return Problem(file, line, _describe(error))


def _describe(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return "SyntaxError: {}".format(error.msg)
    text = str(error)
    return "{}: {}".format(type(error).__name__, text) if text else type(error).__name__
