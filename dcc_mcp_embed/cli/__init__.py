"""The command line: serve, tools, call, status, secret, demo."""
