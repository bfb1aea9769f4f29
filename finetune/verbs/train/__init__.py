"""Verbs under `Train`."""
