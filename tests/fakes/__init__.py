"""Stand-ins for what is at the edge: time, the host's thread, locks."""
