"""What is dropped on a host says what is wrong and raises nothing, wherever it is run."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import types

import pytest
from dcc_mcp_embed.installers import front


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_without_room_to_unpack_is_told(monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    assert front.install() is False
    assert "was not installed: OSError: [Errno 28]" in capsys.readouterr().out


class Shut:
    def write(self, text):
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stream", [None, Shut()])
def test_a_host_without_a_console_is_no_hindrance(monkeypatch, stream):
    monkeypatch.setattr(front, "ARCHIVE", "nowhere.zip")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        assert front.install() is False


class Meanwhile(str):
    """The name of a module: whoever looks at it finds that a thread has loaded another one."""

    __slots__ = ()

    def partition(self, sep):
        sys.modules.setdefault("front_loaded_meanwhile", types.ModuleType("front_loaded_meanwhile"))
        return str.partition(self, sep)


def test_modules_that_a_thread_loads_meanwhile_are_no_hindrance(monkeypatch, capsys):
    monkeypatch.setattr(front, "ARCHIVE", "nowhere.zip")
    monkeypatch.setitem(sys.modules, Meanwhile("front_looked_at"), types.ModuleType("looked_at"))
    try:
        assert front.install() is False
        assert "front_loaded_meanwhile" in sys.modules
    finally:
        sys.modules.pop("front_loaded_meanwhile", None)
    assert "nowhere.zip must lie beside" in capsys.readouterr().out
