"""Verbs under `Reference`."""
