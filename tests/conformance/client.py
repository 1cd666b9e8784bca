"""The client that the official conformance suite drives: ``client.py URL``, in client mode.

The suite names what it looks for in MCP_CONFORMANCE_SCENARIO, and some of it gives more to do in
MCP_CONFORMANCE_CONTEXT. Exit status 0: done; whether it was done right is the suite's to say.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, List, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from dcc_mcp_embed.mcp import MCPClientFacade, MCPError, MCPPluginConfig

USER, PLUGIN = "suite", "mock"
CONTEXT: Dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")


class Client:
    """A registered server."""

    def __init__(self, facade: MCPClientFacade) -> None:
        self._facade = facade

    def tools(self) -> List[Dict[str, Any]]:
        return self._facade.get_tools_sync(USER, PLUGIN, use_cache=False)

    def call(self, name: str, arguments: Optional[Dict[str, Any]] = None) -> Any:
        return self._facade.call_tool_sync(USER, PLUGIN, name, arguments, timeout=30.0)


def look(client: Client) -> None:
    client.tools()


def add(client: Client) -> None:
    client.tools()
    client.call("add_numbers", {"a": 5, "b": 3})


def call_all(client: Client) -> None:
    """Call every tool that is left, as far as it can be called without knowing it."""
    for tool in client.tools():
        given = {
            name: _some(one) for name, one in tool["inputSchema"].get("properties", {}).items()
        }
        try:
            client.call(tool["name"], given)
        except MCPError as error:
            print("{}: {}".format(tool["name"], error), file=sys.stderr)


def _some(schema: Dict[str, Any]) -> Any:
    return {"string": "x", "number": 1, "integer": 1, "boolean": True}.get(schema.get("type", ""))


def call_named(*names: str) -> Callable[[Client], None]:
    def act(client: Client) -> None:
        client.tools()
        for name in names:
            client.call(name)

    return act


def replay(client: Client) -> None:
    client.tools()
    for one in CONTEXT["toolCalls"]:
        client.call(one["name"], one.get("arguments"))


def echo_schema(client: Client) -> None:
    schemas = {tool["name"]: tool["inputSchema"] for tool in client.tools()}
    client.call("json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})


ACTS: Dict[str, Callable[[Client], None]] = {
    "initialize": look,
    "tools_call": add,
    "elicitation-sep1034-client-defaults": call_named("test_client_elicitation_defaults"),
    "sse-retry": call_named("test_reconnection"),
    "request-metadata": look,
    "sep-2322-client-request-state": call_named(
        "test_mrtr_echo_state",
        "test_mrtr_no_state",
        "test_mrtr_unrelated",
        "test_mrtr_no_result_type",
    ),
    "http-standard-headers": call_all,
    "http-custom-headers": replay,
    "http-invalid-tool-headers": call_all,
    "json-schema-ref-no-deref": look,
    "json-schema-2020-12-preservation": echo_schema,
}


def main(url: str) -> int:
    facade = MCPClientFacade()
    facade.set_elicitation_callback(lambda params: {})
    facade.set_sampling_callback(lambda params: "a thought")
    facade.set_roots_callback(lambda: ["file:///tmp"])
    facade.register_status_callback(lambda event: print(event["reason"], file=sys.stderr))
    try:
        if not facade.register_sync(MCPPluginConfig(USER, PLUGIN, url)):
            return 1
        ACTS.get(os.environ.get("MCP_CONFORMANCE_SCENARIO", ""), call_all)(Client(facade))
    finally:
        facade.cleanup_sync()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
