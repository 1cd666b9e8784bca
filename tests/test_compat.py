"""Replacing files that somebody else makes difficult; typing names on every Python."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import List

import pytest

from dcc_mcp_embed import _compat


class Stubborn:
    """An ``os.replace`` that refuses a number of times."""

    def __init__(self, refusals: int, error: OSError) -> None:
        self.refusals = refusals
        self.error = error
        self.calls = 0
        self._real = os.replace

    def __call__(self, source: str, target: str) -> None:
        self.calls += 1
        if self.calls <= self.refusals:
            raise self.error
        self._real(source, target)


def _files(tmp_path):  # type: ignore[no-untyped-def]
    (tmp_path / "new").write_text("new", encoding="utf-8")
    (tmp_path / "old").write_text("old", encoding="utf-8")
    return str(tmp_path / "new"), str(tmp_path / "old")


@pytest.mark.parametrize("refusals", [0, 1, len(_compat.RETRY_DELAYS)])
def test_replace_waits_out_a_scanner(tmp_path, monkeypatch, refusals: int) -> None:
    source, target = _files(tmp_path)
    monkeypatch.setattr(os, "replace", Stubborn(refusals, PermissionError(13, "in use")))
    slept: List[float] = []
    _compat.replace(source, target, slept.append)
    assert slept == list(_compat.RETRY_DELAYS[:refusals])
    assert (tmp_path / "old").read_text(encoding="utf-8") == "new"
    assert not os.path.exists(source)


def test_replace_gives_up_in_the_end(tmp_path, monkeypatch) -> None:
    source, target = _files(tmp_path)
    monkeypatch.setattr(os, "replace", Stubborn(99, PermissionError(13, "in use")))
    slept: List[float] = []
    with pytest.raises(PermissionError):
        _compat.replace(source, target, slept.append)
    assert slept == list(_compat.RETRY_DELAYS)
    assert (tmp_path / "old").read_text(encoding="utf-8") == "old"


def test_replace_does_not_retry_what_will_not_pass(tmp_path) -> None:
    slept: List[float] = []
    with pytest.raises(FileNotFoundError):
        _compat.replace(str(tmp_path / "absent"), str(tmp_path / "old"), slept.append)
    assert slept == []


def test_typing_names_work_together() -> None:
    annotated = _compat.Annotated[int, "a note"]
    hints = _compat.get_type_hints(
        type("C", (), {"__annotations__": {"x": annotated}}), None, None, True
    )
    assert _compat.get_origin(hints["x"]) is _compat.Annotated
    assert _compat.get_args(hints["x"]) == (int, "a note")
    assert _compat.get_args(_compat.Literal["a", "b"]) == ("a", "b")
    shape = _compat.TypedDict("shape", {"x": int}, total=False)
    assert shape.__optional_keys__ == {"x"}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="colour"):
        _ = _compat.colour


def test_typing_extensions_waits_until_it_is_asked_for() -> None:
    code = (
        "import sys, dcc_mcp_embed._compat as c\n"
        "name = 'dcc_mcp_embed._vendor.typing_extensions'\n"
        "early = name in sys.modules; c.Literal; print(early, name in sys.modules)"
    )
    home = os.path.dirname(os.path.dirname(os.path.abspath(_compat.__file__)))
    out = subprocess.check_output(
        [sys.executable, "-c", code], env=dict(os.environ, PYTHONPATH=home)
    )
    assert out.decode().split() == ["False", str(sys.version_info < (3, 9))]
