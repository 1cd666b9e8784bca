"""Measurements against peers in the same run: ``python3 tests/bench``."""
