"""dcc-mcp-core's server (Rust) with tools that a client is tried with; no gateway.

Prints one JSON line with its URL, and serves until a signal comes.
"""

from __future__ import annotations

import json
import signal
import tempfile
from typing import Any, Dict

from dcc_mcp_core import McpHttpConfig, McpHttpServer, ToolRegistry

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
NONE: Dict[str, Any] = {"type": "object", "properties": {}}


def fail(arguments: Dict[str, Any]) -> Any:
    """Fail."""
    raise ValueError("it fails on purpose")


def main() -> None:
    """Start, tell where, wait for a signal."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with tempfile.TemporaryDirectory() as folder:
        tools = (
            ("echo", TEXT, lambda arguments: arguments["text"]),
            ("structured", NONE, lambda arguments: {"sum": 3}),
            ("fail", NONE, fail),
        )
        registry = ToolRegistry()
        for name, schema, _ in tools:
            registry.register(name, description=name, input_schema=json.dumps(schema))
        config = McpHttpConfig(port=0, server_name="peer")
        config.host = "127.0.0.1"
        config.gateway_port = 0
        config.registry_dir = folder
        server = McpHttpServer(registry, config)
        for name, _, function in tools:
            server.register_handler(name, function)
        handle = server.start()
        print(json.dumps({"url": handle.mcp_url()}), flush=True)
        signal.sigwait(signals)
        handle.shutdown()


main()
