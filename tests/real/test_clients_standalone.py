"""Official clients against ``serve --adapter standalone`` under old and new Pythons, and restarts.

What the SDKs do when the server goes away and comes back, as found here (mcp 1.30.0 and 2.3.0):

* Restarted while the client was idle: both notice the closed keep-alive connection, open a new one
  and go on with the same session object. Handshake-revision clients go on sending the session id
  of the server that is gone; the new server has to serve it, because neither initializes anew.
* A call while nobody listens: both give the whole session up (the failed request ends their task
  group). The user's client then connects anew with the same configuration.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import Any, Dict, Iterator, List, Tuple

import pytest

import helpers
from real.conversation import CLIENTS, Client, Host, converse, good
from real.processes import Process

pytestmark = pytest.mark.heavy

PYTHONS = ("3.7", "3.9", "3.11", "3.13")
#: Preferred port of this kind of host, a promise to everybody who has pasted a configuration.
PREFERRED = 21344
#: Seconds in which a server is up again, on a busy machine. TIME_WAIT would take sixty.
AT_ONCE = 10.0


def serve(version: str, home: str, *more: str) -> Process:
    return Process(
        [helpers.python(version), "-m", "dcc_mcp_embed", "serve", "--adapter", "standalone", *more],
        # The checkout is found in the working directory; nothing is installed there.
        env={"DCC_MCP_EMBED_HOME": home, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=helpers.ROOT,
        name="serve under " + version,
    )


def standalone(ready: Dict[str, Any]) -> Host:
    return Host("standalone", ready, undoes=True, names_steps=True)


@pytest.mark.parametrize("kind", list(CLIENTS))
@pytest.mark.parametrize("version", PYTHONS)
def test_an_agent_makes_a_cube(tmp_path, version, kind):
    with serve(version, str(tmp_path), "--port", "0") as server:
        ready = server.json_line()
        for token_in in ("header", "path"):
            with Client(kind, ready, token_in) as client:
                converse(client, standalone(ready))
                check_wire(client, token_in)
                client.end()
        # The line for programs was all there was on stdout.
        assert server.end() == 0, server.problem("did not end cleanly")
        with pytest.raises(AssertionError):
            server.line(1.0)
        assert not [line for line in server.said if "Traceback" in line], server.said


def check_wire(client: Client, token_in: str) -> None:
    """Check what the client saw of HTTP: the token's place, its session, one kept connection."""
    wire = client.wire()
    assert all(one["authorization"] == (token_in == "header") for one in wire)
    posts = [one for one in wire if one["method"] == "POST"]
    assert {one["status"] for one in posts} <= {200, 202}, posts
    assert {one["status"] for one in wire if one["method"] == "GET"} <= {200, 405}, wire
    given = {one["session_given"] for one in posts} - {None}
    assert len(given) == (1 if client.kind.session else 0)
    assert {one["session_sent"] for one in posts[1:]} == (given or {None})
    # The first few exchanges may open connections of their own; the calls share one.
    assert len({one["local_port"] for one in posts[3:]}) == 1, posts


# Stop and start again while a keep-alive client is connected.


@contextlib.contextmanager
def another(
    version: str, home: str, ready: Dict[str, Any], more: List[str]
) -> Iterator[Tuple[Process, Host]]:
    """Start the next server and check that it is the same to every client, and up at once."""
    with serve(version, home, *more) as server:
        # Raises when it takes longer.
        new = server.json_line(AT_ONCE)
        for what in ("url", "plain_url", "port", "token"):
            assert new[what] == ready[what], what
        assert new["pid"] != ready["pid"] and new["instance_id"] != ready["instance_id"]
        yield server, standalone(new)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def port_options(how: str) -> List[str]:
    """Return options for a port that both servers get: explicit, or by being the preferred one."""
    if how == "explicit":
        return ["--port", str(free_port())]
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", PREFERRED))
            taken = ""
        except OSError as error:
            taken = str(error)
    helpers.require(not taken, "port {} for this test ({})".format(PREFERRED, taken))
    return []


@contextlib.contextmanager
def first_server(
    version: str, home: str, how: str
) -> Iterator[Tuple[Process, Dict[str, Any], List[str]]]:
    more = port_options(how)
    with serve(version, home, *more) as server:
        ready = server.json_line()
        if how == "preferred":
            assert ready["port"] == PREFERRED, server.said
        yield server, ready, more


@pytest.mark.parametrize("kind", list(CLIENTS))
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("how", ["explicit", "preferred"])
def test_a_connected_client_goes_on_after_a_restart(tmp_path, kind, ending, how):
    version = "3.7" if how == "explicit" else "3.13"
    home = str(tmp_path)
    with first_server(version, home, how) as (server, ready, more):
        with Client(kind, ready, "header") as client:
            made = client.call("create_object", kind="cube", name="from_before")
            good(made, standalone(ready))
            server.end(getattr(signal, ending))
            with another(version, home, ready, more) as (second, now):
                # The same session object, which was never told anything.
                client.wire()
                assert good(client.call("list_objects"), now)["items"] == []
                wire = client.wire()
                assert [one["status"] for one in wire] == [200], wire
                assert (wire[0]["session_sent"] is not None) == client.kind.session
                converse(client, now)
                # And the same configuration, pasted before the restart.
                with Client(kind, ready, "header") as fresh:
                    converse(fresh, now)
                    fresh.end()
                client.end()
                assert second.end() == 0, second.problem("did not end cleanly")


@pytest.mark.parametrize("kind", list(CLIENTS))
def test_a_call_while_nobody_listens_fails_and_the_configuration_stays_good(tmp_path, kind):
    home = str(tmp_path)
    with first_server("3.11", home, "explicit") as (server, ready, more):
        with Client(kind, ready) as client:
            good(client.call("list_objects"), standalone(ready))
            server.end(signal.SIGKILL)
            lost = client.ask(do="call", name="list_objects")
            with another("3.11", home, ready, more) as (_, now):
                with Client(kind, ready) as fresh:
                    converse(fresh, now)
                    fresh.end()
        assert lost["ended"]["type"] == "ConnectError", lost
