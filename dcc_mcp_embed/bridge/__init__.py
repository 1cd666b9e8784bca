"""An MCP server in front of every host that runs, over standard input and output, or over HTTP.

``python3 -m dcc_mcp_embed bridge`` is what a client starts. It is there at once, with or without a
host, and stays while hosts come, go and are started anew. ``--http PORT`` is for clients that
cannot start programs.
"""
