"""Official clients in front of the bridge, which has the host's own interpreter: old and new."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any, Dict, List

import pytest

import helpers
from real.conversation import (
    CLIENT,
    CLIENTS,
    PEER_PYTHON,
    PEERS,
    Client,
    Host,
    bad,
    good,
)
from real.processes import Process

pytestmark = pytest.mark.heavy

PYTHONS = ("3.7", "3.13")
#: Tools that every host lists.
LISTED = {"create_object", "list_objects", "set_transform", "undo", "get_status"}


class BridgeClient(Client):
    """A client that starts the bridge itself, as its configuration says."""

    def __init__(self, kind: str, version: str, home: str) -> None:
        self.kind = CLIENTS[kind]
        peer = helpers.peer_venv(
            "mcp-" + self.kind.sdk, [PEERS[self.kind.sdk]], base=helpers.python(PEER_PYTHON)
        )
        command = [helpers.python(version), "-W", "error", "-m", "dcc_mcp_embed", "bridge"]
        self.process = Process(
            [peer, CLIENT, "--command", json.dumps(command), "--mode", self.kind.mode],
            env=environment(home),
            cwd=home,
            name="client " + kind,
        )
        try:
            self.agreed = self.process.json_line()
            assert "protocol" in self.agreed, self.process.problem("did not connect")
        except BaseException:
            self.close()
            raise

    def names(self) -> List[str]:
        return sorted(tool["name"] for tool in self.ask(do="tools")["tools"])


def environment(home: str) -> Dict[str, str]:
    return {
        "DCC_MCP_EMBED_HOME": home,
        "DCC_MCP_REGISTRY_DIR": home + "/registry",
        "PYTHONPATH": helpers.ROOT,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def serve(version: str, home: str) -> Process:
    return Process(
        [helpers.python(version), "-m", "dcc_mcp_embed", "serve", "--port", "0"],
        env=environment(home),
        cwd=home,
        name="serve under " + version,
    )


def until(client: BridgeClient, ready: Any) -> Any:
    """Ask until the answer is good; hosts come and go a moment before they are seen."""
    pause = threading.Event()
    for _ in range(400):
        found = ready()
        if found:
            return found
        pause.wait(0.05)
    raise client.process.problem("did not notice")


@pytest.mark.parametrize("kind", list(CLIENTS))
@pytest.mark.parametrize("version", PYTHONS)
def test_an_agent_works_through_the_bridge(tmp_path, version, kind):
    home = str(tmp_path)
    # The bridge is there before any host, as with a client that starts with the computer.
    with BridgeClient(kind, version, home) as client:
        assert client.agreed["protocol"] == client.kind.revision
        if client.agreed["server"] is not None:
            assert client.agreed["server"]["name"] == "dcc_mcp_embed bridge"
        assert client.names() == ["list_instances"]
        nobody = client.call("create_object", kind="cube")
        assert nobody["isError"] and "no_host" in nobody["content"][0]["text"]

        with serve(version, home) as server:
            host = Host("standalone", server.json_line(), undoes=True, names_steps=True)
            until(client, lambda: set(client.names()) >= LISTED)
            made = good(client.call("create_object", kind="cube", name="box"), host)
            good(client.call("set_transform", path=made["path"], translate=[1, 2, 3]), host)
            (item,) = good(client.call("list_objects"), host)["items"]
            assert item["path"] == made["path"]
            assert bad(client.call("create_object", kind="cub"), host)["code"] == "invalid_argument"
            server.end(signal.SIGKILL)

        lost = client.call("list_objects")
        assert lost["isError"] and "no_host" in lost["content"][0]["text"]
        assert set(client.names()) >= LISTED

        with serve(version, home) as server:
            again = Host("standalone", server.json_line(), undoes=True, names_steps=True)
            until(client, lambda: not client.call("list_objects")["isError"])
            assert good(client.call("list_objects"), again)["items"] == []
        client.end()
