"""What comes of signals that a process which serves a host is sent."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.cli import signals

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def sent(monkeypatch):
    """Return what threads of this process are sent; its own handlers are back at the end."""
    found = []
    monkeypatch.setattr(signal, "pthread_kill", lambda *what: found.append(what), raising=False)
    monkeypatch.setattr(signals, "_NOTICED", 0.02)
    monkeypatch.setattr(signals, "signals_heard", lambda *what: what)
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
def test_only_who_took_two_signals_for_one_is_sent_another(sent, broken_off):
    server = SimpleNamespace(adapter=SimpleNamespace(close=lambda: None))
    first, heard = signals.ends_on_signals(server)
    first(signal.SIGINT, None)
    if broken_off:
        with pytest.raises(KeyboardInterrupt):
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
    heard_twice(heard)
    again = [] if broken_off else [(threading.main_thread().ident, signal.SIGINT)]
    assert sent == again
