"""Qt's main thread is woken by one event, from any thread, for as long as there is a receiver."""

from __future__ import annotations

import threading

import pytest

pytestmark = pytest.mark.qt


@pytest.fixture
def wake():
    from dcc_mcp_embed.adapters.qt import Wake

    from fakes import qtloop

    made = Wake(qtloop.qt())
    yield made
    made.close()


def test_the_pump_runs_on_the_main_thread(wake) -> None:
    from fakes import qtloop

    where = []
    ran = threading.Event()

    def pump() -> None:
        where.append(threading.current_thread())
        ran.set()

    def body() -> None:
        wake.wake(pump)
        assert ran.wait(10)

    qtloop.run(body)
    assert where == [threading.main_thread()]
