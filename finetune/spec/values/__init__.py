"""Kinds of values that people write, each with its own rules."""
