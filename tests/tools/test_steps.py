"""What a tool yields is read once: finite numbers and a text, or an error that its author reads."""

from __future__ import annotations

import json
import pathlib
from fractions import Fraction

import pytest

from dcc_mcp_embed.errors import HostError
from dcc_mcp_embed.tools.entries import Progress
from dcc_mcp_embed.tools.steps import MAX_MESSAGE, read_step


class Whole(int):
    """A number of a host's own."""


@pytest.mark.parametrize(
    ("step", "read"),
    [
        (Progress(1), (1, None, None)),
        (Progress(0.5, 2, "half"), (0.5, 2, "half")),
        (Progress(Fraction(1, 2), Whole(3), None), (0.5, 3, None)),
        (Progress(True), (1, None, None)),
        (Progress(1, 2, pathlib.PurePosixPath("/a/b")), (1, 2, "/a/b")),
        (Progress(1, 2, "x" * 10000), (1, 2, "x" * MAX_MESSAGE)),
        (Progress(1, 2, "\udcff"), (1, 2, "\ufffd")),
    ],
)
def test_numbers_and_text_become_plain_ones(step, read):
    found = read_step(step)
    assert tuple(found) == read
    assert type(found) is Progress
    assert {type(one) for one in found} <= {int, float, str, type(None)}
    assert json.loads(json.dumps(found)) == list(read)


class Mute:
    def __str__(self):
        raise RuntimeError("gone")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Progress(float("nan")), "done is a float"),
        (Progress(1, float("inf")), "total is a float"),
        (Progress("3", 4), "done is a str"),
        (Progress(None), "done is a NoneType"),
        (Progress(1, 10**400), "total is a int"),
        (Progress(1, 2, Mute()), "message is a Mute"),
        ("half", "yielded a str"),
        (3, "yielded a int"),
        ((1, 2, "a"), "yielded a tuple"),
    ],
)
def test_what_is_none_is_an_error_for_its_author(step, words):
    with pytest.raises(HostError) as raised:
        read_step(step)
    assert words in raised.value.message
    assert "Progress(done, total, message)" in raised.value.hint
