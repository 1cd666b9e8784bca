"""A server in a script without asyncio: ``server_sync.py SOCKET``."""

import sys

from dcc_mcp_embed.ipc import SocketServer, request

server = SocketServer(
    socket_path=sys.argv[1],
    account_id="test_account",
    enable_health_check=True,
    health_check_interval=30.0,
)


@request("echo")
def handle_echo(data: dict) -> dict:
    return {"echo": data}


server.register_handler("echo", handle_echo)


def handle_add(data: dict) -> dict:
    return {"result": data.get("a", 0) + data.get("b", 0)}


server.register_handler("add", handle_add)

if __name__ == "__main__":
    # Serves until it is stopped, or Ctrl-C.
    server.start_sync()
