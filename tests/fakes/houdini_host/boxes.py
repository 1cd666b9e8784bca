"""``hou.BoundingBox``."""

from __future__ import annotations

from typing import Any, List

from .strict import hom
from .vectors import Matrix4, Vector3

__all__ = ["BoundingBox"]


@hom("BoundingBox")
class BoundingBox:
    """A box; made of nothing it is not valid."""

    def __init__(self, *values: Any) -> None:
        if len(values) == 1:
            values = values[0]._v
        self._v: List[float] = [float(one) for one in values]

    def isValid(self) -> bool:
        return bool(self._v)

    def minvec(self) -> Vector3:
        return Vector3(self._v[:3])

    def maxvec(self) -> Vector3:
        return Vector3(self._v[3:])

    def sizevec(self) -> Vector3:
        return self.maxvec() - self.minvec()

    def center(self) -> Vector3:
        return 0.5 * (self.minvec() + self.maxvec())

    def __mul__(self, matrix4: Matrix4) -> BoundingBox:
        found = BoundingBox()
        low, high = self.minvec(), self.maxvec()
        for number in range(8):
            corner = Vector3([(high if number >> axis & 1 else low)[axis] for axis in range(3)])
            found._grow(list(corner * matrix4))
        return found

    def enlargeToContain(self, point_or_bbox: Any) -> None:
        points = [point_or_bbox]
        if isinstance(point_or_bbox, BoundingBox):
            points = [point_or_bbox._v[:3], point_or_bbox._v[3:]] if point_or_bbox._v else []
        for point in points:
            self._grow(list(point))

    def _grow(self, point: List[float]) -> None:
        if not self._v:
            self._v = point + point
            return
        self._v = [min(a, b) for a, b in zip(self._v, point)] + [
            max(a, b) for a, b in zip(self._v[3:], point)
        ]
