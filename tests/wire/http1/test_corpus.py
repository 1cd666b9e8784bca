"""The corpus: what real clients send is read as they mean it, what is malformed is refused.

``tests/corpus/http/{valid,invalid}/NNN-name.http`` holds the bytes, the ``.json`` beside it what
they mean: the requests, or how many good ones (``after``) come before which ``status``.
"""

from __future__ import annotations

import glob
import json
import os
from typing import Any, List, Tuple

import pytest

from dcc_mcp_embed.wire import http1
from examples import some
from wire.http_events import CORPUS, cut, events_of, ours, theirs


def files(kind: str) -> List[str]:
    found = sorted(glob.glob(os.path.join(CORPUS, kind, "*.http")))
    assert found, "the corpus is gone"
    return found


def name(path: str) -> str:
    return os.path.basename(path)[:-5]


def load(path: str) -> Tuple[bytes, Any]:
    with open(path, "rb") as stream:
        data = stream.read()
    with open(path[:-5] + ".json", encoding="utf-8") as stream:
        return data, json.load(stream)


def told(events: List[Any]) -> List[Any]:
    """Return requests in the form of the sidecar files."""
    requests = []
    for head, body in zip(events[::2], events[1::2]):
        requests.append(
            {
                "method": head.method,
                "target": head.target,
                "version": head.version,
                "headers": ["{}: {}".format(*field) for field in head.headers],
                "keep_alive": head.keep_alive,
                "expects_continue": head.expects_continue,
                "body_length": head.body_length,
                "body": body.data.decode("latin-1"),
            }
        )
    return requests


@pytest.mark.parametrize("path", files("valid"), ids=name)
def test_valid(path: str) -> None:
    data, expected = load(path)
    events = events_of(http1.RequestParser(), [data])
    kinds = [type(event) for event in events]
    assert kinds == [http1.RequestHead, http1.RequestBody] * len(expected["requests"]), events
    assert told(events) == expected["requests"]


@pytest.mark.parametrize("path", files("invalid"), ids=name)
def test_invalid(path: str) -> None:
    data, expected = load(path)
    reading = ours([data], eof=False)
    assert reading.refusal is not None, "accepted: " + expected["why"]
    assert reading.refusal.status == expected["status"], reading.refusal
    assert len(reading.messages) == expected["after"]
    assert len(reading.refusal.reason) > 10


@pytest.mark.parametrize("path", files("valid") + files("invalid"), ids=name)
def test_split_anywhere_it_means_the_same(path: str) -> None:
    data, _ = load(path)
    whole = ours([data])
    # Long ones repeat themselves: every offset of both ends, and of what surrounds the limits.
    places = set(range(min(len(data), 1200))) | set(range(max(0, len(data) - 300), len(data)))
    places |= {8191, 8192, 8193, 8194, 8195, 16383, 16384, 16385, 16386}
    for place in some(sorted(places)):
        assert ours(cut(data, [place])) == whole, place


@pytest.mark.parametrize("path", files("valid") + files("invalid"), ids=name)
def test_byte_by_byte_it_means_the_same(path: str) -> None:
    data, _ = load(path)
    assert ours(cut(data, range(len(data)))) == ours([data])


@pytest.mark.parametrize("path", files("valid"), ids=name)
def test_h11_agrees(path: str) -> None:
    data, _ = load(path)
    assert ours([data]) == theirs(data)
