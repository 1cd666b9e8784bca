"""The inbox: in order, full at the reference's number, and bounded beyond that too."""

from __future__ import annotations

from dcc_mcp_embed.rpc.inbox import FULL_BYTES, FULL_MESSAGES, Inbox
from dcc_mcp_embed.wire.messages import Notify, Request, Response


def notify(number, size=0):
    return Notify(None, str(number), bytes(size))


def test_first_in_first_out():
    inbox = Inbox()
    messages = [notify(1), Request(b"i" * 16, "m", b"xy"), Response(b"i" * 16, True, b"", None)]
    assert all(inbox.put(message) for message in messages)
    assert len(inbox) == 3
    assert [inbox.take() for _ in range(4)] == [*messages, None]


def test_full_by_number_and_not_full_again_once_one_is_taken():
    inbox = Inbox()
    for number in range(FULL_MESSAGES):
        assert not inbox.full
        inbox.put(notify(number))
    assert inbox.full
    inbox.take()
    assert not inbox.full


def test_full_by_bytes():
    inbox = Inbox()
    inbox.put(notify(1, FULL_BYTES - 1))
    assert not inbox.full
    inbox.put(notify(2, 1))
    assert inbox.full
    inbox.take()
    inbox.take()
    assert not inbox.full and len(inbox) == 0


def test_beyond_full_there_is_a_limit():
    inbox = Inbox()
    taken = 0
    while inbox.put(notify(taken)):
        taken += 1
    assert taken == 16 * FULL_MESSAGES
    assert len(inbox) == taken
    inbox = Inbox()
    while inbox.put(notify(0, FULL_BYTES)):
        pass
    assert len(inbox) == 16


def test_what_is_put_back_comes_first_whether_there_is_room_or_not():
    inbox = Inbox()
    number = 0
    while inbox.put(notify(number)):
        number += 1
    first = inbox.take()
    inbox.put(notify("last"))
    inbox.put_back(first)
    assert inbox.take() is first
