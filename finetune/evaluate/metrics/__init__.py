"""Metrics: statistics per item, and the value of their sums; one module each."""
