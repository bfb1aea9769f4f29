"""A package that cannot be imported."""

READER = 1 / 0
