"""How the client is used where there is an asyncio loop."""

import asyncio

from dcc_mcp_embed.mcp import MCPPluginConfig, mcp_client


async def on_status_change(event):
    print(f"plugin {event['plugin_name']}: {event['old_status']} -> {event['new_status']}")


async def main():
    # Hear of every change.
    mcp_client.register_status_callback(on_status_change)

    # Connect to a server, under a name of one's own.
    await mcp_client.register(
        MCPPluginConfig(
            user_id="user123", plugin_name="exa-search", url="http://localhost:8000/mcp"
        )
    )

    # Ask what it can do.
    tools = await mcp_client.get_tools("user123", "exa-search")
    print("web_search" in [tool["name"] for tool in tools])

    # Have it do that.
    result = await mcp_client.call_tool("user123", "exa-search", "web_search", {"query": "..."})
    print(result)

    await mcp_client.cleanup()


asyncio.run(main())
