"""Somebody starts the server on another thread than the host's main one: the host is not touched.

``load_adapter`` is where a start finds out which host it is in.
"""

from __future__ import annotations

import threading

import pytest

from dcc_mcp_embed.errors import EmbedError, ToolError
from dcc_mcp_embed.host.detecting import load_adapter

pytestmark = pytest.mark.limit(60)


def elsewhere():
    """Return what a start on another thread raises; what it makes is a mistake."""
    box = []

    def work():
        try:
            box.append(load_adapter(None))
        except (EmbedError, ToolError) as error:
            box.append(error)

    thread = threading.Thread(target=work, name="elsewhere")
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return box[0]


def refused(found):
    return isinstance(found, Exception) and "main thread" in str(found)


@pytest.mark.parametrize("version", [False, True], ids=["houdini 21", "houdini 19"])
def test_hython(version):
    from fakes.houdini_host import install

    # At its end it fails for every call on another thread.
    with install(interactive=False, old=version):
        assert refused(elsewhere())


def test_3dsmaxbatch():
    from fakes.max_host.install import install

    with install(batch=True):
        assert refused(elsewhere())


@pytest.mark.qt
def test_3ds_max():
    from fakes import qtloop
    from fakes.max_host.install import install

    qtloop.the_application()
    with install():
        assert refused(elsewhere())


@pytest.mark.qt
def test_houdini():
    from fakes import qtloop
    from fakes.houdini_host import install

    qtloop.the_application()
    with install(interactive=True):
        assert refused(elsewhere())


@pytest.mark.qt
@pytest.mark.parametrize("batch", [True, False])
def test_maya(batch):
    from fakes.maya_host.host import MayaHost
    from fakes.maya_host.install import install

    host = MayaHost(batch=batch)
    with install(host):
        assert refused(elsewhere())
    host.check()


@pytest.mark.qt
def test_qt_is_not_met_on_a_thread_of_pythons(monkeypatch):
    from fakes import qtloop
    from fakes.houdini_host import install

    class Met(AssertionError):
        pass

    qtloop.the_application()

    def current():
        raise Met

    with install(interactive=True):
        monkeypatch.setattr(
            qtloop.qt().QtCore, "QThread", type("No", (), {"currentThread": current})
        )
        assert refused(elsewhere())
