"""SocketServer and SocketClient together: both faces, each kind of place, a restart."""

from __future__ import annotations

import asyncio
import threading

from dcc_mcp_embed.ipc import SocketClient
from fakes.ipc_raw import DEADLINE, SECRET, until
from ipc.stages import server


def echo(data):
    return {"echo": data}


def test_the_synchronous_twins(place):
    arguments, theirs = place
    heard, pushed = [], threading.Event()
    with server(arguments, echo=echo) as one:
        client = SocketClient(account_id="ann", secret=SECRET, **theirs(one))

        @client.on_push("news")
        def news(kind, data):
            heard.append((kind, data))
            pushed.set()

        with client:
            assert client.request_sync("echo", {"a": 1}) == {"echo": {"a": 1}}
            assert client.request_sync("echo") == {"echo": None}
            assert one.get_stats()["clients"] == {"ann": 1}
            assert one.push_sync("news", 5, "ann") == 1
            assert pushed.wait(DEADLINE)
            assert client.health_check_sync()
        until(lambda: one.get_stats()["connections"] == 0)
    assert heard == [("news", 5)]


def test_the_faces_with_await(place):
    arguments, theirs = place

    async def later(data):
        await asyncio.sleep(0)
        return data

    one = server(arguments, later=later)

    async def main():
        async with one, SocketClient(account_id="ann", secret=SECRET, **theirs(one)) as client:
            heard = asyncio.Future()

            @client.on_push("news")
            async def news(kind, data):
                heard.set_result((kind, data))

            assert await asyncio.gather(*(client.request("later", n) for n in range(200))) == list(
                range(200)
            )
            assert await one.push("news", 5) == 1
            assert await heard == ("news", 5)
            assert await client.health_check()

    asyncio.run(main())


def test_a_wrong_secret_is_told_to_the_client(place):
    arguments, theirs = place
    with server(arguments) as one:
        client = SocketClient(account_id="ann", secret="wrong", **theirs(one))
        assert client.connect_sync() is False
        assert "does not know the secret (the `secret=` that was given" in client.last_error
        client.disconnect_sync()
        until(lambda: one.get_stats()["refused"] == 1)
        assert one.get_stats()["connections_total"] == 0


def test_a_client_finds_the_server_that_was_started_anew(no_unix, path):
    one = server({"socket_path": path}, echo=echo)
    client = SocketClient(path, "ann", reconnect_interval=0.05, secret=SECRET)
    losses = []
    client.set_disconnect_callback(lambda: losses.append(1))
    with one:
        assert client.connect_sync()
        assert client.request_sync("echo", 1) == {"echo": 1}
    until(lambda: losses)
    with one:
        assert client.request_sync("echo", 2) == {"echo": 2}
        assert client.get_stats()["reconnects"] == 1
        client.disconnect_sync()
