"""Verbs under `Cluster`."""
