"""Metrics: statistics of each item, and the value of their sums; a file each."""
