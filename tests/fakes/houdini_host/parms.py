"""``hou.Parm``, ``ParmTuple``, their templates and keyframes."""

from __future__ import annotations

import re
from typing import Any, Iterator, List, Optional, Tuple

from .errors import OperationFailed, PermissionError, enumeration
from .kinds import Spec
from .scene import Data, current
from .strict import hom

__all__ = ["Keyframe", "Parm", "ParmTemplate", "ParmTuple"]

_STRINGS = ("String",)


@hom("Keyframe")
class Keyframe:
    def __init__(self, value: Optional[float] = None, frame: Optional[float] = None) -> None:
        self._value = value
        self._frame = frame
        self._expression = ""

    def setValue(self, value: float) -> None:
        self._value = float(value)

    def value(self) -> Any:
        return self._value

    def setFrame(self, frame: float) -> None:
        self._frame = float(frame)

    def frame(self) -> float:
        return current().frame if self._frame is None else self._frame

    def setExpression(self, expression: str, language: Any = None) -> None:
        self._expression = expression

    def expression(self) -> str:
        return self._expression

    def isExpressionSet(self) -> bool:
        return bool(self._expression)


@hom("ParmTemplate")
class ParmTemplate:
    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def name(self) -> str:
        return self._spec.name

    def label(self) -> str:
        return self._spec.name.title()

    def type(self) -> Any:
        return getattr(enumeration("parmTemplateType"), self._spec.kind)

    def dataType(self) -> Any:
        name = {"Float": "Float", "String": "String"}.get(self._spec.kind, "Int")
        return getattr(enumeration("parmData"), name)

    def numComponents(self) -> int:
        return len(self._spec.names)

    def isHidden(self) -> bool:
        return False

    def tags(self) -> Any:
        return dict(self._spec.tags)


class _OfNode:
    def __init__(self, node: int, spec: Spec) -> None:
        self._id = node
        self._spec = spec

    def _data(self) -> Data:
        return current().get(self._id)

    def _key(self) -> Any:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OfNode) and self._key() == other._key()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key())


@hom("Parm")
class Parm(_OfNode):
    def __init__(self, node: int, spec: Spec, index: int) -> None:
        super().__init__(node, spec)
        self._index = index
        self._name = spec.names[index]

    def _key(self) -> Any:
        return (self._id, self._name)

    def name(self) -> str:
        self._data()
        return self._name

    def path(self) -> str:
        return "{}/{}".format(current().path_of(self._id), self._name)

    def description(self) -> str:
        return self._spec.name.title()

    def node(self) -> Any:
        from .nodes import wrap

        return wrap(self._id)

    def tuple(self) -> Any:
        return ParmTuple(self._id, self._spec)

    def parmTemplate(self) -> ParmTemplate:
        return ParmTemplate(self._spec)

    def componentIndex(self) -> int:
        return self._index

    def menuItems(self) -> Tuple[str, ...]:
        if not self._spec.tokens:
            raise OperationFailed("The parameter is not a menu")
        return tuple(self._spec.tokens)

    def _change(self, label: str) -> Data:
        current().change(label, self._id)
        return self._data()

    def _now(self, frame: Optional[float] = None) -> Any:
        data = self._data()
        keys = data.keys.get(self._name)
        if keys:
            at = current().frame if frame is None else frame
            before = [one for one in sorted(keys) if one <= at]
            return keys[before[-1] if before else min(keys)]
        return data.values[self._name]

    def eval(self) -> Any:
        value = self._now()
        if self._spec.kind == "Menu":
            # "for menus this is the index of the item" (docstring of hou.Parm.evalAsInt)
            return self._spec.tokens.index(value)
        if self._spec.kind in _STRINGS:
            return expand(value)
        return value

    def evalAtFrame(self, frame: float) -> Any:
        return self._now(frame)

    def evalAsFloat(self) -> float:
        if self._spec.kind in _STRINGS:
            raise TypeError("The parameter is a string")
        return float(self.eval())

    def evalAsInt(self) -> int:
        return int(self.evalAsFloat())

    def evalAsString(self) -> str:
        value = self._now()
        return expand(value) if isinstance(value, str) else str(value)

    def unexpandedString(self) -> str:
        """ "Raises hou.OperationFailed if this parameter is not a string parameter"."""
        if self._spec.kind not in _STRINGS:
            raise OperationFailed("The parameter is not a string")
        return str(self._now())

    def rawValue(self) -> str:
        return str(self._now())

    def set(self, value: Any, language: Any = None, follow_parm_reference: bool = True) -> None:
        found = self._fitting(value)
        if self._name in self._data().locked:
            raise PermissionError("The parameter is locked")
        data = self._change("Parameter change")
        if data.keys.get(self._name):
            data.keys[self._name][current().frame] = found
        else:
            data.values[self._name] = found

    def _fitting(self, value: Any) -> Any:
        kind = self._spec.kind
        if kind == "Menu":
            if isinstance(value, str):
                if value not in self._spec.tokens:
                    raise TypeError("No item {!r} in the menu".format(value))
                return value
            return self._spec.tokens[int(value)]
        if kind in _STRINGS:
            if not isinstance(value, str):
                raise TypeError("A string parameter takes text")
            return value
        if isinstance(value, str):
            raise TypeError("A number parameter takes numbers")
        return float(value) if kind == "Float" else int(value)

    def isLocked(self) -> bool:
        return self._name in self._data().locked

    def lock(self, on: bool) -> None:
        data = self._data()
        data.locked = [one for one in data.locked if one != self._name] + [self._name] * bool(on)

    def isDisabled(self) -> bool:
        return False

    def isHidden(self) -> bool:
        return False

    def isAtDefault(
        self, compare_temporary_defaults: bool = True, compare_expressions: bool = True
    ) -> bool:
        return bool(self._now() == self._spec.defaults[self._index])

    def isTimeDependent(self) -> bool:
        return bool(self._data().keys.get(self._name))

    def keyframes(self) -> Tuple[Keyframe, ...]:
        """Each has an expression: an ordinary one is interpolated by "bezier()"."""
        data = self._data()
        keys = data.keys.get(self._name, {})
        expression = data.expressions.get(self._name)
        if expression is not None:
            keys = {1.0: data.values[self._name]}
        found = tuple(Keyframe(keys[frame], frame) for frame in sorted(keys))
        for one in found:
            one.setExpression(expression or "bezier()")
        return found

    def setExpression(
        self, expression: str, language: Any = None, replace_expression: bool = True
    ) -> None:
        """ "roughly equivalent to setting a keyframe ... whose expression is the one specified"."""
        self._change("Set expression").expressions[self._name] = expression

    def setKeyframe(self, keyframe: Keyframe) -> None:
        if self._spec.kind in _STRINGS and not keyframe.isExpressionSet():
            raise OperationFailed("A string takes keyframes with expressions only")
        data = self._change("Set keyframe")
        value = keyframe.value()
        keys = data.keys.setdefault(self._name, {})
        keys[keyframe.frame()] = self._now() if value is None else value

    def deleteAllKeyframes(self) -> None:
        data = self._change("Delete keyframes")
        value = self._now()
        data.keys.pop(self._name, None)
        data.expressions.pop(self._name, None)
        data.values[self._name] = value

    def expression(self) -> str:
        """ "Raises hou.OperationFailed if the parameter does not contain an expression"."""
        found = self._data().expressions.get(self._name)
        if found is None:
            raise OperationFailed("No expression")
        return found


@hom("ParmTuple")
class ParmTuple(_OfNode):
    def _key(self) -> Any:
        return (self._id, self._spec.name, "tuple")

    def _parts(self) -> List[Parm]:
        self._data()
        return [Parm(self._id, self._spec, number) for number in range(len(self._spec.names))]

    def __len__(self) -> int:
        return len(self._spec.names)

    def __iter__(self) -> Iterator[Parm]:
        return iter(self._parts())

    def __getitem__(self, index: int) -> Parm:
        return self._parts()[index]

    def name(self) -> str:
        return self._spec.name

    def description(self) -> str:
        return self._spec.name.title()

    def node(self) -> Any:
        from .nodes import wrap

        return wrap(self._id)

    def parmTemplate(self) -> ParmTemplate:
        return ParmTemplate(self._spec)

    def eval(self) -> Tuple[Any, ...]:
        return tuple(one.eval() for one in self._parts())

    def evalAsFloats(self) -> Tuple[float, ...]:
        return tuple(one.evalAsFloat() for one in self._parts())

    def evalAsStrings(self) -> Tuple[str, ...]:
        return tuple(one.evalAsString() for one in self._parts())

    def set(self, value: Any, language: Any = None, follow_parm_reference: bool = True) -> None:
        values = list(value)
        if len(values) != len(self):
            raise TypeError("{} values for {}".format(len(values), self._spec.name))
        for part, one in zip(self._parts(), values):
            part.set(one)

    def isHidden(self) -> bool:
        return False

    def isDisabled(self) -> bool:
        return False

    def lock(self, bool_values: Any) -> None:
        for number, part in enumerate(self._parts()):
            part.lock(bool_values if isinstance(bool_values, bool) else bool_values[number])


def expand(value: str) -> str:
    """Put in what $HIP, $HIPNAME and $F stand for."""
    scene = current()
    folder, _, name = scene.path.rpartition("/")
    known = {"HIP": folder, "HIPNAME": name.rsplit(".", 1)[0], "F": str(int(scene.frame))}
    return re.sub(r"\$(HIPNAME|HIP|F)\b", lambda found: known[found.group(1)], value)
