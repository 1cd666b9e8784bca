"""What every host offers besides tools, over HTTP: guides, running hosts, errors of the scene."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter
from dcc_mcp_embed.adapters.standalone.backend import StandaloneBackend

from dcc_mcp_embed import errors
from dcc_mcp_embed.registry import store
from dcc_mcp_embed.server import registration
from dcc_mcp_embed.tools import code, control, scene, scene_resources
from dcc_mcp_embed.tools.backend import SceneBackend
from dcc_mcp_embed.tools.guides import GUIDES
from dcc_mcp_embed.tools.table import ToolTable
from fakes.live import starting

#: What an error can be called.
CODES = {one.code for one in vars(errors).values() if hasattr(one, "code")}
#: Members of results that guides name.
FACTS = {"up_axis", "exec_mode", "retry_after_ms", "not_started", "next_cursor"}
MEMBERS = {"dcc", "instance_id", "name", "scene", "version", "pid", "status", "self"}
#: Registers a row of a kind of its own, with a name and a token, until its stdin ends.
MEMBER = """
import os, sys
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry

registry = open_registry(sys.argv[1], os.environ, SystemClock())
row = registry.register(
    "maya", "127.0.0.1", 4711, version="2024", scene="/shots/a.ma", display_name="Anna's Maya",
    metadata={"mcp_url": "http://127.0.0.1:4711/t0ken/mcp", "owner": "t0ken", "session": "t0ken"},
)
print(row.instance_id, flush=True)
sys.stdin.read()
if sys.argv[2] == "leave":
    registry.close()
os._exit(0)
"""


@pytest.fixture
def live(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as start:
        yield start()


def ask(live, method, params=None):
    with live.connect() as wire:
        return wire.rpc(method, params)


def read(live, uri):
    answer = ask(live, "resources/read", {"uri": uri})
    assert "result" in answer.json, answer
    (content,) = answer.json["result"]["contents"]
    return content


def data(live, uri):
    return json.loads(read(live, uri)["text"])


# -- guides -----------------------------------------------------------------------------------


def test_guides_are_read_in_any_case(live):
    for topic, text in GUIDES.items():
        for name in (topic, topic.title()):
            content = read(live, "docs://" + name)
            assert (content["mimeType"], content["text"]) == ("text/markdown", text)


@pytest.mark.parametrize("topic", GUIDES)
def test_a_guide_is_short_and_names_what_there_is(topic):
    text = GUIDES[topic]
    assert text.startswith("# ")
    assert len(text) < 2000
    table = ToolTable()
    for module in (control, scene, code):
        table.add_module(module)
    arguments = {name for tool in table.tools for name in tool.input_schema["properties"]}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", text))
    assert {one for one in named if one not in table} - arguments - CODES - FACTS == set()
    for uri in re.findall(r"`([a-z]+://[^`]+)`", text):
        assert table.resource(uri.replace("<job_id>", "x"))


def test_the_guide_to_errors_has_them_all():
    assert {one for one in CODES if "`{}`".format(one) not in GUIDES["errors"]} == set()


def test_a_topic_that_is_not_there_is_answered_with_those_that_are(live):
    def refused(uri):
        error = ask(live, "resources/read", {"uri": uri}).json["error"]
        assert error["data"]["code"] == "not_found"
        return error["message"]

    assert all(topic in refused("docs://rigging") for topic in GUIDES)
    assert "Did you mean 'errors'?" in refused("docs://error")


def test_topics_are_listed_and_completed(live):
    listed = ask(live, "resources/templates/list").json["result"]["resourceTemplates"]
    (template,) = [one for one in listed if one["uriTemplate"] == "docs://{topic}"]
    assert all(topic in template["description"] for topic in GUIDES)

    def completed(typed):
        params = {
            "ref": {"type": "ref/resource", "uri": "docs://{topic}"},
            "argument": {"name": "topic", "value": typed},
        }
        return ask(live, "completion/complete", params).json["result"]["completion"]["values"]

    assert completed("") == list(GUIDES)
    assert completed("Co") == ["coordinates-and-units", "code-execution"]


# -- running hosts ----------------------------------------------------------------------------


@contextmanager
def member(directory, end="leave"):
    """Run another program that is registered, and yield it with its instance id."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEMBER, directory, end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    try:
        yield process, process.stdout.readline().decode("ascii").strip()
    finally:
        process.communicate()


def test_who_runs_is_told_without_anything_secret(live):
    with member(live.registry_dir) as (process, ident):
        found = data(live, "dcc://instances")
        raw = read(live, "dcc://instances")["text"]
        items = {one["instance_id"]: one for one in found["items"]}
        assert items.pop(ident) == {
            "dcc": "maya",
            "instance_id": ident,
            "name": "Anna's Maya",
            "scene": "/shots/a.ma",
            "version": "2024",
            "pid": process.pid,
            "status": "available",
            "self": False,
        }
    (own,) = items.values()
    assert set(own) == MEMBERS
    assert own["self"] is True
    assert own["instance_id"] == live.server.instance_id
    assert own["name"] == "standalone " + live.server.instance_id[:8]
    assert (own["pid"], own["status"], own["scene"]) == (os.getpid(), "available", None)
    assert "note" not in found
    assert live.server.token not in raw
    assert "t0ken" not in raw


def test_one_that_was_killed_is_not_there(tmp_path, monkeypatch):
    # No heartbeat comes by that would sweep its row away.
    monkeypatch.setattr(registration, "HEARTBEAT", 3600.0)
    with starting(str(tmp_path), monkeypatch) as start:
        live = start()
        with member(live.registry_dir, "crash") as (_, ident):
            pass
        assert [one["self"] for one in data(live, "dcc://instances")["items"]] == [True]
        with open(os.path.join(live.registry_dir, "services.json"), encoding="utf-8") as file:
            assert ident in file.read()


def test_a_registry_that_cannot_be_read_is_said_in_words(live, monkeypatch):
    def refuse(path, *arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "open_plain", refuse)
        patch.setattr(store.Store, "_look", lambda self: None)
        told = data(live, "dcc://instances")
    assert told["items"] == []
    assert told["note"].startswith("The service registry cannot be read:")
    assert "ermission denied" in told["note"]
    assert "note" not in data(live, "dcc://instances")


def test_a_registry_of_another_version_is_said_in_words(tmp_path, monkeypatch):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "services.json").write_text("{}")
    with starting(str(tmp_path), monkeypatch) as start:
        assert data(start(), "dcc://instances")["note"].startswith("There may be others:")


def test_without_a_registry_there_is_a_reason(tmp_path, monkeypatch):
    (tmp_path / "registry").write_text("a file")
    with starting(str(tmp_path), monkeypatch) as start:
        told = data(start(), "dcc://instances")
    assert told["items"] == []
    assert "get_log" in told["note"]


# -- errors of the scene ----------------------------------------------------------------------


class Damaged(StandaloneBackend):
    """A scene with so many files, every second of which is not there."""

    files = 5

    def errors(self):
        for number in range(self.files):
            yield {"kind": "missing_file", "name": str(number)} if number % 2 else None


class Ignorant(StandaloneBackend):
    errors = SceneBackend.errors


def with_backend(kind, tmp_path, monkeypatch):
    class Adapter(StandaloneAdapter):
        def scene_backend(self):
            return kind(self.scene)

    return starting(str(tmp_path), monkeypatch, adapter=Adapter)


def test_a_scene_in_order_has_no_errors(live):
    assert data(live, "scene://errors") == {"items": [], "total": 0}
    assert "scene://errors" in [
        one["uri"] for one in ask(live, "resources/list").json["result"]["resources"]
    ]


def test_errors_are_counted_and_the_first_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(scene_resources, "MAX_ERRORS", 3)
    with with_backend(Damaged, tmp_path, monkeypatch) as start:
        live = start()
        found = data(live, "scene://errors")
        assert [one["name"] for one in found["items"]] == ["1", "3"]
        assert (found["total"], "note" in found) == (2, False)
        monkeypatch.setattr(Damaged, "files", 10)
        found = data(live, "scene://errors")
        assert [one["name"] for one in found["items"]] == ["1", "3", "5"]
        assert found["total"] == 5
        assert found["note"] == "Only the first 3 are shown."


def test_a_backend_that_cannot_tell_says_so(tmp_path, monkeypatch):
    with with_backend(Ignorant, tmp_path, monkeypatch) as start:
        told = data(start(), "scene://errors")
    assert (told["items"], told["total"]) == ([], 0)
    assert "cannot tell" in told["note"]


# -- prompts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("model_from_reference", {"reference": "a {chair}"}, "after a {chair}, in parts"),
        ("model_from_reference", {"reference": "x", "detail": "rough"}, "How far to go: rough"),
        ("look_dev", {}, "look of the whole scene."),
        ("look_dev", {"objects": "/a", "style": "noir"}, "of /a, which shall look like this: noir"),
    ],
)
def test_prompts_are_rendered(live, name, arguments, said):
    answer = ask(live, "prompts/get", {"name": name, "arguments": arguments})
    (message,) = answer.json["result"]["messages"]
    assert said in message["content"]["text"]


def test_a_prompt_says_which_argument_it_needs(live):
    answer = ask(live, "prompts/get", {"name": "model_from_reference"})
    assert answer.code == -32602
    assert "needs 'reference'" in answer.json["error"]["message"]
