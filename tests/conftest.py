"""Rules of every test session: what runs, how long, and that nothing is left behind.

Test modules are imported by path (``--import-mode=importlib``). This folder is on ``sys.path``, so
``from helpers import require`` works everywhere, and so does a sibling folder without tests, such
as ``from fakes.clock import FakeClock``.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import re
import shutil
import sys
import tempfile
import time
from typing import Any, Generator, Iterator, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import helpers  # noqa: E402
from examples import BETWEEN, EXPECT, examples  # noqa: E402

#: Seconds until a test counts as hung: the whole process is ended with the stack of every thread.
#: The slowest fast test takes some seconds on a busy machine; heavy ones install peers.
HANG_FAST = 120.0
HANG_HEAVY = 1200.0

settings.register_profile(
    "here",
    deadline=None,
    max_examples=examples(),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dcc_mcp_embed")
    group.addoption(
        "--heavy", action="store_true", help="also run tests with real hosts, peers and installs"
    )
    group.addoption(
        "--qt", action="store_true", help="also run tests that need PySide, or stubs of the hosts"
    )
    group.addoption(
        "--require-real",
        action="store_true",
        help="a heavy test whose host or peer is missing fails instead of being skipped",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "heavy: needs a real host, a peer or the network, or is slow; runs with --heavy"
    )
    config.addinivalue_line(
        "markers", "qt: needs PySide2 or PySide6, types-maya or types-houdini; runs with --qt"
    )
    config.addinivalue_line(
        "markers",
        "edges: slow, and about other things than Python (time, sockets, processes, our source); "
        "tox leaves it out on the Pythons between the oldest and the newest",
    )
    config.addinivalue_line("markers", "limit(seconds): counts as hung after that time")
    if config.getoption("--require-real"):
        os.environ[helpers.REQUIRE_REAL] = "1"
    _check_origin()
    _check_python()
    # No server that a test starts, here or in a process of its own, is entered in the registry of
    # this machine. Fixtures set a directory of their own on top.
    config._dcc_registry = tempfile.mkdtemp(prefix="registry-")  # type: ignore[attr-defined]
    os.environ["DCC_MCP_REGISTRY_DIR"] = config._dcc_registry  # type: ignore[attr-defined]
    # Capturing has replaced descriptor 2 while tests run; the stacks of a hung test go here.
    config._dcc_stderr = os.fdopen(os.dup(2), "w")  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    faulthandler.cancel_dump_traceback_later()
    stream = getattr(config, "_dcc_stderr", None)
    if stream is not None:
        stream.close()
    registry = getattr(config, "_dcc_registry", None)
    if registry is not None:
        shutil.rmtree(registry, ignore_errors=True)


def _package_dir() -> str:
    import dcc_mcp_embed

    return os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__))


def _check_origin() -> None:
    """Refuse to test the checkout where the wheel was to be tested, and the other way round."""
    expected = os.environ.get(EXPECT)
    from_checkout = _package_dir() == os.path.join(helpers.ROOT, "dcc_mcp_embed")
    if expected and (expected == "checkout") != from_checkout:
        raise pytest.UsageError(
            "{}={} but dcc_mcp_embed comes from {}; run through tox or tests/run.py".format(
                EXPECT, expected, _package_dir()
            )
        )


def _check_python() -> None:
    """Refuse to test another Python than the environment is named after."""
    named = re.match(r"(?:py|checkout|qt)(\d)(\d+)\Z", os.environ.get("TOX_ENV_NAME", ""))
    if named and (int(named.group(1)), int(named.group(2))) != sys.version_info[:2]:
        raise pytest.UsageError(
            "The environment {} has Python {}.{}".format(named.group(), *sys.version_info)
        )


def pytest_report_header(config: pytest.Config) -> List[str]:
    return ["dcc_mcp_embed: {}".format(_package_dir())]


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    wanting = [mark for mark in ("heavy", "qt") if not config.getoption("--" + mark)]

    def is_left(item: pytest.Item) -> bool:
        if BETWEEN and item.get_closest_marker("edges") and not item.get_closest_marker("heavy"):
            return True
        return any(map(item.get_closest_marker, wanting))

    left = [item for item in items if is_left(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not is_left(item)]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep what waits for its test, and outlives it, out of every collection that tests run.

    A full one takes a seventh of a second with it. One of our own threads may thaw it all; that
    costs time and no more.
    """
    # hypothesis looks, once, for who refers to its random numbers: not among what is frozen.
    settings(max_examples=1, database=None)(given(none())(lambda _: None))()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    limit = item.get_closest_marker("limit")
    heavy = item.get_closest_marker("heavy")
    _watch(item.config, float(limit.args[0]) if limit else HANG_HEAVY if heavy else HANG_FAST)
    yield


def _watch(config: Any, seconds: float) -> None:
    """Have the process ended in ``seconds``; in a tenth less if that was asked for just now.

    Each watch is a thread of its own, and thousands of tests do not last a millisecond.
    """
    now = time.monotonic()
    last, since = getattr(config, "_dcc_watch", (None, 0.0))
    if last != seconds or now - since > seconds / 10:
        config._dcc_watch = (seconds, now)
        faulthandler.dump_traceback_later(seconds, exit=True, file=config._dcc_stderr)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Turn every skip of a heavy test into a failure where real things are demanded."""
    outcome = yield
    report = outcome.get_result()
    demanded = helpers.real_is_required() and item.get_closest_marker("heavy")
    if report.skipped and demanded and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = "skipped, but required here: {}".format(report.longrepr)


@pytest.fixture(scope="session", autouse=True)
def qt_application(request: pytest.FixtureRequest) -> Any:
    """Make the one application of the process, if it may be needed, before any test's traces."""
    if not request.config.getoption("--qt"):
        return None
    from fakes import qtloop

    return qtloop.the_application()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail the test that leaves a thread or a descriptor, or changes what belongs to the host."""
    before = helpers.Traces()
    yield
    traces = before.new()
    if traces:
        pytest.fail("this test left behind:\n  " + "\n  ".join(traces), pytrace=False)
