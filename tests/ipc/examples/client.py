"""A client that asks for everything there is: ``client.py SOCKET``."""

import asyncio
import sys

from dcc_mcp_embed.ipc import SocketClient


async def main():
    client = SocketClient(
        socket_path=sys.argv[1],
        account_id="test_account",
        auto_reconnect=True,
        reconnect_interval=3.0,
        max_reconnect_attempts=0,  # it never gives up
        heartbeat_interval=30.0,
        request_timeout=10.0,
    )

    @client.on_push("notification")
    async def handle_notification(push_type: str, data: dict):
        print("Received notification: {}".format(data))

    client.set_connect_callback(lambda: print("Connected!"))
    client.set_disconnect_callback(lambda: print("Disconnected!"))

    connected = await client.connect(max_retries=5)
    if not connected:
        print("Failed to connect")
        return

    response = await client.request("echo", {"message": "hello"})
    print("Echo response: {}".format(response))

    response = await client.request("add", {"a": 10, "b": 20})
    print("Add response: {}".format(response))

    healthy = await client.health_check()
    print("Health check: {}".format(healthy))

    stats = client.get_stats()
    print("Client stats: {}".format(stats))

    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
