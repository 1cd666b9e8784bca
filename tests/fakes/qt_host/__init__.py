"""An application with Qt and nothing else, as a host."""
