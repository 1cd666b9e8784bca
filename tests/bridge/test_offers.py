"""What a client can be asked, by its revision and its own account; hosts that ask oddly."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.bridge.offers import offered, refused

ALL = {"elicitation": {"url": {}}, "sampling": {"tools": {}}, "roots": {}}


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("2024-11-05", {"sampling": {"context": {}}, "roots": {}}),
        ("2025-03-26", {"sampling": {"context": {}}, "roots": {}}),
        ("2025-06-18", dict(ALL, sampling={"context": {}})),
        ("2025-11-25", ALL),
    ],
)
def test_hosts_are_told_of_what_a_revision_has(version, told):
    assert offered(version, ALL) == told
    assert offered(version, {}) == {}


def form(fields):
    return {"method": "elicitation/create", "params": {"requestedSchema": {"properties": fields}}}


LISTS = form({"a": {"type": "string"}, "b": {"type": "array"}})


@pytest.mark.parametrize(
    ("version", "request_", "why"),
    [
        ("2025-06-18", LISTS, "many answers"),
        (None, LISTS, "many answers"),
        ("2025-11-25", LISTS, None),
        ("2025-06-18", form({"a": {"type": "string"}}), None),
        ("2025-06-18", form({"a": 1}), None),
        ("2025-06-18", form([]), None),
        ("2025-06-18", {"method": "elicitation/create", "params": {"requestedSchema": 1}}, None),
        ("2025-06-18", {"method": "elicitation/create", "params": []}, None),
        ("2025-11-25", {"method": "roots/list"}, None),
        ("2025-11-25", {"method": "sampling/createMessage"}, "cannot be asked sampling/create"),
        ("2025-11-25", {"method": "x" * 1000}, "cannot be asked xxx"),
    ],
)
def test_why_a_client_cannot_be_asked(version, request_, why):
    said = refused(version, {"elicitation": {}, "roots": {}}, request_)
    assert said is None if why is None else why in said and len(said) < 150
