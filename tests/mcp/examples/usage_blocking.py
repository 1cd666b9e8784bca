"""How the client is used where there is no asyncio loop: in a host's script editor."""

from dcc_mcp_embed.mcp import MCPPluginConfig, mcp_client


def on_status_change(event):
    print(f"plugin {event['plugin_name']}: {event['old_status']} -> {event['new_status']}")


# Hear of every change.
mcp_client.register_status_callback(on_status_change)

# Connect to a server, under a name of one's own.
mcp_client.register_sync(
    MCPPluginConfig(user_id="user123", plugin_name="exa-search", url="http://localhost:8000/mcp")
)

# Ask what it can do.
tools = mcp_client.get_tools_sync("user123", "exa-search")
print("web_search" in [tool["name"] for tool in tools])

# Have it do that.
result = mcp_client.call_tool_sync("user123", "exa-search", "web_search", {"query": "..."})
print(result)

mcp_client.cleanup_sync()
