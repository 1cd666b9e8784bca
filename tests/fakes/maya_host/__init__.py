"""A Maya that keeps Maya's documented contract with its hazards, and is strict about it."""
