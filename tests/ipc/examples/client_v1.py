"""The client by its old module name, with positional arguments: ``client_v1.py SOCKET``."""

import asyncio
import sys

from dcc_mcp_embed.ipc.socket_client import SocketClient


async def main():
    client = SocketClient(sys.argv[1], "test_account")
    client.set_connect_callback(lambda: print("Connected!"))
    client.set_disconnect_callback(lambda: print("Disconnected!"))
    if not await client.connect():
        print("Failed to connect")
        return
    print("Echo response: {}".format(await client.request("echo", {"message": "hello"})))
    print("Add response: {}".format(await client.request("add", {"a": 10, "b": 20})))
    print("Health check: {}".format(await client.health_check()))
    print("Client stats: {}".format(client.get_stats()))
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
