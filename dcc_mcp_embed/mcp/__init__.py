"""Talking to MCP servers."""
