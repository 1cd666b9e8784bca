"""The server: connections, admission, MCP sessions, and the way from a request to a job."""
