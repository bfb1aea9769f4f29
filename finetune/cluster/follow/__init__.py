"""Status, logs and results of a chain."""
