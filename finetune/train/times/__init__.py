"""Measurement of the wall time of a training run."""
