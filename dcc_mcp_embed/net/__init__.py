"""The I/O loop: sockets, timers and the thread that owns them. Knows no protocol."""
