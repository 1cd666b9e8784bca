"""Our server beside the real gateway (``dcc-mcp-server``, PyPI): listed as ready, ended by it.

The gateway knows no token; so it can see how a host is, and end it, and call nothing, unless the
server has the setting ``gateway``: then it can do all but run code. The real sidecar too.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request

import pytest

import helpers
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.file_registry import open_registry
from fakes.served import Served
from real.processes import DEADLINE, Process
from real.test_registry_gateway import Gateway, wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX"),
]

HOLD = """
import dcc_mcp_embed, threading

@dcc_mcp_embed.tool(timeout=1.5)
def hold(seconds: float) -> str:
    'Keep the main thread.'
    threading.Event().wait(seconds)
    return 'over'
"""


LIFECYCLE = (
    "role",
    "owner",
    "session",
    "sidecar_pid",
    "supports_safe_stop",
    "safe_stop_url",
    "safe_stop_method",
    "restartable",
    "restart_command",
)


def instances(gateway):
    url = "http://127.0.0.1:{}/v1/instances".format(gateway.port)
    with urllib.request.urlopen(url, timeout=10.0) as answer:
        found = json.loads(answer.read().decode("utf-8"))
    return {one["instance_id"]: one for one in found["instances"]}


def ask(gateway, path, body):
    request = urllib.request.Request(
        "http://127.0.0.1:{}{}".format(gateway.port, path),
        json.dumps(body).encode("utf-8"),
        # Whoever does not ask for JSON gets tables made for models.
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30.0) as answer:
            return answer.status, answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8")


@pytest.fixture
def world(tmp_path):
    home = str(tmp_path)
    (tmp_path / "registry").mkdir(mode=0o700)
    (tmp_path / "hold.py").write_text(HOLD)
    with Gateway(str(tmp_path / "registry"), home) as gateway:
        wait_until(lambda: gateway.listed() is not None, "the gateway answers")
        with Served(home, "--tools", "hold.py") as served:
            yield gateway, served


def test_it_is_listed_for_longer_than_two_missed_probes_and_no_secret_is_told(world):
    gateway, served = world
    ident = served.facts["instance_id"]
    wait_until(lambda: ident in instances(gateway), "it is listed")
    # Two probes, five seconds apart, make a row unreachable that does not answer them.
    end = time.monotonic() + 17.0
    while time.monotonic() < end:
        row = instances(gateway)[ident]
        assert row["status"] in ("available", "ready"), row
        threading.Event().wait(1.0)
    told = json.dumps(row)
    assert served.facts["token"] not in told


def test_it_is_not_routable_while_its_main_thread_stands_still(world):
    gateway, served = world
    ident = served.facts["instance_id"]
    wait_until(lambda: ident in instances(gateway), "it is listed")

    def call():
        with served.connect() as wire:
            wire.tool("hold", {"seconds": 25.0})

    callers = [threading.Thread(target=call, name="caller", daemon=True) for _ in range(3)]
    for caller in callers:
        caller.start()

    def status():
        return instances(gateway).get(ident, {"status": "gone"})["status"]

    wait_until(lambda: status() not in ("available", "ready"), "the gateway has noticed", 20.0)
    wait_until(lambda: status() in ("available", "ready"), "and that it is back", DEADLINE)
    for caller in callers:
        caller.join(DEADLINE)


def test_it_ends_by_the_gateways_safe_stop_for_whoever_names_its_owner_and_session(world, tmp_path):
    gateway, served = world
    ident = served.facts["instance_id"]
    wait_until(lambda: ident in instances(gateway), "it is listed")
    registry = open_registry(str(tmp_path / "registry"), {}, SystemClock())
    metadata = registry.get("standalone", ident).metadata
    # What it shows an operator beforehand, of what its documentation lists.
    lifecycle = instances(gateway)[ident]["lifecycle"]
    assert {name: lifecycle[name] for name in LIFECYCLE} == {
        "role": "runtime",
        "owner": metadata["owner"],
        "session": metadata["session"],
        "sidecar_pid": None,
        "supports_safe_stop": True,
        "safe_stop_url": "http://127.0.0.1:{}/safe-stop".format(served.port),
        "safe_stop_method": "POST",
        "restartable": True,
        "restart_command": metadata["launch_command"],
    }
    path = "/v1/dcc/standalone/instances/{}/stop".format(ident)
    right = {"expected_owner": metadata["owner"], "expected_session": metadata["session"]}
    status, said = ask(gateway, path, dict(right, expected_session="0" * 32))
    assert status >= 400, said
    assert served.process.poll() is None
    status, said = ask(gateway, path, right)
    assert status == 200, said
    assert served.end(None) == 0
    assert registry.get("standalone", ident) is None


# -- what the gateway may call -------------------------------------------------------------------

THREAD = """
import dcc_mcp_embed, threading

@dcc_mcp_embed.tool(read_only=True)
def main_thread() -> dict:
    'Say whether this is the main thread of the host.'
    return {"is_main": threading.current_thread() is threading.main_thread()}
"""


def rpc(gateway, path, method, params):
    """Return the result of one MCP message to the gateway, or its error."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    status, said = ask(gateway, path, message)
    assert status == 200, said
    answer = json.loads(said)
    return answer.get("result", answer.get("error"))


def get(gateway, path):
    url = "http://127.0.0.1:{}{}".format(gateway.port, path)
    try:
        with urllib.request.urlopen(url, timeout=30.0) as answer:
            return answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode("utf-8")


class World:
    """A gateway and a server that it lists; ``slug(name)`` is what a tool is called there."""

    def __init__(self, home, *arguments):
        os.mkdir(os.path.join(home, "registry"), 0o700)
        with open(os.path.join(home, "thread.py"), "w") as file:
            file.write(THREAD)
        self.home = home
        self.arguments = ("--tools", "thread.py", "--exec", "on", *arguments)

    def __enter__(self):
        registry = os.path.join(self.home, "registry")
        self.gateway = Gateway(registry, self.home)
        try:
            wait_until(lambda: self.gateway.listed() is not None, "the gateway answers")
            self.served = Served(self.home, *self.arguments)
        except BaseException:
            self.gateway.close()
            raise
        self.ident = self.served.facts["instance_id"]
        self.registry = open_registry(registry, {}, SystemClock())
        wait_until(
            lambda: (
                self.ident in instances(self.gateway)
                and instances(self.gateway)[self.ident]["status"] == "available"
            ),
            "it is listed",
        )
        return self

    def __exit__(self, *_):
        try:
            self.served.__exit__()
        finally:
            self.gateway.close()

    @property
    def row(self):
        return self.registry.get("standalone", self.ident)

    def slug(self, name):
        return "standalone.{}.{}".format(self.ident.replace("-", "")[:8], name)

    def call(self, name, arguments=None):
        """Return the output of a call by the gateway's REST, or what it says instead."""
        status, said = ask(
            self.gateway, "/v1/call", {"tool_slug": self.slug(name), "arguments": arguments or {}}
        )
        answer = json.loads(said)
        return answer["output"] if status == 200 else answer

    def find(self, query):
        _, said = ask(self.gateway, "/v1/search", {"query": query})
        return [one["tool_slug"] for one in json.loads(said)["hits"]]


@pytest.fixture
def open_world(tmp_path):
    with World(str(tmp_path), "--gateway") as world:
        yield world


def test_with_the_setting_a_tool_is_found_described_and_called_on_the_main_thread(open_world):
    world = open_world
    wait_until(lambda: world.slug("main_thread") in world.find("main thread"), "it is indexed")
    _, said = ask(world.gateway, "/v1/describe", {"tool_slug": world.slug("create_object")})
    assert "kind" in json.loads(said)["tool"]["inputSchema"]["properties"]
    assert world.call("main_thread")["data"] == {"is_main": True}
    assert world.call("create_object", {"kind": "cube", "name": "by_rest"})["success"] is True
    # And the same as an agent does it.
    found = rpc(
        world.gateway, "/mcp", "tools/call", {"name": "search", "arguments": {"query": "create"}}
    )
    assert world.slug("create_object") in found["content"][0]["text"]
    arguments = {"tool_slug": world.slug("list_objects"), "arguments": {}}
    result = rpc(world.gateway, "/mcp", "tools/call", {"name": "call", "arguments": arguments})
    assert result["isError"] is False
    assert "by_rest" in result["content"][0]["text"]
    arguments = {"tool_slug": world.slug("get_object"), "arguments": {"path": "/nope"}}
    result = rpc(world.gateway, "/mcp", "tools/call", {"name": "call", "arguments": arguments})
    assert result["isError"] is True
    assert "No object '/nope'" in result["content"][0]["text"]


def test_with_the_setting_the_proxy_lists_and_calls(open_world):
    world = open_world
    path = "/mcp/" + world.ident
    names = {one["name"] for one in rpc(world.gateway, path, "tools/list", {})["tools"]}
    assert {"main_thread", "create_object"} <= names
    call = {"name": "main_thread", "arguments": {}}
    result = rpc(world.gateway, path, "tools/call", call)
    assert result["structuredContent"]["data"] == {"is_main": True}


def test_with_the_setting_resources_are_read_and_prompts_rendered(open_world):
    world = open_world
    short = world.ident[:8]
    found = rpc(world.gateway, "/mcp", "resources/read", {"uri": "scene://{}/info".format(short)})
    assert json.loads(found["contents"][0]["text"])["units"]
    prompt = {"name": "i_{}__debug_U_scene".format(short), "arguments": {"problem": "d\u00fcster"}}
    found = rpc(world.gateway, "/mcp", "prompts/get", prompt)
    assert "d\u00fcster" in found["messages"][0]["content"]["text"]


def test_an_agent_that_asks_for_skills_finds_and_loads_the_one_there_is(open_world):
    world = open_world
    for query, kind in (("", "skill"), ("object", "skill"), ("", "all")):
        call = {"name": "search", "arguments": {"query": query, "kind": kind}}
        result = rpc(world.gateway, "/mcp", "tools/call", call)
        assert result["isError"] is False, result
        assert "dcc-mcp-embed" in result["content"][0]["text"]
    call = {"name": "load_skill", "arguments": {"skill_name": "dcc-mcp-embed"}}
    result = rpc(world.gateway, "/mcp", "tools/call", call)
    assert result["isError"] is False
    assert "create_object" in json.loads(result["content"][0]["text"])["registered_tools"]


def test_code_is_refused_in_words_by_every_way(open_world):
    world = open_world
    code = {"code": "open('ran', 'w').close()"}
    wait_until(lambda: world.slug("execute_python") in world.find("python"), "it is indexed")
    output = world.call("execute_python", code)
    assert output["success"] is False
    assert output["error"]["code"] == "permission_denied"
    assert "gateway" in output["message"]
    path = "/mcp/" + world.ident
    for call in (
        {"name": "execute_python", "arguments": code},
        {"name": "call_tool", "arguments": {"name": "execute_python", "arguments": code}},
        {"name": "batch", "arguments": {"calls": [{"tool": "execute_python", "arguments": code}]}},
    ):
        result = rpc(world.gateway, path, "tools/call", call)
        assert result["structuredContent"]["error"]["code"] == "permission_denied", call
    assert not os.path.exists(os.path.join(world.home, "ran"))
    with world.served.connect() as wire:
        assert not wire.tool("execute_python", code)["isError"]
    assert os.path.exists(os.path.join(world.home, "ran")), "the user's own client may"


def test_with_the_setting_the_users_token_is_told_nowhere_and_the_safe_stop_works(open_world):
    world = open_world
    token = world.served.facts["token"]
    assert token not in repr(world.row.to_dict())
    for path in ("/v1/instances", "/v1/context", "/v1/skills", "/health"):
        assert token not in get(world.gateway, path)
    metadata = world.row.metadata
    right = {"expected_owner": metadata["owner"], "expected_session": metadata["session"]}
    path = "/v1/dcc/standalone/instances/{}/stop".format(world.ident)
    status, said = ask(world.gateway, path, right)
    assert status == 200, said
    assert world.served.end(None) == 0


def test_without_the_setting_nothing_is_found_or_called_and_no_token_told(tmp_path):
    with World(str(tmp_path)) as world:
        told = [get(world.gateway, path) for path in ("/v1/instances", "/v1/context", "/v1/skills")]
        told.append(repr(world.row.to_dict()))
        assert world.row.metadata["mcp_url"] == world.served.facts["plain_url"]
        assert [one for one in told if world.served.facts["token"] in one] == []
        assert world.find("create object") == []
        assert "output" not in world.call("create_object", {"kind": "cube"})
        path = "/mcp/" + world.ident
        call = {"name": "create_object", "arguments": {"kind": "cube"}}
        for method, params in (("tools/list", {}), ("tools/call", call)):
            message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            _, said = ask(world.gateway, path, message)
            assert "result" not in json.loads(said), said
        with world.served.connect() as wire:
            assert wire.tool("list_objects")["structuredContent"]["data"]["items"] == []


class Sidecar(Process):
    """The real one, beside a host."""

    def __init__(self, world, *arguments):
        venv = helpers.peer_venv("gateway", ["dcc-mcp-server==0.20.49"])
        facts = world.served.facts
        super().__init__(
            [
                os.path.join(os.path.dirname(venv), "dcc-mcp-server"),
                *"sidecar --dcc standalone --no-ensure-gateway".split(),
                *("--host-rpc", facts["host_rpc"], "--watch-pid", str(facts["pid"])),
                *("--gateway-port", str(world.gateway.port)),
                *("--registry-dir", os.path.join(world.home, "registry"), *arguments),
            ],
            env={"HOME": world.home, "RUST_LOG": "warn"},
            name="sidecar",
        )


def test_a_sidecar_is_ready_calls_the_main_thread_and_ends_with_its_host(tmp_path):
    with World(str(tmp_path), "--gateway", "--qtserver") as world:
        url = world.row.metadata["mcp_url"]
        with Sidecar(world, "--discovery-mcp-url", url) as sidecar:

            def row():
                rows = world.registry.entries("standalone")
                return next((one for one in rows if one.instance_id != world.ident), None)

            def ready():
                found = row()
                return found is not None and found.metadata.get("dispatch_status") == "ready"

            wait_until(ready, "the sidecar is ready")
            assert row().metadata["host_rpc_uri"] == world.served.facts["host_rpc"]
            world.ident = row().instance_id
            wait_until(lambda: world.slug("main_thread") in world.find("main thread"), "indexed")
            body = {"tool_slug": world.slug("main_thread"), "arguments": {}}
            status, said = ask(world.gateway, "/v1/call", body)
            assert status == 200, said
            assert json.loads(said)["structuredContent"]["data"] == {"is_main": True}
            body = {"tool_slug": world.slug("execute_python"), "arguments": {"code": "1"}}
            _, said = ask(world.gateway, "/v1/call", body)
            assert "permission_denied" in said
            assert world.served.end() == 0
            assert sidecar.wait() == 0
