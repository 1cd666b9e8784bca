"""The shared service registry: rows of running hosts in one file that many processes write."""
