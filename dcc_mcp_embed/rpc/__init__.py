"""The framed peer, sans-IO: hello and authentication, correlation, ping, back-off."""
