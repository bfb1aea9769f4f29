"""Verbs under `Use`."""
