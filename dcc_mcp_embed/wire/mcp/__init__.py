"""The Model Context Protocol as a machine: messages in, replies and calls out."""
