"""Checks on texts: pure functions on strings, the same for every corpus and script."""
