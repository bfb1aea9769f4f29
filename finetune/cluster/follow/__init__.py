"""State, logs and results of a chain."""
