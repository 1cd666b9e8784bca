"""An MCP server over standard input and output, in front of every host that runs.

``python3 -m dcc_mcp_embed bridge`` is what a client starts. It is there at once, with or without a
host, and stays while hosts come, go and are started anew.
"""
