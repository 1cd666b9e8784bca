"""A client in a script without asyncio: ``client_sync.py SOCKET``."""

import sys

from dcc_mcp_embed.ipc import SocketClient


def main():
    client = SocketClient(
        socket_path=sys.argv[1],
        account_id="test_account",
        auto_reconnect=True,
        reconnect_interval=3.0,
        max_reconnect_attempts=0,
        heartbeat_interval=30.0,
        request_timeout=10.0,
    )

    @client.on_push("notification")
    def handle_notification(push_type: str, data: dict):
        print("Received notification: {}".format(data))

    client.set_connect_callback(lambda: print("Connected!"))
    client.set_disconnect_callback(lambda: print("Disconnected!"))

    if not client.connect_sync(max_retries=5):
        print("Failed to connect")
        return

    print("Echo response: {}".format(client.request_sync("echo", {"message": "hello"})))
    print("Add response: {}".format(client.request_sync("add", {"a": 10, "b": 20})))
    print("Health check: {}".format(client.health_check_sync()))
    print("Client stats: {}".format(client.get_stats()))
    client.disconnect_sync()


if __name__ == "__main__":
    main()
