"""TransportManager and what it is made of: sessions, pool, routing, channels, listeners."""
