"""Verbs under `Start`."""
