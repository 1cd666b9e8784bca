"""What comes of signals that a process which serves a host is sent."""

from __future__ import annotations

import signal
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.cli import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def handlers(monkeypatch):
    """Return what is told of the first signal, and of each."""
    found = []
    monkeypatch.setattr(signals, "signals_heard", lambda *what: nullcontext(found.extend(what)))
    return found


@pytest.fixture
def sent(monkeypatch):
    """Return what threads of this process are sent; its own handlers are back at the end."""
    found = []
    monkeypatch.setattr(signal, "pthread_kill", lambda *what: found.append(what), raising=False)
    monkeypatch.setattr(signals, "_NOTICED", 0.02)
    before = [signal.getsignal(number) for number in NUMBERS]
    yield found
    for number, handler in zip(NUMBERS, before):
        signal.signal(number, handler)


def heard_twice(heard):
    """Tell of two signals; return once all that comes of that has been done."""
    heard(signal.SIGINT)
    heard(signal.SIGINT)
    for thread in threading.enumerate():
        if thread.name == "dcc-mcp-embed reminder":
            thread.join()


@pytest.mark.parametrize("broken_off", [False, True])
def test_only_who_took_two_signals_for_one_is_sent_another(sent, handlers, broken_off):
    server = SimpleNamespace(adapter=SimpleNamespace(close=lambda: None))
    with signals.ends_on_signals(server) as taken:
        first, heard = handlers
        assert not taken.is_set()
        first(signal.SIGINT, None)
        assert taken.is_set()
        if broken_off:
            with pytest.raises(KeyboardInterrupt):
                signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
        heard_twice(heard)
    again = [] if broken_off else [(threading.main_thread().ident, signal.SIGINT)]
    assert sent == again
