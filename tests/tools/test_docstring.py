"""Docstrings fall into a description and what they say of each argument."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.tools.docstring import split


def test_the_section_is_taken_out():
    text, arguments = split(
        """Make a rig.

        It has a spine.

        Args:
            name (str, optional): what it is called,
                unique in the scene.
            spine: how many joints
            **options: the rest

        Returns:
            Its path.
        """
    )
    assert text == "Make a rig.\n\nIt has a spine.\n\nReturns:\n    Its path."
    assert arguments == {
        "name": "what it is called, unique in the scene.",
        "spine": "how many joints",
        "options": "the rest",
    }


@pytest.mark.parametrize("doc", [None, "", "  \n  ", "\n"])
def test_nothing_is_nothing(doc):
    assert split(doc) == ("", {})


def test_a_colon_in_prose_is_no_section():
    doc = "Say this: that.\n\nArgs: are fine here."
    assert split(doc) == (doc, {})


def test_indentation_is_relative():
    assert split("One.\n\n      - a\n        - b\n    ")[0] == "One.\n\n- a\n  - b"
