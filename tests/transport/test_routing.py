"""Routing: which instance each strategy picks, and what is said when none will do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.registry.entry import ServiceEntry
from dcc_mcp_embed.registry.status import ServiceStatus
from dcc_mcp_embed.transport.routing import (
    Facts,
    RoutingStrategy,
    best,
    choose,
    described,
    ranked,
)

AVAILABLE, BUSY = ServiceStatus.AVAILABLE, ServiceStatus.BUSY
UNCALLABLE = [status for status in ServiceStatus if status not in (AVAILABLE, BUSY)]
UNIX = {"type": "unix_socket", "path": "/tmp/x.sock"}
REMOTE = {"type": "tcp", "host": "render7", "port": 7001}


def row(number, status=AVAILABLE, registered=None, **more):
    """Return the entry whose id begins with ``number`` in hexadecimal."""
    return ServiceEntry(
        {
            "dcc_type": "maya",
            "instance_id": "{:08x}-0000-4000-8000-000000000000".format(number),
            "host": "127.0.0.1",
            "port": 7000 + number % 1000,
            "registered_at": {
                "secs_since_epoch": number if registered is None else registered,
                "nanos_since_epoch": 0,
            },
            "status": status.value,
            **more,
        }
    )


def numbers(rows):
    return [int(one.instance_id[:8], 16) for one in rows]


def pick(strategy, rows, **facts):
    found = choose(strategy, rows, Facts(**facts))
    return None if found is None else numbers([found])[0]


def test_strategies_are_the_references():
    names = "FIRST_AVAILABLE ROUND_ROBIN LEAST_BUSY SPECIFIC SCENE_MATCH RANDOM".split()
    assert [str(strategy) for strategy in RoutingStrategy] == names
    assert [int(strategy) for strategy in RoutingStrategy] == list(range(6))
    assert repr(RoutingStrategy.LEAST_BUSY) == "RoutingStrategy.LEAST_BUSY"


def test_first_available_is_the_one_registered_first():
    rows = [row(3), row(1, BUSY), row(2), row(4)]
    assert pick(RoutingStrategy.FIRST_AVAILABLE, rows) == 2
    assert pick(RoutingStrategy.FIRST_AVAILABLE, rows[::-1]) == 2


def test_instances_of_the_same_moment_have_an_order_too():
    rows = [row(5, registered=1), row(4, registered=1)]
    assert pick(RoutingStrategy.FIRST_AVAILABLE, rows) == 4
    assert pick(RoutingStrategy.FIRST_AVAILABLE, rows[::-1]) == 4


def test_round_robin_takes_turns_over_the_available():
    rows = [row(1), row(2, BUSY), row(3), row(4)]
    order = [pick(RoutingStrategy.ROUND_ROBIN, rows, turn=turn) for turn in range(5)]
    assert order == [1, 3, 4, 1, 3]


def test_least_busy_goes_by_callers_then_by_seniority():
    rows = [row(1), row(2), row(3)]
    load = {one.instance_id: callers for one, callers in zip(rows, (2, 1, 1))}
    assert pick(RoutingStrategy.LEAST_BUSY, rows) == 1
    assert pick(RoutingStrategy.LEAST_BUSY, rows, in_flight=load) == 2


def test_least_busy_takes_a_busy_one_only_if_none_is_available():
    busy = [row(1, BUSY), row(2, BUSY)]
    assert pick(RoutingStrategy.LEAST_BUSY, [*busy, row(3)]) == 3
    assert pick(RoutingStrategy.LEAST_BUSY, busy, in_flight={busy[0].instance_id: 1}) == 2


@pytest.mark.parametrize("status", list(ServiceStatus))
def test_specific_obeys_a_whole_id_whatever_the_status(status):
    rows = [row(1), row(2, status)]
    assert pick(RoutingStrategy.SPECIFIC, rows, hint=rows[1].instance_id.upper()) == 2


@pytest.mark.parametrize("status", UNCALLABLE)
def test_specific_prefix_finds_only_what_can_be_called(status):
    rows = [row(0x1A0, status), row(0x1A1, BUSY), row(0x2B0)]
    assert pick(RoutingStrategy.SPECIFIC, rows, hint="000001A") == 0x1A1
    assert pick(RoutingStrategy.SPECIFIC, rows[:1], hint="000001a") is None
    assert pick(RoutingStrategy.SPECIFIC, rows, hint="ffff") is None


def test_scene_match_looks_for_a_part_in_any_case():
    rows = [row(1), row(2, BUSY, scene="/shots/SH010.ma"), row(3, scene="/shots/sh010_v2.ma")]
    assert pick(RoutingStrategy.SCENE_MATCH, rows, hint="Sh010") == 3
    assert pick(RoutingStrategy.SCENE_MATCH, rows, hint="sh020") is None


@pytest.mark.parametrize("strategy", [RoutingStrategy.SPECIFIC, RoutingStrategy.SCENE_MATCH])
@pytest.mark.parametrize("hint", [None, ""])
def test_strategy_that_needs_a_hint_finds_nothing_without(strategy, hint):
    assert pick(strategy, [row(1, scene="a")], hint=hint) is None


def test_random_goes_by_chance_over_the_available():
    rows = [row(1), row(2, BUSY), row(3)]
    found = [pick(RoutingStrategy.RANDOM, rows, chance=chance) for chance in (0, 0.49, 0.5, 0.999)]
    assert found == [1, 1, 3, 3]


@pytest.mark.parametrize("strategy", list(RoutingStrategy))
def test_nothing_is_found_among_nothing(strategy):
    assert pick(strategy, [], hint="a") is None


@pytest.mark.parametrize("status", UNCALLABLE)
@pytest.mark.parametrize("strategy", list(RoutingStrategy))
def test_what_cannot_be_called_is_never_picked_unasked(strategy, status):
    assert pick(strategy, [row(1, status, scene="00")], hint="00") is None


entries = st.lists(
    st.builds(
        row,
        st.integers(0, 2**32 - 1),
        st.sampled_from(list(ServiceStatus)),
        scene=st.one_of(st.none(), st.sampled_from(["a.ma", "B.ma"])),
        transport_address=st.sampled_from([UNIX, REMOTE, None]),
    ),
    unique_by=lambda one: one.instance_id,
    max_size=6,
)


@given(
    entries,
    st.sampled_from(list(RoutingStrategy)),
    st.sampled_from(["a", "0", None]),
    st.integers(0, 10),
    st.floats(0, 1, exclude_max=True),
    st.randoms(use_true_random=False),
)
def test_the_choice_is_one_of_the_rows_and_does_not_depend_on_their_order(
    rows, strategy, hint, turn, chance, random
):
    facts = Facts(hint, turn, {}, chance)
    found = choose(strategy, rows, facts)
    assert found is None or found in rows
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert choose(strategy, shuffled, facts) is found
    assert ranked(shuffled) == ranked(rows)
    assert best(shuffled, turn) is best(rows, turn)


def test_rank_is_near_before_far_and_available_before_busy():
    rows = [
        row(1, BUSY, transport_address=REMOTE),
        row(2, transport_address=REMOTE),
        row(3, BUSY),
        row(4),
        row(5, BUSY, transport_address=UNIX),
        row(6, transport_address=UNIX),
        *(row(7 + number, status) for number, status in enumerate(UNCALLABLE)),
    ]
    assert numbers(ranked(rows)) == [6, 5, 4, 3, 2, 1]


def test_equal_ranks_are_in_order_of_registration_and_take_turns():
    rows = [row(3), row(1), row(2), row(4, BUSY)]
    assert numbers(ranked(rows)) == [1, 2, 3, 4]
    assert numbers([best(rows, turn) for turn in range(4)]) == [1, 2, 3, 1]
    assert best([row(1, ServiceStatus.STALE)], 0) is None


def test_what_was_looked_for_is_told_as_the_reference_does():
    assert described(RoutingStrategy.FIRST_AVAILABLE, None) == (
        "strategy=first_available, hint=None"
    )
    assert described(RoutingStrategy.SCENE_MATCH, 'a "b"') == (
        'strategy=scene_match, hint=Some("a \\"b\\"")'
    )
