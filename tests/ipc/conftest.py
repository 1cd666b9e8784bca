"""Where a test's server is, and whether this system has unix sockets."""

from __future__ import annotations

import logging
import os
import tempfile

import pytest

from dcc_mcp_embed.ipc import places


@pytest.fixture
def folder():
    # Short: a socket's path may have a hundred bytes, and pytest's own folders are longer.
    with tempfile.TemporaryDirectory(prefix="dcc") as path:
        yield path


@pytest.fixture
def path(folder):
    return os.path.join(folder, "one.sock")


@pytest.fixture
def broken_log():
    """A handler of the log that raises, as one does whose window is gone. Returned is what came."""
    came = []

    class Broken(logging.Handler):
        def emit(self, record):
            came.append(record.getMessage())
            raise RuntimeError("already deleted")

    handler, logger = Broken(), logging.getLogger("dcc_mcp_embed.ipc")
    logger.addHandler(handler)
    yield came
    logger.removeHandler(handler)


@pytest.fixture
def no_unix(monkeypatch):
    """A system without unix sockets: a path is that of a file which leads to a port."""
    monkeypatch.setattr(places, "has_unix_sockets", lambda: False)


@pytest.fixture(params=["unix", "file"])
def kind(request):
    """Both kinds of path; returned is which one it is."""
    if request.param == "file":
        request.getfixturevalue("no_unix")
    return request.param


@pytest.fixture(params=["unix", "file", "tcp"])
def place(request, path):
    """Return the arguments of a server's place, and what makes a client's of the server."""
    if request.param == "file":
        request.getfixturevalue("no_unix")
    if request.param == "tcp":
        return {"port": 0}, lambda server: {"port": server.address.port}
    return {"socket_path": path}, lambda server: {"socket_path": path}
