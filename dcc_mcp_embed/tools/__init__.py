"""Declaring tools, resources and prompts; schemas; the table; the scene tools every host shares."""
