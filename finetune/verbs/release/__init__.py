"""Verbs under `Evaluate and release`."""
