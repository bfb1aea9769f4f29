"""Verbs under `Data`."""
