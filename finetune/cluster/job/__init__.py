"""Batch script of a job, and the decisions at the start and end of an attempt."""
