"""dcc-mcp-core's server (Rust) with one echo tool, no gateway, its registry in a folder of ours."""

from __future__ import annotations

import json
import signal
import tempfile
from urllib.parse import urlsplit

from dcc_mcp_core import McpHttpConfig, McpHttpServer, ToolRegistry

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def main() -> None:
    """Start, print the port as one JSON line, wait for a signal."""
    # With the default gateway port it would open two more ports, one on every interface.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with tempfile.TemporaryDirectory() as folder:
        registry = ToolRegistry()
        registry.register("echo", description="Return the text.", input_schema=json.dumps(SCHEMA))
        config = McpHttpConfig(port=0, server_name="bench")
        config.host = "127.0.0.1"
        config.gateway_port = 0
        config.registry_dir = folder
        server = McpHttpServer(registry, config)
        server.register_handler("echo", lambda arguments: arguments["text"])
        handle = server.start()
        print(json.dumps({"port": urlsplit(handle.mcp_url()).port}), flush=True)
        signal.sigwait(signals)
        handle.shutdown()


main()
