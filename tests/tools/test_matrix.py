"""Transform arithmetic, against its own laws and against points moved step by step."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dcc_mcp_embed.tools import matrix as m

angle = st.floats(-720, 720) | st.sampled_from([-270, -180, -90, 0, 90, 180, 270, 360])
angles = st.tuples(angle, angle, angle)
number = st.floats(-1000, 1000)
point = st.tuples(number, number, number)
factor = st.floats(0.01, 100)
factors = st.tuples(factor, factor, factor)


def close(found, wanted, tolerance=1e-9):
    size = max(1.0, max(abs(x) for row in wanted for x in row))
    for row, other in zip(found, wanted):
        for a, b in zip(row, other):
            assert abs(a - b) <= tolerance * size, (found, wanted)


def move(matrix, p):
    return tuple(sum(a * b for a, b in zip(row, tuple(p) + (1.0,))) for row in matrix[:3])


def about(axis, degrees, p):
    """Turn a point about one axis, written out by hand."""
    s, c = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y, z = p
    if axis == 0:
        return (x, c * y - s * z, s * y + c * z)
    if axis == 1:
        return (c * x + s * z, y, c * z - s * x)
    return (c * x - s * y, s * x + c * y, z)


@given(point, angles, factors, point)
def test_compose_scales_then_turns_about_x_y_z_then_shifts(shift, rotate, scale, p):
    wanted = tuple(a * k for a, k in zip(p, scale))
    for axis in range(3):
        wanted = about(axis, rotate[axis], wanted)
    wanted = tuple(a + b for a, b in zip(wanted, shift))
    close([move(m.compose(shift, rotate, scale), p)], [wanted], 1e-7)


@given(point, angles, factors)
def test_decompose_gives_parts_of_the_same_matrix(shift, rotate, scale):
    matrix = m.compose(shift, rotate, scale)
    parts = m.decompose(matrix)
    close([parts.scale], [scale])
    close(m.compose(*parts), matrix)


@given(angles, factors)
def test_a_mirrored_matrix_gets_three_negative_scales(rotate, scale):
    mirrored = (-scale[0], scale[1], scale[2])
    matrix = m.compose((0, 0, 0), rotate, mirrored)
    parts = m.decompose(matrix)
    assert all(k < 0 for k in parts.scale)
    close(m.compose(*parts), matrix)


@given(angles, st.tuples(*[st.sampled_from([0.0, 1.0, -2.0])] * 3))
def test_flat_matrices_have_parts_too(rotate, scale):
    matrix = m.compose((1, 2, 3), rotate, scale)
    parts = m.decompose(matrix)
    close([[abs(k) for k in parts.scale]], [[abs(k) for k in scale]])
    close(m.compose(*parts), matrix)


@given(point, angles, factors)
def test_inverse(shift, rotate, scale):
    assume(max(scale) / min(scale) < 100)
    matrix = m.compose(shift, rotate, scale)
    close(m.multiply(matrix, m.inverse(matrix)), m.IDENTITY, 1e-6)


@pytest.mark.parametrize("scale", [(0, 1, 1), (0, 0, 0), (1e-200, 1e-200, 1)])
def test_what_flattens_space_has_no_inverse(scale):
    assert m.inverse(m.compose((1, 2, 3), (10, 20, 30), scale)) is None


def test_right_angles_are_exact():
    assert m.compose((0, 0, 0), (0, 0, 90), (1, 1, 1))[:2] == ((0, -1, 0, 0), (1, 0, 0, 0))
    assert m.compose((1, 2, 3), (360, -720, 0), (1, 1, 1))[0] == (1, 0, 0, 1)


@given(angles, angles)
def test_turning_about_the_axes_of_the_space_or_the_object(first, second):
    a, b = (m.compose((0, 0, 0), rotate, (1, 1, 1)) for rotate in (first, second))
    by_space = m.compose((0, 0, 0), m.turn(first, second, False), (1, 1, 1))
    by_own = m.compose((0, 0, 0), m.turn(first, second, True), (1, 1, 1))
    close(by_space, m.multiply(b, a))
    close(by_own, m.multiply(a, b))


def test_turning_goes_on_where_angles_wrap():
    found = m.turn((180, 80, 180), (0, 45, 0), False)
    close(m.compose((0, 0, 0), found, (1, 1, 1)), m.compose((0, 0, 0), (0, 145, 0), (1, 1, 1)))


def test_deviation_is_relative_to_large_numbers_only():
    far = m.compose((1e6, 0, 0), (0, 0, 0), (1, 1, 1))
    off = m.compose((1e6 + 1, 0, 0), (0, 0, 0), (1, 1, 1))
    assert m.deviation(far, off, [3]) == pytest.approx(1e-6)
    assert m.deviation(far, off, [0, 1, 2]) == 0
    assert m.deviation(m.IDENTITY, m.compose((0.5, 0, 0), (0, 0, 0), (1, 1, 1)), [3]) == 0.5


def test_overlay_puts_what_is_given_in_its_place():
    parts = m.Parts((1.0, 2.0, 3.0), (10.0, 20.0, 30.0), (1.0, 1.0, 2.0))
    assert m.overlay(parts, (None, None, None)) == parts
    turned = m.overlay(parts, (None, [0, 370, 0], None))
    assert turned == parts._replace(rotate=(0, 370, 0))
    assert m.overlay(parts, ((4.0, 5.0, 6.0), None, (2.0, 2.0, 2.0))) == m.Parts(
        (4.0, 5.0, 6.0), (10.0, 20.0, 30.0), (2.0, 2.0, 2.0)
    )


def test_described_is_what_json_can_hold():
    parts = m.Parts((1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    told = m.described(parts, m.compose(*parts))
    assert told == {
        "translate": [1.0, 2.0, 3.0],
        "rotate": [0.0, 0.0, 0.0],
        "scale": [1.0, 1.0, 1.0],
        "matrix": [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]],
    }


@given(angles, factors)
def test_only_a_scale_of_almost_zero_flattens_space(rotate, scale):
    x, y, z = scale
    assert not m.is_flat(m.compose((0, 0, 0), rotate, scale))
    assert m.is_flat(m.compose((0, 0, 0), rotate, (x, 0, z)))


@given(point, angles)
def test_axes_that_lie_in_a_plane_flatten_space_whatever_their_length(shift, rotate):
    frame = m.compose(shift, rotate, (1e-3, 1e-3, 1e-3))
    # Z turned into the plane of X and Y, but for what single precision leaves of it.
    sheared = ((1.0, 0.0, 1.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, 0.0, 1e-8, 0.0), m.IDENTITY[3])
    assert m.is_flat(m.multiply(frame, sheared))
