"""Turns: of each client one request in a round, and its own in order."""

from __future__ import annotations

import threading
from collections import Counter

from dcc_mcp_embed.ipc.turns import Turns
from ipc.stages import beside


class Request:
    def __init__(self, caller, number):
        self.caller = caller
        self.number = number


def turns_of(text):
    """Return turns with a request for each letter, which is its client's, and the requests."""
    turns, requests = Turns(), []
    for number, caller in enumerate(text):
        requests.append(Request(caller, number))
        turns.add(requests[-1])
    return turns, requests


def order(turns):
    found = []
    while len(turns):
        found.append(turns.next().number)
    assert turns.next() is None
    return found


def test_each_client_has_its_turn():
    assert order(turns_of("aaaabbc")[0]) == [0, 4, 6, 1, 5, 2, 3]


def test_who_comes_later_is_in_the_same_round():
    turns, _ = turns_of("aaa")
    assert turns.next().number == 0
    turns.add(Request("b", "late"))
    assert order(turns) == [1, "late", 2]


def test_what_is_withdrawn_has_no_turn():
    turns, requests = turns_of("abab")
    assert turns.remove(requests[0])
    assert not turns.remove(requests[0])
    assert turns.remove(requests[1])
    assert turns.remove(requests[3])
    assert turns.all() == [requests[2]]
    assert turns.next() is requests[2]
    assert not turns.remove(requests[2])
    assert (len(turns), turns.all()) == (0, [])


def test_threads_get_each_of_them_once():
    turns, requests = turns_of("abcd" * 500)
    got, start = [], threading.Barrier(6)

    def take():
        start.wait(10)
        for _ in range(len(requests)):
            got.append(turns.next())

    def withdraw():
        start.wait(10)
        got.extend(one for one in requests[::7] if turns.remove(one))

    for ended in [beside(take) for _ in range(4)] + [beside(withdraw) for _ in range(2)]:
        ended()
    assert {one for one in got if one} == set(requests)
    assert max(Counter(one for one in got if one).values()) == 1
    assert len(turns) == 0
